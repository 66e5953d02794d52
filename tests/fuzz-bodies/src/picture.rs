// SPDX-License-Identifier: Apache-2.0
//! A picture of another process, read as a test pattern.

use std::sync::OnceLock;

use vs_frame::{Format, FourCc, Rate};
use vs_pattern::{Memories, Pattern};

use crate::script::Script;

/// Wide and high enough for the barcode, small enough for some thousand pictures a second.
const SIZE: (u32, u32) = (24, 16);

/// A pattern in each layout of planes.
fn patterns() -> &'static [Pattern] {
    static PATTERNS: OnceLock<Vec<Pattern>> = OnceLock::new();
    PATTERNS.get_or_init(|| {
        let formats = [FourCc::NV12, FourCc::YUV420, FourCc::YUYV, FourCc::GREY, FourCc::RGB24, FourCc::NV12M];
        let format = |fourcc| Format::packed(fourcc, SIZE.0, SIZE.1, Rate::fps(30)).unwrap();
        formats.map(|fourcc| Pattern::new(&format(fourcc)).unwrap()).into()
    })
}

/// A picture is whole only if it is, byte by byte, the one of its own stamp.
pub(crate) fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let patterns = patterns();
    let pattern = &patterns[usize::from(script.byte()) % patterns.len()];
    let format = pattern.format();
    let honest = script.byte();
    let sizes: Vec<usize> = (0..format.memories()).map(|memory| format.memory_size(memory) as usize).collect();
    let mut memories: Vec<Vec<u8>> = sizes.iter().map(|size| vec![0; *size]).collect();
    // An even number: painted first, so that what follows damages a good picture.
    let painted = honest.is_multiple_of(2).then(|| pattern.render(honest.into(), 1_000_000, &mut memories).unwrap());
    let original = memories.clone();
    while let Some(at) = script.step() {
        let (memory, page) = (usize::from(at >> 6) % sizes.len(), usize::from(at & 0x3f));
        let start = (page * 16 + usize::from(script.byte() & 15)).min(sizes[memory]);
        let bytes = script.bytes();
        let end = (start + bytes.len()).min(sizes[memory]);
        memories[memory][start..end].copy_from_slice(&bytes[..end - start]);
    }
    let picture = Memories::new(format, &memories);
    let whole = pattern.check(&picture);
    if let (Some(painted), Ok(stamp)) = (painted, &whole) {
        assert!(*stamp != painted || memories == original, "a picture that is damaged passes for whole");
    }
    if let Ok(stamp) = whole {
        assert_eq!(pattern.read(&picture), Ok(stamp));
    }
    // What is shorter than its format says is no picture.
    memories.iter_mut().for_each(|memory| memory.truncate(sizes[0] / 2));
    assert!(pattern.check(&Memories::new(format, &memories)).is_err());
}
