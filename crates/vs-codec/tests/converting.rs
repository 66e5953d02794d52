// SPDX-License-Identifier: Apache-2.0
//! Whatever is made into whatever else looks as it did.

#![cfg(feature = "software-h264")]
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use proptest::prelude::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use support::format;
use vs_codec::{
    Choice, Converter, ConverterConfig, FrameTag, OpenError, Output, SubmitError, open::inputs, open_converter,
};
use vs_frame::{Colorimetry, CpuMemory, CpuPool, Field, Format, FourCc, Frame, FrameMeta, PlaneLayout, Planes, Rate};

fn to(fourcc: FourCc, width: u32, height: u32) -> ConverterConfig {
    ConverterConfig { fourcc: Some(fourcc), size: Some((width, height)), ..ConverterConfig::default() }
}

fn tag() -> FrameTag {
    FrameTag { serial: 5, capture_ns: 6, pts_ns: 7, duration_ns: Some(8) }
}

fn convert(converter: &mut dyn Converter, frame: &Frame) -> Frame {
    converter.submit(frame, tag()).unwrap();
    let Output::Done(picture) = converter.receive().unwrap() else { panic!("nothing came out") };
    assert_eq!((picture.tag, picture.frame.format()), (tag(), &converter.info().output));
    picture.frame
}

/// A picture whose planes have these pixels, row after row, and padding of another colour.
fn frame(format: &Format, pixels: &[u8]) -> Frame {
    let pool = CpuPool::new(Arc::new(format.clone()), CpuMemory::Memfd, 1, 1).unwrap();
    let mut slot = pool.acquire().unwrap().unwrap();
    let mut rest = pixels.iter().copied().cycle();
    slot.write(|memories| {
        memories.iter_mut().for_each(|memory| memory.fill(0x5a));
        for (plane, layout) in format.planes.iter().enumerate() {
            let memory = &mut memories[usize::from(layout.memory)];
            for row in 0..format.plane_rows(plane) {
                let start = (layout.offset + row * layout.stride) as usize;
                let row_bytes = format.plane_row_bytes(plane) as usize;
                memory[start..start + row_bytes].iter_mut().zip(&mut rest).for_each(|(to, from)| *to = from);
            }
        }
    })
    .unwrap();
    slot.finish(FrameMeta::default()).unwrap()
}

/// The pixels without padding.
fn pixels(frame: &Frame) -> Vec<u8> {
    let view = frame.map().unwrap();
    (0..view.plane_count()).flat_map(|plane| view.plane(plane).unwrap().rows()).flatten().copied().collect()
}

#[test]
fn flat_colours_survive_each_pair_of_formats() {
    let (width, height) = (35, 21);
    let rgb = format(FourCc::RGB24, width, height, 30);
    for colour in [[200, 60, 30], [20, 120, 220], [128, 128, 128], [255, 255, 255], [0, 0, 0]] {
        let original = frame(&rgb, &colour);
        for first in inputs() {
            let mut converter = open_converter(&rgb, &to(*first, width, height), &Choice::default()).unwrap();
            let there = convert(&mut *converter, &original);
            for second in inputs() {
                let mut converter = open_converter(there.format(), &to(*second, 50, 16), &Choice::default()).unwrap();
                let other = convert(&mut *converter, &there);
                let mut converter =
                    open_converter(other.format(), &to(FourCc::RGB24, 20, 20), &Choice::default()).unwrap();
                let back = pixels(&convert(&mut *converter, &other));
                assert_eq!(back.len(), 20 * 20 * 3);
                if [first, second].contains(&&FourCc::GREY) {
                    continue;
                }
                let worst = back.chunks(3).flat_map(|pixel| pixel.iter().zip(&colour).map(|(a, b)| a.abs_diff(*b)));
                let worst = worst.max().unwrap();
                assert!(worst <= 6, "{first} {second} {colour:?}: off by {worst}: {:?}", &back[..3]);
            }
        }
    }
}

/// How ffmpeg calls those of the formats that it has.
const NAMES: [(FourCc, &str); 13] = [
    (FourCc::NV12, "nv12"),
    (FourCc::NV12M, "nv12"),
    (FourCc::NV21, "nv21"),
    (FourCc::YUV420, "yuv420p"),
    (FourCc::YUV420M, "yuv420p"),
    (FourCc::YUYV, "yuyv422"),
    (FourCc::UYVY, "uyvy422"),
    (FourCc::RGB24, "rgb24"),
    (FourCc::BGR24, "bgr24"),
    (FourCc::BGRX32, "bgr0"),
    (FourCc::BGRA32, "bgra"),
    (FourCc::RGBX32, "rgb0"),
    (FourCc::RGBA32, "rgba"),
];

fn ffmpeg(input: &[u8], args: &[&str]) -> Vec<u8> {
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error"])
        .args(args)
        .args(["-f", "rawvideo", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("ffmpeg: {e}; scripts/setup test"));
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().ok();
    assert!(output.status.success());
    output.stdout
}

fn psnr(a: &[u8], b: &[u8]) -> f64 {
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    10.0 * (255.0 * 255.0 * a.len() as f64 / squares.max(1e-9)).log10()
}

#[test]
fn others_make_the_same_of_it() {
    let (width, height) = (320, 240);
    let named = |fourcc: FourCc| NAMES.iter().find(|(known, _)| *known == fourcc).unwrap().1;
    // Smooth; and with edges, of whose colours everyone has a filter of their own.
    let sources = [
        ("gradients=size=320x240:c0=red:c1=blue:c2=green:nb_colors=3:seed=1,format=rgb24", 35.0),
        ("smptebars=size=320x240", 25.0),
    ];
    let pairs = NAMES.iter().flat_map(|(fourcc, _)| {
        [(*fourcc, FourCc::RGB24), (*fourcc, FourCc::NV12), (FourCc::YUYV, *fourcc), (FourCc::BGR24, *fourcc)]
    });
    for (index, (from, into)) in pairs.enumerate() {
        let (source, wanted) = sources[index / 8 % 2];
        let (out_width, out_height) = [(160, 120), (214, 150), (320, 240), (480, 300)][index / 2 % 4];
        let bytes = ffmpeg(&[], &["-f", "lavfi", "-i", source, "-frames:v", "1", "-pix_fmt", named(from)]);
        let input = format(from, width, height, 30);
        let mut converter = open_converter(&input, &to(into, out_width, out_height), &Choice::default()).unwrap();
        let converted = convert(&mut *converter, &frame(&input, &bytes));
        let size = format!("scale={out_width}:{out_height}:flags=bilinear+accurate_rnd+full_chroma_int");
        let args = ["-f", "rawvideo", "-video_size", "320x240", "-pix_fmt", named(from), "-i", "-", "-vf", &size];
        let expected = ffmpeg(&bytes, &[&args[..], &["-pix_fmt", named(into)]].concat());
        let mut made = pixels(&converted);
        let mut expected = expected;
        if named(into).ends_with('0') {
            // What the fourth byte is does not matter.
            made.iter_mut().skip(3).step_by(4).for_each(|byte| *byte = 0);
            expected.iter_mut().skip(3).step_by(4).for_each(|byte| *byte = 0);
        }
        assert_eq!(made.len(), expected.len());
        let psnr = psnr(&made, &expected);
        assert!(psnr >= wanted, "{from} to {into} {out_width}x{out_height}: {psnr} dB");
    }
}

#[test]
fn what_does_not_change_is_passed_on() {
    let mut input = format(FourCc::YUYV, 64, 48, 25);
    input.rotation = 90;
    input.field = Field(4);
    input.color = Colorimetry::BT709;
    let output = |config: &ConverterConfig| {
        let converter = open_converter(&input, config, &Choice::default()).unwrap();
        (*converter.info().output).clone()
    };
    let same = output(&ConverterConfig::default());
    assert_eq!(same, input);
    let small = output(&ConverterConfig { size: Some((31, 17)), ..ConverterConfig::default() });
    assert_eq!((small.fourcc, small.width, small.height), (FourCc::YUYV, 31, 17));
    assert_eq!((small.rate, small.rotation, small.field), (Rate::fps(25), 90, Field(4)));
    assert_eq!(small.color, Colorimetry::BT709);
    let rgb = output(&ConverterConfig { fourcc: Some(FourCc::RGB24), ..ConverterConfig::default() });
    let Colorimetry { colorspace, transfer, .. } = Colorimetry::BT709;
    assert_eq!(rgb.color, Colorimetry { colorspace, transfer, ..Colorimetry::SRGB });
    // The times as well, and the pixels if nothing is asked for.
    let picture: Vec<u8> = (0..64 * 48 * 2).map(|byte| (byte % 251) as u8).collect();
    let mut converter = open_converter(&input, &ConverterConfig::default(), &Choice::default()).unwrap();
    let copy = convert(&mut *converter, &frame(&input, &picture));
    assert_eq!(pixels(&copy), picture);
    let meta = copy.meta();
    assert_eq!((meta.capture_ns, meta.pts, meta.duration), (6, Some(7), Some(8)));
}

#[test]
fn the_matrix_and_the_range_are_those_of_the_picture() {
    let full = Colorimetry { quantization: 1, ..Colorimetry::BT709 };
    // Y'CbCr of pure red: ITU-R BT.601 and BT.709, limited and full range.
    for (color, red) in
        [(Colorimetry::BT601, [81, 90, 240]), (Colorimetry::BT709, [63, 102, 240]), (full, [54, 99, 255])]
    {
        let input = Format { color, ..format(FourCc::YUV420, 32, 32, 30) };
        let planes = [vec![red[0]; 1024], vec![red[1]; 256], vec![red[2]; 256]].concat();
        let mut converter = open_converter(&input, &to(FourCc::RGB24, 32, 32), &Choice::default()).unwrap();
        let rgb = pixels(&convert(&mut *converter, &frame(&input, &planes)));
        let worst = rgb.chunks(3).map(|p| p[0].abs_diff(255).max(p[1]).max(p[2])).max().unwrap();
        assert!(worst <= 4, "{color:?}: {:?}", &rgb[..3]);
    }
}

#[test]
fn a_caller_that_holds_its_pictures_is_waited_for() {
    let input = format(FourCc::GREY, 32, 32, 30);
    let picture = frame(&input, &[7]);
    let config = ConverterConfig { pictures: 2, ..to(FourCc::RGB24, 16, 16) };
    let mut converter = open_converter(&input, &config, &Choice::default()).unwrap();
    let readable = |converter: &dyn Converter| {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&converter.as_poll_fd().unwrap(), PollFlags::IN)], Some(&now)).unwrap() == 1
    };
    let mut held = Vec::new();
    while converter.submit(&picture, tag()).is_ok() {
        assert!(readable(&*converter));
        let Output::Done(picture) = converter.receive().unwrap() else { panic!() };
        held.push(picture);
    }
    assert_eq!(held.len(), 3);
    assert!(matches!(converter.submit(&picture, tag()), Err(SubmitError::Full)));
    assert!(matches!(converter.receive().unwrap(), Output::Pending) && !readable(&*converter));
    held.pop();
    assert!(readable(&*converter));
    converter.submit(&picture, tag()).unwrap();
    converter.drain().unwrap();
    assert!(matches!(converter.submit(&picture, tag()), Err(SubmitError::Draining)));
    assert!(matches!(converter.receive().unwrap(), Output::Done(_)));
    assert!(matches!(converter.receive().unwrap(), Output::Drained));
    assert!(matches!(converter.receive().unwrap(), Output::Pending));
    held.clear();
    converter.submit(&picture, tag()).unwrap();
    converter.flush().unwrap();
    assert!(matches!(converter.receive().unwrap(), Output::Pending));
}

#[test]
fn what_cannot_be_is_refused_with_what_can() {
    let input = format(FourCc::NV12, 64, 64, 30);
    let refused = |input: &Format, config: &ConverterConfig| {
        let error = open_converter(input, config, &Choice::default()).err().unwrap();
        assert!(matches!(error, OpenError::Conversion { .. } | OpenError::Modifier { .. }));
        error.to_string()
    };
    assert!(
        refused(&input, &to(FourCc::H264, 64, 64)).contains("no H264 can be made of NV12: only of one of NV12, NV21")
    );
    assert!(refused(&input, &to(FourCc::RGB24, 0, 64)).contains("0x64"));
    assert!(refused(&input, &to(FourCc::RGB24, 16384, 16384)).contains("16384x16384"));
    let tiled = Format { modifier: 1, ..input.clone() };
    assert!(refused(&tiled, &to(FourCc::RGB24, 64, 64)).contains("modifier 0x1"));
    let mut converter = open_converter(&input, &to(FourCc::RGB24, 64, 64), &Choice::default()).unwrap();
    let other = format(FourCc::NV12, 32, 32, 30);
    assert!(matches!(converter.submit(&frame(&other, &[0]), tag()), Err(SubmitError::Format { .. })));
}

fn any_fourcc() -> impl Strategy<Value = FourCc> {
    prop::sample::select(inputs().to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_is_asked_for_comes_out(
        from in any_fourcc(), into in any_fourcc(), (width, height) in (1..200u32, 1..200u32),
        size in (1..300u32, 1..300u32), padding in 0..40u32, pixel: u8,
    ) {
        let mut input = format(from, width, height, 30);
        let stride = input.planes[0].stride + padding / 4 * 4;
        let separate = input.planes.iter().any(|plane| plane.memory != 0);
        if !separate && let Ok(planes) = Format::contiguous_planes(from, width, height, stride) {
            input.planes = planes;
            // As tight as a buffer may be: the last row has no padding.
            let last = input.planes.len() - 1;
            let PlaneLayout { stride, .. } = input.planes[last];
            let mut layouts = input.planes.to_vec();
            layouts[last].size = stride * (input.plane_rows(last) - 1) + input.plane_row_bytes(last);
            input.planes = Planes::new(&layouts).unwrap();
        }
        let mut converter = open_converter(&input, &to(into, size.0, size.1), &Choice::default()).unwrap();
        let grey = [pixel];
        let output = convert(&mut *converter, &frame(&input, &grey));
        let format = output.format();
        prop_assert_eq!((format.fourcc, format.width, format.height), (into, size.0, size.1));
        let planes = Format::packed(into, size.0, size.1, Rate::fps(30)).unwrap().planes;
        prop_assert_eq!(format.planes, planes);
        // Nothing of the padding has come in.
        let view = output.map().unwrap();
        for plane in 0..view.plane_count() {
            let plane = view.plane(plane).unwrap();
            // 12 bytes are a whole number of pixels of each format.
            let first: Vec<u8> = plane.rows().next().unwrap().iter().copied().take(12).collect();
            for row in plane.rows() {
                let flat = row.iter().zip(first.iter().cycle()).all(|(a, b)| a.abs_diff(*b) <= 2);
                prop_assert!(flat, "{:?} {:?}", row, first);
            }
        }
    }
}
