// SPDX-License-Identifier: Apache-2.0
//! The names of devices, written down so that they are the same after a restart.
//!
//! The file is replaced as a whole, so it is never torn. One that cannot be understood costs the
//! names that were in it and nothing else.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::names::{Place, Remembered};
use crate::state_file;

/// Name of the file in the state directory.
const FILE: &str = "devices.toml";

const HEAD: &str = "# Which device has which name. videostreamd writes this; without it names are given anew.\n\n";

#[derive(Serialize, Deserialize, Default)]
struct Contents {
    #[serde(default)]
    device: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    #[serde(flatten)]
    place: Place,
}

/// The file; without a state directory nothing is written down.
#[derive(Debug)]
pub struct Memory {
    dir: Option<PathBuf>,
    /// As it lies there.
    written: Remembered,
    /// The last attempt to write failed.
    failing: bool,
}

impl Memory {
    /// Reads the file in this directory.
    pub fn open(dir: Option<PathBuf>) -> (Self, Remembered) {
        let written = match dir.as_deref().map(read) {
            None => Remembered::default(),
            Some(Ok(remembered)) => remembered,
            Some(Err(error)) => {
                let dir = dir.as_deref().map(Path::display).map(tracing::field::display);
                tracing::warn!(
                    dir,
                    error = format!("{error:#}"),
                    "cannot read the names of devices: they are given anew"
                );
                Remembered::default()
            }
        };
        (Self { dir, written: written.clone(), failing: false }, written)
    }

    /// Writes the names down if they differ from those in the file.
    pub fn keep(&mut self, remembered: &Remembered) {
        let Some(dir) = self.dir.as_deref().filter(|_| self.written != *remembered) else { return };
        match write(dir, remembered) {
            Ok(()) => {
                self.written = remembered.clone();
                self.failing = false;
            }
            Err(error) => {
                if !self.failing {
                    let dir = dir.display();
                    tracing::warn!(%dir, error = format!("{error:#}"), "cannot write down the names of devices: they may change with the next start");
                }
                self.failing = true;
            }
        }
    }
}

fn read(dir: &Path) -> anyhow::Result<Remembered> {
    let Some(text) = state_file::read(&dir.join(FILE))? else { return Ok(Remembered::default()) };
    let Contents { device } = toml::from_str(&text)?;
    Ok(Remembered::new(device.into_iter().map(|Entry { name, place }| (name, place))))
}

fn write(dir: &Path, remembered: &Remembered) -> anyhow::Result<()> {
    let entry = |(name, place): (&str, &Place)| Entry { name: name.to_owned(), place: place.clone() };
    let text = HEAD.to_owned() + &toml::to_string(&Contents { device: remembered.iter().map(entry).collect() })?;
    Ok(state_file::replace(&dir.join(FILE), &text)?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names() -> Remembered {
        let place = |node: &str| Place { path: "platform-vivid.0".to_owned(), index: 0, node: node.to_owned() };
        Remembered::new([("cam0".to_owned(), place("a \"quoted\" one")), ("cam1".to_owned(), place("b"))])
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let (mut memory, nothing) = Memory::open(Some(state.clone()));
        assert_eq!(nothing, Remembered::default());
        memory.keep(&names());
        assert_eq!(Memory::open(Some(state)).1, names());
    }

    #[test]
    fn a_torn_or_foreign_file_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let (mut memory, _) = Memory::open(Some(dir.path().to_owned()));
        memory.keep(&names());
        let whole = fs::read(dir.path().join(FILE)).unwrap();
        let foreign = [&b"\xff\xfe"[..], b"[[device]]\nname = 7", b"device = 3", b"[[device]]\nname = \"cam0\"\n"];
        let torn = (0..whole.len()).map(|len| &whole[..len]);
        for contents in foreign.into_iter().chain(torn) {
            fs::write(dir.path().join(FILE), contents).unwrap();
            let (mut memory, _) = Memory::open(Some(dir.path().to_owned()));
            memory.keep(&names());
            assert_eq!(Memory::open(Some(dir.path().to_owned())).1, names());
        }
        fs::remove_file(dir.path().join(FILE)).unwrap();
        fs::create_dir(dir.path().join(FILE)).unwrap();
        let (mut memory, nothing) = Memory::open(Some(dir.path().to_owned()));
        memory.keep(&names());
        assert_eq!(nothing, Remembered::default());
    }
}
