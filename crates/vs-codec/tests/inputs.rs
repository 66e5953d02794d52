// SPDX-License-Identifier: Apache-2.0
//! Whatever layout the pictures have, others decode what was in them.

#![cfg(feature = "software-h264")]
#![allow(clippy::unwrap_used)]

mod support;

use support::{Camera, Judgement, encode, format, open};
use vs_codec::EncoderConfig;
use vs_frame::{Colorimetry, Format, FourCc, PlaneLayout, Planes};
use vs_pattern::Pattern;

const FRAMES: u64 = 60;

/// Encodes a format and compares sizes, frame count and stamps.
fn survives(format: &Format) -> Judgement {
    let camera = Camera::new(format.clone());
    let mut encoder = open(format, &EncoderConfig::default());
    let units = encode(&mut *encoder, &camera, 0..FRAMES);
    let judgement = Judgement::of(&units);
    let effective = encoder.effective();
    let name = format.fourcc;
    assert_eq!(judgement.field("nb_read_frames"), FRAMES.to_string(), "{name}");
    assert_eq!(judgement.field("width"), effective.width.to_string(), "{name}");
    assert_eq!(judgement.field("height"), effective.height.to_string(), "{name}");
    assert_eq!(judgement.field("profile"), "Constrained Baseline", "{name}");
    assert_eq!(judgement.field("level"), effective.level.unwrap().idc().to_string(), "{name}");
    let stamps: Vec<_> = (0..FRAMES).map(|serial| camera.stamp(serial)).collect();
    assert_eq!(judgement.stamps(), stamps, "{name}");
    judgement
}

/// The mean difference between a decoded picture and the pattern painted in I420, for each
/// plane, without the strip at the right edge (RGB has other shades there).
fn differences(decoded: &[u8], serial: u64) -> [u64; 3] {
    let (width, height, strip) = (320, 240, 20);
    let i420 = format(FourCc::YUV420, width, height, 30);
    let mut expected = [vec![0; i420.memory_size(0) as usize]];
    let camera = Camera::new(i420.clone());
    Pattern::new(&i420).unwrap().render(serial, camera.time_ns(serial), &mut expected).unwrap();
    std::array::from_fn(|plane| {
        let PlaneLayout { offset, stride, size, .. } = i420.planes[plane];
        let range = offset as usize..(offset + size) as usize;
        let rows = decoded[range.clone()].chunks(stride as usize).zip(expected[0][range].chunks(stride as usize));
        let kept = stride as usize - (strip * stride / width) as usize;
        let pixels = rows.flat_map(|(a, b)| a[..kept].iter().zip(&b[..kept]));
        pixels.map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>() / u64::from(size)
    })
}

#[test]
fn every_pixel_format_is_encoded() {
    for fourcc in vs_codec::open::inputs() {
        let judgement = survives(&format(*fourcc, 320, 240, 30));
        for serial in [0, FRAMES - 1] {
            let [y, cb, cr] = differences(&judgement.frames[serial as usize], serial);
            assert!(y < 4, "{fourcc}: luma is off by {y}");
            let grey = *fourcc == FourCc::GREY;
            assert!(grey || cb.max(cr) < 4, "{fourcc}: chroma is off by {cb} and {cr}");
        }
    }
}

#[test]
fn every_known_pixel_format_is_offered() {
    for info in vs_frame::fourcc::PIXEL_FORMATS {
        assert!(vs_codec::open::inputs().contains(&info.fourcc), "{}", info.fourcc);
    }
}

#[test]
fn odd_sizes_become_even_by_repeating_the_edge() {
    for (fourcc, width, height) in [
        (FourCc::YUV420, 321, 241),
        (FourCc::NV12, 321, 240),
        (FourCc::NV16, 321, 241),
        (FourCc::YUYV, 321, 241),
        (FourCc::RGB24, 320, 241),
        (FourCc::BGRX32, 321, 241),
        (FourCc::GREY, 321, 241),
    ] {
        let judgement = survives(&format(fourcc, width, height, 30));
        assert_eq!(judgement.field("width"), width.next_multiple_of(2).to_string());
        assert_eq!(judgement.field("height"), height.next_multiple_of(2).to_string());
        let frame = judgement.frames.last().unwrap();
        let (stride, rows) = (width.next_multiple_of(2) as usize, height.next_multiple_of(2) as usize);
        let difference = |a: usize, b: usize| frame[a].abs_diff(frame[b]);
        for row in 0..rows {
            assert!(difference(row * stride + stride - 2, row * stride + stride - 1) < 24, "{fourcc} row {row}");
        }
        for column in 0..stride {
            assert!(difference((rows - 2) * stride + column, (rows - 1) * stride + column) < 24, "{fourcc} {column}");
        }
    }
}

#[test]
fn padded_rows_and_unlike_chroma_strides_are_honoured() {
    for fourcc in [FourCc::YUV420, FourCc::NV12, FourCc::YUYV, FourCc::BGR24, FourCc::GREY] {
        let mut format = format(fourcc, 320, 240, 30);
        let stride = format.planes[0].stride + 64;
        format.planes = Format::contiguous_planes(fourcc, 320, 240, stride).unwrap();
        survives(&format);
    }
    let mut format = format(FourCc::YUV420, 320, 240, 30);
    let mut planes = format.planes.to_vec();
    planes[2].stride += 32;
    planes[2].size = planes[2].stride * 120;
    format.planes = Planes::new(&planes).unwrap();
    survives(&format);
}

#[test]
fn the_last_row_needs_no_padding() {
    for (fourcc, height) in [(FourCc::YUYV, 240), (FourCc::RGB24, 241), (FourCc::NV12, 240), (FourCc::YUV420, 241)] {
        let mut format = format(fourcc, 320, height, 30);
        let padded = format.planes.iter().enumerate().map(|(index, plane)| {
            let stride = plane.stride + 64;
            PlaneLayout { stride, size: stride * format.plane_rows(index) - 64, ..*plane }
        });
        let mut planes: Vec<_> = padded.collect();
        for index in 1..planes.len() {
            planes[index].offset = planes[index - 1].offset + planes[index - 1].size;
        }
        format.planes = Planes::new(&planes).unwrap();
        survives(&format);
    }
}

#[test]
fn colour_is_written_into_the_stream() {
    let colors = |format: &Format| {
        let judgement = survives(format);
        ["color_range", "color_space", "color_transfer", "color_primaries"].map(|name| judgement.field(name).to_owned())
    };
    let mut nv12 = format(FourCc::NV12, 320, 240, 30);
    assert_eq!(colors(&nv12), ["tv", "smpte170m", "bt709", "smpte170m"]);
    nv12.color = Colorimetry::BT709;
    assert_eq!(colors(&nv12), ["tv", "bt709", "bt709", "bt709"]);
    nv12.color = Colorimetry { quantization: 1, ..Colorimetry::BT709 };
    assert_eq!(colors(&nv12), ["pc", "bt709", "bt709", "bt709"]);
    assert_eq!(colors(&format(FourCc::RGB24, 320, 240, 30)), ["tv", "smpte170m", "iec61966-2-1", "bt709"]);
    assert_eq!(colors(&format(FourCc::BGRX32, 1280, 720, 30)), ["tv", "bt709", "iec61966-2-1", "bt709"]);
}
