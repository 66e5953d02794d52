// SPDX-License-Identifier: Apache-2.0
//! Whatever is converted comes out whole, wherever it is written to. How it looks is the business of vs-codec's
//! tests, which ask ffmpeg.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use proptest::prelude::*;
use vs_convert::{Conversion, ConversionError, FORMATS, Incomplete};
use vs_frame::{CpuMemory, CpuPool, Format, FourCc, Frame, FrameMeta, Rate};

fn format(fourcc: FourCc, width: u32, height: u32) -> Format {
    Format::packed(fourcc, width, height, Rate::new(30, 1).unwrap()).unwrap()
}

/// A picture of these bytes, over and over.
fn picture(format: &Format, bytes: &[u8]) -> Frame {
    let pool = CpuPool::new(Arc::new(format.clone()), CpuMemory::Memfd, 1, 1).unwrap();
    let mut slot = pool.acquire().unwrap().unwrap();
    let mut bytes = bytes.iter().cycle();
    slot.write(|memories| {
        memories.iter_mut().flat_map(|memory| memory.iter_mut()).zip(&mut bytes).for_each(|(to, from)| *to = *from);
    })
    .unwrap();
    slot.finish(FrameMeta::default()).unwrap()
}

#[test]
fn each_format_has_a_way_to_each_other() {
    for from in FORMATS {
        for to in FORMATS {
            let mut conversion = Conversion::new(&format(*from, 33, 17), Some(*to), Some((20, 11))).unwrap();
            let mut out = Vec::new();
            conversion.convert(&picture(conversion.input(), &[1, 2, 3]).map().unwrap(), &mut out).unwrap();
            let output = conversion.output();
            assert_eq!((output.fourcc, output.width, output.height), (*to, 20, 11));
            let bytes: u64 = (0..output.memories()).map(|memory| output.memory_size(memory)).sum();
            assert_eq!(out.len() as u64, bytes, "{from} to {to}");
        }
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let input = format(FourCc::NV12, 64, 64);
    let refused = |input: &Format, to, size| Conversion::new(input, Some(to), Some(size)).unwrap_err();
    let formats = ConversionError::Formats { from: FourCc::NV12, to: FourCc::H264 };
    assert_eq!(refused(&input, FourCc::H264, (64, 64)), formats);
    assert!(formats.to_string().contains("NV12, NV21"));
    assert!(matches!(refused(&input, FourCc::RGB24, (0, 64)), ConversionError::Format { .. }));
    assert!(matches!(refused(&input, FourCc::RGB24, (8192, 8192)), ConversionError::TooLarge { .. }));
    let tiled = Format { modifier: 1, ..input.clone() };
    assert_eq!(refused(&tiled, FourCc::RGB24, (64, 64)), ConversionError::Modifier { modifier: 1 });

    // Another picture than was announced, and too little room.
    let mut conversion = Conversion::new(&input, Some(FourCc::RGB24), None).unwrap();
    let other = picture(&format(FourCc::NV12, 64, 32), &[0]);
    assert_eq!(conversion.convert(&other.map().unwrap(), &mut Vec::new()), Err(Incomplete));
    let (right, layout) = (picture(&input, &[0]), conversion.output().clone());
    let mut small = vec![0; layout.memory_size(0) as usize - 1];
    let written = conversion.convert_into(&right.map().unwrap(), &mut [&mut small[..]], &layout);
    assert_eq!(written, Err(Incomplete));
    assert_eq!(conversion.convert_into::<&mut [u8]>(&right.map().unwrap(), &mut [], &layout), Err(Incomplete));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Padding and the place of the planes are nobody's business but the memory's.
    #[test]
    fn strides_make_no_difference(
        from in prop::sample::select(FORMATS), to in prop::sample::select(FORMATS),
        (width, height, other_width, other_height) in (1u32..70, 1u32..40, 1u32..70, 1u32..40),
        padding in 0u32..4, bytes in prop::collection::vec(any::<u8>(), 1..50),
    ) {
        let input = format(from, width, height);
        let mut conversion = Conversion::new(&input, Some(to), Some((other_width, other_height))).unwrap();
        let frame = picture(&input, &bytes);
        let view = frame.map().unwrap();
        let mut tight = Vec::new();
        conversion.convert(&view, &mut tight).unwrap();

        let mut padded = conversion.output().clone();
        let mut planes = padded.planes.to_vec();
        let mut ends = [0; 4];
        for (index, plane) in planes.iter_mut().enumerate() {
            let end = &mut ends[usize::from(plane.memory)];
            plane.offset = *end + 16;
            plane.stride += 4 * padding;
            plane.size = plane.stride * padded.plane_rows(index);
            *end = plane.offset + plane.size;
        }
        padded.planes = vs_frame::Planes::new(&planes).unwrap();
        let mut memories: Vec<Vec<u8>> = (0..padded.memories()).map(|index| vec![0x5a; ends[index] as usize]).collect();
        conversion.convert_into(&view, &mut memories.iter_mut().map(|m| &mut m[..]).collect::<Vec<_>>(), &padded).unwrap();
        let rows = padded.planes.iter().enumerate().flat_map(|(index, plane)| {
            let (memory, row_bytes) = (&memories[usize::from(plane.memory)], padded.plane_row_bytes(index) as usize);
            (0..padded.plane_rows(index)).map(move |row| &memory[(plane.offset + row * plane.stride) as usize..][..row_bytes])
        });
        prop_assert_eq!(rows.flatten().copied().collect::<Vec<_>>(), tight);
    }
}
