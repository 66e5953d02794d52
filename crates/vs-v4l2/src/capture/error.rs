// SPDX-License-Identifier: Apache-2.0
//! What can go wrong with a camera, by what was being tried.

use std::path::{Path, PathBuf};

use rustix::io::Errno;
use vs_frame::{FourCc, MemoryError};

use super::layout::LayoutError;
use crate::node::NodeError;

/// Why a camera cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its node cannot be opened, or the driver refuses a basic request.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The node belongs to another device now.
    #[error("{} belongs to another device now, at {bus}", devnode.display())]
    Another {
        /// The node.
        devnode: PathBuf,
        /// Where that one sits, in its driver's words.
        bus: String,
    },
    /// It is a V4L2 device, but not one that delivers pictures.
    #[error("{} is not a camera: it delivers no pictures", devnode.display())]
    NotACamera {
        /// The node.
        devnode: PathBuf,
    },
    /// The pixel format asked for is not in the driver's list.
    #[error("{} does not offer {wanted}; it offers {}", devnode.display(), list(offered))]
    NotOffered {
        /// The node.
        devnode: PathBuf,
        /// What was asked for.
        wanted: FourCc,
        /// What there is.
        offered: Vec<FourCc>,
    },
    /// The driver describes a picture that cannot be.
    #[error("the driver of {} describes its format wrongly: {source}; try another format or size", devnode.display())]
    Layout {
        /// The node.
        devnode: PathBuf,
        /// What is wrong.
        source: LayoutError,
    },
    /// Nothing comes in at its input.
    #[error("{} has no signal: plug a source in, or wake the one that is", devnode.display())]
    NoSignal {
        /// The node.
        devnode: PathBuf,
    },
    /// What comes in is too much for its hardware.
    #[error("{} gets a signal that it cannot receive: set the source to another resolution or rate", devnode.display())]
    Signal {
        /// The node.
        devnode: PathBuf,
    },
    /// The driver has no memory for its buffers.
    #[error(
        "{} has no memory for {buffers} buffers of {bytes} bytes: use fewer or smaller ones, or give the kernel more CMA",
        devnode.display()
    )]
    NoMemory {
        /// The node.
        devnode: PathBuf,
        /// How many were asked for.
        buffers: u32,
        /// Bytes of each.
        bytes: u64,
    },
    /// The driver cannot share its buffers.
    #[error("{} cannot export its buffers as DmaBufs: {source}; its driver must support VIDIOC_EXPBUF", devnode.display())]
    Export {
        /// The node.
        devnode: PathBuf,
        /// The system's word.
        source: Errno,
    },
    /// An exported buffer is not usable.
    #[error("a buffer exported by {} is unusable: {source}", devnode.display())]
    Memory {
        /// The node.
        devnode: PathBuf,
        /// What is wrong.
        source: MemoryError,
    },
}

fn list(offered: &[FourCc]) -> String {
    match offered {
        [] => "nothing".to_owned(),
        some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// Why a camera has no more buffers.
#[derive(Debug, thiserror::Error)]
pub enum GrowError {
    /// The driver has no memory.
    #[error("{} has no memory for one more buffer of {bytes} bytes: give the kernel more CMA, or allow fewer spares", devnode.display())]
    NoMemory {
        /// The node.
        devnode: PathBuf,
        /// Bytes of it.
        bytes: u64,
    },
    /// The driver does not make one.
    #[error("the driver of {} makes no further buffer: {source}", devnode.display())]
    Refused {
        /// The node.
        devnode: PathBuf,
        /// The system's word.
        source: Errno,
    },
    /// The driver made one of another size.
    #[error("the driver of {} made a further buffer of another size: its format has changed", devnode.display())]
    Unlike {
        /// The node.
        devnode: PathBuf,
    },
    /// It cannot be exported.
    #[error(transparent)]
    Export(#[from] OpenError),
}

/// Why a camera does not begin to stream.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StartError {
    /// It was unplugged, or its driver unbound.
    #[error("cannot start {}: the camera is gone", .0.display())]
    Gone(PathBuf),
    /// Another process streams from the same hardware.
    #[error("cannot start {path}: its hardware is busy; find the process with 'fuser -v {path}' and stop it", path = .0.display())]
    Busy(PathBuf),
    /// The bus cannot carry this stream beside what it carries already.
    #[error(
        "cannot start {}: not enough USB bandwidth; use another port, a smaller size, a lower rate, or MJPG",
        .0.display()
    )]
    Bandwidth(PathBuf),
    /// The parts of the capture pipeline do not fit together.
    #[error(
        "cannot start {}: its capture pipeline is not linked or its formats do not match ({source}); set it up with media-ctl",
        devnode.display()
    )]
    Pipeline {
        /// The node.
        devnode: PathBuf,
        /// `EPIPE` (formats) or `ENOLINK` (links).
        source: Errno,
    },
    /// The driver refuses every buffer.
    #[error("cannot start {}: its driver takes no buffer ({source}); close the camera and open it again", devnode.display())]
    NoBuffer {
        /// The node.
        devnode: PathBuf,
        /// Why the last one was refused.
        source: Errno,
    },
    /// Whatever else the driver said.
    #[error("cannot start {}: {source}; the kernel log (dmesg) may say more", devnode.display())]
    Other {
        /// The node.
        devnode: PathBuf,
        /// The system's word.
        source: Errno,
    },
}

impl StartError {
    pub(super) fn new(devnode: &Path, errno: Errno) -> Self {
        let devnode = devnode.to_owned();
        match errno {
            Errno::NODEV | Errno::NXIO => Self::Gone(devnode),
            Errno::BUSY => Self::Busy(devnode),
            Errno::NOSPC => Self::Bandwidth(devnode),
            source @ (Errno::PIPE | Errno::NOLINK) => Self::Pipeline { devnode, source },
            source => Self::Other { devnode, source },
        }
    }
}

/// Why no frame can be had from a camera.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CaptureError {
    /// It was unplugged, or its driver unbound. Close it.
    #[error("{} is gone: the camera was unplugged or its driver unbound", .0.display())]
    Gone(PathBuf),
    /// The driver has given up (`EIO`). Stopping and starting again may help.
    #[error("the driver of {} reports a fatal error while streaming; the camera must be stopped and started", .0.display())]
    Failed(PathBuf),
    /// The driver has delivered its last buffer (`EPIPE`).
    #[error("{} has ended its stream; the camera must be stopped and started", .0.display())]
    Ended(PathBuf),
    /// It is not started.
    #[error("{} is not streaming: start the camera first", .0.display())]
    Stopped(PathBuf),
    /// Whatever else the driver said.
    #[error("cannot get a frame from {}: {source}; the camera must be stopped and started", devnode.display())]
    Other {
        /// The node.
        devnode: PathBuf,
        /// The system's word.
        source: Errno,
    },
}

impl CaptureError {
    pub(super) fn new(devnode: &Path, errno: Errno) -> Self {
        let devnode = devnode.to_owned();
        match errno {
            Errno::NODEV | Errno::NXIO => Self::Gone(devnode),
            Errno::IO => Self::Failed(devnode),
            Errno::PIPE => Self::Ended(devnode),
            source => Self::Other { devnode, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_that_is_not_offered_names_those_that_are() {
        let devnode = PathBuf::from("/dev/video0");
        let offered = vec![FourCc::YUYV, FourCc::MJPEG];
        let error = OpenError::NotOffered { devnode, wanted: FourCc::NV12, offered };
        assert_eq!(error.to_string(), "/dev/video0 does not offer NV12; it offers YUYV, MJPG");
    }

    #[test]
    fn what_ends_a_stream_is_told_apart() {
        let error = |errno| CaptureError::new(Path::new("/dev/video0"), errno);
        assert!(matches!(error(Errno::NODEV), CaptureError::Gone(_)));
        assert!(matches!(error(Errno::IO), CaptureError::Failed(_)));
        assert!(matches!(error(Errno::PIPE), CaptureError::Ended(_)));
        assert!(matches!(error(Errno::INVAL), CaptureError::Other { .. }));
        assert!(matches!(StartError::new(Path::new("/dev/video0"), Errno::NOSPC), StartError::Bandwidth(_)));
    }
}
