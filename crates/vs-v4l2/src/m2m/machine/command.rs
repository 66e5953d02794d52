// SPDX-License-Identifier: Apache-2.0
//! The words between a state machine and whoever carries out its commands.

use rustix::io::Errno;

use crate::event::Event;

/// One of the two queues of a mem2mem device, in the kernel's words: OUTPUT is what the
/// device takes, CAPTURE what it gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Output,
    Capture,
}

/// What is to be done next. Each command is carried out at once and answered once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Command {
    /// Opens the node and subscribes to its events.
    Open,
    /// Closes it, whatever state it is in.
    Close,
    /// Agrees on the format of a queue; of a decoder's CAPTURE, learns it.
    Configure(Side),
    /// Has so many buffers made; 0 gives all back.
    Allocate(Side, u32),
    StreamOn(Side),
    /// Stops a queue; the driver gives up every buffer of it.
    StreamOff(Side),
    /// Gives the driver what is first in line.
    QueueOutput {
        index: u32,
        stamp: u64,
    },
    QueueCapture {
        index: u32,
    },
    DequeueOutput,
    DequeueCapture,
    DequeueEvent,
    /// Begins a drain (`V4L2_ENC_CMD_STOP`, `V4L2_DEC_CMD_STOP`).
    Stop,
    /// Goes on after a drain (`…_CMD_START`).
    Start,
}

/// What came of a command.
pub(crate) type Answer = Result<Reply, Errno>;

/// What a command brought, if it succeeded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reply {
    Done,
    /// A queue has a format.
    Configured {
        /// The device needs at least so many buffers in it to work.
        min_buffers: u32,
        /// So many are worth having, even if the driver does not have them all at a time.
        slots: u32,
    },
    /// There are so many buffers now.
    Allocated(u32),
    /// `None`: none yet.
    Returned(Option<Returned>),
    Filled(Option<Filled>),
    Event(Option<Event>),
}

/// An OUTPUT buffer that the driver is done with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Returned {
    pub(crate) index: u32,
    /// What was in it cannot be processed (`V4L2_BUF_FLAG_ERROR`).
    pub(crate) error: bool,
}

/// A CAPTURE buffer that the driver gives back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Filled {
    pub(crate) index: u32,
    /// The stamp of the input that it came from.
    pub(crate) stamp: u64,
    /// There is nothing in it.
    pub(crate) empty: bool,
    /// Its contents are not to be trusted.
    pub(crate) error: bool,
    /// Nothing comes after it (`V4L2_BUF_FLAG_LAST`).
    pub(crate) last: bool,
}

/// What can be fetched from the driver, as far as `poll` tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Readiness {
    pub(crate) events: bool,
    pub(crate) output: bool,
    pub(crate) capture: bool,
}
