// SPDX-License-Identifier: Apache-2.0
//! Recordings cut off at places by chance, as others' players see them: as they lie, and repaired.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use support::disk::Disk;
use support::{Clip, Journal, Step, decode_clean, ffmpeg, names, probe, unsynced};
use vs_mux::Codec;
use vs_mux::mp4::{Mp4Writer, TrackConfig};
use vs_mux::repair::finish;

/// In what a file grows when it is torn.
const PAGE_BYTES: usize = 4096;

/// Numbers by chance, the same each time (Marsaglia's xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// What is left of a recording, and how many frames are in its whole fragments.
struct Torn {
    file: Vec<u8>,
    frames: usize,
    /// It ends within the headers of a fragment, where neither a kill nor a power cut can end it.
    in_header: bool,
}

/// Cuts of a recording: of five one with a tail of zeros, one with one of rubbish, and one at the end of a page.
fn cuts(clip: &Clip, count: usize, chance: &mut Chance) -> Vec<Torn> {
    let mut journal = Journal::default();
    let mut writer = Mp4Writer::new(&mut journal, TrackConfig::new(clip.codec), unsynced()).unwrap();
    clip.write_to(&mut writer);
    drop(writer);
    let file = journal.file();
    let fragments: Vec<(usize, usize)> = journal.steps[1..]
        .iter()
        .filter_map(|step| match step {
            Step::Write(at, bytes) => {
                let run = bytes.windows(4).position(|name| name == b"trun")? + 8;
                let frames = u32::from_be_bytes(bytes[run..run + 4].try_into().ok()?);
                Some((*at as usize + bytes.len(), frames as usize))
            }
            _ => None,
        })
        .collect();
    let first = fragments[0].0;
    let cut = |number: usize| {
        let length = first + chance.below(file.len() - first);
        let whole = fragments.iter().take_while(|(end, _)| *end <= length);
        let (end, frames) = whole.fold((0, 0), |(_, sum), (end, frames)| (*end, sum + frames));
        let mut torn = file[..length].to_vec();
        let mut in_header = file[end..length].windows(4).any(|name| name == b"moof")
            && !file[end..length].windows(4).any(|name| name == b"mdat");
        match number % 5 {
            0 => torn.resize((length + 1 + chance.below(100_000)).next_multiple_of(4096), 0),
            1 => {
                // Within a frame nobody could tell it from video.
                torn.truncate(end);
                in_header = false;
                torn.extend((0..chance.below(5000)).map(|_| chance.below(256) as u8));
            }
            2 if length / PAGE_BYTES * PAGE_BYTES > end => {
                torn.truncate(length / PAGE_BYTES * PAGE_BYTES);
                in_header = false;
            }
            _ => {}
        }
        Torn { file: torn, frames, in_header }
    };
    (0..count).map(cut).collect()
}

/// Pictures that ffmpeg gets from a file that may end badly; `None` if it refuses it.
fn play(path: &Path, options: &[&str]) -> Option<usize> {
    let mut command = ffmpeg();
    command.args(["-v", "quiet"]).args(options).arg("-i").arg(path);
    let output = command.args(["-fps_mode", "passthrough", "-f", "framemd5", "-"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.lines().filter(|line| !line.starts_with('#')).count())
}

/// What GStreamer's demultiplexer passes on; `None` where there is no GStreamer.
fn demultiplex(path: &Path) -> Option<usize> {
    let mut command = Command::new("gst-launch-1.0");
    command.args(["-v", "filesrc", &format!("location={}", path.display()), "!", "qtdemux", "!"]);
    let output = command.args(["fakesink", "silent=false", "sync=false"]).output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).matches("chain  ").count())
}

/// Both judge the file as it lies and repaired.
fn judge(clip: &Clip, number: usize, torn: &Torn, path: &Path) {
    let what = format!("cut {number}, {} bytes", torn.file.len());
    let expected = clip.expected(clip.units[0].pts_ns);
    std::fs::write(path, &torn.file).unwrap();
    match play(path, &[]) {
        Some(pictures) => {
            assert!(pictures >= torn.frames, "{what}");
            let lies = probe(path).frames();
            assert!(lies.len() >= torn.frames && lies[..torn.frames] == expected[..torn.frames], "{what}");
        }
        // FFmpeg looks at all fragments before the first picture, and gives up over some bytes of a header. It
        // plays what there is when it is told not to look.
        None => {
            assert!(torn.in_header, "{what}");
            assert!(play(path, &["-fflags", "+ignidx"]).unwrap() >= torn.frames, "{what}");
            REFUSED.fetch_add(1, Ordering::Relaxed);
        }
    }

    let mut disk = Disk::new(&torn.file);
    let report = finish(&mut disk).unwrap();
    assert_eq!(report.frames, torn.frames as u64, "{what}");
    assert_eq!(names(disk.file()), ["ftyp", "mdat", "moov"], "{what}");
    std::fs::write(path, disk.file()).unwrap();
    let repaired = probe(path);
    assert_eq!((repaired.complaints.as_str(), &repaired.frames()[..]), ("", &expected[..torn.frames]), "{what}");
    assert_eq!(decode_clean(path), torn.frames, "{what}");
    if number.is_multiple_of(10) {
        assert!(demultiplex(path).is_none_or(|frames| frames == torn.frames), "{what}");
    }
}

/// Files that ffmpeg refused as they lay.
static REFUSED: AtomicUsize = AtomicUsize::new(0);

fn judge_all(count: usize) {
    let clips = [
        Clip::encode(Codec::H264, "s=320x180:r=30:d=20", &["-g", "30", "-bf", "0"]),
        Clip::encode(Codec::H264, "s=160x120:r=25:d=8", &["-g", "25", "-bf", "2", "-x264-params", "slices=2"]),
        Clip::encode(Codec::H265, "s=160x120:r=25:d=8", &["-g", "25"]),
    ];
    let mut chance = Chance(20_251_122);
    let work: Vec<(&Clip, Torn)> = clips
        .iter()
        .zip([count - count / 2, count / 4, count / 2 - count / 4])
        .flat_map(|(clip, count)| cuts(clip, count, &mut chance).into_iter().map(move |torn| (clip, torn)))
        .collect();
    assert_eq!(work.len(), count);
    let folder = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        for half in 0..2 {
            let (work, path) = (&work, folder.path().join(format!("{half}.mp4")));
            scope.spawn(move || {
                for (number, (clip, torn)) in work.iter().enumerate().skip(half).step_by(2) {
                    judge(clip, number, torn, &path);
                }
            });
        }
    });
    println!("{count} cuts, {} of them within a header that ffmpeg insists on", REFUSED.load(Ordering::Relaxed));
}

#[test]
fn thirty_cuts() {
    judge_all(30);
}

/// `cargo test -p vs-mux --test torn_players -- --ignored`: a few minutes.
#[test]
#[ignore = "minutes"]
fn five_hundred_cuts() {
    judge_all(500);
}
