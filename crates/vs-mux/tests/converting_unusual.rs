// SPDX-License-Identifier: Apache-2.0
//! Streams that change in their middle, begin in the middle of another, or say little about themselves.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs::File;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use support::conversion::{go_on, gstreamer_frames, there_and_back, to_bare, to_mp4};
use support::files::{all, make, open, pictures, remux};
use support::{Journal, Succeed, decode_clean, ffmpeg, names, probe};
use tempfile::TempDir;
use vs_bitstream::{AccessUnits, NalKind, nal_units};
use vs_mux::Codec;
use vs_mux::convert::{ConvertError, Input, Note, Options, Output, Rate, Sets, convert};
use vs_mux::read::OpenMovieError;

const X264: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -x264-params ";
const X265: &str = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p -x265-params log-level=none:";

fn clip(folder: &TempDir, name: &str, input: &str, params: &str) -> PathBuf {
    let options = if name.ends_with("264") { X264 } else { X265 };
    make(folder, name, input, &format!("{options}{params}"))
}

fn codec_of(path: &Path) -> Codec {
    if path.extension().unwrap() == "h264" { Codec::H264 } else { Codec::H265 }
}

fn units(path: &Path) -> Vec<Vec<u8>> {
    let mut units = AccessUnits::new(codec_of(path));
    units.push(&std::fs::read(path).unwrap());
    units.end();
    std::iter::from_fn(|| units.next_unit().unwrap().map(<[u8]>::to_vec)).collect()
}

fn write(folder: &TempDir, name: &str, units: impl IntoIterator<Item = Vec<u8>>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, units.into_iter().flatten().collect::<Vec<u8>>()).unwrap();
    path
}

/// Without those of its NAL units that `drop` names.
fn without(codec: Codec, unit: &[u8], drop: impl Fn(NalKind) -> bool) -> Vec<u8> {
    let kept = nal_units(unit).filter(|nal| !drop(NalKind::of(codec, nal)));
    kept.flat_map(|nal| [&[0, 0, 0, 1], nal].concat()).collect()
}

fn entry_of(mp4: &Path) -> String {
    probe(mp4).stream["codec_tag_string"].as_str().unwrap().to_owned()
}

/// Sets that come once stay where they are, and so do those that change in the middle.
#[test]
fn sets_that_are_not_at_each_keyframe() {
    let folder = TempDir::new().unwrap();
    let small = "size=160x120:rate=25:duration=1";
    for (name, other, entry) in [("a.h264", "b.h264", "avc3"), ("a.h265", "b.h265", "hev1")] {
        let params = if name.ends_with("264") { "keyint=10:bframes=2" } else { "keyint=10:bframes=2:repeat-headers=1" };
        let often = clip(&folder, name, small, params);
        let codec = codec_of(&often);
        let once = units(&often).into_iter().enumerate();
        let once = once.map(|(number, unit)| without(codec, &unit, |kind| number > 0 && kind.is_parameter_set()));
        let once = write(&folder, &format!("once-{name}"), once);
        let (report, mp4) = there_and_back(&once, &Options::default());
        assert!(report.sets_in_band && report.notes == [Note::SetsInBand]);
        assert_eq!((entry_of(&mp4), decode_clean(&mp4)), (entry.to_owned(), 25));
        assert_eq!(pictures(&mp4), pictures(&often));
        // Those of a stream in start codes of four bytes come back to the byte.
        assert_eq!(to_bare(&mp4, &Options::default()).unwrap().1, std::fs::read(&once).unwrap());
        // Where it is asked for, they are at each keyframe: it is the stream they were taken from.
        let each = to_bare(&mp4, &Options { sets: Sets::InBand, ..Options::default() }).unwrap().1;
        let is_sei = |nal: &&[u8]| NalKind::of(codec, nal) == NalKind::Sei;
        let original = std::fs::read(&often).unwrap();
        assert!(nal_units(&each).filter(|nal| !is_sei(nal)).eq(nal_units(&original).filter(|nal| !is_sei(nal))));

        let larger = clip(&folder, other, "size=320x240:rate=25:duration=1", &format!("{params}:ref=2"));
        let changing =
            write(&folder, &format!("changing-{name}"), [&often, &larger, &often].map(|p| std::fs::read(p).unwrap()));
        let (report, mp4) = there_and_back(&changing, &Options::default());
        assert_eq!((report.frames, report.notes, entry_of(&mp4)), (75, vec![Note::SetsInBand], entry.to_owned()));
        assert_eq!(probe(&mp4).complaints, "");
        let complaints = ffmpeg().args(["-xerror", "-i"]).arg(&mp4).args(["-f", "null", "-"]).succeed().stderr;
        assert_eq!(String::from_utf8_lossy(&complaints), "");
        assert_eq!(raw_pictures(&mp4), [raw_pictures(&often), raw_pictures(&larger), raw_pictures(&often)].concat());
        assert!(gstreamer_frames(&mp4, codec).is_none_or(|frames| frames == 75), "{:?}", gstreamer_frames(&mp4, codec));
        let times: Vec<i64> = sorted_times(&mp4);
        assert!(times.iter().enumerate().all(|(number, &time)| time == number as i64 * 400));

        let apart =
            to_mp4(&changing, &folder.path().join("apart.mp4"), &Options { sets: Sets::Once, ..Options::default() });
        assert!(matches!(apart, Err(ConvertError::Frame { frame: 25, .. })), "{apart:?}");
    }
}

/// Checksums of decoded pictures of any size, unscaled.
fn raw_pictures(path: &Path) -> Vec<String> {
    let output = ffmpeg()
        .args(["-v", "error", "-autoscale", "0", "-i"])
        .arg(path)
        .args(["-autoscale", "0", "-fps_mode", "passthrough", "-f", "framemd5", "-"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit(',').next().unwrap().trim().to_owned())
        .collect()
}

fn sorted_times(path: &Path) -> Vec<i64> {
    let mut times: Vec<i64> = probe(path).packets.iter().map(|packet| packet.pts).collect();
    times.sort_unstable();
    times
}

/// Streams that begin in the middle of a group of pictures.
#[test]
fn streams_that_begin_in_the_middle() {
    let folder = TempDir::new().unwrap();
    let input = "size=160x120:rate=25:duration=2";
    for (name, params) in
        [("gop.h264", "keyint=10:bframes=2"), ("gop.h265", "keyint=10:no-open-gop=1:bframes=2:repeat-headers=1")]
    {
        let whole = clip(&folder, name, input, params);
        let cut = write(&folder, &format!("cut-{name}"), units(&whole).split_off(3));
        let mp4 = folder.path().join("cut.mp4");
        let report = to_mp4(&cut, &mp4, &Options::default()).unwrap();
        assert_eq!((report.frames, &report.notes[..]), (40, &[Note::BeforeKeyframe(7)][..]));
        assert_eq!((decode_clean(&mp4), sorted_times(&mp4)[0]), (40, 0));
        let none = write(&folder, &format!("none-{name}"), units(&whole).drain(1..9));
        // Without parameter sets nobody knows what it is.
        let error = to_mp4(&none, &mp4, &Options::default()).unwrap_err();
        assert!(matches!(error, ConvertError::Open(OpenMovieError::NotAMovie { .. })), "{error}");
        let told = Options { codec: Some(codec_of(&none)), ..Options::default() };
        assert!(matches!(to_mp4(&none, &mp4, &told), Err(ConvertError::NoKeyframe { units: 8 })));
    }

    // CRA pictures, with leading pictures that need what was before.
    let whole = clip(&folder, "cra.h265", input, "keyint=12:open-gop=1:bframes=3:b-adapt=0:repeat-headers=1");
    let from = units(&whole).iter().skip(1).position(|unit| vs_bitstream::is_keyframe(Codec::H265, unit)).unwrap() + 1;
    let cut = write(&folder, "cut-cra.h265", units(&whole).split_off(from));
    let (report, mp4) = there_and_back(&cut, &Options::default());
    let [Note::Leading(leading)] = report.notes[..] else { panic!("{:?}", report.notes) };
    assert!(leading > 0);
    assert_eq!(decode_clean(&mp4) as u64, report.frames - leading);
    let probe = probe(&mp4);
    assert_eq!(probe.packets[0].pts, 0, "the first picture that is shown");
    assert_eq!(probe.packets.iter().filter(|packet| packet.pts < 0).count() as u64, leading);
}

/// Intra refresh: no key picture but the first, and none at all.
#[test]
fn recovery_points() {
    let folder = TempDir::new().unwrap();
    let whole = clip(&folder, "refresh.h264", "size=320x240:rate=25:duration=3", "intra-refresh=1:keyint=20");
    let (report, mp4) = there_and_back(&whole, &Options::default());
    assert_eq!((report.frames, report.notes), (75, vec![Note::SetsInBand]));
    assert_eq!(decode_clean(&mp4), 75);
    let keyframes: Vec<_> = all(&mut open(&mp4)).iter().map(|unit| unit.keyframe).collect();
    assert!(keyframes[0] && !keyframes[1..].contains(&true));

    let cut = write(&folder, "cut.h264", units(&whole).split_off(1));
    let mp4 = folder.path().join("cut.mp4");
    let report = to_mp4(&cut, &mp4, &Options::default()).unwrap();
    assert!(matches!(report.notes[..], [Note::Recovery(1..), Note::BeforeKeyframe(1..), ..]), "{:?}", report.notes);
    assert_eq!(probe(&mp4).packets.len() as u64, report.frames);
    // A decoder shows none before it is whole.
    assert_eq!(pictures(&mp4), pictures(&cut));
}

#[test]
fn streams_that_do_not_say_their_rate() {
    let folder = TempDir::new().unwrap();
    let bare = clip(
        &folder,
        "untimed.h265",
        "size=160x120:rate=24000/1001:duration=1",
        "vui-timing-info=0:repeat-headers=1:keyint=8:bframes=3",
    );
    let mp4 = folder.path().join("untimed.mp4");
    let error = to_mp4(&bare, &mp4, &Options::default()).unwrap_err();
    assert!(matches!(error, ConvertError::NoTiming), "{error}");
    for (frames, seconds) in [(24_000, 1001), (25, 1), (120, 1), (1, 2)] {
        let options = Options { rate: Rate::new(frames, seconds), ..Options::default() };
        let (report, mp4) = there_and_back(&bare, &options);
        assert_eq!((report.frames, decode_clean(&mp4)), (24, 24));
        let scale: i64 = probe(&mp4).stream["time_base"].as_str().unwrap()[2..].parse().unwrap();
        let (frames, seconds) = (i64::from(frames), i64::from(seconds));
        let expected: Vec<i64> = (0..24).map(|n| n * seconds * scale / frames).collect();
        assert_eq!(sorted_times(&mp4), expected);
        let duration: f64 = probe(&mp4).format["duration"].as_str().unwrap().parse().unwrap();
        assert!((duration - 24.0 * seconds as f64 / frames as f64).abs() < 1e-4);
    }
}

/// Film on 60 fields a second: each timing message says how many a picture lasts (H.264 table E-6).
#[test]
fn pictures_that_last_longer() {
    let folder = TempDir::new().unwrap();
    let bare = clip(&folder, "film.h264", "size=160x120:rate=30:duration=1", "pic-struct=1:keyint=8:bframes=2");
    // pic_struct, as many flags as it has clock timestamps, and the bit that ends the payload.
    const STRUCTS: [(u8, i64); 5] = [(0x04, 2), (0x51, 3), (0x32, 2), (0x72, 4), (0x81, 6)];
    let mut units = units(&bare);
    let mut fields = Vec::new();
    for (number, unit) in units.iter_mut().enumerate() {
        let (byte, lasts) = STRUCTS[number % 5];
        let at = unit.windows(5).position(|bytes| bytes == [0, 1, 6, 1, 1]).unwrap() + 5;
        unit[at] = byte;
        fields.push(lasts);
    }
    let film = write(&folder, "film32.h264", units);
    let (report, mp4) = there_and_back(&film, &Options::default());
    let probe = probe(&mp4);
    let scale: i64 = probe.stream["time_base"].as_str().unwrap()[2..].parse().unwrap();
    let mut shown: Vec<_> = probe.packets.iter().map(|packet| packet.pts).zip(fields).collect();
    shown.sort_unstable();
    let mut now = 0;
    for (pts, fields) in shown {
        assert_eq!(pts, now);
        now += fields * scale / 60;
    }
    assert_eq!(report.duration_ns, Some(now * 1_000_000_000 / scale));
    assert_eq!(decode_clean(&mp4), 30);
}

/// Colours and pixel shapes are in the file's own boxes, too.
#[test]
fn colours_and_shape() {
    let folder = TempDir::new().unwrap();
    let colours = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc";
    for (name, range) in [("c.h264", "fullrange=on"), ("c.h265", "range=full:repeat-headers=1")] {
        let bare = clip(&folder, name, "size=166x122:rate=25:duration=0.4:sar=4/3", &format!("{colours}:{range}"));
        let (report, mp4) = there_and_back(&bare, &Options::default());
        assert_eq!((report.width, report.height), (166, 122));
        let stream = probe(&mp4).stream;
        assert_eq!(stream["sample_aspect_ratio"], "4:3");
        assert_eq!(
            (stream["color_range"].as_str(), stream["color_transfer"].as_str()),
            (Some("pc"), Some("smpte2084"))
        );
        let file = std::fs::read(&mp4).unwrap();
        assert!(file.windows(11).any(|bytes| bytes == b"nclx\0\x09\0\x10\0\x09\x80"));
    }
}

/// What an MP4 says of time stays, to the tick: uneven frames, a delay, fragments.
#[test]
fn files_to_files() {
    let folder = TempDir::new().unwrap();
    let vfr = "size=160x120:rate=30:duration=2,select='not(mod(n\\,7))+not(mod(n\\,3))'";
    let options =
        "-c:v libx264 -preset ultrafast -bf 2 -g 9 -pix_fmt yuv420p -fps_mode vfr -video_track_timescale 15360";
    let file = make(&folder, "vfr.mp4", vfr, options);
    let fragmented = remux(&file, "frag.mp4", "", "-movflags frag_keyframe+empty_moov");
    let delayed = remux(&file, "late.mp4", "-itsoffset 0.5", "");
    for path in [&file, &fragmented, &delayed] {
        let out = folder.path().join("out.mp4");
        let report = to_mp4(path, &out, &Options::default()).unwrap();
        assert_eq!(report.notes, [], "{}", path.display());
        assert!(report.progressive && !report.sets_in_band);
        assert_eq!(names(&std::fs::read(&out).unwrap()), ["ftyp", "mdat", "moov"]);
        let (before, after) = (probe(path), probe(&out));
        assert_eq!(after.stream["time_base"], before.stream["time_base"]);
        assert_eq!(after.frames(), before.frames(), "{}", path.display());
        assert_eq!(after.complaints, "");
        assert_eq!((pictures(&out), decode_clean(&out)), (pictures(path), before.packets.len()));
        let (bare, stream) = to_bare(path, &Options::default()).unwrap();
        assert_eq!((bare.notes, bare.duration_ns), (vec![Note::TimesLost], None));
        assert_eq!(stream, to_bare(&out, &Options::default()).unwrap().1);
        // At a rate of its own, it is even.
        to_mp4(path, &out, &Options { rate: Rate::new(25, 1), ..Options::default() }).unwrap();
        let times = sorted_times(&out);
        assert!(times.iter().enumerate().all(|(number, &time)| time == number as i64 * 400), "{times:?}");
    }
    let bytes = std::fs::read(&fragmented).unwrap();
    let torn = folder.path().join("torn.mp4");
    std::fs::write(&torn, &bytes[..bytes.len() * 2 / 3]).unwrap();
    let out = folder.path().join("whole.mp4");
    let report = to_mp4(&torn, &out, &Options::default()).unwrap();
    assert!(report.frames > 5 && report.notes == [Note::CutOff], "{report:?}");
    assert_eq!(decode_clean(&out) as u64, report.frames);
}

#[test]
fn what_cannot_be_carried() {
    let folder = TempDir::new().unwrap();
    let input = "size=160x120:rate=25:duration=1";
    let sound = folder.path().join("sound.mp4");
    let command = format!("-f lavfi -i testsrc2={input} -f lavfi -i sine=d=1 -c:v libx264 -pix_fmt yuv420p -c:a aac");
    ffmpeg().args(command.split_whitespace()).arg(&sound).succeed();
    let (report, _) = to_bare(&sound, &Options::default()).unwrap();
    assert_eq!(report.notes, [Note::OtherTracks(vec!["audio".to_owned()])]);
    assert_eq!(report.notes[0].to_string(), "1 track left out: audio");

    let vp9 = make(&folder, "vp9.mp4", input, "-c:v libvpx-vp9 -deadline realtime -cpu-used 8");
    let error = to_bare(&vp9, &Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "VP9 is not converted, only H.264 and H.265 are");
    let mpeg4 = make(&folder, "mpeg4.mp4", input, "-c:v mpeg4");
    assert!(to_bare(&mpeg4, &Options::default()).unwrap_err().to_string().contains("MPEG-4 part 2"));
    let mkv = make(&folder, "clip.mkv", input, "-c:v libx264");
    assert!(to_bare(&mkv, &Options::default()).unwrap_err().to_string().contains("Matroska"));

    let bare = clip(&folder, "bare.h264", input, "keyint=5");
    assert!(matches!(to_bare(&bare, &Options::default()), Err(ConvertError::NothingToDo)));
    let rate = Options { rate: Rate::new(25, 1), ..Options::default() };
    assert!(matches!(to_bare(&sound, &rate), Err(ConvertError::RateOfStream)));
    let hevc = Options { codec: Some(Codec::H265), ..Options::default() };
    assert!(matches!(to_bare(&sound, &hevc), Err(ConvertError::OtherCodec { .. })));
    let mut pipe = File::open(&sound).unwrap();
    let piped = convert(Input::Pipe(&mut pipe), Output::AnnexB(&mut Vec::new()), &Options::default(), &mut go_on);
    assert!(matches!(piped, Err(ConvertError::PipedMovie)));
}

/// From a pipe it is converted at the first attempt: parameter sets stay where they are.
#[test]
fn from_a_pipe() {
    let folder = TempDir::new().unwrap();
    let bare = clip(&folder, "piped.h264", "size=160x120:rate=25:duration=1", "keyint=10:bframes=3");
    let stream = std::fs::read(&bare).unwrap();
    let mut journal = Journal::default();
    let report =
        convert(Input::Pipe(&mut &stream[..]), Output::Mp4(&mut journal), &Options::default(), &mut go_on).unwrap();
    assert_eq!((report.frames, &report.notes[..]), (25, &[Note::SetsInBand][..]));
    let mp4 = folder.path().join("piped.mp4");
    std::fs::write(&mp4, journal.file()).unwrap();
    assert_eq!((decode_clean(&mp4), entry_of(&mp4)), (25, "avc3".to_owned()));
    let mut back = Vec::new();
    convert(Input::File(&mut Cursor::new(journal.file())), Output::AnnexB(&mut back), &Options::default(), &mut go_on)
        .unwrap();
    assert!(nal_units(&back).eq(nal_units(&stream)));
}
