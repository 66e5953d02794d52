// SPDX-License-Identifier: Apache-2.0
//! The sides that are compared.

pub mod bare;
pub mod host;

use serde::Serialize;

/// Who publishes, and how its clients receive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// System calls, and nothing else.
    Bare,
    /// Our host; each frame comes with a lease, which the client gives back.
    Leased,
    /// Our host; clients are told of frames.
    Notify,
}

impl Side {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Leased => "leased",
            Self::Notify => "notify",
        }
    }
}
