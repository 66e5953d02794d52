// SPDX-License-Identifier: Apache-2.0
//! Streams of other people's encoders, and what comes out of a decoder.

#![allow(dead_code)]

use std::process::Command;
use std::sync::Arc;

use vs_bitstream::nal_units;
use vs_codec::{AccessUnit, Decoder, FrameTag, Loss, Output, SubmitError};
use vs_frame::Frame;

pub fn tag(serial: u64) -> FrameTag {
    FrameTag { serial, capture_ns: serial * 3, pts_ns: serial as i64 * 5, duration_ns: None }
}

/// The pixels of a picture without padding, plane after plane.
pub fn picture_bytes(frame: &Frame) -> Vec<u8> {
    let view = frame.map().unwrap();
    (0..view.plane_count()).flat_map(|plane| view.plane(plane).unwrap().rows()).flatten().copied().collect()
}

/// A picture, or why there is none.
pub type Shown = (FrameTag, Result<Vec<u8>, Loss>);

/// Receives until there is nothing more; whether the end of a drain was said.
pub fn collect(decoder: &mut dyn Decoder) -> (Vec<Shown>, bool) {
    let mut shown = Vec::new();
    loop {
        match decoder.receive().unwrap() {
            Output::Done(picture) => shown.push((picture.tag, Ok(picture_bytes(&picture.frame)))),
            Output::Lost(tag, loss) => shown.push((tag, Err(loss))),
            Output::Pending => return (shown, false),
            Output::Drained => return (shown, true),
        }
    }
}

/// Submits everything, receiving when it must.
pub fn submit_all(decoder: &mut dyn Decoder, units: &[AccessUnit]) -> Vec<Shown> {
    let mut shown = Vec::new();
    for unit in units {
        while let Err(error) = decoder.submit(&unit.data, unit.tag) {
            assert!(matches!(error, SubmitError::Full), "{error}");
            let (more, _) = collect(decoder);
            assert!(!more.is_empty());
            shown.extend(more);
        }
    }
    shown
}

/// Submits everything, and drains.
pub fn decode_all(decoder: &mut dyn Decoder, units: impl Iterator<Item = (Arc<[u8]>, FrameTag)>) -> Vec<Shown> {
    let mut shown = Vec::new();
    for (unit, tag) in units {
        decoder.submit(&unit, tag).unwrap();
        shown.extend(collect(decoder).0);
    }
    decoder.drain().unwrap();
    let (rest, drained) = collect(decoder);
    assert!(drained);
    shown.extend(rest);
    shown
}

/// A stream and its pictures as ffmpeg decodes them, in I420.
pub struct Encoded {
    pub units: Vec<Arc<[u8]>>,
    pub pictures: Vec<Vec<u8>>,
}

impl Encoded {
    /// `frames` of ffmpeg's own test picture by x264.
    pub fn x264(source: &str, frames: u32, options: &str) -> Self {
        const DELIMITER: u8 = 9;
        let how = "-c:v libx264 -bsf:v h264_metadata=aud=insert -f h264";
        Self::by(source, frames, how, options, |stream| split(stream, |nal| nal[0] & 0x1f == DELIMITER))
    }

    /// The same by x265.
    pub fn x265(source: &str, frames: u32, options: &str) -> Self {
        const DELIMITER: u8 = 35;
        let how = "-c:v libx265 -bsf:v hevc_metadata=aud=insert -f hevc";
        let options = if options.contains("x265-params") {
            options.replace("x265-params ", "x265-params log-level=none:")
        } else {
            format!("{options} -x265-params log-level=none")
        };
        Self::by(source, frames, how, &options, |stream| split(stream, |nal| nal[0] >> 1 & 0x3f == DELIMITER))
    }

    /// The same by libvpx.
    pub fn vp9(source: &str, frames: u32, options: &str) -> Self {
        Self::by(source, frames, "-c:v libvpx-vp9 -f ivf", options, split_ivf)
    }

    fn by(source: &str, frames: u32, how: &str, options: &str, split: impl Fn(&[u8]) -> Vec<Arc<[u8]>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let path = path.to_str().unwrap();
        let source = format!("testsrc2={source}");
        let frames = frames.to_string();
        let mut args = vec!["-v", "error", "-f", "lavfi", "-i", &source, "-frames:v", &frames];
        if !options.contains("pix_fmt") {
            args.extend(["-pix_fmt", "yuv420p"]);
        }
        args.extend(options.split_whitespace());
        args.extend(how.split_whitespace());
        args.push(path);
        ffmpeg(&args);
        let units = split(&std::fs::read(path).unwrap());
        let raw = ffmpeg(&[
            "-v",
            "error",
            "-i",
            path,
            "-fps_mode",
            "passthrough",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "yuv420p",
            "-",
        ]);
        let len = raw.len() / units.len().max(1);
        let pictures = raw.chunks(len.max(1)).map(<[u8]>::to_vec).collect();
        Self { units, pictures }
    }
}

/// Access units of a stream with delimiters.
fn split(stream: &[u8], delimits: impl Fn(&[u8]) -> bool) -> Vec<Arc<[u8]>> {
    let mut units: Vec<Vec<u8>> = Vec::new();
    for nal in nal_units(stream) {
        if delimits(nal) {
            units.push(Vec::new());
        }
        let unit = units.last_mut().unwrap();
        unit.extend_from_slice(&[0, 0, 0, 1]);
        unit.extend_from_slice(nal);
    }
    units.into_iter().map(Arc::from).collect()
}

/// Access units of an IVF file: each behind its length and its time.
fn split_ivf(mut stream: &[u8]) -> Vec<Arc<[u8]>> {
    const HEADER: usize = 32;
    let mut units = Vec::new();
    stream = &stream[HEADER..];
    while let Some((header, rest)) = stream.split_first_chunk::<12>() {
        let len = u32::from_le_bytes(header[..4].try_into().unwrap()) as usize;
        let (unit, rest) = rest.split_at(len);
        units.push(Arc::from(unit));
        stream = rest;
    }
    units
}

/// Decodes each of the streams anew, and finds ffmpeg's pictures, each unit's once.
pub fn compare(decoder: &mut dyn Decoder, encoded: &Encoded, what: &str) {
    let shown = decode_all(decoder, encoded.units.iter().cloned().zip((0..).map(tag)));
    let serials = |shown: &[Shown]| {
        let mut serials: Vec<_> = shown.iter().map(|(tag, _)| tag.serial).collect();
        serials.sort_unstable();
        serials
    };
    assert!(serials(&shown).into_iter().eq(0..encoded.units.len() as u64), "{what}: {:?}", serials(&shown));
    let pictures: Vec<_> = shown.iter().filter_map(|(_, picture)| picture.as_ref().ok()).collect();
    assert_eq!(pictures.len(), encoded.pictures.len(), "{what}");
    for (index, (picture, expected)) in pictures.iter().zip(&encoded.pictures).enumerate() {
        assert!(*picture == expected, "{what}: picture {index} differs");
    }
}

fn ffmpeg(args: &[&str]) -> Vec<u8> {
    let output =
        Command::new("ffmpeg").args(args).output().unwrap_or_else(|e| panic!("ffmpeg: {e}; scripts/setup test"));
    assert!(output.status.success(), "ffmpeg {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// Bits flipped at random: nothing crashes or hangs, each access unit comes back once, and what
/// follows a keyframe that is whole is shown.
pub fn survive_damage(open: &dyn Fn() -> Box<dyn Decoder>, streams: &[Encoded], variants: u32) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut decoders: Vec<_> = streams.iter().map(|_| open()).collect();
    let (mut lost, mut shown, mut failed) = (0, 0, 0);
    for variant in 0..variants {
        let which = variant as usize % streams.len();
        let decoder = &mut decoders[which];
        let mut units: Vec<Vec<u8>> = streams[which].units.iter().map(|unit| unit.to_vec()).collect();
        for _ in 0..=random.below(12) {
            let unit = random.below(units.len());
            let unit = &mut units[unit];
            // The beginning, where the headers are, is hit as often as all the rest.
            let reach = if random.below(2) == 0 { unit.len().min(48) } else { unit.len() };
            unit[random.below(reach)] ^= 1 << random.below(8);
        }
        let Some(outputs) = decode_damaged(&mut **decoder, &units) else {
            failed += 1;
            *decoder = open();
            continue;
        };
        let mut serials: Vec<_> = outputs.iter().map(|(tag, _)| tag.serial).collect();
        serials.sort_unstable();
        assert!(serials.into_iter().eq(0..units.len() as u64), "variant {variant}");
        shown += outputs.iter().filter(|(_, shown)| *shown).count();
        lost += outputs.iter().filter(|(_, shown)| !shown).count();
        if variant % 100 == 0 {
            let whole = streams[which].units.iter().cloned().zip((0..).map(tag));
            let outputs = decode_all(&mut **decoder, whole);
            assert!(outputs.iter().all(|(_, picture)| picture.is_ok()), "variant {variant}");
        }
    }
    eprintln!("{shown} shown, {lost} lost, {failed} sessions failed");
    assert!(shown > 0 && lost > 0 && failed < variants / 10);
}

/// What became of each access unit; `None` if the session failed, because a parameter set came to
/// describe what cannot be decoded.
fn decode_damaged(decoder: &mut dyn Decoder, units: &[Vec<u8>]) -> Option<Vec<(vs_codec::FrameTag, bool)>> {
    let mut outputs = Vec::new();
    let mut receive = |decoder: &mut dyn Decoder| {
        loop {
            match decoder.receive().unwrap() {
                Output::Done(picture) => outputs.push((picture.tag, true)),
                Output::Lost(tag, _) => outputs.push((tag, false)),
                Output::Pending | Output::Drained => break,
            }
        }
    };
    for (serial, unit) in (0..).zip(units) {
        match decoder.submit(&Arc::from(&unit[..]), tag(serial)) {
            Ok(()) => receive(decoder),
            Err(SubmitError::Backend(_)) => return None,
            Err(error) => panic!("{error}"),
        }
    }
    decoder.drain().unwrap();
    receive(decoder);
    Some(outputs)
}
