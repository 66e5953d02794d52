// SPDX-License-Identifier: Apache-2.0
//! What happens to a client, as a struct that the client keeps until the next call.

use std::ffi::{CString, c_char, c_int};
use std::time::Duration;

use vsclient::{Event, RevokeReason, StreamState};

use crate::error::{VS_OK, refusal};
use crate::format::{FormatCache, SharedFormat, vs_format};
use crate::frame::{vs_frame, vs_frame_unref};

/// Kinds of events. A later version may have more: pass over what is not known.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum vs_event_type {
    /// The connection stands, for the first time or again. `epoch_changed`.
    Connected = 1,
    /// What the stream is doing. `state`, `text`.
    State = 2,
    /// How the frames that follow are laid out. `format`.
    Format = 3,
    /// A frame. `frame`, `serial`.
    Frame = 4,
    /// The host has taken a frame back that this program still held. `serial`, `reason`.
    Revoked = 5,
    /// The answer to `vs_frame_request_lock()`. `request`, `serial`, and `reason`: `VS_OK` with `deadline_ns`,
    /// or a negative `enum vs_error`.
    Locked = 6,
    /// The connection is lost, and will be made again. Frames in hand have ended. `text`, `retry_in_ns`.
    Disconnected = 7,
    /// An attempt to make it again has failed. `text`, `retry_in_ns`.
    RetryFailed = 8,
}

/// What a stream is doing.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum vs_stream_state {
    /// No frames now, but they may come.
    Waiting = 0,
    /// Frames come.
    Running = 1,
    /// Stopped on purpose.
    Stopped = 2,
    /// Cannot run.
    Failed = 3,
}

/// Why a frame was taken back.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum vs_revoke_reason {
    /// The lease's deadline has passed.
    Deadline = 0,
    /// Whoever lent the frame's memory took it back.
    Withdrawn = 1,
}

/// Something that happened. The client's: good until its next call, and so is everything in it. Use
/// pointers, for it may grow at its end.
#[repr(C)]
pub struct vs_event {
    /// `enum vs_event_type`, which says what else is set; the rest is 0, NULL or empty.
    pub kind: c_int,
    /// `enum vs_stream_state`.
    pub state: c_int,
    /// The frame; `vs_frame_ref()` keeps it.
    pub frame: *mut vs_frame,
    /// The format.
    pub format: *const vs_format,
    /// Why, in words; never NULL.
    pub text: *const c_char,
    /// Serial of the frame.
    pub serial: u64,
    /// Number of the request.
    pub request: u64,
    /// The new deadline of the frame, in ns of `CLOCK_MONOTONIC`.
    pub deadline_ns: u64,
    /// When the next attempt comes, in ns from now.
    pub retry_in_ns: u64,
    /// `enum vs_revoke_reason`, or `enum vs_error`.
    pub reason: c_int,
    /// The host has started anew since the last connection: serials begin again.
    pub epoch_changed: bool,
}

/// An event with all that it points to.
pub(crate) struct Told {
    seen: vs_event,
    _text: CString,
    _format: Option<std::sync::Arc<SharedFormat>>,
}

// SAFETY: what it points to is its own, and frames may be given up by any thread.
unsafe impl Send for Told {}

impl Drop for Told {
    fn drop(&mut self) {
        // SAFETY: the frame in it is its own.
        unsafe { vs_frame_unref(self.seen.frame) };
    }
}

pub(crate) fn state(state: StreamState) -> c_int {
    (match state {
        StreamState::Waiting => vs_stream_state::Waiting,
        StreamState::Running => vs_stream_state::Running,
        StreamState::Stopped => vs_stream_state::Stopped,
        StreamState::Failed => vs_stream_state::Failed,
    }) as c_int
}

/// A text for C; what is behind a zero byte in it is cut.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text.split('\0').next().unwrap_or_default()).unwrap_or_default()
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Told {
    /// `None` for what this version has no word for.
    pub(crate) fn new(event: Event, formats: &mut FormatCache) -> Option<Box<Self>> {
        let mut seen = vs_event {
            kind: 0,
            state: 0,
            frame: std::ptr::null_mut(),
            format: std::ptr::null(),
            text: std::ptr::null(),
            serial: 0,
            request: 0,
            deadline_ns: 0,
            retry_in_ns: 0,
            reason: 0,
            epoch_changed: false,
        };
        let (mut text, mut kept) = (CString::default(), None);
        let kind = match event {
            Event::Connected { epoch_changed, .. } => {
                seen.epoch_changed = epoch_changed;
                vs_event_type::Connected
            }
            Event::State(status) => {
                seen.state = state(status.state);
                text = c_text(&status.reason);
                vs_event_type::State
            }
            Event::Format(format) => {
                let format = kept.insert(formats.get(&format));
                seen.format = format.as_ptr();
                vs_event_type::Format
            }
            Event::Frame(frame) => {
                seen.serial = frame.serial();
                let format = formats.get(frame.format());
                seen.frame = vs_frame::of_stream(frame, format);
                vs_event_type::Frame
            }
            Event::Revoked { serial, reason } => {
                seen.serial = serial;
                seen.reason = match reason {
                    RevokeReason::Deadline => vs_revoke_reason::Deadline,
                    RevokeReason::Withdrawn => vs_revoke_reason::Withdrawn,
                } as c_int;
                vs_event_type::Revoked
            }
            Event::Locked(reply) => {
                (seen.request, seen.serial) = (reply.request, reply.serial);
                match reply.result {
                    Ok(deadline_ns) => (seen.reason, seen.deadline_ns) = (VS_OK, deadline_ns),
                    Err(status) => seen.reason = refusal(status) as c_int,
                }
                vs_event_type::Locked
            }
            Event::Disconnected { cause, retry_in } => {
                (text, seen.retry_in_ns) = (c_text(&cause.to_string()), ns(retry_in));
                vs_event_type::Disconnected
            }
            Event::RetryFailed { cause, retry_in } => {
                (text, seen.retry_in_ns) = (c_text(&cause.to_string()), ns(retry_in));
                vs_event_type::RetryFailed
            }
            _ => return None,
        };
        (seen.kind, seen.text) = (kind as c_int, text.as_ptr());
        Some(Box::new(Self { seen, _text: text, _format: kept }))
    }

    pub(crate) fn as_ptr(&self) -> *const vs_event {
        &raw const self.seen
    }
}
