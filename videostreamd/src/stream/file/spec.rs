// SPDX-License-Identifier: Apache-2.0
//! Which file is played, and how.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use vs_codec::Backend;

/// Where the file comes from.
#[derive(Debug, Clone)]
pub enum Clip {
    /// The configuration names it: it is opened whenever it is needed, and may come later.
    Path(PathBuf),
    /// A client has opened it, with its own rights.
    Handed {
        /// The file.
        file: Arc<File>,
        /// What it is called, for people.
        name: String,
    },
}

impl PartialEq for Clip {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Path(one), Self::Path(other)) => one == other,
            (Self::Handed { file: one, .. }, Self::Handed { file: other, .. }) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Clip {}

impl fmt::Display for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Handed { name, .. } => f.write_str(name),
        }
    }
}

/// Who says when the next picture is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pace {
    /// The file's own times: as a camera would have shown it.
    #[default]
    Realtime,
    /// Whoever looks: when everybody has room for it. Nothing is skipped, and while nobody is there
    /// nothing is published.
    Free,
}

/// Why a text names no pace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a pace: there are realtime and free")]
pub struct ParsePaceError(String);

impl FromStr for Pace {
    type Err = ParsePaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "realtime" => Ok(Self::Realtime),
            "free" => Ok(Self::Free),
            _ => Err(ParsePaceError(text.to_owned())),
        }
    }
}

/// What a stream plays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSpec {
    /// The file.
    pub clip: Clip,
    /// Begins anew at its end.
    pub looped: bool,
    /// When its pictures are published.
    pub pace: Pace,
    /// Who decodes.
    pub backend: Backend,
}
