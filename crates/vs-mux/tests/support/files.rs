// SPDX-License-Identifier: Apache-2.0
//! Files that ffmpeg made, and what is in them by our reader and by ffmpeg's decoder.

use std::fs::File;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vs_mux::read::{Movie, TrackCodec, Unit};

use super::{Succeed, ffmpeg};

/// A file that ffmpeg makes of its test picture.
pub fn make(folder: &TempDir, name: &str, input: &str, options: &str) -> PathBuf {
    let path = folder.path().join(name);
    let mut command = ffmpeg();
    command.args(["-f", "lavfi", "-i", &format!("testsrc2={input}")]);
    command.args(options.split_whitespace());
    if options.contains("libx265") && !options.contains("x265-params") {
        command.args(["-x265-params", "log-level=none"]);
    }
    command.arg(&path).succeed();
    path
}

/// The same frames in another file.
pub fn remux(from: &Path, name: &str, before: &str, after: &str) -> PathBuf {
    let path = from.with_file_name(name);
    let mut command = ffmpeg();
    command.args(before.split_whitespace()).arg("-i").arg(from).args(["-map", "0:v", "-c", "copy"]);
    command.args(after.split_whitespace()).arg(&path).succeed();
    path
}

pub fn open(path: &Path) -> Movie<File> {
    Movie::open(File::open(path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn all(movie: &mut Movie<File>) -> Vec<Unit> {
    std::iter::from_fn(|| movie.next_unit().unwrap()).collect()
}

/// Checksums of the decoded pictures, in the order they are shown.
pub fn pictures(path: &Path) -> Vec<String> {
    let mut command = ffmpeg();
    command.args(["-v", "error", "-noautorotate", "-i"]).arg(path).args(["-map", "0:v:0", "-fps_mode", "passthrough"]);
    let output = command.args(["-f", "framemd5", "-"]).succeed();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit(',').next().unwrap().trim().to_owned()).collect()
}

/// What is read decodes to the same pictures.
pub fn assert_same_pictures(path: &Path, movie: &Movie<File>, units: &[Unit]) {
    let bare = path.with_extension(if movie.track().codec == TrackCodec::H264 { "264" } else { "265" });
    std::fs::write(&bare, units.iter().flat_map(|unit| unit.data.clone()).collect::<Vec<u8>>()).unwrap();
    let (read, original) = (pictures(&bare), pictures(path));
    assert!(!original.is_empty());
    assert_eq!(read, original, "{}", path.display());
}
