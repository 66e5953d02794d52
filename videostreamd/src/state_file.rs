// SPDX-License-Identifier: Apache-2.0
//! Files in the state directory: small texts that are replaced as a whole, so that none is torn.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

/// Far longer than anything that is remembered: a file beyond it is not ours.
const SIZE_MAX: u64 = 1 << 20;

/// The file's text; `None` if there is none.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut text = String::new();
    file.take(SIZE_MAX).read_to_string(&mut text)?;
    Ok(Some(text))
}

/// Replaces the file, and makes its directory if that is missing. Waits for the disk.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir)?;
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    // Before the name points to it: a power cut leaves the old text or the new one.
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(dir)?.sync_all()
}
