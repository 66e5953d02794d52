// SPDX-License-Identifier: Apache-2.0
//! Full disks, pipes, and streams that do what they must not.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs::{File, OpenOptions};
use std::io::{Read, pipe};
use std::os::fd::OwnedFd;

use support::{Clip, Journal, assert_whole, decode_clean, names, probe, unsynced};
use vs_bitstream::ParameterSets;
use vs_mux::Codec;
use vs_mux::mp4::{AccessUnit, ConfigError, FileSink, Mp4Writer, OpenError, Options, TrackConfig, WriteError, limits};

fn h264() -> Clip {
    Clip::encode(Codec::H264, "s=160x120:r=30:d=2", &["-g", "15", "-bf", "0"])
}

fn writer(journal: &mut Journal) -> Mp4Writer<&mut Journal> {
    Mp4Writer::new(journal, TrackConfig::new(Codec::H264), unsynced()).unwrap()
}

/// Records until the first error; returns it and how the file ended.
fn record_until_error(
    clip: &Clip,
    journal: &mut Journal,
) -> (WriteError, Result<vs_mux::mp4::Summary, vs_mux::mp4::FinishError>) {
    let mut writer = writer(journal);
    let error = clip.units.iter().find_map(|unit| writer.write(&unit.access_unit()).err()).unwrap();
    assert!(matches!(writer.write(&clip.units[0].access_unit()), Err(WriteError::Stopped)));
    (error, writer.finish())
}

#[test]
fn a_full_disk_leaves_a_file_that_plays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.mp4");
    let clip = h264();
    let mut whole = Journal::default();
    let mut writer = writer(&mut whole);
    clip.write_to(&mut writer);
    writer.finish().unwrap();
    let size = whole.file().len() as u64;

    for capacity in [size / 3, size / 2, size * 2 / 3] {
        let mut journal = Journal { capacity: Some(capacity), ..Journal::default() };
        let (error, finished) = record_until_error(&clip, &mut journal);
        assert!(error.to_string().contains("free space"), "{error}");
        // The index finds no room or just does; either way no byte of the lost fragment stays.
        let (progressive, summary) = match finished {
            Ok(summary) => (true, summary),
            Err(error) => (false, error.summary),
        };
        assert_eq!(summary.progressive, progressive);
        assert!(summary.frames > 0 && summary.lost_frames > 0);
        let file = journal.file();
        assert_eq!(file.len() as u64, summary.bytes);
        std::fs::write(&path, file).unwrap();
        assert_eq!(decode_clean(&path) as u64, summary.frames);
        let probe = probe(&path);
        assert_eq!(probe.complaints, "");
        assert_eq!(probe.frames(), clip.expected(0)[..summary.frames as usize]);
    }
}

#[test]
fn no_room_for_the_index_leaves_the_fragments() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.mp4");
    let clip = h264();
    let mut journal = Journal::default();
    let mut open = writer(&mut journal);
    clip.write_to(&mut open);
    drop(open);
    let fragmented = journal.file();

    let mut journal = Journal { capacity: Some(fragmented.len() as u64 + 100), ..Journal::default() };
    let mut open = writer(&mut journal);
    clip.write_to(&mut open);
    let error = open.finish().unwrap_err();
    assert!(!error.summary.progressive && error.summary.lost_frames == 0);
    assert!(error.to_string().contains("writing the index"), "{error}");
    assert!(journal.file() == fragmented);
    std::fs::write(&path, fragmented).unwrap();
    assert_whole(&path, &clip, 0);
}

/// A full disk refuses frames, not the index: room for that had been reserved.
#[test]
fn a_full_disk_leaves_an_ordinary_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.mp4");
    let clip = h264();
    for capacity in [15_000, 20_000, 20_001, 33_333, 40_000] {
        let mut journal = Journal { capacity: Some(capacity), reserves: true, ..Journal::default() };
        let (error, finished) = record_until_error(&clip, &mut journal);
        assert!(error.to_string().contains("reserving room") && error.to_string().contains("free space"), "{error}");
        let summary = finished.unwrap();
        assert!(summary.progressive && summary.frames > 0 && summary.lost_frames > 0, "{summary:?}");
        assert!(summary.bytes <= capacity && summary.bytes == journal.file().len() as u64);
        std::fs::write(&path, journal.file()).unwrap();
        let kept = Clip { units: clip.units[..summary.frames as usize].to_vec(), ..clip.clone() };
        assert_whole(&path, &kept, 0);
    }
}

/// Each write, each sync, each cut fails once, half done.
#[test]
fn every_step_may_fail() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("failed.mp4");
    let clip = Clip { units: h264().units[..25].to_vec(), ..h264() };
    let record = |journal: &mut Journal| {
        let options = Options { sync: Some(std::time::Duration::ZERO), ..unsynced() };
        let mut writer = Mp4Writer::new(journal, TrackConfig::new(Codec::H264), options).unwrap();
        let failed = clip.units.iter().find_map(|unit| writer.write(&unit.access_unit()).err());
        (failed, writer.finish())
    };
    let mut journal = Journal::default();
    record(&mut journal).1.unwrap();
    for step in 0..journal.steps.len() {
        let mut failing = Journal { fail_at: Some(step), ..Journal::default() };
        let (failed, finished) = record(&mut failing);
        let said = failed.as_ref().map(ToString::to_string).or(finished.as_ref().err().map(ToString::to_string));
        assert!(said.is_some_and(|said| said.contains(" at byte ") && said.contains(" failed: ")), "step {step}");
        let summary = finished.unwrap_or_else(|error| error.summary);
        let file = failing.file();
        let written = if summary.progressive { &["ftyp", "mdat", "moov"][..] } else { &["ftyp", "free", "moov"] };
        if summary.frames > 0 {
            assert!(names(&file)[..3] == *written, "step {step}: {:?}", names(&file));
            std::fs::write(&path, &file).unwrap();
            let probe = probe(&path);
            assert_eq!(probe.complaints, "", "step {step}");
            assert_eq!(probe.frames(), clip.expected(0)[..summary.frames as usize], "step {step}");
            assert_eq!(decode_clean(&path) as u64, summary.frames, "step {step}");
        }
    }
}

#[test]
fn a_disk_that_does_not_sync_stops_the_recording() {
    let clip = h264();
    let mut journal = Journal { fail_sync: true, ..Journal::default() };
    let options = Options { sync: Some(std::time::Duration::ZERO), ..Options::default() };
    let mut writer = Mp4Writer::new(&mut journal, TrackConfig::new(Codec::H264), options).unwrap();
    let error = clip.units.iter().find_map(|unit| writer.write(&unit.access_unit()).err()).unwrap();
    assert!(error.to_string().contains("syncing the file"), "{error}");
    let summary = writer.finish().unwrap_err().summary;
    assert!(!summary.progressive && summary.frames == 3);
    assert_eq!(names(&journal.file()), ["ftyp", "free", "moov", "moof", "mdat"]);
}

#[test]
fn a_pipe_stays_fragmented() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("piped.mp4");
    let clip = h264();
    let (mut reader, pipe) = pipe().unwrap();
    let copy = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map(|_| bytes)
    });
    let sink = FileSink::new(File::from(OwnedFd::from(pipe))).unwrap();
    let mut writer = Mp4Writer::new(sink, TrackConfig::new(Codec::H264), Options::default()).unwrap();
    clip.write_to(&mut writer);
    let summary = writer.finish().unwrap();
    assert!(!summary.progressive);
    let bytes = copy.join().unwrap().unwrap();
    assert_eq!(bytes.len() as u64, summary.bytes);
    std::fs::write(&path, bytes).unwrap();
    assert_whole(&path, &clip, 0);
}

#[test]
fn a_reader_that_goes_away_is_named() {
    let clip = h264();
    let (reader, pipe) = pipe().unwrap();
    drop(reader);
    let sink = FileSink::new(File::from(OwnedFd::from(pipe))).unwrap();
    let mut writer = Mp4Writer::new(sink, TrackConfig::new(Codec::H264), Options::default()).unwrap();
    let error = writer.write(&clip.units[0].access_unit()).unwrap_err();
    assert!(error.to_string().contains("the reader went away"), "{error}");
    assert_eq!(writer.finish().unwrap().frames, 0);
}

#[test]
fn a_file_opened_for_appending_stays_fragmented() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("append.mp4");
    let clip = h264();
    let file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
    let mut writer = Mp4Writer::new(FileSink::new(file).unwrap(), TrackConfig::new(Codec::H264), unsynced()).unwrap();
    clip.write_to(&mut writer);
    assert!(!writer.finish().unwrap().progressive);
    assert_whole(&path, &clip, 0);
}

#[test]
fn files_that_cannot_be_recorded_to_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("precious");
    std::fs::write(&path, "precious").unwrap();
    let open = |options: &mut OpenOptions| FileSink::new(options.open(&path).unwrap()).unwrap_err();
    assert!(matches!(open(OpenOptions::new().write(true)), OpenError::NotEmpty { length: 8 }));
    std::fs::write(&path, "").unwrap();
    assert!(matches!(open(OpenOptions::new().read(true)), OpenError::NotWritable));
}

#[test]
fn configurations_that_make_no_file_are_refused() {
    let make = |track, options| Mp4Writer::new(Journal::default(), track, options).unwrap_err();
    let track = TrackConfig::new(Codec::H264);
    let coarse = TrackConfig { timescale: 30.try_into().unwrap(), ..track.clone() };
    assert_eq!(make(coarse, unsynced()), ConfigError::Timescale(30));
    let fragment = limits::MAX_FRAGMENT * 2;
    assert_eq!(make(track.clone(), Options { fragment, ..unsynced() }), ConfigError::Fragment(fragment));
    let sets = TrackConfig { parameter_sets: Some(ParameterSets::default()), ..track };
    assert!(matches!(make(sets, unsynced()), ConfigError::ParameterSets { .. }));
}

#[test]
fn what_a_file_cannot_hold_is_refused_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4");
    let clip = h264();
    let mut journal = Journal::default();
    let mut writer = writer(&mut journal);
    let first = clip.units[0].access_unit();
    let without_sets = {
        let mut data = vec![0, 0, 1];
        data.extend(vs_bitstream::nal_units(first.data).last().unwrap());
        data
    };

    let mut refused = |unit: AccessUnit<'_>| writer.write(&unit).unwrap_err();
    assert!(matches!(refused(AccessUnit { data: b"", ..first }), WriteError::NotAnnexB));
    assert!(matches!(refused(AccessUnit { data: &without_sets, ..first }), WriteError::ParameterSets(_)));
    assert!(matches!(refused(AccessUnit { keyframe: false, ..first }), WriteError::NoKeyframe));
    assert!(matches!(refused(AccessUnit { pts_ns: -1, ..first }), WriteError::ShownBeforeDecoded { .. }));
    let late = AccessUnit { pts_ns: i64::MAX, ..first };
    assert!(matches!(refused(late), WriteError::GapTooLong { .. }));
    let huge = vec![0; limits::MAX_ACCESS_UNIT + 1];
    assert!(matches!(refused(AccessUnit { data: &huge, ..first }), WriteError::TooLarge { .. }));

    for unit in &clip.units {
        writer.write(&unit.access_unit()).unwrap();
        let again = writer.write(&unit.access_unit()).unwrap_err();
        assert!(matches!(again, WriteError::NotIncreasing { .. }));
    }
    let last = clip.units.last().unwrap().access_unit();
    let gap = writer.write(&AccessUnit { pts_ns: i64::MAX, dts_ns: i64::MAX, ..last }).unwrap_err();
    assert!(matches!(gap, WriteError::GapTooLong { .. }));
    writer.finish().unwrap();
    std::fs::write(&path, journal.file()).unwrap();
    assert_whole(&path, &clip, 0);
}

#[test]
fn changed_parameter_sets_begin_a_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4");
    let clip = h264();
    let larger = Clip::encode(Codec::H264, "s=320x240:r=30:d=1", &["-bf", "0"]).retimed(|ns| ns + 5_000_000_000);
    let mut journals = [Journal::default(), Journal::default()];
    let [first, second] = &mut journals;
    let mut old = writer(first);
    clip.write_to(&mut old);
    let change = old.write(&larger.units[0].access_unit()).unwrap_err();
    assert!(matches!(change, WriteError::ParameterSetsChanged));
    old.finish().unwrap();
    let mut new = writer(second);
    larger.write_to(&mut new);
    new.finish().unwrap();

    std::fs::write(&path, journals[0].file()).unwrap();
    assert_whole(&path, &clip, 0);
    std::fs::write(&path, journals[1].file()).unwrap();
    assert_whole(&path, &larger, 5_000_000_000);
}

#[test]
fn parameter_sets_may_come_apart_from_the_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4");
    for codec in [Codec::H264, Codec::H265] {
        let mut clip = Clip::encode(codec, "s=160x120:r=30:d=0.5", &["-bf", "0"]);
        let sets = ParameterSets::gather(codec, &clip.units[0].data).unwrap();
        let [bare, header] = split_sets(codec, &clip.units[0].data);

        // In a unit of their own before the first picture, as some encoders deliver them …
        let mut journal = Journal::default();
        let mut writer = Mp4Writer::new(&mut journal, TrackConfig::new(codec), unsynced()).unwrap();
        writer.write(&AccessUnit { data: &header, ..clip.units[0].access_unit() }).unwrap();
        clip.units[0].data = bare;
        clip.write_to(&mut writer);
        writer.finish().unwrap();
        std::fs::write(&path, journal.file()).unwrap();
        assert_whole(&path, &clip, clip.units[0].pts_ns);

        // … or known beforehand.
        let track = TrackConfig { parameter_sets: Some(sets), ..TrackConfig::new(codec) };
        clip.record_track(&path, track, unsynced());
        assert_whole(&path, &clip, clip.units[0].pts_ns);
    }
}

/// The pictures of an access unit, and its parameter sets.
fn split_sets(codec: Codec, data: &[u8]) -> [Vec<u8>; 2] {
    let mut parts = [Vec::new(), Vec::new()];
    for nal in vs_bitstream::nal_units(data) {
        let set = vs_bitstream::NalKind::of(codec, nal).is_parameter_set();
        parts[usize::from(set)].extend([0, 0, 0, 1]);
        parts[usize::from(set)].extend(nal);
    }
    parts
}

#[test]
fn a_stream_that_never_begins_leaves_an_empty_file() {
    let mut journal = Journal::default();
    let summary = writer(&mut journal).finish().unwrap();
    assert_eq!((summary.frames, summary.bytes, summary.progressive), (0, 0, false));
    assert!(journal.steps.is_empty());
}
