// SPDX-License-Identifier: Apache-2.0
//! Why a file is not played.

use vs_mux::read::OpenMovieError;

use super::spec::Clip;

/// What kind of trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// There is no such file, which may change.
    Missing,
    /// It cannot be read, or is not what it seems to be.
    File,
    /// Nobody here can decode what is in it.
    Format,
}

/// Why a file is not played, in words.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// What kind of trouble it is.
    pub trouble: Trouble,
    /// The file and the reason.
    pub text: String,
}

impl Refusal {
    fn new(trouble: Trouble, clip: &Clip, why: impl std::fmt::Display) -> Self {
        Self { trouble, text: format!("cannot play {clip}: {why}") }
    }

    /// The file cannot be opened.
    pub fn unopened(clip: &Clip, error: &std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::NotFound {
            return Self { trouble: Trouble::Missing, text: format!("there is no file {clip}") };
        }
        Self::file(clip, error)
    }

    /// The file is no good.
    pub fn file(clip: &Clip, why: impl std::fmt::Display) -> Self {
        Self::new(Trouble::File, clip, why)
    }

    /// Nobody decodes it.
    pub fn format(clip: &Clip, why: impl std::fmt::Display) -> Self {
        Self::new(Trouble::Format, clip, why)
    }

    /// It is not a movie that can be read.
    pub fn movie(clip: &Clip, error: &OpenMovieError) -> Self {
        let trouble = match error {
            OpenMovieError::NoVideo { .. }
            | OpenMovieError::Codec { .. }
            | OpenMovieError::Encrypted { .. }
            | OpenMovieError::Edits => Trouble::Format,
            _ => Trouble::File,
        };
        Self::new(trouble, clip, error)
    }
}
