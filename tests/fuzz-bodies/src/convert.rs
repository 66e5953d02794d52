// SPDX-License-Identifier: Apache-2.0
//! A file that somebody wants to convert.

use std::io::Cursor;
use std::ops::ControlFlow;

use vs_bitstream::nal_units;
use vs_mux::convert::{Input, Note, Options, Output, Progress, Rate, Report, Sets, convert};

use crate::bitstream::Memory;
use crate::script::Script;

/// Any bytes are refused, or come to an end, and what they became is what they were.
pub(crate) fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let choice = script.byte();
    let file = script.take(usize::MAX);
    let rate = if choice & 1 == 0 { None } else { Rate::new(25, 1) };
    let sets = [Sets::AsTheyAre, Sets::InBand, Sets::Once][usize::from(choice >> 1 & 3).min(2)];
    let options = Options { rate, sets, ..Options::default() };
    let bare = to_bare(file);
    let Some((report, mp4)) = to_mp4(file, choice & 8 != 0, &options) else { return };
    assert!(report.frames > 0 && report.bytes == mp4.len() as u64);
    if sets == Sets::Once {
        // They come back elsewhere, and may have stood in another order.
        return;
    }
    let (back, stream) = to_bare(&mp4).expect("what we wrote can be read");
    assert_eq!(back.frames, report.frames);
    let whole = |note: &Note| !matches!(note, Note::BeforeKeyframe(_) | Note::Behind(_));
    if let Some((other, same)) = bare {
        // What was an MP4 before is the same stream.
        if sets == Sets::AsTheyAre {
            assert_eq!(other.frames, report.frames);
            assert!(nal_units(&stream).eq(nal_units(&same)));
        }
    } else if report.notes.iter().all(whole) {
        assert!(nal_units(&stream).eq(nal_units(file)));
    }
}

fn to_mp4(file: &[u8], piped: bool, options: &Options) -> Option<(Report, Vec<u8>)> {
    let (mut pipe, mut cursor, mut sink) = (file, Cursor::new(file), Memory::default());
    let input = if piped { Input::Pipe(&mut pipe) } else { Input::File(&mut cursor) };
    let report = convert(input, Output::Mp4(&mut sink), options, &mut bounded(file.len()));
    report.map_err(|error| assert!(!error.to_string().is_empty())).ok().map(|report| (report, sink.0))
}

fn to_bare(file: &[u8]) -> Option<(Report, Vec<u8>)> {
    let mut out = Vec::new();
    let input = Input::File(&mut Cursor::new(file));
    let report = convert(input, Output::AnnexB(&mut out), &Options::default(), &mut bounded(file.len()));
    report.map_err(|error| assert!(!error.to_string().is_empty())).ok().map(|report| (report, out))
}

/// There are no more frames than bytes.
fn bounded(bytes: usize) -> impl FnMut(&Progress) -> ControlFlow<()> {
    move |progress| {
        assert!(progress.frames <= bytes as u64);
        ControlFlow::Continue(())
    }
}
