// SPDX-License-Identifier: Apache-2.0
//! The files of a recording in segments: their names, and one that always waits.
//!
//! The daemon goes on in the file that it has been passed. As soon as it does, that file gets its name here, and the next
//! one is passed. Between the two moments it has none: if this program is killed in between, what that file holds is lost
//! with it. In exchange nothing is left behind by a file that was never begun.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use vsclient::dbus::{AddFileOptions, CallError, RecordingProxy};

use super::output_file::{OpenError, OutputFile};
use crate::daemon;
use crate::output::Output;

/// Names that may be taken already when a file wants one: beyond, something else is wrong.
const ATTEMPTS: u32 = 10_000;

/// Names by number, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// What the first file is called if it has no number.
    first: Option<PathBuf>,
    before: PathBuf,
    digits: usize,
    after: String,
    number: u64,
}

impl Names {
    /// Each has its number: where the name has `%d` or `%03d`, or else in front of its extension, with three digits.
    pub fn numbered(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match place_of_number(&name) {
            Some((before, digits, after)) => {
                Self { first: None, before: path.with_file_name(before), digits, after: after.to_owned(), number: 0 }
            }
            None => Self { first: None, digits: 3, ..Self::further(path) },
        }
    }

    /// This one, and `-2`, `-3`… for those that follow.
    pub fn further(path: &Path) -> Self {
        let mut before = path.file_stem().unwrap_or_default().to_owned();
        before.push("-");
        let after = path.extension().map(|extension| format!(".{}", extension.to_string_lossy())).unwrap_or_default();
        Self { first: Some(path.to_owned()), before: path.with_file_name(before), digits: 1, after, number: 0 }
    }

    /// The next one.
    pub fn take(&mut self) -> PathBuf {
        self.number += 1;
        if let Some(first) = self.first.take() {
            return first;
        }
        let mut name = self.before.clone().into_os_string();
        name.push(format!("{:0digits$}{}", self.number, self.after, digits = self.digits));
        name.into()
    }
}

/// What is in front of a number in the style of printf(3), how many digits it has at least, and what follows.
fn place_of_number(name: &str) -> Option<(&str, usize, &str)> {
    name.match_indices('%').find_map(|(at, _)| {
        let (width, after) = name[at + 1..].split_once('d')?;
        let digits = match width {
            "" => 1,
            // No number has more.
            _ => width.strip_prefix('0')?.parse().ok().filter(|digits| (1..=20).contains(digits))?,
        };
        Some((&name[..at], digits, after))
    })
}

/// The files of one recording of the daemon.
#[derive(Debug)]
pub struct Series<'a> {
    names: &'a mut Names,
    force: bool,
    /// The file that is written.
    current: OutputFile,
    /// The file that has been passed and waits.
    spare: Option<OutputFile>,
    /// Number of the file that is written.
    begun: u64,
    /// Those that are not finished, in their order, the last one being written.
    unfinished: VecDeque<PathBuf>,
}

impl<'a> Series<'a> {
    /// The recording has begun in this file.
    pub fn new(names: &'a mut Names, force: bool, first: OutputFile) -> Self {
        let unfinished = VecDeque::from([first.path().to_owned()]);
        Self { names, force, current: first, spare: None, begun: 1, unfinished }
    }

    /// The file that is written.
    pub fn current(&self) -> &OutputFile {
        &self.current
    }

    /// Passes the next file. If that does not work, the recording goes on in the file that it has.
    pub async fn pass_spare(&mut self, recording: &RecordingProxy<'_>, output: &Output) {
        let error = match self.create_spare() {
            Ok(spare) => {
                let options = AddFileOptions { title: Some(spare.path().display().to_string()) };
                match daemon::call(recording.add_file(spare.file.as_fd().into(), &options)).await {
                    Ok(()) => return self.spare = Some(spare),
                    // It has just ended.
                    Err(CallError::NotRunning(_)) => return spare.discard(),
                    Err(error) => {
                        spare.discard();
                        error.to_string()
                    }
                }
            }
            Err(error) => error.to_string(),
        };
        output.note(&format!("going on in {}: {error}", self.current.path().display()));
    }

    fn create_spare(&mut self) -> Result<OutputFile, OpenError> {
        let mut spare = OutputFile::spare(&self.names.take(), self.force);
        for _ in 0..ATTEMPTS {
            let Err(OpenError::Exists(_)) = spare else { break };
            spare = OutputFile::spare(&self.names.take(), self.force);
        }
        spare
    }

    /// The recording has begun so many files. Whether another one is to be passed.
    pub fn begun(&mut self, files: u64, output: &Output) -> bool {
        if files <= self.begun {
            return false;
        }
        let Some(mut spare) = self.spare.take() else { return false };
        self.begun = files;
        if let Err(error) = self.keep(&mut spare) {
            output.note(&format!("a file of the recording has no name, and will be lost: {error}"));
        }
        self.unfinished.push_back(spare.path().to_owned());
        self.current = spare;
        true
    }

    /// Gives a file its name, or the next one if somebody has taken that meanwhile.
    fn keep(&mut self, file: &mut OutputFile) -> Result<(), OpenError> {
        let mut kept = file.keep();
        for _ in 0..ATTEMPTS {
            let Err(OpenError::Exists(_)) = kept else { break };
            file.set_path(self.names.take());
            kept = file.keep();
        }
        kept
    }

    /// The oldest file that is not finished is. Its name.
    pub fn finished(&mut self) -> PathBuf {
        self.unfinished.pop_front().unwrap_or_default()
    }
}

impl Drop for Series<'_> {
    /// Nobody needs the spare any more.
    fn drop(&mut self) {
        if let Some(spare) = self.spare.take() {
            spare.discard();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_two(mut names: Names) -> [String; 2] {
        [names.take(), names.take()].map(|name| name.display().to_string())
    }

    #[test]
    fn segments_are_numbered() {
        for (path, names) in [
            ("out.mp4", ["out-001.mp4", "out-002.mp4"]),
            ("a/%d.mp4", ["a/1.mp4", "a/2.mp4"]),
            ("/v/100%-%05d-x.mp4", ["/v/100%-00001-x.mp4", "/v/100%-00002-x.mp4"]),
            ("%5d%s.mp4", ["%5d%s-001.mp4", "%5d%s-002.mp4"]),
            ("out", ["out-001", "out-002"]),
        ] {
            assert_eq!(first_two(Names::numbered(Path::new(path))), names);
        }
    }

    #[test]
    fn further_files_lie_beside_the_first() {
        for (path, names) in [
            ("a/out.mp4", ["a/out.mp4", "a/out-2.mp4"]),
            ("out", ["out", "out-2"]),
            ("/b.c/.mp4", ["/b.c/.mp4", "/b.c/.mp4-2"]),
        ] {
            assert_eq!(first_two(Names::further(Path::new(path))), names);
        }
    }
}
