// SPDX-License-Identifier: Apache-2.0
//! Streams put together by chance come back as they were.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::Cursor;
use std::sync::LazyLock;

use proptest::prelude::*;
use support::conversion::go_on;
use support::{Clip, Journal};
use vs_bitstream::{NalKind, nal_units};
use vs_mux::Codec;
use vs_mux::convert::{Input, Options, Output, Rate, Report, convert};

/// Groups of pictures of several sizes and structures, each beginning with a keyframe, the first with its sets, too.
static GROUPS: LazyLock<[Vec<Vec<Vec<u8>>>; 2]> = LazyLock::new(|| {
    let h264: &[&[&str]] = &[
        &["-g", "5", "-bf", "2"],
        &["-x264-params", "slices=3:keyint=4:bframes=0"],
        &["-x264-params", "open-gop=1:keyint=6:bframes=3:b-adapt=0"],
    ];
    let h265: &[&[&str]] = &[
        &["-x265-params", "log-level=none:keyint=5:bframes=2:repeat-headers=1"],
        &["-x265-params", "log-level=none:slices=2:keyint=4:bframes=0:repeat-headers=1"],
        &["-x265-params", "log-level=none:open-gop=1:keyint=6:bframes=3:b-adapt=0:repeat-headers=1"],
    ];
    [(Codec::H264, h264), (Codec::H265, h265)].map(|(codec, options)| {
        let inputs = ["s=96x64:r=25:d=0.8", "s=128x96:r=30:d=0.6", "s=96x64:r=25:d=0.8"];
        let clips = inputs.iter().zip(options).map(|(input, options)| Clip::encode(codec, input, options).units);
        let mut groups = Vec::new();
        for unit in clips.flatten() {
            if unit.keyframe {
                groups.push(Vec::new());
            }
            groups.last_mut().unwrap().push(unit.data);
        }
        groups
    })
});

/// What may happen to an access unit.
#[derive(Debug, Clone)]
struct Whim {
    without_sets: bool,
    without_delimiter: bool,
    without_sei: bool,
    user_data: Option<Vec<u8>>,
    short_codes: bool,
}

fn whim() -> impl Strategy<Value = Whim> {
    let user_data = prop::option::weighted(0.2, prop::collection::vec(1u8..0x80, 1..9));
    let rarely = || prop::bool::weighted(0.15);
    (rarely(), any::<bool>(), rarely(), user_data, any::<bool>()).prop_map(
        |(without_sets, without_delimiter, without_sei, user_data, short_codes)| Whim {
            without_sets,
            without_delimiter,
            without_sei,
            user_data,
            short_codes,
        },
    )
}

fn change(codec: Codec, unit: &[u8], whim: &Whim, out: &mut Vec<u8>) {
    let code: &[u8] = if whim.short_codes { &[0, 0, 1] } else { &[0, 0, 0, 1] };
    let mut user_data = whim.user_data.as_deref();
    for nal in nal_units(unit) {
        let kind = NalKind::of(codec, nal);
        let gone = whim.without_sets && kind.is_parameter_set()
            || whim.without_delimiter && kind == NalKind::Delimiter
            || whim.without_sei && kind == NalKind::Sei;
        if kind.is_slice()
            && let Some(data) = user_data.take()
        {
            let header: &[u8] = if codec == Codec::H264 { &[6] } else { &[39 << 1, 1] };
            out.extend([code, header, &[5, data.len() as u8], data, &[0x80]].concat());
        }
        if !gone {
            out.extend_from_slice(code);
            out.extend_from_slice(nal);
        }
    }
}

/// There and back; whether it went from a pipe.
fn there_and_back(stream: &[u8], piped: bool) -> (Report, Vec<u8>) {
    let (mut pipe, mut cursor, mut journal) = (stream, Cursor::new(stream), Journal::default());
    let input = if piped { Input::Pipe(&mut pipe) } else { Input::File(&mut cursor) };
    let options = Options { rate: Rate::new(25, 1), ..Options::default() };
    let report = convert(input, Output::Mp4(&mut journal), &options, &mut go_on).unwrap();
    let mut back = Vec::new();
    let mut mp4 = Cursor::new(journal.file());
    convert(Input::File(&mut mp4), Output::AnnexB(&mut back), &Options::default(), &mut go_on).unwrap();
    (report, back)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_stream_comes_back(
        codec in prop::sample::select(&[Codec::H264, Codec::H265][..]),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..8),
        whims in prop::collection::vec(prop::option::weighted(0.4, whim()), 60),
        piped: bool,
    ) {
        let groups = &GROUPS[usize::from(codec == Codec::H265)];
        let mut stream = Vec::new();
        // Some groups only make sense behind those that they followed: that they come back is all the same.
        let units = groups[0].iter().chain(picks.iter().flat_map(|pick| pick.get(groups)));
        for (number, unit) in units.enumerate() {
            match whims.get(number) {
                // A stream that begins without sets begins later.
                Some(Some(whim)) => change(codec, unit, &Whim { without_sets: whim.without_sets && number > 0, ..whim.clone() }, &mut stream),
                _ => stream.extend_from_slice(unit),
            }
        }
        let (report, back) = there_and_back(&stream, piped);
        prop_assert!(report.frames >= groups[0].len() as u64);
        prop_assert!(nal_units(&back).eq(nal_units(&stream)));
    }
}
