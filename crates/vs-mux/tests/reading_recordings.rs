// SPDX-License-Identifier: Apache-2.0
//! Our own recordings, finished, unfinished and cut off, come back as they were written.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::Cursor;
use std::time::Duration;

use support::{Clip, Journal, unsynced};
use vs_bitstream::{NalKind, nal_units};
use vs_mux::Codec;
use vs_mux::mp4::{Mp4Writer, Options, TrackConfig};
use vs_mux::read::{Movie, OpenMovieError, Unit};

/// What is in a file, and whether it was found to be torn.
fn read(file: Vec<u8>) -> Result<(Vec<Unit>, bool), OpenMovieError> {
    let mut movie = Movie::open(Cursor::new(file))?;
    let units: Vec<_> = std::iter::from_fn(|| movie.next_unit().unwrap()).collect();
    Ok((units, movie.is_torn()))
}

/// The file after each step of the recorder.
fn record(clip: &Clip, options: Options) -> Journal {
    let mut journal = Journal::default();
    let mut writer = Mp4Writer::new(&mut journal, TrackConfig::new(clip.codec), options).unwrap();
    clip.write_to(&mut writer);
    writer.finish().unwrap();
    journal
}

/// Frame by frame what was written, as far as the file keeps it: delimiters are not, and parameter
/// sets stand before each keyframe.
fn assert_beginning_of(clip: &Clip, units: &[Unit], origin_ns: i64) {
    assert!(units.len() <= clip.units.len());
    for (unit, written) in units.iter().zip(&clip.units) {
        let times = unit.times.unwrap();
        // Half a tick of 90 kHz, and a rounding.
        assert!((times.pts_ns - (written.pts_ns - origin_ns)).abs() <= 5556);
        assert!((times.dts_ns - (written.dts_ns - origin_ns)).abs() <= 5556);
        assert_eq!((unit.keyframe, unit.shown), (written.keyframe, true));
        let kind = |nal: &&[u8]| NalKind::of(clip.codec, nal);
        let kept = |nal: &&[u8]| kind(nal) != NalKind::Delimiter && !kind(nal).is_parameter_set();
        assert!(nal_units(&unit.data).filter(kept).eq(nal_units(&written.data).filter(kept)));
        let first = nal_units(&unit.data).next().unwrap();
        assert_eq!(kind(&first).is_parameter_set(), unit.keyframe);
    }
}

fn clip(codec: Codec) -> Clip {
    Clip::encode(codec, "size=160x120:rate=25:duration=2", &["-bf", "2", "-g", "10"])
}

#[test]
fn every_step_of_a_recording() {
    for codec in [Codec::H264, Codec::H265] {
        let clip = clip(codec);
        let origin_ns = clip.units[0].pts_ns;
        let journal = record(&clip, unsynced());
        let mut frames = 0;
        for step in 1..=journal.steps.len() {
            let (units, torn) = read(journal.file_after(step)).unwrap();
            assert_beginning_of(&clip, &units, origin_ns);
            assert!(!torn && units.len() >= frames);
            frames = units.len();
        }
        assert_eq!(frames, clip.units.len());
    }
}

#[test]
fn cut_at_any_byte() {
    let clip = clip(Codec::H264);
    let origin_ns = clip.units[0].pts_ns;
    let journal = record(&clip, Options { fragment: Duration::from_millis(200), ..unsynced() });
    let unfinished = journal.file_after(journal.steps.len() - 3);
    let header = support::boxes(&unfinished).iter().take(3).map(|(_, size)| *size).sum::<u64>() as usize;
    let mut last = 0;
    for length in (0..unfinished.len()).step_by(37) {
        let result = read(unfinished[..length].to_vec());
        if length < header {
            assert!(
                matches!(result, Err(OpenMovieError::NoMovieHeader | OpenMovieError::NotAMovie { .. })),
                "{length}"
            );
            continue;
        }
        let (units, _) = result.unwrap();
        assert_beginning_of(&clip, &units, origin_ns);
        assert!(units.len() >= last);
        last = units.len();
    }
    assert!(last + 6 >= clip.units.len());
    // A power cut leaves zeros where data were not written yet.
    let (units, _) = read([&unfinished[..header], &[0; 5000]].concat()).unwrap();
    assert!(units.is_empty());
}

/// A finished file without its end has no index.
#[test]
fn cut_after_it_was_finished() {
    let clip = clip(Codec::H264);
    let file = record(&clip, unsynced()).file();
    assert_eq!(read(file.clone()).unwrap().0.len(), clip.units.len());
    for length in (1000..file.len() - 1).step_by(997) {
        assert!(matches!(read(file[..length].to_vec()), Err(OpenMovieError::NoMovieHeader)), "{length}");
    }
}
