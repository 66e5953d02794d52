// SPDX-License-Identifier: Apache-2.0
//! Whatever interrupts a recording, the file plays as it lies, up to its last whole fragment.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use support::{Clip, Journal, Step, names, probe};
use vs_mux::Codec;
use vs_mux::mp4::{FileSink, Mp4Writer, Options, TrackConfig};

/// Syncs each fragment, so that the journal shows where.
fn synced() -> Options {
    Options { sync: Some(std::time::Duration::ZERO), ..Options::default() }
}

/// A finished recording, step by step.
fn journal(clip: &Clip, options: Options) -> Journal {
    let mut journal = Journal::default();
    let mut writer = Mp4Writer::new(&mut journal, TrackConfig::new(clip.codec), options).unwrap();
    clip.write_to(&mut writer);
    assert!(writer.finish().unwrap().progressive);
    journal
}

/// Plays a file that may end anywhere; returns how many pictures a decoder got from it.
fn play(path: &Path) -> usize {
    let output = support::Succeed::succeed(support::ffmpeg().args(["-v", "error", "-i"]).arg(path).args([
        "-fps_mode",
        "passthrough",
        "-f",
        "framemd5",
        "-",
    ]));
    String::from_utf8_lossy(&output.stdout).lines().filter(|line| !line.starts_with('#')).count()
}

/// Frames in the whole fragments of a fragmented file that is `length` bytes long.
fn whole_frames(fragments: &[(u64, usize)], length: u64) -> usize {
    fragments.iter().take_while(|(end, _)| *end <= length).map(|(_, frames)| frames).sum()
}

/// End and number of frames of each fragment, from the writes (`trun` says how many).
fn fragments(journal: &Journal) -> Vec<(u64, usize)> {
    let fragment = |bytes: &[u8]| bytes.windows(4).any(|name| name == b"moof");
    let count = |bytes: &[u8]| {
        let at = bytes.windows(4).position(|name| name == b"trun")? + 8;
        Some(u32::from_be_bytes(bytes[at..at + 4].try_into().ok()?) as usize)
    };
    journal
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::Write(offset, bytes) if fragment(bytes) => Some((offset + bytes.len() as u64, count(bytes)?)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_file_cut_anywhere_plays_up_to_its_last_whole_fragment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.mp4");
    for (codec, options) in [(Codec::H264, &["-g", "20", "-bf", "2"][..]), (Codec::H265, &["-g", "20"][..])] {
        let clip = Clip::encode(codec, "s=160x120:r=30:d=2", options);
        let mut journal = Journal::default();
        let mut writer = Mp4Writer::new(&mut journal, TrackConfig::new(codec), synced()).unwrap();
        clip.write_to(&mut writer);
        drop(writer);
        let (file, fragments) = (journal.file(), fragments(&journal));
        assert_eq!(whole_frames(&fragments, file.len() as u64), clip.units.len());
        let first_end = fragments[0].0 as usize;

        // Evenly over the file, and around the seams of some fragments.
        let seams = fragments.iter().step_by(8).flat_map(|(end, _)| [-9, 0, 1].map(|by| *end as i64 + by));
        let cuts = (0..10).map(|i| (first_end + (file.len() - first_end) * i / 9) as i64);
        for cut in seams.chain(cuts).filter(|cut| (first_end as i64..=file.len() as i64).contains(cut)) {
            std::fs::write(&path, &file[..cut as usize]).unwrap();
            let whole = whole_frames(&fragments, cut as u64);
            let probe = probe(&path);
            assert!(probe.packets.len() >= whole, "{codec} cut at {cut}: {} of {whole}", probe.packets.len());
            assert_eq!(probe.frames()[..whole], clip.expected(clip.units[0].pts_ns)[..whole], "cut at {cut}");
            assert!(play(&path) >= whole, "{codec} cut at {cut}");
        }
    }
}

#[test]
fn a_file_cut_between_fragments_is_clean() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.mp4");
    let clip = Clip::encode(Codec::H264, "s=160x120:r=30:d=2", &["-g", "20", "-bf", "0"]);
    let journal = journal(&clip, synced());
    for (end, _) in fragments(&journal).into_iter().step_by(4) {
        std::fs::write(&path, &journal.file()[..end as usize]).unwrap();
        // The finished file's placeholder counts on what follows; a torn one's is still a placeholder.
        let mut file = std::fs::read(&path).unwrap();
        let Step::Write(_, header) = &journal.steps[0] else { panic!("the header comes first") };
        file[..header.len()].copy_from_slice(header);
        std::fs::write(&path, file).unwrap();
        assert_eq!(probe(&path).complaints, "");
        support::decode_clean(&path);
    }
}

#[test]
fn every_step_of_finishing_leaves_a_file_that_plays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("step.mp4");
    let clip = Clip::encode(Codec::H264, "s=160x120:r=30:d=2", &["-g", "20", "-bf", "1"]);
    let journal = journal(&clip, synced());
    let last_fragment = journal
        .steps
        .iter()
        .rposition(|step| matches!(step, Step::Write(_, bytes) if bytes.windows(4).any(|name| name == b"moof")))
        .unwrap();
    let [Step::Sync, Step::Write(moov_at, moov), Step::Sync, Step::Write(_, header), Step::Sync] =
        &journal.steps[last_fragment + 1..]
    else {
        panic!("finishing is: sync the last fragment, write the index, sync, hide the fragments, sync");
    };
    assert_eq!((&moov[4..8], &header[4..8]), (&b"moov"[..], &b"mdat"[..]));

    let all = clip.expected(clip.units[0].pts_ns);
    let check = |file: &[u8]| {
        std::fs::write(&path, file).unwrap();
        assert_eq!(probe(&path).frames(), all);
        assert_eq!(play(&path), all.len());
    };
    for count in last_fragment + 1..=journal.steps.len() {
        check(&journal.file_after(count));
    }
    // The index torn at any place.
    let file = journal.file_after(last_fragment + 3);
    for kept in [1, 4, 8, 9, 100, moov.len() / 2, moov.len() - 1] {
        check(&file[..*moov_at as usize + kept]);
    }
}

/// Files are torn at the end of a page, and a torn header is what some players give up a file for.
#[test]
fn no_header_crosses_a_page() {
    let clip = Clip::encode(Codec::H264, "s=160x120:r=30:d=8", &["-g", "20", "-bf", "1"]);
    let options = Options { fragment: std::time::Duration::ZERO, ..Options::default() };
    let mut at = 0;
    let (mut padded, mut headers) = (0, 0);
    let file = journal(&clip, options).steps.iter().fold(Vec::new(), |mut file, step| {
        if let Step::Write(at, bytes) = step
            && *at > 0
            && bytes.len() > 16
            && file.len() == *at as usize
        {
            file.extend(bytes);
        } else if let Step::Write(0, bytes) = step {
            file.extend(bytes);
        }
        file
    });
    let found = support::boxes(&file);
    for (index, (name, size)) in found.iter().enumerate() {
        if name == "moof" {
            headers += 1;
            padded += usize::from(index > 3 && found[index - 1].0 == "free");
            assert_eq!(at / 4096, (at + size + 7) / 4096, "{at}");
        }
        at += size;
    }
    assert!(headers == clip.units.len() && padded > 0 && padded < headers / 4, "{padded} of {headers}");
}

#[test]
fn fragments_are_short_and_begin_with_keyframes() {
    let clip = Clip::encode(Codec::H264, "s=160x120:r=30:d=2", &["-g", "20", "-bf", "0"]);
    // 20 frames per keyframe in fragments of 3.
    let of_clip = |options: Options| {
        fragments(&journal(&clip, options)).into_iter().map(|(_, frames)| frames).collect::<Vec<_>>()
    };
    let group = [3, 3, 3, 3, 3, 3, 2];
    assert_eq!(of_clip(synced()), [group, group, group].concat());
    let each = Options { fragment: std::time::Duration::ZERO, ..synced() };
    assert_eq!(of_clip(each), [1; 60]);
    let long = Options { fragment: std::time::Duration::from_secs(5), ..synced() };
    assert_eq!(of_clip(long), [20, 20, 20]);
}

#[test]
fn a_pause_does_not_keep_frames_waiting_once_flushed() {
    let clip = Clip::encode(Codec::H264, "s=160x120:r=30:d=0.5", &["-bf", "0"]);
    let mut journal = Journal::default();
    let mut writer = Mp4Writer::new(&mut journal, TrackConfig::new(Codec::H264), synced()).unwrap();
    clip.units[..2].iter().for_each(|unit| writer.write(&unit.access_unit()).unwrap());
    writer.flush().unwrap();
    writer.flush().unwrap();
    // Two frames after the pause, the second of them left to drop().
    for unit in &clip.units[10..12] {
        writer.write(&unit.access_unit()).unwrap();
    }
    drop(writer);
    assert_eq!(fragments(&journal).len(), 2);
    assert_eq!(names(&journal.file()), ["ftyp", "free", "moov", "moof", "mdat", "moof", "mdat"]);
    assert!(matches!(journal.steps.last(), Some(Step::Sync)));
}

#[test]
fn a_killed_process_leaves_what_it_handed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("killed.mp4");
    let clip = Clip::encode(Codec::H264, "s=160x120:r=30:d=1", &["-bf", "0"]);
    let sink = FileSink::new(std::fs::File::create(&path).unwrap()).unwrap();
    let mut writer = Mp4Writer::new(sink, TrackConfig::new(Codec::H264), Options::default()).unwrap();
    clip.units[..29].iter().for_each(|unit| writer.write(&unit.access_unit()).unwrap());
    // As a kill does: nothing more happens, not even drop().
    std::mem::forget(writer);
    let left = probe(&path);
    assert_eq!((left.packets.len(), left.complaints.as_str()), (27, ""));
    assert_eq!(support::decode_clean(&path), 27);
}
