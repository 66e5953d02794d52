// SPDX-License-Identifier: Apache-2.0
//! A recording cut off at every byte: what is whole is read, and repaired into an ordinary file.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::Cursor;
use std::thread;

use support::disk::Disk;
use support::{Clip, Journal, Step, names};
use vs_mux::Codec;
use vs_mux::mp4::{Mp4Writer, Options, TrackConfig};
use vs_mux::read::{Movie, Unit};
use vs_mux::repair::{RepairError, finish};

/// A recording, and how it grew.
struct Recording {
    file: Vec<u8>,
    frames: Vec<Unit>,
    /// Where each fragment ends, and how many frames there are then.
    fragments: Vec<(usize, usize)>,
}

impl Recording {
    /// 20 s of small pictures.
    fn new(rate: u32) -> Self {
        let options = ["-g", &(2 * rate).to_string(), "-bf", "1", "-crf", "40"];
        let clip = Clip::encode(Codec::H264, &format!("s=64x48:r={rate}:d=20"), &options);
        let mut journal = Journal::default();
        let options = Options { sync: None, ..Options::default() };
        let mut writer = Mp4Writer::new(&mut journal, TrackConfig::new(Codec::H264), options).unwrap();
        clip.write_to(&mut writer);
        drop(writer);
        let file = journal.file();
        let mut fragments = vec![];
        for (number, step) in journal.steps.iter().enumerate() {
            if let Step::Write(at, bytes) = step
                && number > 0
            {
                let end = *at as usize + bytes.len();
                fragments.push((end, units(&file[..end]).len()));
            }
        }
        let frames = units(&file);
        assert_eq!((frames.len(), fragments.last().unwrap().1), (clip.units.len(), clip.units.len()));
        Self { file, frames, fragments }
    }

    /// The last fragment that is whole in so many bytes.
    fn last_whole(&self, length: usize) -> Option<(usize, usize)> {
        self.fragments.iter().take_while(|(end, _)| *end <= length).last().copied()
    }

    /// What cutting between the fragments and repairing makes of it.
    fn repaired_at(&self, (end, frames): (usize, usize)) -> Vec<u8> {
        let mut disk = Disk::new(&self.file[..end]);
        assert_eq!(finish(&mut disk).unwrap().frames, frames as u64);
        assert_eq!(names(disk.file()), ["ftyp", "mdat", "moov"]);
        let found = units(disk.file());
        assert_eq!(found.len(), frames);
        for (number, (found, original)) in found.iter().zip(&self.frames).enumerate() {
            // How long the last one lasts was an estimate.
            let (times, expected) = (found.times.unwrap(), original.times.unwrap());
            assert!(number + 1 == frames || times == expected, "{times:?} {expected:?}");
            assert_eq!((times.pts_ns, times.dts_ns), (expected.pts_ns, expected.dts_ns));
            assert_eq!((&found.data, found.keyframe, found.shown), (&original.data, original.keyframe, original.shown));
        }
        disk.file().to_vec()
    }

    fn cut_at(&self, length: usize, expected: Option<&(usize, usize, Vec<u8>)>) {
        let torn = &self.file[..length];
        let mut disk = Disk::new(torn);
        let result = finish(&mut disk);
        let Some((end, frames, expected)) = expected else {
            assert!(matches!(result, Err(RepairError::Nothing { .. })), "{length}");
            assert!(disk.journal.steps.is_empty());
            return;
        };
        let report = result.unwrap();
        assert_eq!((report.frames, report.cut_bytes), (*frames as u64, (length - end) as u64), "{length}");
        assert!(disk.file() == expected, "{length}");
        // Frames of the torn fragment may be there, too.
        let found = units(torn);
        assert!(found.len() >= *frames && found.len() <= self.frames.len(), "{length}");
        assert!(found[..frames.saturating_sub(1)] == self.frames[..frames.saturating_sub(1)], "{length}");
    }

    fn cut_everywhere(&self) {
        thread::scope(|scope| {
            for half in 0..2 {
                scope.spawn(move || {
                    let mut whole: Option<(usize, usize, Vec<u8>)> = None;
                    for length in (half..=self.file.len()).step_by(2) {
                        let last = self.last_whole(length);
                        if last != whole.as_ref().map(|(end, frames, _)| (*end, *frames)) {
                            whole = last.map(|last| (last.0, last.1, self.repaired_at(last)));
                        }
                        self.cut_at(length, whole.as_ref());
                    }
                });
            }
        });
        let count = self.file.len() + 1;
        println!("{count} lengths of a file of {} fragments and {} frames", self.fragments.len(), self.frames.len());
    }
}

fn units(file: &[u8]) -> Vec<Unit> {
    let mut movie = Movie::open(Cursor::new(file)).unwrap();
    std::iter::from_fn(|| movie.next_unit().unwrap()).collect()
}

#[test]
fn twenty_seconds_at_four_frames_per_second() {
    Recording::new(4).cut_everywhere();
}

/// `cargo test --release -p vs-mux --test torn_every_byte -- --ignored --nocapture`: minutes.
#[test]
#[ignore = "a minute even when optimised"]
fn twenty_seconds_at_thirty_frames_per_second() {
    Recording::new(30).cut_everywhere();
}
