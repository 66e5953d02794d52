// SPDX-License-Identifier: Apache-2.0
//! `VIDIOC_SUBSCRIBE_EVENT` and `VIDIOC_DQEVENT`.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use v4l2r::bindings;
use v4l2r::ioctl::{self, EventType, SubscribeEventFlags};

use super::{Result, errno, retry};
use crate::event::Event;

/// Asks for one type of event.
pub(crate) fn subscribe(fd: BorrowedFd<'_>, event: impl Fn() -> EventType) -> Result<()> {
    retry(|| ioctl::subscribe_event(&fd, event(), SubscribeEventFlags::empty()).map_err(errno))
}

/// The next event; `None` if there is none. Taken raw, because v4l2r's conversion panics on
/// types that it does not know yet.
pub(crate) fn next_event(fd: BorrowedFd<'_>) -> Result<Option<Event>> {
    match retry(|| ioctl::dqevent::<bindings::v4l2_event>(&fd).map_err(errno)) {
        Ok(raw) => Ok(Some(read(&raw))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(raw: &bindings::v4l2_event) -> Event {
    match raw.type_ {
        bindings::V4L2_EVENT_EOS => Event::EndOfStream,
        bindings::V4L2_EVENT_SOURCE_CHANGE => {
            // SAFETY: the kernel fills `src_change` for this type; it is a plain number.
            Event::SourceChange { changes: unsafe { raw.u.src_change.changes } }
        }
        bindings::V4L2_EVENT_CTRL => {
            // SAFETY: the kernel fills `ctrl` for this type; all its fields are plain numbers.
            let (ctrl, value, value64) = unsafe {
                let ctrl = raw.u.ctrl;
                (ctrl, ctrl.__bindgen_anon_1.value, ctrl.__bindgen_anon_1.value64)
            };
            let value = match ctrl.type_ {
                bindings::v4l2_ctrl_type_V4L2_CTRL_TYPE_INTEGER64 => value64,
                bindings::v4l2_ctrl_type_V4L2_CTRL_TYPE_INTEGER
                | bindings::v4l2_ctrl_type_V4L2_CTRL_TYPE_BOOLEAN
                | bindings::v4l2_ctrl_type_V4L2_CTRL_TYPE_MENU
                | bindings::v4l2_ctrl_type_V4L2_CTRL_TYPE_INTEGER_MENU
                | bindings::v4l2_ctrl_type_V4L2_CTRL_TYPE_BITMASK => i64::from(value),
                _ => 0,
            };
            Event::Control { id: raw.id, changes: ctrl.changes, value }
        }
        kind => Event::Other { kind },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_event_is_read() {
        for type_ in 0..10 {
            let raw = bindings::v4l2_event { type_, ..Default::default() };
            let expected = match type_ {
                2 => Event::EndOfStream,
                3 => Event::Control { id: 0, changes: 0, value: 0 },
                5 => Event::SourceChange { changes: 0 },
                kind => Event::Other { kind },
            };
            assert_eq!(read(&raw), expected);
        }
    }
}
