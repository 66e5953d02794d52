// SPDX-License-Identifier: Apache-2.0
//! Why a recording ends, and why it need not.

use std::io::{self, ErrorKind};

use vs_mux::mp4::{IoFailure, WriteError};

use super::{Counts, EndReason};

/// Why it ends.
pub(super) struct End {
    pub(super) reason: EndReason,
    pub(super) error: Option<anyhow::Error>,
}

impl From<EndReason> for End {
    fn from(reason: EndReason) -> Self {
        Self { reason, error: None }
    }
}

impl From<anyhow::Error> for End {
    fn from(error: anyhow::Error) -> Self {
        let reason = if is_full(&error) { EndReason::DiskFull } else { EndReason::Failed };
        Self { reason, error: Some(error) }
    }
}

impl From<WriteError> for End {
    fn from(error: WriteError) -> Self {
        anyhow::Error::from(error).into()
    }
}

/// What to say of a recording that has failed: what there is of it all the same.
pub(super) fn kept(counts: &Counts) -> String {
    if counts.frames == 0 {
        return String::new();
    }
    let seconds = counts.duration_ns as f64 / 1e9;
    format!(
        "; what came before it was kept and plays: {seconds:.1} s, {} frames, {} bytes",
        counts.frames, counts.bytes
    )
}

/// Whether the same access unit can begin another file.
pub(super) fn wants_another_file(error: &WriteError) -> bool {
    match error {
        WriteError::ParameterSetsChanged | WriteError::Full { .. } | WriteError::GapTooLong { .. } => true,
        WriteError::Io(failure) => failure.source.kind() == ErrorKind::FileTooLarge,
        _ => false,
    }
}

/// Whether there is no room for more: on the disk, within the quota, or in a file of this size.
fn is_full(error: &anyhow::Error) -> bool {
    use ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let kind = |cause: &(dyn std::error::Error + 'static)| {
        let failure = match cause.downcast_ref::<WriteError>() {
            Some(WriteError::Io(failure)) => Some(failure),
            _ => cause.downcast_ref::<IoFailure>(),
        };
        failure.map(|failure| &failure.source).or_else(|| cause.downcast_ref()).map(io::Error::kind)
    };
    error.chain().filter_map(kind).any(|kind| matches!(kind, StorageFull | QuotaExceeded | FileTooLarge))
}
