// SPDX-License-Identifier: Apache-2.0
//! Raw pictures: what was painted can be read, and whatever is not of the same frame is found.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use vs_frame::{Colorimetry, Format, FourCc, PlaneLayout, Planes, Rate};
use vs_pattern::{CheckError, Memories, Pattern, PatternError, ReadError, Stamp};

const NS_PER_MS: u64 = 1_000_000;

fn memories(format: &Format) -> Vec<Vec<u8>> {
    (0..format.memories()).map(|index| vec![0xa5; format.memory_size(index) as usize]).collect()
}

fn paint(pattern: &Pattern, serial: u64, time_ns: u64) -> Vec<Vec<u8>> {
    let mut bytes = memories(pattern.format());
    pattern.render(serial, time_ns, &mut bytes).unwrap();
    bytes
}

/// Adds padding behind each row and before each plane, and gives every other plane a memory
/// of its own.
fn spread(format: &mut Format, padding: u32, separate: bool) {
    let mut end = [0; 4];
    let layouts: Vec<_> = (0..format.planes.len())
        .map(|plane| {
            let memory = if separate { plane % 2 } else { 0 };
            let stride = format.planes[plane].stride + padding;
            let size = stride * format.plane_rows(plane);
            let offset = end[memory] + padding;
            end[memory] = offset + size;
            PlaneLayout { memory: memory as u8, offset, stride, size }
        })
        .collect();
    format.planes = Planes::new(&layouts).unwrap();
}

fn any_format() -> impl Strategy<Value = Format> {
    let fourccs: Vec<_> = Pattern::formats().collect();
    let colors = [Colorimetry::BT601, Colorimetry::BT709, Colorimetry::SRGB, Colorimetry::default()];
    let size = || prop_oneof![16..80u32, 16..700u32];
    (prop::sample::select(fourccs), size(), size(), 0..40u32, any::<bool>(), prop::sample::select(colors.to_vec()))
        .prop_map(|(fourcc, width, height, padding, separate, color)| {
            let mut format = Format::packed(fourcc, width, height, Rate::fps(30)).unwrap();
            spread(&mut format, padding, separate);
            Format { color, ..format }
        })
}

proptest! {
    #[test]
    fn every_format_reads_back_and_is_whole(format in any_format(), serial: u64, time_ns: u64) {
        let pattern = Pattern::new(&format).unwrap();
        let bytes = paint(&pattern, serial, time_ns);
        let picture = Memories::new(&format, &bytes);
        let stamp = Stamp::new(serial, time_ns);
        prop_assert_eq!(pattern.read(&picture), Ok(stamp));
        prop_assert_eq!(pattern.check(&picture), Ok(stamp));
        // The stamp alone suffices to paint the same picture again, padding untouched.
        prop_assert!(bytes == paint(&pattern, stamp.serial, stamp.time_ms * NS_PER_MS));
    }

    #[test]
    fn one_row_of_another_frame_is_found(
        format in any_format(), serial in 0..1u64 << 39, ahead in 1..44521u64, time_ms in 0..1u64 << 39,
        plane: prop::sample::Index, row: prop::sample::Index,
    ) {
        let pattern = Pattern::new(&format).unwrap();
        let mut bytes = paint(&pattern, serial, time_ms * NS_PER_MS);
        let other = paint(&pattern, serial + ahead, (time_ms + ahead * 33) * NS_PER_MS);
        let plane = plane.index(format.planes.len());
        let row = row.index(format.plane_rows(plane) as usize);
        let PlaneLayout { memory, offset, stride, .. } = format.planes[plane];
        let start = offset as usize + row * stride as usize;
        let range = start..start + format.plane_row_bytes(plane) as usize;
        bytes[usize::from(memory)][range.clone()].copy_from_slice(&other[usize::from(memory)][range]);
        match pattern.check(&Memories::new(&format, &bytes)) {
            // A row in the middle of the barcode can make the stamp unreadable; that is found, too.
            Err(CheckError::Read(ReadError::Checksum)) => {}
            found => {
                let stamp = Stamp { serial, time_ms };
                prop_assert_eq!(found, Err(CheckError::Torn { stamp, plane, row }));
            }
        }
    }

    #[test]
    fn a_frame_torn_anywhere_is_found(format in any_format(), serial in 0..1u64 << 39, at: prop::sample::Index) {
        let pattern = Pattern::new(&format).unwrap();
        let mut bytes = paint(&pattern, serial, 5_000_000);
        let next = paint(&pattern, serial + 1, 21_000_000);
        // The new picture has overwritten the old one up to a row of the first plane.
        let PlaneLayout { memory, offset, stride, .. } = format.planes[0];
        let row = 1 + at.index(format.height as usize - 1);
        let end = offset as usize + row * stride as usize;
        bytes[usize::from(memory)][..end].copy_from_slice(&next[usize::from(memory)][..end]);
        prop_assert!(pattern.check(&Memories::new(&format, &bytes)).is_err());
    }
}

#[test]
fn foreign_pictures_have_no_stamp() {
    let format = Format::packed(FourCc::NV12, 320, 240, Rate::fps(30)).unwrap();
    let pattern = Pattern::new(&format).unwrap();
    for shade in [0, 16, 128, 235, 255] {
        let bytes = [vec![shade; format.memory_size(0) as usize]];
        assert_eq!(pattern.read(&Memories::new(&format, &bytes)), Err(ReadError::Checksum));
    }
    let bytes = [vec![0; 2000]];
    assert!(matches!(pattern.read(&Memories::new(&format, &bytes)), Err(ReadError::Missing { plane: 0, .. })));
}

#[test]
fn what_cannot_be_painted_is_refused_by_name() {
    let packed = |fourcc, width, height| Format::packed(fourcc, width, height, Rate::fps(30)).unwrap();
    let mut format = packed(FourCc::NV12, 64, 64);
    format.fourcc = FourCc::H264;
    let error = Pattern::new(&format).unwrap_err();
    assert!(error.to_string().contains("H264") && error.to_string().contains("NV12"), "{error}");
    assert!(matches!(Pattern::new(&packed(FourCc::NV12, 15, 64)), Err(PatternError::TooSmall { .. })));
    let tiled = Format { modifier: 1, ..packed(FourCc::NV12, 64, 64) };
    assert!(matches!(Pattern::new(&tiled), Err(PatternError::Modifier { .. })));

    let format = packed(FourCc::NV12M, 64, 64);
    let error = Pattern::new(&format).unwrap().render(1, 1, &mut [vec![0; 4096], vec![0; 2047]]).unwrap_err();
    assert_eq!((error.memory, error.len, error.needed), (1, 2047, 2048));
}

#[test]
fn the_largest_picture_is_painted_too() {
    let format = Format::packed(FourCc::GREY, 16384, 16384, Rate::fps(1)).unwrap();
    let pattern = Pattern::new(&format).unwrap();
    let bytes = paint(&pattern, u64::MAX, u64::MAX);
    assert_eq!(pattern.check(&Memories::new(&format, &bytes)), Ok(Stamp::new(u64::MAX, u64::MAX)));
}
