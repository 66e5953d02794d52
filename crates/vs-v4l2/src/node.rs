// SPDX-License-Identifier: Apache-2.0
//! Opening a device node, and saying plainly why it cannot be opened.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::sys::{self, Capability};

/// Why nothing could be learnt from a device node.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NodeError {
    /// The user of this process may not open it.
    #[error("no permission to open {}: {}", devnode.display(), remedy(group.as_deref()))]
    Permission {
        /// The node.
        devnode: PathBuf,
        /// The group that may, where there is one.
        group: Option<String>,
    },
    /// Another process has it.
    #[error("{0} is held by another process: find it with 'fuser -v {0}' and stop it", devnode.display())]
    Busy {
        /// The node.
        devnode: PathBuf,
    },
    /// It is not there, or not any more.
    #[error("{} is not there: the device is not plugged in, or its driver is not bound", devnode.display())]
    Gone {
        /// The node.
        devnode: PathBuf,
    },
    /// Something else than a V4L2 device.
    #[error("{} is not a V4L2 device: name a node such as /dev/video0", devnode.display())]
    NotV4l2 {
        /// The node.
        devnode: PathBuf,
    },
    /// Its driver does not come back.
    #[error("{} does not answer: its driver hangs; unplug it, or restart the machine", devnode.display())]
    Hangs {
        /// The node.
        devnode: PathBuf,
    },
    /// Whatever else the system said.
    #[error("cannot {action} {}: {source}; the kernel log (dmesg) may say more", devnode.display())]
    Other {
        /// What was tried.
        action: &'static str,
        /// The node.
        devnode: PathBuf,
        /// The system's word.
        source: Errno,
    },
}

fn remedy(group: Option<&str>) -> String {
    match group {
        Some(group) => format!("add the user that runs this to group '{group}'"),
        None => "its mode lets no group in; a udev rule can give it to group 'video'".to_owned(),
    }
}

impl NodeError {
    pub(crate) fn new(action: &'static str, devnode: &Path, errno: Errno) -> Self {
        let devnode = devnode.to_owned();
        match errno {
            Errno::ACCESS | Errno::PERM => {
                let group = group_with_access(&devnode);
                Self::Permission { devnode, group }
            }
            Errno::BUSY => Self::Busy { devnode },
            Errno::NOENT | Errno::NODEV | Errno::NXIO => Self::Gone { devnode },
            Errno::NOTTY => Self::NotV4l2 { devnode },
            source => Self::Other { action, devnode, source },
        }
    }
}

/// The name (or number) of the group that may read and write a node.
fn group_with_access(devnode: &Path) -> Option<String> {
    let stat = rustix::fs::stat(devnode).ok()?;
    let both = Mode::RGRP | Mode::WGRP;
    if !Mode::from_raw_mode(stat.st_mode).contains(both) {
        return None;
    }
    let name = Group::from_gid(Gid::from_raw(stat.st_gid)).ok().flatten().map(|group| group.name);
    Some(name.unwrap_or_else(|| stat.st_gid.to_string()))
}

/// Opens a node without blocking, and asks what it is.
pub(crate) fn open(devnode: &Path) -> Result<(OwnedFd, Capability), NodeError> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let fd = rustix::fs::open(devnode, flags, Mode::empty()).map_err(|e| NodeError::new("open", devnode, e))?;
    let capability = sys::capability(fd.as_fd()).map_err(|e| NodeError::new("ask the capabilities of", devnode, e))?;
    Ok((fd, capability))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_name() {
        let error = |path: &str| open(Path::new(path)).err().unwrap();
        assert!(matches!(error("/dev/null"), NodeError::NotV4l2 { .. }));
        assert!(matches!(error("/dev/video-that-is-not-there"), NodeError::Gone { .. }));
        assert!(matches!(error("/"), NodeError::Other { action: "open", .. }));
        let busy = NodeError::new("open", Path::new("/dev/video3"), Errno::BUSY).to_string();
        assert_eq!(busy, "/dev/video3 is held by another process: find it with 'fuser -v /dev/video3' and stop it");
    }

    #[test]
    fn a_missing_permission_names_the_group() {
        // Everyone may write to /dev/null, so its group may.
        let error = NodeError::new("open", Path::new("/dev/null"), Errno::ACCESS).to_string();
        assert!(error.ends_with("add the user that runs this to group 'root'"), "{error}");
        let hidden = NodeError::new("open", Path::new("/nowhere"), Errno::ACCESS).to_string();
        assert!(hidden.contains("udev rule"), "{hidden}");
    }
}
