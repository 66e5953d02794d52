// SPDX-License-Identifier: Apache-2.0
//! Which of V4L2's two buffer APIs a node speaks.

use v4l2r::QueueType;
use v4l2r::ioctl::Capabilities;

/// Single- or multi-planar API (kernel doc, "Single- and multi-planar APIs"). Says nothing
/// about the pixel format: NV12 can come through either.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Planar {
    /// Each buffer is one memory.
    Single,
    /// Each buffer is one or more memories.
    Multi,
}

impl Planar {
    /// The API of a node with these capabilities; `None` if it moves no pictures. A node that
    /// speaks both is taken as multi-planar, the API that can express everything.
    pub(crate) fn of(caps: Capabilities) -> Option<Self> {
        use Capabilities as C;
        let multi = C::VIDEO_CAPTURE_MPLANE | C::VIDEO_OUTPUT_MPLANE | C::VIDEO_M2M_MPLANE;
        let single = C::VIDEO_CAPTURE | C::VIDEO_OUTPUT | C::VIDEO_M2M;
        if caps.intersects(multi) { Some(Self::Multi) } else { caps.intersects(single).then_some(Self::Single) }
    }

    /// The API that a queue belongs to.
    pub(crate) fn of_queue(queue: QueueType) -> Self {
        if queue.is_multiplanar() { Self::Multi } else { Self::Single }
    }

    /// The queue on which the device gives buffers.
    pub(crate) fn capture(self) -> QueueType {
        match self {
            Self::Single => QueueType::VideoCapture,
            Self::Multi => QueueType::VideoCaptureMplane,
        }
    }

    /// The queue on which a mem2mem device takes buffers.
    pub(crate) fn output(self) -> QueueType {
        match self {
            Self::Single => QueueType::VideoOutput,
            Self::Multi => QueueType::VideoOutputMplane,
        }
    }
}
