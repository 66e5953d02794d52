// SPDX-License-Identifier: Apache-2.0
//! Frames as programs get them, held to what the pattern promises.

use std::path::Path;
use std::sync::Arc;

use vs_frame::clock::NS_PER_MS;
use vs_ipc::vsl::client::Received;
use vs_pattern::{Pattern, Stamp};
use vsclient::{Client, ClientBuilder, Ended, Format, Frame, MapError};

use crate::PATIENCE;

/// Options for a client of the stream with this socket. It does not reconnect unless told so.
#[must_use]
pub fn builder(socket: &Path) -> ClientBuilder {
    Client::builder(socket.to_str().unwrap()).no_reconnect()
}

/// The next frame.
///
/// # Panics
/// If none comes.
#[must_use]
pub fn next(client: &mut Client) -> Frame {
    client.next_frame(PATIENCE).unwrap().expect("no frame comes")
}

/// Compares frames with the pictures that they must be.
#[derive(Debug, Default)]
pub struct Checker(Option<(Arc<Format>, Pattern)>);

/// What looking at all of a frame has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is the whole picture of its own serial and capture time.
    Whole,
    /// The right to read it had ended before it was read to its end: nothing is known.
    Late(Ended),
    /// It was to be the whole picture, and is not.
    Torn(String),
}

impl Checker {
    /// Reads all of a frame. It must be the whole picture of its own serial and capture time.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&mut self, frame: &Frame) -> Result<(), String> {
        match self.verdict(frame) {
            Verdict::Whole => Ok(()),
            Verdict::Late(why) => Err(why.to_string()),
            Verdict::Torn(what) => Err(what),
        }
    }

    /// Reads all of a frame.
    ///
    /// # Panics
    /// If it cannot be mapped, or is of a format that has no test pattern.
    pub fn verdict(&mut self, frame: &Frame) -> Verdict {
        let pattern = self.pattern(frame.format());
        let expected = Stamp::new(frame.serial(), frame.meta().capture_ns);
        match frame.read(|view| pattern.check(view)) {
            Ok(Ok(stamp)) if stamp == expected => Verdict::Whole,
            Ok(Ok(stamp)) => Verdict::Torn(format!(
                "the picture is of frame {} at {} ms, not {expected:?}",
                stamp.serial, stamp.time_ms
            )),
            Ok(Err(error)) => Verdict::Torn(error.to_string()),
            Err(MapError::Ended(why)) => Verdict::Late(why),
            Err(error) => panic!("frame {}: {error}", frame.serial()),
        }
    }

    /// Reads all of a frame that a host of libvideostream has locked for us. Its protocol does
    /// not say when it was captured.
    ///
    /// # Panics
    /// If it cannot be mapped, or is of a format that has no test pattern.
    pub fn verdict_vsl(&mut self, received: &Received) -> Verdict {
        let picture = received.frame.map().unwrap();
        match self.pattern(received.frame.format()).check(&picture) {
            Ok(stamp) if stamp.serial == received.serial => Verdict::Whole,
            Ok(stamp) => Verdict::Torn(format!("the picture is of frame {}, not {}", stamp.serial, received.serial)),
            Err(error) => Verdict::Torn(error.to_string()),
        }
    }

    fn pattern(&mut self, format: &Arc<Format>) -> &Pattern {
        let known = self.0.take().filter(|(known, _)| Arc::ptr_eq(known, format));
        &self.0.insert(known.unwrap_or_else(|| (Arc::clone(format), Pattern::new(format).unwrap()))).1
    }
}

/// Capture time in the unit of the pictures.
#[must_use]
pub fn capture_ms(frame: &Frame) -> u64 {
    frame.meta().capture_ns / NS_PER_MS
}
