// SPDX-License-Identifier: Apache-2.0
//! Files that were repaired, or not.

use std::path::Path;

use serde::Serialize;
use vs_mux::repair::{RepairError, Report as Outcome, State};

use crate::output::{Output, Report};
use crate::units;

/// All files, in the order of the command line.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Repairs {
    pub files: Vec<Repaired>,
}

/// What became of a file.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Repaired {
    pub file: String,
    /// `whole`, `repaired`, `unfinished`, `in-use`, `nothing`, `foreign` or `failed`.
    pub state: &'static str,
    /// Why it is not an ordinary MP4 file.
    pub error: Option<String>,
    #[serde(flatten)]
    pub kept: Option<Kept>,
}

/// What is in the file, and what is not any more.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Kept {
    pub frames: u64,
    pub duration_ns: u64,
    pub bytes: u64,
    pub cut_bytes: u64,
    pub lost: Lost,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lost {
    pub frames: u64,
    pub duration_ns: u64,
    pub bytes: u64,
    pub unknown_bytes: u64,
}

impl Repaired {
    /// The outcome of a repair, or only of a `check`.
    pub fn new(path: &Path, outcome: Result<Outcome, RepairError>, check: bool) -> Self {
        let file = path.display().to_string();
        match outcome {
            Ok(outcome) => {
                let state = match outcome.state {
                    State::Whole => "whole",
                    State::Unfinished if check => "unfinished",
                    State::Unfinished => "repaired",
                };
                Self { file, state, error: None, kept: Some(Kept::new(&outcome)) }
            }
            Err(error) => Self { file, state: name(&error), error: Some(error.to_string()), kept: None },
        }
    }

    /// Whether it is an ordinary MP4 file now.
    pub fn is_ordinary(&self) -> bool {
        matches!(self.state, "whole" | "repaired")
    }

    fn line(&self) -> String {
        let (file, state) = (&self.file, self.state);
        match (&self.kept, &self.error) {
            (Some(kept), _) if state == "whole" => format!("{file}: {state}, {}", kept.text()),
            (Some(kept), _) => format!("{file}: {state}, {}; {}", kept.text(), kept.lost.text()),
            (None, error) => format!("{file}: {}", error.as_deref().unwrap_or(state)),
        }
    }
}

fn name(error: &RepairError) -> &'static str {
    match error {
        RepairError::InUse => "in-use",
        RepairError::Nothing { .. } => "nothing",
        RepairError::OthersFragments | RepairError::OthersTorn | RepairError::NotOurs(_) | RepairError::NotAFile => {
            "foreign"
        }
        RepairError::NotWritable | RepairError::Io(_) => "failed",
    }
}

impl Kept {
    fn new(outcome: &Outcome) -> Self {
        let Outcome { frames, duration_ns, bytes, cut_bytes, lost, .. } = *outcome;
        let lost = Lost {
            frames: lost.frames,
            duration_ns: lost.duration_ns.max(0).unsigned_abs(),
            bytes: lost.bytes,
            unknown_bytes: lost.unknown_bytes,
        };
        Self { frames, duration_ns: duration_ns.max(0).unsigned_abs(), bytes, cut_bytes, lost }
    }

    fn text(&self) -> String {
        let (frames, duration) = (units::count(self.frames, "frame"), units::duration(self.duration_ns));
        format!("{frames}, {duration}, {}", units::bytes(self.bytes))
    }
}

impl Lost {
    fn text(&self) -> String {
        let bytes = units::bytes(self.bytes);
        match (self.duration_ns, self.unknown_bytes) {
            (0, 0) if self.bytes == 0 => "nothing in it is lost".to_owned(),
            (0, 1..) => format!("lost {bytes} that nobody can tell the time of"),
            (ns, 0) => format!("lost {} ({bytes})", units::duration(ns)),
            (ns, _) => format!("lost at least {} ({bytes})", units::duration(ns)),
        }
    }
}

impl Report for Repairs {
    fn text(&self, _: &Output) -> String {
        self.files.iter().map(|file| file.line() + "\n").collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_is_said() {
        let text = |duration_ns, bytes, unknown_bytes| Lost { frames: 0, duration_ns, bytes, unknown_bytes }.text();
        assert_eq!(text(0, 0, 0), "nothing in it is lost");
        assert_eq!(text(100_000_000, 12_300, 0), "lost 0.10 s (12.3 kB)");
        assert_eq!(text(100_000_000, 12_300, 5), "lost at least 0.10 s (12.3 kB)");
        assert_eq!(text(0, 4096, 4096), "lost 4.10 kB that nobody can tell the time of");
    }

    #[test]
    fn json_has_one_level_for_each_file() {
        let nothing = Repaired::new(Path::new("a.mp4"), Err(RepairError::Nothing { bytes: 7 }), false);
        let json = serde_json::to_value(Repairs { files: vec![nothing] }).unwrap();
        assert_eq!(json["files"][0]["state"], "nothing");
        assert!(json["files"][0]["error"].as_str().is_some_and(|error| error.contains("7 bytes")));
    }
}
