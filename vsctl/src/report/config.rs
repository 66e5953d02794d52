// SPDX-License-Identifier: Apache-2.0
//! Configuration files, and what was found in them.

use std::path::Path;

use serde::Serialize;
use vsclient::dbus::ReloadInfo;

use crate::output::{Output, Report};

/// All that were looked at.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Checked {
    /// The file that the running daemon has read, whether it existed or not; `null` if none runs.
    pub daemon: Option<String>,
    pub files: Vec<CheckedFile>,
}

/// One of them.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CheckedFile {
    pub file: String,
    /// What is wrong; `null` if nothing is.
    pub wrong: Option<Wrong>,
    /// What the running daemon has otherwise; `null` if none runs, or the file is wrong.
    pub differs: Option<Vec<Difference>>,
}

/// The first thing that the daemon does not accept.
#[derive(Debug, Serialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Wrong {
    /// From 1; `null` if it is the file as a whole.
    pub line: Option<u32>,
    /// From 1, in characters.
    pub column: Option<u32>,
    /// What is wrong and what would be right.
    pub message: String,
}

/// What the daemon has changed with a new configuration.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reloaded {
    pub streams: Changes,
    pub recordings: Changes,
    /// Sections that differ and count from the daemon's next start on: `daemon`, `device.door`.
    pub restart: Vec<String>,
}

/// Names.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Changes {
    pub added: Vec<String>,
    /// They have ended and begun anew.
    pub changed: Vec<String>,
    pub removed: Vec<String>,
}

impl Reloaded {
    pub fn new(info: ReloadInfo) -> Self {
        let streams =
            Changes { added: info.streams_added, changed: info.streams_changed, removed: info.streams_removed };
        let recordings = Changes {
            added: info.recordings_added,
            changed: info.recordings_changed,
            removed: info.recordings_removed,
        };
        Self { streams, recordings, restart: info.restart }
    }
}

impl Changes {
    fn lines(&self, what: &str) -> impl Iterator<Item = String> {
        [("added", &self.added), ("changed", &self.changed), ("removed", &self.removed)]
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(move |(how, names)| format!("{what} {how}: {}\n", names.join(", ")))
    }
}

impl Report for Reloaded {
    fn text(&self, _: &Output) -> String {
        let mut text: String = self.streams.lines("streams").chain(self.recordings.lines("recordings")).collect();
        if !self.restart.is_empty() {
            let sections: Vec<_> = self.restart.iter().map(|section| format!("[{section}]")).collect();
            text += &format!("for the daemon's next start: {}\n", sections.join(", "));
        }
        if text.is_empty() {
            text += "nothing has changed\n";
        }
        text
    }
}

/// A value that is not the same.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Difference {
    /// Its key with those of its tables: `stream.door.size`.
    pub key: String,
    /// What the daemon has, as TOML; `null` if it has no such key.
    pub running: Option<String>,
    /// What the file says.
    pub file: Option<String>,
}

impl Wrong {
    /// What the daemon says of this file: `FILE:LINE:COLUMN: MESSAGE`, or a message alone.
    pub fn new(file: &Path, said: &str) -> Self {
        let place = || {
            let rest = said.strip_prefix(&*file.to_string_lossy())?.strip_prefix(':')?;
            let (line, rest) = rest.split_once(':')?;
            let (column, message) = rest.split_once(": ")?;
            Some((line.parse().ok()?, column.parse().ok()?, message.to_owned()))
        };
        match place() {
            Some((line, column, message)) => Self { line: Some(line), column: Some(column), message },
            None => Self { line: None, column: None, message: said.to_owned() },
        }
    }
}

impl Report for Checked {
    fn text(&self, _: &Output) -> String {
        self.files.iter().map(CheckedFile::text).collect()
    }
}

impl CheckedFile {
    /// What is wrong, and where, in a line.
    pub fn why(&self) -> Option<String> {
        let file = &self.file;
        Some(match self.wrong.as_ref()? {
            Wrong { line: Some(line), column: Some(column), message } => format!("{file}:{line}:{column}: {message}"),
            Wrong { message, .. } => format!("{file}: {message}"),
        })
    }

    fn text(&self) -> String {
        let mut text = self.why().unwrap_or_else(|| format!("{}: right", self.file)) + "\n";
        match self.differs.as_deref() {
            None => {}
            Some([]) => text += "  the running daemon has the same\n",
            Some(differences) => {
                text += "  differs from what the running daemon has; `vsctl config reload` takes it over:\n";
                let width = differences.iter().map(|difference| difference.key.len()).max().unwrap_or_default();
                for Difference { key, running, file } in differences {
                    let say = |value: &Option<String>| value.clone().unwrap_or_else(|| "not there".to_owned());
                    text += &format!("  {key:width$}  {} in the file, {} in the daemon\n", say(file), say(running));
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_read_from_what_the_daemon_says() {
        let file = Path::new("a:b.toml");
        let wrong = Wrong::new(file, "a:b.toml:3:8: '0x0' is too small: at least 1x1");
        assert_eq!((wrong.line, wrong.column), (Some(3), Some(8)));
        assert_eq!(wrong.message, "'0x0' is too small: at least 1x1");
        let wrong = Wrong::new(file, "cannot read the configuration a:b.toml: no");
        assert_eq!((wrong.line, wrong.message.as_str()), (None, "cannot read the configuration a:b.toml: no"));
    }
}
