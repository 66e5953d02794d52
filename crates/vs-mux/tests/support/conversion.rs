// SPDX-License-Identifier: Apache-2.0
//! There and back, and what others say about what lies between.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;

use vs_bitstream::nal_units;
use vs_mux::Codec;
use vs_mux::convert::{ConvertError, Input, Options, Output, Progress, Report, convert};
use vs_mux::mp4::FileSink;

/// Nobody watches.
pub fn go_on(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// `from` as an MP4.
pub fn to_mp4(from: &Path, to: &Path, options: &Options) -> Result<Report, ConvertError> {
    let mut input = File::open(from).unwrap();
    let mut sink = FileSink::new(File::create(to).unwrap()).unwrap();
    convert(Input::File(&mut input), Output::Mp4(&mut sink), options, &mut go_on)
}

/// `from` as a bare stream.
pub fn to_bare(from: &Path, options: &Options) -> Result<(Report, Vec<u8>), ConvertError> {
    let (mut input, mut out) = (File::open(from).unwrap(), Vec::new());
    let report = convert(Input::File(&mut input), Output::AnnexB(&mut out), options, &mut go_on)?;
    Ok((report, out))
}

/// How many pictures GStreamer's `qtdemux` finds and decodes; `None` on a machine without its decoders.
pub fn gstreamer_frames(mp4: &Path, codec: Codec) -> Option<usize> {
    let (parser, decoder) = match codec {
        Codec::H264 => ("h264parse", "avdec_h264"),
        Codec::H265 => ("h265parse", "avdec_h265"),
    };
    let has =
        |element| Command::new("gst-inspect-1.0").args(["--exists", element]).status().is_ok_and(|exit| exit.success());
    if !["qtdemux", parser, decoder].into_iter().all(has) {
        return None;
    }
    let source = format!("location={}", mp4.display());
    let output = Command::new("gst-launch-1.0")
        .args(["-v", "filesrc", &source, "!", "qtdemux", "!", parser, "!", decoder, "!", "fakesink", "silent=false"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {said}{}", mp4.display(), String::from_utf8_lossy(&output.stderr));
    Some(said.lines().filter(|line| line.contains("chain   *******")).count())
}

/// Both ways: the same NAL units, and what is between them.
#[track_caller]
pub fn there_and_back(bare: &Path, options: &Options) -> (Report, PathBuf) {
    let path = bare.with_extension("mp4");
    let report = to_mp4(bare, &path, options).unwrap_or_else(|error| panic!("{}: {error}", bare.display()));
    let (back, stream) = to_bare(&path, &Options::default()).unwrap();
    let original = std::fs::read(bare).unwrap();
    assert!(nal_units(&stream).eq(nal_units(&original)), "{}: other NAL units", bare.display());
    assert_eq!(back.frames, report.frames);
    (report, path)
}
