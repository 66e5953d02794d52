// SPDX-License-Identifier: Apache-2.0
//! What a file says of its frames is what the stream delivered: which, how many, when, each exactly
//! to the file's clock. So say ffprobe, and a parser that has nothing to do with either.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use mp4_atom::{Any, Moof, Moov, ReadFrom, StszSamples};
use system_tests::diary::Entry;
use system_tests::video::{self, Packet};
use system_tests::{Diary, Rig, eventually};

const CONFIG: &str = "\
[stream.a]
pattern = \"bars\"
size = \"320x240\"
rate = 30
always-on = true
buffers = 32
credits-max = 16
";

/// Frames of a recording that is long enough: several keyframes, many fragments.
const FRAMES: u64 = 100;

/// Ticks per second of what the daemon records.
const TIMESCALE: u64 = 90_000;

const NS_PER_SECOND: u64 = 1_000_000_000;

/// Records until there are enough frames, and does what `end` says; when the frames were taken.
fn record(rig: &mut Rig, path: &Path, end: impl FnOnce(&mut Rig, &str)) -> Vec<Entry> {
    let diary = Diary::begin(&rig.socket("a"));
    let options = ["--detach", "--keyframe-interval", "1"];
    let recording = rig.ask(&[&["record", "a", path.to_str().unwrap()], &options[..]].concat());
    let number = recording["recording"].as_u64().unwrap();
    eventually("the recording to get along", || {
        let info = rig.objects().recordings.into_iter().find(|(known, _)| *known == number);
        info.filter(|(_, info)| info.progress.frames >= FRAMES).map(|_| ())
    });
    end(rig, &number.to_string());
    diary.end()
}

/// Each frame has the time at which it was taken, rounded to the nearest tick by itself.
fn compare(path: &Path, entries: &[Entry]) -> Vec<Packet> {
    video::decodes(path);
    let packets = video::packets(path);
    let serials = video::serials(path);
    assert_eq!(packets.len(), serials.len());
    let taken = |serial: u64| entries.iter().find(|entry| entry.serial == serial).unwrap().capture_ns;
    let begin_ns = taken(serials[0]);
    for (packet, serial) in packets.iter().zip(&serials) {
        let ticks = (2 * (taken(*serial) - begin_ns) * TIMESCALE + NS_PER_SECOND) / (2 * NS_PER_SECOND);
        assert_eq!(packet.pts, ticks, "frame {serial}");
    }
    packets
}

/// A file read box by box by a parser that refuses every box of a known kind that is not exactly as
/// long as its fields.
#[derive(Default)]
struct Boxes {
    kinds: Vec<String>,
    movies: Vec<Moov>,
    fragments: Vec<Moof>,
}

impl Boxes {
    fn read(path: &Path) -> Self {
        let mut boxes = Self::default();
        let mut left = path.metadata().unwrap().len();
        let mut file = BufReader::new(File::open(path).unwrap());
        while left > 0 {
            let before = left;
            let mut counted = std::io::Read::take(&mut file, left);
            let any = Any::read_from(&mut counted).unwrap_or_else(|error| panic!("{} bytes left: {error}", before));
            left = counted.limit();
            boxes.kinds.push(any.kind().to_string());
            match any {
                Any::Moov(moov) => boxes.movies.push(moov),
                Any::Moof(moof) => boxes.fragments.push(moof),
                Any::Unknown(kind, _) => panic!("an unknown box {kind}"),
                _ => {}
            }
        }
        boxes
    }
}

#[test]
fn a_finished_file_has_the_frames_of_the_stream() {
    let mut rig = Rig::start(CONFIG);
    let path = rig.path("out.mp4");
    let mut frames = 0;
    let entries = record(&mut rig, &path, |rig, number| {
        frames = rig.ask(&["stop-recording", number])["frames"].as_u64().unwrap();
    });
    let packets = compare(&path, &entries);
    assert_eq!(packets.len() as u64, frames);
    for pair in packets.windows(2) {
        assert_eq!(pair[0].pts + pair[0].duration, pair[1].pts, "{pair:?}");
    }
    let last = packets.last().unwrap();
    let duration = (last.pts + last.duration) as f64 / TIMESCALE as f64;
    assert!((video::probe(&path).duration - duration).abs() < 1e-6);

    let boxes = Boxes::read(&path);
    assert_eq!(boxes.kinds, ["ftyp", "mdat", "moov"]);
    let [track] = &boxes.movies[0].trak[..] else { panic!("not one track") };
    let (table, header) = (&track.mdia.minf.stbl, &track.mdia.mdhd);
    assert_eq!((u64::from(header.timescale), header.duration), (TIMESCALE, last.pts + last.duration));
    let StszSamples::Different { sizes } = &table.stsz.samples else { panic!("frames of one size") };
    assert_eq!(sizes.iter().map(|size| u64::from(*size)).collect::<Vec<_>>(), sizes_of(&packets));
    let runs = table.stts.entries.iter();
    let durations: Vec<u64> = runs.flat_map(|run| (0..run.sample_count).map(|_| u64::from(run.sample_delta))).collect();
    assert_eq!(durations, packets.iter().map(|packet| packet.duration).collect::<Vec<_>>());
    let keyframes: Vec<u32> = (1..).zip(&packets).filter(|(_, packet)| packet.keyframe).map(|(at, _)| at).collect();
    assert!(keyframes.len() > 2, "{keyframes:?}");
    assert_eq!(table.stss.as_ref().unwrap().entries, keyframes);
}

#[test]
fn an_unfinished_file_has_the_frames_of_the_stream() {
    let mut rig = Rig::start(CONFIG);
    let path = rig.path("out.mp4");
    let entries = record(&mut rig, &path, |rig, _| rig.kill());
    let packets = compare(&path, &entries);

    let boxes = Boxes::read(&path);
    assert_eq!(boxes.kinds[..3], ["ftyp", "free", "moov"]);
    // What fills up a page may stand between them.
    let fragments: Vec<_> = boxes.kinds[3..].iter().filter(|kind| *kind != "free").collect();
    assert!(fragments.chunks(2).all(|pair| pair == ["moof", "mdat"]), "{:?}", boxes.kinds);
    let runs = boxes.fragments.iter().flat_map(|fragment| &fragment.traf);
    let mut samples = Vec::new();
    for run in runs {
        let mut at = run.tfdt.as_ref().unwrap().base_media_decode_time;
        for entry in run.trun.iter().flat_map(|run| &run.entries) {
            samples.push((at, u64::from(entry.size.unwrap())));
            at += u64::from(entry.duration.unwrap());
        }
    }
    let expected: Vec<_> = packets.iter().map(|packet| packet.pts).zip(sizes_of(&packets)).collect();
    assert_eq!(samples, expected);
}

fn sizes_of(packets: &[Packet]) -> Vec<u64> {
    packets.iter().map(|packet| packet.size).collect()
}
