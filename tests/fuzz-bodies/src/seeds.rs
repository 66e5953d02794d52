// SPDX-License-Identifier: Apache-2.0
//! Where fuzzing begins: for each target a few inputs that get somewhere.
//!
//! `cargo run -p fuzz-bodies --example seeds` writes them to `fuzz/corpus/`, where inputs that
//! once were findings are kept, too.

use std::time::Duration;

use vs_bitstream::Codec;
use vs_frame::{Format, FourCc, Rate};
use vs_ipc::vsl::picture::Picture;
use vs_ipc::vsl::wire::{Control, Event, Outcome, Request};
use vs_ipc::wire::{self, FrameEvent, Hello, Welcome, format_message};
use vs_mux::mp4::{AccessUnit, Mp4Writer, Options, TrackConfig};
use zerocopy::IntoBytes;

use crate::bitstream::Memory;

/// Parameter sets of x264 for 160×120 pixels, and the beginning of a key picture.
const H264: &[u8] = &[
    0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x0b, 0xda, 0x0a, 0x11, 0xf9, 0x70, 0x11, 0, 0, 3, 0, 1, 0, 0, 3, 0, 0x3c, 0x0f,
    0x14, 0x2a, 0xa0, 0, 0, 0, 1, 0x68, 0xce, 0x0f, 0xc8, 0, 0, 1, 0x65, 0x88, 0x84, 0x21,
];

/// The same of x265.
const H265: &[u8] = &[
    0, 0, 0, 1, 0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x1e, 0x95,
    0x98, 0x09, 0, 0, 0, 1, 0x42, 0x01, 0x01, 0x01, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x1e, 0xa0, 0x14,
    0x20, 0x1e, 0x59, 0x56, 0x66, 0x92, 0x4c, 0xae, 0x6a, 0x02, 0x02, 0x02, 0x08, 0, 0, 3, 0, 8, 0, 0, 3, 0, 0xf0,
    0x40, 0, 0, 0, 1, 0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40, 0, 0, 1, 0x26, 0x01, 0xaf, 0x13,
];

/// Names and bytes of the seeds of a target.
#[must_use]
pub fn of(target: &str) -> Vec<(&'static str, Vec<u8>)> {
    match target {
        "bitstream" => {
            vec![("h264", [&[0], H264].concat()), ("h264-told", [&[2], H264].concat()), ("h265", [&[1], H265].concat())]
        }
        "client" => client(),
        "convert" => convert(),
        "exchange" => vec![
            // A daemon that is lent a frame, gives it back, and gets the same buffer once more.
            ("daemon", vec![1, 10, 1, 4, 1, 1, 0, 1, 11, 3, 9, 4, 0, 2, 0, 1, 11]),
            // A client that lends two, gets one back and something that was made of it.
            ("client", vec![0, 1, 1, 1, 11, 12, 0x40, 10, 1, 4, 1, 1, 1, 1, 11, 5]),
            ("requests", vec![1, 16, 0x40, 18, 0x41, 20, 0x42, 11, 7, 9]),
            ("could-shrink", vec![1, 10, 1, 4, 2, 1, 0, 1, 11]),
        ],
        "host" => host(),
        "http" => vec![
            ("get", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
            ("head", b"HEAD /metrics?name=x HTTP/1.0\n\n".to_vec()),
            ("other", b"POST / HTTP/1.1\r\n\r\n".to_vec()),
        ],
        "movie" => vec![
            ("h264", movie(Codec::H264, true)),
            ("h264-unfinished", movie(Codec::H264, false)),
            ("h265", movie(Codec::H265, true)),
            ("h264-bare", H264.to_vec()),
            ("h265-bare", H265.to_vec()),
        ],
        "picture" => vec![
            ("nv12", vec![0, 8]),
            ("yuyv-damaged", vec![2, 2, 5, 1, 2, 0xaa, 0xbb]),
            ("nv12m-second-memory", vec![5, 4, 0x41, 0, 1, 0x80]),
            ("blank", vec![3, 1]),
        ],
        "repair" => vec![
            ("h264-finished", movie(Codec::H264, true)),
            ("h264-killed", movie(Codec::H264, false)),
            ("h265-torn", cut(movie(Codec::H265, false), 10)),
            ("h264-without-index", cut(movie(Codec::H264, true), 500)),
            ("h264-zeros", [cut(movie(Codec::H264, false), 3), vec![0; 40]].concat()),
        ],
        "vsl_client" => vec![
            // A frame, its lock granted, and the answer to the unlock.
            ("frame", vec![2, 0, 0x40, 3, 1, 0x41, 3, 4]),
            ("expired", vec![8, 0, 0x40, 1, 0x41, 5, 1, 5, 3]),
            ("other-memory", vec![1, 2, 0x40, 3, 3]),
            ("damaged", vec![1, 8, 0x40, 64, 9, 3]),
        ],
        "wire" => wire_records(),
        _ => Vec::new(),
    }
}

/// A recording of four frames, shown in another order than they are decoded in.
fn movie(codec: Codec, finished: bool) -> Vec<u8> {
    let (key, other) = match codec {
        Codec::H264 => (H264, &[0, 0, 1, 0x41, 0x9a, 0x24][..]),
        Codec::H265 => (H265, &[0, 0, 1, 0x02, 0x01, 0xd0][..]),
    };
    let options =
        Options { fragment: Duration::from_millis(50), sync: None, creation_time: None, ..Options::default() };
    let mut sink = Memory::default();
    let mut writer = Mp4Writer::new(&mut sink, TrackConfig::new(codec), options).unwrap();
    for (number, (data, shown)) in (0i64..).zip([(key, 1), (other, 3), (other, 2), (key, 4)]) {
        let (dts_ns, pts_ns) = (number * 40_000_000, shown * 40_000_000);
        writer.write(&AccessUnit { data, pts_ns, dts_ns, duration_ns: None, keyframe: data == key }).unwrap();
    }
    if finished {
        writer.finish().unwrap();
    } else {
        writer.flush().unwrap();
        drop(writer);
    }
    sink.0
}

fn convert() -> Vec<(&'static str, Vec<u8>)> {
    // Two key pictures, with others between and behind, and one that is shown before them.
    let others: &[&[u8]] = &[&[0, 0, 1, 0x41, 0x9a, 0x24], &[0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 1, 0x9e, 0x41]];
    let group = [H264, others[0], others[1]].concat();
    let once = [&group[..], &[0, 0, 1, 0x65, 0x88, 0x82, 0x21]].concat();
    let behind = [H265, &[0, 0, 1, 0x02, 0x01, 0xd0, 0x20, 0, 0, 1, 0x4a, 1]].concat();
    let with = |choice: u8, file: &[u8]| [&[choice], file].concat();
    vec![
        ("h264", with(1, &[&group[..], &group].concat())),
        ("h264-once", with(1, &once)),
        ("h264-piped", with(9, &[&once[..], H264].concat())),
        ("h265", with(1, &behind)),
        ("h265-own-time", with(0, &[H265, H265].concat())),
        ("movie", with(0, &movie(Codec::H264, true))),
        ("movie-unfinished", with(2, &movie(Codec::H264, false))),
        ("movie-timed", with(5, &movie(Codec::H265, true))),
    ]
}

/// A file without its end.
fn cut(mut file: Vec<u8>, bytes: usize) -> Vec<u8> {
    file.truncate(file.len() - bytes);
    file
}

fn client() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        // A frame with its memory, one of a buffer that is known, its end.
        ("frames", vec![0, 2, 1, 0, 0x40, 1, 3, 0, 0, 0x41, 1, 6, 0x41, 8, 1, 11, 8]),
        ("locks", vec![0, 2, 1, 0, 0x41, 1, 7, 0x41, 0, 7, 0x42, 1]),
        ("two-descriptors", vec![0, 2, 9, 0, 0x40, 1]),
        ("damaged", vec![0, 14, 1, 0, 0x40, 1, 36, 2]),
        ("format", vec![0, 5, 1, 17, 1, 16, 0xff, 2, 1, 0, 0x40, 1]),
        ("refused", vec![1, 11, 5]),
        ("page", vec![0, 9, 4, 3, 1, 0, 0x40, 1, 3, 0, 0, 0x41, 1, 3, 0, 0, 0x42, 1, 3, 0, 0, 0x43, 1]),
        ("page-called", vec![0, 10, 0, 1, 1, 9, 4, 3, 1, 0, 0x40, 1]),
        ("no-protocol", vec![1, 0, 0, 4, b'G', b'E', b'T', b' ']),
    ]
}

fn host() -> Vec<(&'static str, Vec<u8>)> {
    const JOIN: u8 = 0;
    const JOIN_VSL: u8 = 1;
    const HELLO: u8 = 2;
    const LOCK: u8 = 3;
    const UNLOCK: u8 = 4;
    const REQUEST: u8 = 5;
    const PUBLISH: u8 = 6;
    const SAY: u8 = 8;
    const HEAR: u8 = 10;
    const LEAVE: u8 = 11;
    const SETTLE: u8 = 13;
    const RULE: u8 = 14;
    const SCRIBBLE: u8 = 15;
    vec![
        (
            "leased",
            vec![
                JOIN, 0, HELLO, 0, 2, 0x80, 0, SETTLE, PUBLISH, 1, PUBLISH, 1, PUBLISH, 1, HEAR, 0, UNLOCK, 2, 0,
                SETTLE,
            ],
        ),
        ("notify", vec![JOIN, 1, HELLO, 1, 2, 0x80, 1, SETTLE, PUBLISH, 1, LOCK, 0, 0x80, 1, SETTLE, LEAVE, 1, SETTLE]),
        ("revoked", vec![JOIN, 0, HELLO, 0, 2, 0x81, 0, SETTLE, PUBLISH, 1, PUBLISH, 1, SETTLE, UNLOCK, 1, 0, SETTLE]),
        (
            "vsl",
            vec![
                JOIN_VSL, 2, SETTLE, PUBLISH, 1, REQUEST, 0, 0, 2, REQUEST, 1, 0, 2, REQUEST, 2, 0, 2, SETTLE, HEAR, 2,
            ],
        ),
        ("lent", vec![JOIN, 0, HELLO, 1, 0, 0x80, 0, SETTLE, PUBLISH, 0, SETTLE, RULE, 3, RULE, 0, SETTLE]),
        (
            "page",
            vec![
                JOIN, 0, HELLO, 2, 2, 0x80, 0, SETTLE, PUBLISH, 1, PUBLISH, 1, SCRIBBLE, 0, 0, 0, 0, SCRIBBLE, 0, 1, 1,
                0, PUBLISH, 1, SCRIBBLE, 0, 0x80, 4, 1, 1, 1, 1, PUBLISH, 1, SETTLE,
            ],
        ),
        ("gifts", vec![JOIN, 0, SAY, 2, 1, 2, 0x20, SETTLE]),
        ("crowd", vec![JOIN, 0, JOIN, 1, JOIN, 2, JOIN, 3, JOIN, 4, JOIN, 5, SETTLE, PUBLISH, 1, SETTLE]),
    ]
}

fn wire_records() -> Vec<(&'static str, Vec<u8>)> {
    let packed = |fourcc| Format::packed(fourcc, 64, 48, Rate::fps(30)).unwrap();
    let (picture, mut coded) = (Picture::of(&packed(FourCc::NV12)).unwrap(), packed(FourCc::GREY));
    coded.parameter_sets = H264.into();
    let event = Event {
        serial: 1.into(),
        fourcc: picture.fourcc.into(),
        width: picture.width.into(),
        height: picture.height.into(),
        stride: picture.stride.into(),
        size: picture.size.into(),
        ..Event::answer(Outcome::Success, false)
    };
    vec![
        ("hello", wire::record(Hello { magic: wire::MAGIC, name: wire::name_field("x"), ..Hello::default() }, &[])),
        ("welcome", wire::record(Welcome { stream: wire::name_field("cam0"), ..Welcome::default() }, &[])),
        ("format-nv12", format_message::encode(1, &packed(FourCc::NV12))),
        ("format-two-memories", format_message::encode(2, &packed(FourCc::NV12M))),
        ("format-parameter-sets", format_message::encode(3, &coded)),
        ("frame-event", wire::record(FrameEvent { serial: 1.into(), ..FrameEvent::default() }, &[])),
        ("vsl-event", event.as_bytes().to_vec()),
        ("vsl-request", Request::new(Control::Lock, 1).as_bytes().to_vec()),
    ]
}
