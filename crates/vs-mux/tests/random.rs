// SPDX-License-Identifier: Apache-2.0
//! Random recordings: whatever is written in whatever order, to however large a disk, the file holds
//! the frames that were taken, byte for byte and in order.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use proptest::prelude::*;
use support::{Journal, boxes, names};
use vs_bitstream::to_length_prefixed;
use vs_mux::Codec;
use vs_mux::mp4::{AccessUnit, Mp4Writer, Options, TrackConfig, WriteError};

/// Parameter sets of x264 for 160×120 pixels.
const SETS: &[u8] = &[
    0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x0b, 0xda, 0x0a, 0x11, 0xf9, 0x70, 0x11, 0, 0, 3, 0, 1, 0, 0, 3, 0, 0x3c, 0x0f,
    0x14, 0x2a, 0xa0, 0, 0, 0, 1, 0x68, 0xce, 0x0f, 0xc8,
];

#[derive(Debug, Clone)]
enum Op {
    Frame { gap_ns: i64, shown_after_ns: i64, keyframe: bool, bytes: usize },
    OtherSets,
    Rubbish(Vec<u8>),
    Flush,
}

fn op() -> impl Strategy<Value = Op> {
    let frame = (1_000i64..150_000_000, 0i64..100_000_000, prop::bool::weighted(0.1), 1usize..2000);
    prop_oneof![
        40 => frame.prop_map(|(gap_ns, shown_after_ns, keyframe, bytes)| {
            Op::Frame { gap_ns, shown_after_ns, keyframe, bytes }
        }),
        2 => Just(Op::OtherSets),
        2 => prop::collection::vec(0u8..4, 0..40).prop_map(Op::Rubbish),
        3 => Just(Op::Flush),
    ]
}

/// A picture that no decoder will see, with its parameter sets where it is a keyframe.
fn picture(keyframe: bool, bytes: usize, number: usize) -> Vec<u8> {
    let mut data = if keyframe { SETS.to_vec() } else { Vec::new() };
    data.extend([0, 0, 1, if keyframe { 0x65 } else { 0x41 }, number as u8 | 1]);
    data.resize(data.len() + bytes, 0x55);
    data
}

/// The frames in the fragments of a file.
fn fragment_data(file: &[u8]) -> Vec<u8> {
    let mut at = 0;
    let mut data = Vec::new();
    for (name, size) in boxes(file) {
        let end = at + size as usize;
        if name == "mdat" {
            data.extend_from_slice(&file[at + 8..end]);
        }
        at = end;
    }
    data
}

/// The numbers of a table in the index: `skip` bytes, a count, and `width` numbers for each.
fn table(file: &[u8], name: &[u8; 4], skip: usize, width: usize) -> Vec<usize> {
    let at = file.windows(4).rposition(|bytes| bytes == name).unwrap() + 8 + skip;
    let number = |at: usize| u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    (1..=number(at) * width).map(|entry| number(at + 4 * entry)).collect()
}

/// The frames that the index of a finished file finds.
fn indexed_data(file: &[u8]) -> Vec<u8> {
    let mut sizes = table(file, b"stsz", 4, 1).into_iter();
    let runs = table(file, b"stsc", 0, 3);
    let mut data = Vec::new();
    for (chunk, offset) in table(file, b"stco", 0, 1).into_iter().enumerate() {
        let run = runs.chunks(3).rfind(|run| run[0] <= chunk + 1).unwrap();
        let bytes: usize = sizes.by_ref().take(run[1]).sum();
        data.extend_from_slice(&file[offset..offset + bytes]);
    }
    assert_eq!(sizes.next(), None);
    data
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_recording_is_in_order(
        ops in prop::collection::vec(op(), 1..120),
        fragment_ms in 0u64..300,
        capacity in prop::option::of(1_000u64..150_000),
    ) {
        let mut journal = Journal { capacity, ..Journal::default() };
        let options = Options { fragment: Duration::from_millis(fragment_ms), sync: None, ..Options::default() };
        let mut writer = Mp4Writer::new(&mut journal, TrackConfig::new(Codec::H264), options).unwrap();
        let (mut taken, mut frames, mut now, mut full) = (Vec::new(), 0, 0, false);
        for (number, op) in ops.into_iter().enumerate() {
            let unit = |data, shown_after_ns, keyframe| AccessUnit {
                data, pts_ns: now + shown_after_ns, dts_ns: now, duration_ns: None, keyframe,
            };
            let result = match op {
                Op::Frame { gap_ns, shown_after_ns, keyframe, bytes } => {
                    now += gap_ns;
                    let data = picture(keyframe, bytes, number);
                    let result = writer.write(&AccessUnit {
                        data: &data, pts_ns: now + shown_after_ns, dts_ns: now, duration_ns: None, keyframe,
                    });
                    if result.is_ok() {
                        to_length_prefixed(Codec::H264, &data, &mut taken);
                        frames += 1;
                    }
                    result
                }
                Op::OtherSets => {
                    let result = writer.write(&unit(&[0, 0, 1, 0x68, 0xce, number as u8 | 1], 0, true));
                    prop_assert!(frames == 0 || result.is_err());
                    result
                }
                Op::Rubbish(data) => writer.write(&unit(&data, 0, false)),
                Op::Flush => writer.flush(),
            };
            full |= matches!(result, Err(WriteError::Io(_)));
            prop_assert!(full || writer.stats().frames == frames);
            prop_assert!(!full || matches!(result, Err(WriteError::Io(_) | WriteError::Stopped)));
        }

        let (summary, failed) = match writer.finish() {
            Ok(summary) => (summary, false),
            Err(error) => (error.summary, true),
        };
        prop_assert!(capacity.is_some() || !(full || failed) && summary.progressive == (frames > 0));
        // The frame whose fragment found no room was refused, and is lost with its fragment.
        let known = summary.frames + summary.lost_frames;
        prop_assert!(known == frames || full && known == frames + 1, "{} of {}", known, frames);
        let file = journal.file();
        prop_assert_eq!(file.len() as u64, summary.bytes);
        if summary.progressive {
            prop_assert_eq!(names(&file), ["ftyp", "mdat", "moov"]);
            prop_assert!(taken.starts_with(&indexed_data(&file)));
            prop_assert!(summary.lost_frames > 0 || indexed_data(&file) == taken);
        } else {
            prop_assert!(taken.starts_with(&fragment_data(&file)));
            prop_assert!(summary.lost_frames > 0 || fragment_data(&file) == taken);
        }
    }
}
