// SPDX-License-Identifier: Apache-2.0
//! What a device says beside its buffers.

/// An event of a V4L2 device (kernel doc, "VIDIOC_DQEVENT"), as far as anyone here acts on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// What comes in has changed: a new resolution, a cable plugged in or out. The stream is
    /// to be stopped and opened anew.
    SourceChange {
        /// `V4L2_EVENT_SRC_CH_*`; bit 0 is the resolution.
        changes: u32,
    },
    /// Nothing more will come.
    EndOfStream,
    /// A control has another value, or another range.
    Control {
        /// The control (`V4L2_CID_*`).
        id: u32,
        /// `V4L2_EVENT_CTRL_CH_*`: bit 0 value, 1 flags, 2 range.
        changes: u32,
        /// The value now; of string and compound controls, 0.
        value: i64,
    },
    /// Any other event, by its type.
    Other {
        /// `V4L2_EVENT_*`.
        kind: u32,
    },
}
