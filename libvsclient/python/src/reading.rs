// SPDX-License-Identifier: Apache-2.0
//! What an array lies over, and what that needs to stay where it is.
//!
//! The memory of a frame is mapped once for its buffer, which the frame's handle owns, so
//! whoever holds a handle holds the mapping, the descriptors and the lease. A [`Source`] holds
//! one, together with the CPU's access (which a DmaBuf has to be told of) from the first array
//! to the last. The kernel cannot take the memory away: a memfd is sealed against shrinking, a
//! DmaBuf has a fixed size. When the right to read ends before the array does, its bytes may
//! become those of a later picture, and nothing worse.

use std::sync::Arc;

use pyo3::prelude::*;
use self_cell::self_cell;
use vsclient::{Format, FrameMap, FrameView, publish};

use crate::client::Client;
use crate::errors::{OrRaise, ToPython};
use crate::layout::Layout;
use crate::slot::Buffer;

self_cell!(
    /// A received frame that is being read.
    pub(crate) struct Reading {
        owner: vsclient::Frame,
        #[covariant]
        dependent: FrameMap,
    }
);

self_cell!(
    /// A frame without a deadline that is being read: what a codec has made.
    pub(crate) struct PlainReading {
        owner: publish::Frame,
        #[covariant]
        dependent: FrameView,
    }
);

/// Whose bytes an array shows.
pub(crate) enum Source {
    /// With the client, for the end of its connection would be that of the frame.
    Received(Reading, #[expect(dead_code, reason = "it is only held")] Arc<Py<Client>>),
    Plain(PlainReading),
    /// A buffer that the program fills.
    Written(Py<Buffer>),
}

impl Source {
    /// Begins to read a frame.
    pub(crate) fn received(frame: vsclient::Frame, client: Arc<Py<Client>>) -> PyResult<Arc<Self>> {
        let reading = Reading::try_new(frame, |frame| frame.map()).or_raise()?;
        Ok(Arc::new(Self::Received(reading, client)))
    }

    /// Begins to read a frame that nobody takes away.
    pub(crate) fn plain(frame: publish::Frame) -> PyResult<Arc<Self>> {
        let reading = PlainReading::try_new(frame, |frame| frame.map()).map_err(crate::errors::failed)?;
        Ok(Arc::new(Self::Plain(reading)))
    }

    /// Where plane `index` is; `None` if there is none.
    pub(crate) fn layout(&self, py: Python<'_>, format: &Format, index: usize) -> Option<Layout> {
        match self {
            Self::Received(reading, _) => of_view(reading.borrow_dependent(), format, index),
            Self::Plain(reading) => of_view(reading.borrow_dependent(), format, index),
            Self::Written(buffer) => buffer.bind(py).get().layout(index),
        }
    }

    /// Whether the bytes may still be read: what was read before belongs to this frame.
    pub(crate) fn check(&self) -> PyResult<()> {
        match self {
            Self::Received(reading, _) => reading.borrow_owner().check_read().map_err(ToPython::to_python),
            Self::Plain(_) | Self::Written(_) => Ok(()),
        }
    }

    /// The same, without asking the kernel.
    pub(crate) fn check_quickly(&self) -> PyResult<()> {
        match self {
            Self::Received(reading, _) => reading.borrow_owner().check().map_err(ToPython::to_python),
            Self::Plain(_) | Self::Written(_) => Ok(()),
        }
    }
}

fn of_view(view: &FrameView<'_>, format: &Format, index: usize) -> Option<Layout> {
    if format.is_coded() {
        return (index == 0).then(|| Layout::bytes(view.payload()));
    }
    Some(Layout::plane(format, index, &view.plane(index)?))
}
