// SPDX-License-Identifier: Apache-2.0
//! What lies in the frames of a coded stream that another host publishes: it is taken apart,
//! described and recorded.

use std::io::{self, IoSlice};
use std::time::Duration;

use vs_bitstream::{
    AccessUnits, Codec, NalKind, ParameterSets, h264, h265, is_keyframe, nal_units, rbsp, to_length_prefixed,
};
use vs_mux::mp4::{AccessUnit, Mp4Writer, Options, Sink, TrackConfig};

use crate::script::Script;

/// Any bytes are refused or recorded; what is recorded is what was there.
pub(crate) fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let choice = script.byte();
    let codec = if choice & 1 == 0 { Codec::H264 } else { Codec::H265 };
    let stream = script.take(usize::MAX);
    let units = nal_units(stream).inspect(|nal| {
        assert!(!nal.is_empty() && nal.last() != Some(&0));
        assert!(rbsp(nal).count() <= nal.len());
        match NalKind::of(codec, nal) {
            NalKind::Sps if codec == Codec::H264 => drop(h264::Sps::parse(nal)),
            NalKind::Sps => drop(h265::Sps::parse(nal)),
            _ => {}
        }
    });
    let units = units.count();
    let _ = is_keyframe(codec, stream);
    let mut sample = Vec::new();
    assert_eq!(to_length_prefixed(codec, stream, &mut sample), sample.len());
    // A unit is at least 3 bytes longer in the stream, and 4 in the sample.
    assert!(sample.len() <= stream.len() + units);
    let whole = split(codec, stream, usize::MAX);
    assert!(whole == split(codec, stream, usize::from(choice >> 2) + 1) && stream.ends_with(&whole.concat()));
    record(codec, stream, choice & 2 == 0);
}

/// The access units of a stream that comes in pieces of this size.
fn split(codec: Codec, stream: &[u8], size: usize) -> Vec<Vec<u8>> {
    let (mut units, mut found) = (AccessUnits::new(codec), Vec::new());
    for piece in stream.chunks(size) {
        units.push(piece);
        while let Some(unit) = units.next_unit().expect("the input is far below the limit") {
            found.push(unit.to_vec());
        }
    }
    units.end();
    while let Some(unit) = units.next_unit().expect("the input is far below the limit") {
        found.push(unit.to_vec());
    }
    found
}

/// Records the bytes as access units, cut in two places, with sets told beforehand or not.
fn record(codec: Codec, stream: &[u8], told: bool) {
    let mut track = TrackConfig::new(codec);
    if told && let Ok(sets) = ParameterSets::gather(codec, stream) {
        assert!(nal_units(stream).all(|nal| {
            let kind = NalKind::of(codec, nal);
            !kind.is_parameter_set() || sets.contains(kind, nal)
        }));
        track.parameter_sets = sets.format(codec).is_ok().then_some(sets);
    }
    let options = Options { fragment: Duration::ZERO, sync: None, creation_time: None, ..Options::default() };
    let mut sink = Memory::default();
    let mut writer = Mp4Writer::new(&mut sink, track, options).unwrap();
    let (first, second) = stream.split_at(stream.len() / 2);
    for (number, data) in (0i64..).zip([stream, first, second, stream]) {
        let now = number * 40_000_000;
        let keyframe = is_keyframe(codec, data);
        let _ = writer.write(&AccessUnit { data, pts_ns: now, dts_ns: now, duration_ns: None, keyframe });
    }
    let recorded = writer.stats().frames;
    let summary = writer.finish().expect("memory is never full");
    assert_eq!((summary.frames, summary.bytes), (recorded, sink.0.len() as u64));
}

/// A file in memory.
#[derive(Default)]
pub(crate) struct Memory(pub Vec<u8>);

impl Sink for Memory {
    fn write_at(&mut self, offset: u64, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        let mut at = usize::try_from(offset).unwrap();
        for part in parts {
            self.0.resize(self.0.len().max(at + part.len()), 0);
            self.0[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        Ok(())
    }

    fn rewritable(&self) -> bool {
        true
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.truncate(usize::try_from(length).unwrap());
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
