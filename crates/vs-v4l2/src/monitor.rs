// SPDX-License-Identifier: Apache-2.0
//! When nodes come and go: udev's events.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::PathBuf;

use udev::{EventType, MonitorBuilder, MonitorSocket};

use crate::discovery::{DiscoverError, SUBSYSTEM};

/// Something happened to a V4L2 node. What there is now, [`nodes`](crate::nodes) tells: events
/// can be lost when they come too fast, the list in sysfs cannot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeEvent {
    /// Its folder in sysfs.
    pub sysfs: PathBuf,
    /// Whether it has just come, and is another one than a node that was there before.
    pub added: bool,
}

/// Listens to udev. Readable when there is an event; never blocks.
pub struct Monitor {
    socket: MonitorSocket,
}

impl Monitor {
    /// Begins to listen: what comes from now on is heard.
    ///
    /// # Errors
    /// [`DiscoverError`] if the system has no socket for it.
    pub fn new() -> Result<Self, DiscoverError> {
        let socket = MonitorBuilder::new()?.match_subsystem(SUBSYSTEM)?.listen()?;
        Ok(Self { socket })
    }

    /// The events that have come.
    pub fn events(&self) -> impl Iterator<Item = NodeEvent> + '_ {
        self.socket.iter().map(|event| {
            let added = matches!(event.event_type(), EventType::Add | EventType::Bind);
            NodeEvent { sysfs: event.syspath().to_owned(), added }
        })
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Monitor {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("fd", &self.socket.as_raw_fd()).finish()
    }
}
