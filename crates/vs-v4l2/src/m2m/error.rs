// SPDX-License-Identifier: Apache-2.0
//! What can go wrong with a session, by what was being tried.

use std::path::PathBuf;

use rustix::io::Errno;
use vs_frame::{FourCc, MemoryError};

use super::session::Input;
use crate::capture::layout::LayoutError;
use crate::node::NodeError;

/// Why a session cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenSessionError {
    /// Its node cannot be opened, or does not answer.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// It is no mem2mem device.
    #[error("{} is not an encoder, decoder or converter", .0.display())]
    NotMem2Mem(PathBuf),
    /// All of its sessions are in use.
    #[error("all sessions of {} are in use: close one, or use another codec", .0.display())]
    Busy(PathBuf),
    /// It has no memory for buffers.
    #[error("{} has no memory for its buffers: use fewer or smaller ones, or give the kernel more CMA", .0.display())]
    NoMemory(PathBuf),
    /// It does not know the format.
    #[error("{} does not {direction} {wanted}; it knows {}", devnode.display(), list(offered))]
    NotOffered {
        /// The node.
        devnode: PathBuf,
        /// "take" or "give".
        direction: &'static str,
        /// What was asked for.
        wanted: FourCc,
        /// What there is.
        offered: Vec<FourCc>,
    },
    /// It cannot work with pictures of that size.
    #[error("{} does not take pictures of {}x{}; the nearest that it does is {}x{}", devnode.display(), wanted.0, wanted.1, got.0, got.1)]
    Size {
        /// The node.
        devnode: PathBuf,
        /// Width and height asked for.
        wanted: (u32, u32),
        /// Width and height that the driver set.
        got: (u32, u32),
    },
    /// The driver describes buffers that cannot be.
    #[error("the driver of {} describes its format wrongly: {source}; try another format or size", devnode.display())]
    Layout {
        /// The node.
        devnode: PathBuf,
        /// What is wrong.
        source: LayoutError,
    },
    /// Its buffers cannot be used.
    #[error("a buffer exported by {} is unusable: {source}", devnode.display())]
    Memory {
        /// The node.
        devnode: PathBuf,
        /// What is wrong.
        source: MemoryError,
    },
    /// The driver refused something.
    #[error("cannot {action} ({}): {source}; the kernel log (dmesg) may say more", devnode.display())]
    Refused {
        /// What was tried.
        action: &'static str,
        /// The node.
        devnode: PathBuf,
        /// The system's word.
        source: Errno,
    },
    /// The system gave no descriptor to wait on.
    #[error("cannot make a descriptor to wait on: {0}; this process may have too many open")]
    Waker(#[source] Errno),
}

fn list(offered: &[FourCc]) -> String {
    match offered {
        [] => "nothing".to_owned(),
        some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// Why an input was not taken. It comes back with the error.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// As many wait as the driver has buffers: take what the session delivers, and try again.
    #[error("the device has as many inputs as it can take: wait until it has room")]
    Full(Input),
    /// The session has failed; open another one.
    #[error("the session has failed: open another one")]
    Failed(Input),
}
