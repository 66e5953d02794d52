// SPDX-License-Identifier: Apache-2.0
//! What encoders and decoders have in common: what comes out of them, and how they are described.

use std::ffi::{CString, c_char, c_int};

use vsclient::codec::{LossCause, Output};

use crate::event::c_text;
use crate::format::FormatCache;
use crate::frame::{vs_frame, vs_frame_unref};

/// Kinds of what comes out of a codec. A later version may have more: pass over what is not known.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum vs_output_type {
    /// What was made of a frame: `tag`, `frame`.
    Done = 1,
    /// Nothing was made of a frame: `tag`, `cause`, `text`.
    Lost = 2,
    /// Everything that was submitted before the drain has come out.
    Drained = 3,
    /// The answer to a change of an encoder. With an empty `text`: `bitrate`, `keyframe_interval_ns`, as they are
    /// now; otherwise why it goes on as before.
    Adjusted = 4,
}

/// Why nothing was made of a frame.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum vs_loss_cause {
    /// Something else.
    Other = 0,
    /// It is damaged, or came out damaged.
    Corrupt = 1,
    /// It shows no picture, or refers to one that is missing.
    NoPicture = 2,
    /// The codec did not take it.
    Refused = 3,
    /// The device stood still while it had it, and was repaired.
    Stalled = 4,
    /// The codec failed while it had it, and was opened anew.
    Failed = 5,
}

/// What came out of a codec. The codec's: good until the next call that receives, and so is everything in
/// it. Use pointers, for it may grow at its end.
#[repr(C)]
pub struct vs_output {
    /// `enum vs_output_type`, which says what else is set; the rest is 0, NULL or empty.
    pub kind: c_int,
    /// `enum vs_loss_cause`.
    pub cause: c_int,
    /// The tag of the frame that was submitted.
    pub tag: u64,
    /// The access unit or picture, with the times of that frame; `vs_frame_ref()` keeps it, and the codec has
    /// room for another one when it is given up.
    pub frame: *mut vs_frame,
    /// Why, in words; never NULL.
    pub text: *const c_char,
    /// Bits per second; 0 if the quality is constant instead.
    pub bitrate: u64,
    /// Longest time between keyframes in ns.
    pub keyframe_interval_ns: u64,
}

/// What kind of codec was opened. The codec's, and as long as it. Use pointers, for it may grow at its
/// end.
#[repr(C)]
pub struct vs_codec_info {
    /// Name and version of what encodes or decodes; never NULL.
    pub name: *const c_char,
    /// "v4l2" or "software"; never NULL.
    pub backend: *const c_char,
    /// Why it was this one; never NULL, may be empty.
    pub reason: *const c_char,
    /// Frames that the caller may lend at once.
    pub inputs: u32,
    /// Frames that the daemon may lend at once.
    pub outputs: u32,
    /// Of an encoder: bits per second; 0 if the quality is constant instead.
    pub bitrate: u64,
    /// Of an encoder: longest time between keyframes in ns.
    pub keyframe_interval_ns: u64,
}

/// An output with all that it points to.
pub(crate) struct Made {
    seen: vs_output,
    _text: CString,
}

// SAFETY: what it points to is its own, and frames may be given up by any thread.
unsafe impl Send for Made {}

impl Drop for Made {
    fn drop(&mut self) {
        // SAFETY: the frame in it is its own.
        unsafe { vs_frame_unref(self.seen.frame) };
    }
}

impl Made {
    /// `None` for what this version has no word for.
    pub(crate) fn new(output: Output, formats: &mut FormatCache) -> Option<Box<Self>> {
        let mut seen = vs_output {
            kind: 0,
            cause: 0,
            tag: 0,
            frame: std::ptr::null_mut(),
            text: std::ptr::null(),
            bitrate: 0,
            keyframe_interval_ns: 0,
        };
        let mut text = CString::default();
        let kind = match output {
            Output::Done(done) => {
                let format = formats.get(done.frame.format());
                (seen.tag, seen.frame) = (done.tag, vs_frame::own(done.frame, format));
                vs_output_type::Done
            }
            Output::Lost(lost) => {
                (seen.tag, seen.cause) = (lost.tag, cause(lost.cause) as c_int);
                text = c_text(&lost.text);
                vs_output_type::Lost
            }
            Output::Drained => vs_output_type::Drained,
            Output::Adjusted(Ok(settings)) => {
                seen.bitrate = settings.bitrate.unwrap_or(0);
                seen.keyframe_interval_ns = settings.keyframe_interval_ns;
                vs_output_type::Adjusted
            }
            Output::Adjusted(Err(why)) => {
                text = c_text(&why);
                vs_output_type::Adjusted
            }
            _ => return None,
        };
        (seen.kind, seen.text) = (kind as c_int, text.as_ptr());
        Some(Box::new(Self { seen, _text: text }))
    }

    pub(crate) fn as_ptr(&self) -> *const vs_output {
        &raw const self.seen
    }
}

fn cause(cause: LossCause) -> vs_loss_cause {
    match cause {
        LossCause::Other => vs_loss_cause::Other,
        LossCause::Corrupt => vs_loss_cause::Corrupt,
        LossCause::NoPicture => vs_loss_cause::NoPicture,
        LossCause::Refused => vs_loss_cause::Refused,
        LossCause::Stalled => vs_loss_cause::Stalled,
        LossCause::Failed => vs_loss_cause::Failed,
    }
}

/// A description with its texts.
pub(crate) struct Described {
    pub(crate) seen: vs_codec_info,
    _texts: [CString; 3],
}

// SAFETY: the pointers in it are to its own texts.
unsafe impl Send for Described {}
// SAFETY: as above.
unsafe impl Sync for Described {}

impl Described {
    pub(crate) fn new(name: &str, backend: &str, reason: &str, credits: (u32, u32), rate: (u64, u64)) -> Self {
        let texts = [name, backend, reason].map(c_text);
        let [name, backend, reason] = [texts[0].as_ptr(), texts[1].as_ptr(), texts[2].as_ptr()];
        let ((inputs, outputs), (bitrate, keyframe_interval_ns)) = (credits, rate);
        let seen = vs_codec_info { name, backend, reason, inputs, outputs, bitrate, keyframe_interval_ns };
        Self { seen, _texts: texts }
    }
}
