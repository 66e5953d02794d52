// SPDX-License-Identifier: Apache-2.0
//! The system calls, through `v4l2r::ioctl`: every union is read here and nowhere else.
//!
//! Results are plain values and [`Errno`]s; what an error means depends on what was being
//! tried, so the callers say it. The raw kernel structures are taken instead of v4l2r's
//! checked ones where those would drop a buffer, a flag or an event that they do not know.

mod buffers;
mod codec;
mod controls;
mod enumerate;
mod events;
mod format;
mod timings;

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use v4l2r::bindings;
use v4l2r::ioctl::{Capabilities, IntoErrno};

pub(crate) use buffers::{
    Dequeued, Elasticity, Export, InputMemory, create_buffer, dequeue, elasticity, enqueue, enqueue_input, export,
    map_buffer, remove_buffer, request_buffers, request_imports, stream_off, stream_on,
};
pub(crate) use codec::{Rect, crop, decoder_start, decoder_stop, encoder_start, encoder_stop, visible_part};
pub(crate) use controls::{
    Attempt, MenuKind, RawControl, RawValue, Refusal, get_control, query_control, query_menu, set_controls,
};
pub(crate) use enumerate::{formats, frame_sizes};
pub(crate) use events::{next_event, subscribe};
pub(crate) use format::{
    PixFormat, PixPlane, PixWish, get_format, get_queue_format, get_rate, set_format, set_queue_format, set_rate,
};
pub(crate) use timings::{Signal, follow_signal};
pub(crate) use v4l2r::ioctl::PlaneMapping;

pub(crate) type Result<T> = std::result::Result<T, Errno>;

/// What a node says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Capability {
    pub(crate) driver: String,
    pub(crate) card: String,
    pub(crate) bus: String,
    /// Of this node, not of its whole device.
    pub(crate) caps: Capabilities,
}

/// `VIDIOC_QUERYCAP`.
pub(crate) fn capability(fd: BorrowedFd<'_>) -> Result<Capability> {
    let raw: bindings::v4l2_capability = retry(|| v4l2r::ioctl::querycap(&fd).map_err(errno))?;
    let has_own = raw.capabilities & bindings::V4L2_CAP_DEVICE_CAPS != 0;
    let caps = if has_own { raw.device_caps } else { raw.capabilities };
    Ok(Capability {
        driver: text(&raw.driver),
        card: text(&raw.card),
        bus: text(&raw.bus_info),
        caps: Capabilities::from_bits_truncate(caps),
    })
}

fn errno(error: impl IntoErrno) -> Errno {
    Errno::from_raw_os_error(error.into_errno())
}

/// A signal may interrupt the wait for the driver's lock; nothing has happened then.
fn retry<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

/// The text in a fixed field, up to the first NUL.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|c| *c == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}
