// SPDX-License-Identifier: Apache-2.0
//! Recordings that were interrupted become ordinary MP4 files, in place.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs::{File, OpenOptions};
use std::io::Cursor;
use std::path::Path;

use rustix::fs::FallocateFlags;
use support::disk::Disk;
use support::{Clip, Journal, Step, assert_whole, boxes, names, unsynced};
use vs_mux::Codec;
use vs_mux::mp4::{FileSink, Mp4Writer, Options, Rotation, TrackConfig};
use vs_mux::read::{Movie, Unit};
use vs_mux::repair::{RepairError, Report, State, check, finish, inspect, repair};

const MS: i64 = 1_000_000;

fn clip() -> Clip {
    Clip::encode(Codec::H264, "s=160x120:r=30:d=3", &["-g", "15", "-bf", "2"])
}

/// A recording that is not finished.
fn unfinished(clip: &Clip, track: TrackConfig, options: Options) -> Vec<u8> {
    let mut journal = Journal::default();
    let mut writer = Mp4Writer::new(&mut journal, track, options).unwrap();
    clip.write_to(&mut writer);
    drop(writer);
    journal.file()
}

fn torn_clip() -> (Clip, Vec<u8>) {
    let clip = clip();
    let file = unfinished(&clip, TrackConfig::new(clip.codec), unsynced());
    (clip, file)
}

/// Repairs a copy, after which everything that was said beforehand is so.
fn repaired(file: &[u8]) -> (Vec<u8>, Report) {
    let said = inspect(&mut Cursor::new(file)).unwrap();
    let mut disk = Disk::new(file);
    let report = finish(&mut disk).unwrap();
    assert_eq!(said, report);
    assert_eq!(report.bytes, disk.file().len() as u64);
    let again = inspect(&mut Cursor::new(disk.file())).unwrap();
    assert_eq!((again.state, again.frames, again.bytes), (State::Whole, report.frames, report.bytes));
    (disk.file().to_vec(), report)
}

fn units(file: &[u8]) -> Vec<Unit> {
    let mut movie = Movie::open(Cursor::new(file)).unwrap();
    std::iter::from_fn(|| movie.next_unit().unwrap()).collect()
}

/// Starts of the fragments.
fn fragments(file: &[u8]) -> Vec<usize> {
    let mut at = 0;
    let mut starts = Vec::new();
    for (name, size) in boxes(file) {
        if name == "moof" {
            starts.push(at);
        }
        at += size as usize;
    }
    starts
}

#[test]
fn a_recording_that_was_killed_becomes_what_it_would_have_become() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4");
    for (codec, options) in [
        (Codec::H264, &["-g", "15", "-bf", "2", "-x264-params", "slices=3"][..]),
        (Codec::H265, &["-x265-params", "log-level=none:bframes=3:keyint=20"][..]),
    ] {
        // Everything a header can say: a turned picture of long pixels that begins late, on a fine clock.
        let clip = Clip::encode(codec, "s=160x120:r=30:d=2:sar=4/3", options);
        let track = TrackConfig {
            rotation: Rotation::Clockwise90,
            timescale: 1_000_000.try_into().unwrap(),
            ..TrackConfig::new(codec)
        };
        let origin = clip.units[0].pts_ns - 700 * MS;
        let options = Options { origin_ns: Some(origin), sync: None, ..Options::default() };
        let (file, report) = repaired(&unfinished(&clip, track.clone(), options.clone()));
        assert_eq!((report.state, report.frames, report.cut_bytes), (State::Unfinished, clip.units.len() as u64, 0));
        assert!(report.lost.is_nothing());

        let summary = clip.record_track(&path, track, options);
        assert_eq!((report.duration_ns, report.bytes), (summary.duration_ns, summary.bytes));
        assert!(std::fs::read(&path).unwrap() == file, "{codec}");
    }
}

#[test]
fn what_is_torn_is_cut_off_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4");
    let (clip, file) = torn_clip();
    let last = *fragments(&file).last().unwrap();
    let lost = (clip.units.len() - units(&file[..last]).len()) as u64;
    let cut = &file[..file.len() - 10];
    let (whole, report) = repaired(cut);
    assert_eq!(report.frames, clip.units.len() as u64 - lost);
    assert_eq!((report.lost.frames, report.lost.unknown_bytes), (lost, 0));
    assert_eq!((report.lost.bytes, report.cut_bytes), ((cut.len() - last) as u64, (cut.len() - last) as u64));
    assert!((report.lost.duration_ns - lost as i64 * 33_333_333).abs() < MS, "{report:?}");
    assert_eq!(names(&whole), ["ftyp", "mdat", "moov"]);
    std::fs::write(&path, &whole).unwrap();
    let kept = Clip { units: clip.units[..report.frames as usize].to_vec(), ..clip };
    assert_whole(&path, &kept, kept.units[0].pts_ns);

    // Not even the fragment's header is whole.
    let (_, report) = repaired(&file[..last + 50]);
    assert_eq!((report.lost.frames, report.lost.bytes, report.lost.unknown_bytes), (0, 50, 50));
}

#[test]
fn zeros_and_rubbish_are_no_frames() {
    let (_, file) = torn_clip();
    let starts = fragments(&file);
    let third_last = starts[starts.len() - 3];
    let (expected, _) = repaired(&file[..third_last]);
    // The length had grown, the data had not come: from some block on, from within a fragment.
    for (block, from) in [(4096, third_last + 1), (1, third_last + 300), (512, third_last + 200)] {
        let mut zeroed = file.clone();
        let from = from.next_multiple_of(block);
        zeroed[from..].fill(0);
        let kept = starts.iter().rposition(|&start| start <= from).unwrap();
        let (found, report) = repaired(&zeroed);
        assert_eq!(found, repaired(&file[..starts[kept]]).0, "{from}");
        assert!(report.lost.unknown_bytes > 0);
    }
    let rubbish: Vec<u8> = (0u32..9000).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for tail in [&rubbish[..], &[0; 100_000], b"moof", &[&[0, 0, 0, 8], &b"moof"[..]].concat().repeat(3000)] {
        let (found, report) = repaired(&[&file[..third_last], tail].concat());
        assert!(found == expected);
        assert_eq!((report.cut_bytes, report.lost.unknown_bytes), (tail.len() as u64, tail.len() as u64));
    }
}

#[test]
fn damage_in_the_middle_costs_a_gop_and_leaves_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4");
    let (clip, file) = torn_clip();
    let starts = fragments(&file);
    for (damaged, at) in
        [("a header", starts[7] + 20), ("frames", starts[7] + 200), ("the first frames", starts[0] + 300)]
    {
        let mut broken = file.clone();
        broken[at..at + if damaged == "a header" { 20 } else { 600 }].fill(0);
        let (whole, report) = repaired(&broken);
        std::fs::write(&path, &whole).unwrap();
        let found = support::probe(&path);
        assert_eq!(found.complaints, "", "{damaged}");
        support::decode_clean(&path);
        // The frames that are left are shown when they were.
        let all = clip.expected(clip.units[0].pts_ns);
        let left: Vec<_> = found.frames();
        assert_eq!(left.len() as u64, report.frames);
        assert!(left.iter().all(|frame| all.contains(frame)), "{damaged}");
        assert!((clip.units.len() - 15..clip.units.len()).contains(&left.len()), "{damaged}");
        let missing = (clip.units.len() - left.len()) as i64;
        assert!((report.lost.duration_ns - missing * 33_333_333).abs() < MS, "{damaged}: {report:?}");
    }
}

/// However often a repair is interrupted, in the end the file is what it would have been.
#[test]
fn a_repair_may_be_interrupted_anywhere() {
    let (_, file) = torn_clip();
    let whole = {
        let mut journal = Journal::default();
        let mut writer = Mp4Writer::new(&mut journal, TrackConfig::new(Codec::H264), unsynced()).unwrap();
        clip().write_to(&mut writer);
        writer.finish().unwrap();
        journal.file()
    };
    let moov_at = file.len();
    for torn in [
        file[..file.len() - 7].to_vec(),
        [&file[..], &[0; 50_000]].concat(),
        // In the middle of finishing.
        [&file[..], &whole[moov_at..moov_at + 500]].concat(),
        [&file[..], &whole[moov_at..]].concat(),
    ] {
        let mut disk = Disk::new(&torn);
        let report = finish(&mut disk).unwrap();
        let expected = units(disk.file());
        for steps in 0..=disk.journal.steps.len() {
            for half in [false, true] {
                let left = disk.file_after(steps, half);
                if !(half && matches!(disk.journal.steps.get(steps.wrapping_sub(1)), Some(Step::Write(32, _)))) {
                    let playable = units(&left);
                    assert!(
                        playable.len() >= expected.len()
                            && playable[..expected.len() - 1] == expected[..expected.len() - 1]
                    );
                }
                let mut again = Disk::new(&left);
                assert_eq!(finish(&mut again).unwrap().frames, report.frames);
                assert!(again.file() == disk.file(), "{steps} steps");
            }
        }
        // Every step fails once.
        for step in 0..disk.journal.steps.len() {
            let mut failing = Disk::new(&torn);
            failing.journal.fail_at = Some(step);
            let error = finish(&mut failing).unwrap_err();
            assert!(matches!(error, RepairError::Io(_)), "{error}");
            assert!(units(failing.file()).len() as u64 >= report.frames);
            failing.journal.fail_at = None;
            finish(&mut failing).unwrap();
            assert!(failing.file() == disk.file());
        }
    }
}

#[test]
fn a_finished_file_without_its_end_is_repaired_too() {
    let (clip, file) = torn_clip();
    let (whole, _) = repaired(&file);
    let (found, report) = repaired(&whole[..whole.len() - 100]);
    assert_eq!((report.state, report.frames), (State::Unfinished, clip.units.len() as u64));
    assert!(found == whole && report.lost.is_nothing());
    // A disk that lied about what was written.
    let mut zeroed = whole.clone();
    zeroed[file.len()..].fill(0);
    assert!(repaired(&zeroed).0 == whole);
    let (_, report) = repaired(&whole[..file.len() / 2]);
    assert!(report.frames > 0 && report.lost.bytes > 0);
}

#[test]
fn what_cannot_be_repaired_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (_, file) = torn_clip();
    let refused = |bytes: &[u8]| {
        let mut disk = Disk::new(bytes);
        let error = finish(&mut disk).unwrap_err();
        assert!(disk.journal.steps.is_empty());
        error
    };
    let first = fragments(&file)[0];
    for length in [0, 7, 20, 39, 40, 100, first, first + 60] {
        assert!(
            matches!(refused(&file[..length]), RepairError::Nothing { bytes } if bytes == length as u64),
            "{length}"
        );
    }
    assert!(matches!(refused(&[0; 5000]), RepairError::Nothing { .. }));
    assert!(matches!(refused(b"not a movie at all"), RepairError::NotOurs(_)));

    let make = |name: &str, options: &str| {
        std::fs::read(support::files::make(&folder, name, "s=160x120:r=30:d=1", options)).unwrap()
    };
    let fragmented = make("fragmented.mp4", "-c:v libx264 -movflags frag_keyframe+empty_moov");
    assert!(matches!(refused(&fragmented), RepairError::OthersFragments));
    let ordinary = make("fast.mp4", "-c:v libx264 -movflags faststart");
    assert_eq!(repaired(&ordinary).1.frames, 30);
    assert!(matches!(refused(&ordinary[..ordinary.len() - 5]), RepairError::OthersTorn));
    let ordinary = make("slow.mp4", "-c:v libx264");
    assert!(matches!(refused(&ordinary[..ordinary.len() - 5]), RepairError::NotOurs(_)));
}

fn reopen(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

#[test]
fn a_file_that_is_being_written_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4");
    let clip = clip();
    let file = File::create(&path).unwrap();
    // Whoever passed the descriptor keeps theirs.
    let passed = file.try_clone().unwrap();
    let mut writer = Mp4Writer::new(FileSink::new(file).unwrap(), TrackConfig::new(Codec::H264), unsynced()).unwrap();
    clip.write_to(&mut writer);
    assert!(matches!(repair(&reopen(&path)), Err(RepairError::InUse)));
    assert!(matches!(check(&File::open(&path).unwrap()), Err(RepairError::InUse)));
    drop(writer);
    let said = check(&File::open(&path).unwrap()).unwrap();
    assert_eq!(said.state, State::Unfinished);
    assert!(matches!(repair(&passed), Err(RepairError::NotWritable)));
    assert!(matches!(
        repair(&OpenOptions::new().read(true).append(true).open(&path).unwrap()),
        Err(RepairError::NotWritable)
    ));
    assert_eq!(repair(&reopen(&path)).unwrap(), said);
    assert_eq!(repair(&reopen(&path)).unwrap().state, State::Whole);
    assert!(matches!(check(&File::open(folder.path()).unwrap()), Err(RepairError::NotAFile)));
    drop(passed);
    assert_whole(&path, &clip, clip.units[0].pts_ns);
}

/// What the recorder had reserved on the disk goes back.
#[test]
fn nothing_stays_reserved() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let clip = clip();
    let blocks = |path: &Path| {
        let metadata = std::fs::metadata(path).unwrap();
        (metadata.blocks() * 512).saturating_sub(metadata.len())
    };
    let path = folder.path().join("finished.mp4");
    clip.record(&path, unsynced());
    assert!(blocks(&path) < 100_000);

    let path = folder.path().join("killed.mp4");
    let sink = FileSink::new(File::create(&path).unwrap()).unwrap();
    let mut writer = Mp4Writer::new(sink, TrackConfig::new(Codec::H264), unsynced()).unwrap();
    clip.write_to(&mut writer);
    writer.flush().unwrap();
    std::mem::forget(writer);
    let reserved = blocks(&path);
    assert!(reserved > 100_000, "{reserved}");
    // Of the forgotten writer, the lock is left as well: another file with the same content has none, and
    // no room reserved either.
    let copy = folder.path().join("copy.mp4");
    let length = std::fs::copy(&path, &copy).unwrap();
    rustix::fs::fallocate(reopen(&copy), FallocateFlags::KEEP_SIZE, length, reserved).unwrap();
    assert!(blocks(&copy) > 100_000);
    repair(&reopen(&copy)).unwrap();
    assert!(blocks(&copy) < 100_000);
}

/// A disk on which old frames are holes, so that ten gigabytes cost nothing.
struct Sparse {
    sink: FileSink,
    real_from: u64,
}

impl vs_mux::mp4::Sink for Sparse {
    fn write_at(&mut self, offset: u64, parts: &mut [std::io::IoSlice<'_>]) -> std::io::Result<()> {
        let bytes: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let headers = if offset < self.real_from { parts.len() - 1 } else { parts.len() };
        self.sink.write_at(offset, &mut parts[..headers.max(1)])?;
        self.sink.truncate(offset + bytes)
    }

    fn rewritable(&self) -> bool {
        true
    }

    fn truncate(&mut self, length: u64) -> std::io::Result<()> {
        self.sink.truncate(length)
    }

    fn sync(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// `cargo test --release -p vs-mux --test repairing -- --ignored --nocapture`
#[test]
#[ignore = "for the figures"]
fn ten_gigabytes() {
    const FRAME: usize = 100_000;
    const FRAMES: i64 = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.mp4");
    let clip = clip();
    let sink = FileSink::new(File::create(&path).unwrap()).unwrap();
    let sparse = Sparse { sink, real_from: FRAME as u64 * (FRAMES as u64 - 4000) };
    let mut writer = Mp4Writer::new(sparse, TrackConfig::new(Codec::H264), unsynced()).unwrap();
    let mut key = clip.units[0].data.clone();
    key.resize(FRAME, 0x55);
    let mut other = vec![0, 0, 1, 0x41];
    other.resize(FRAME, 0x55);
    for number in 0..FRAMES {
        let keyframe = number % 30 == 0;
        let at = number * 33_333_333;
        let data = if keyframe { &key } else { &other };
        let unit = vs_mux::mp4::AccessUnit { data, pts_ns: at, dts_ns: at, duration_ns: None, keyframe };
        writer.write(&unit).unwrap();
    }
    drop(writer);
    let length = std::fs::metadata(&path).unwrap().len();
    reopen(&path).set_len(length - 12_345).unwrap();
    let begun = std::time::Instant::now();
    let report = repair(&reopen(&path)).unwrap();
    println!("{length} bytes in {:?}: {report:?}", begun.elapsed());
    assert!(report.frames >= FRAMES as u64 - 3 && report.lost.unknown_bytes == 0);
}
