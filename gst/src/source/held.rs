// SPDX-License-Identifier: Apache-2.0
//! A frame that the host keeps for this element, by whichever protocol it came.

use std::sync::Arc;

use vsclient::publish::FrameFlags;
use vsclient::{Buffer, Format, FrameMeta, FrameView, MapError};

/// Frames stay as they are until the last clone is dropped, which tells the host.
#[derive(Debug, Clone)]
pub enum Held {
    /// With a lease, which may be taken back.
    Leased(vsclient::Frame),
    /// Locked at an ancestor's host, which cannot say that it has taken it back.
    Locked {
        /// Its number at the host.
        serial: u64,
        /// Gives the lock back.
        frame: vsclient::publish::Frame,
    },
}

impl Held {
    /// Number of the frame at its host.
    pub fn serial(&self) -> u64 {
        match self {
            Self::Leased(frame) => frame.serial(),
            Self::Locked { serial, .. } => *serial,
        }
    }

    /// The memory it lies in.
    pub fn buffer(&self) -> &Arc<Buffer> {
        match self {
            Self::Leased(frame) => frame.buffer(),
            Self::Locked { frame, .. } => frame.buffer(),
        }
    }

    /// How its bytes are laid out.
    pub fn format(&self) -> &Arc<Format> {
        match self {
            Self::Leased(frame) => frame.format(),
            Self::Locked { frame, .. } => frame.format(),
        }
    }

    /// Times, payload, flags.
    pub fn meta(&self) -> &FrameMeta {
        match self {
            Self::Leased(frame) => frame.meta(),
            Self::Locked { frame, .. } => frame.meta(),
        }
    }

    /// Whether frames before it did not come.
    pub fn follows_a_gap(&self) -> bool {
        let skipped = match self {
            Self::Leased(frame) => frame.skipped().total() > 0,
            Self::Locked { .. } => false,
        };
        skipped || self.meta().flags.contains(FrameFlags::GAP)
    }

    /// Reads it with the CPU.
    ///
    /// # Errors
    /// [`MapError`] if it cannot be mapped, or was taken back before `read` was done, as far as the host says.
    pub fn read<T>(&self, read: impl FnOnce(&FrameView<'_>) -> T) -> Result<T, MapError> {
        match self {
            Self::Leased(frame) => frame.read(read),
            Self::Locked { frame, .. } => Ok(read(&frame.map()?)),
        }
    }
}
