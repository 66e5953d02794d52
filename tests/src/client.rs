// SPDX-License-Identifier: Apache-2.0
//! Frames as programs get them, held to what the pattern promises.

use std::path::Path;
use std::sync::Arc;

use vs_frame::clock::NS_PER_MS;
use vs_pattern::{Pattern, Stamp};
use vsclient::{Client, ClientBuilder, Format, Frame};

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

impl Checker {
    /// Reads all of a frame. It must be the whole picture of its own serial and capture time.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&mut self, frame: &Frame) -> Result<(), String> {
        let format = frame.format();
        let known = self.0.take().filter(|(known, _)| Arc::ptr_eq(known, format));
        let (_, pattern) = self.0.insert(match known {
            Some(known) => known,
            None => (Arc::clone(format), Pattern::new(format).map_err(|error| error.to_string())?),
        });
        let read = frame.read(|view| pattern.check(view));
        let stamp = read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let expected = Stamp::new(frame.serial(), frame.meta().capture_ns);
        if stamp == expected {
            return Ok(());
        }
        Err(format!("the picture is of frame {} at {} ms, not {expected:?}", stamp.serial, stamp.time_ms))
    }
}

/// Capture time in the unit of the pictures.
#[must_use]
pub fn capture_ms(frame: &Frame) -> u64 {
    frame.meta().capture_ns / NS_PER_MS
}
