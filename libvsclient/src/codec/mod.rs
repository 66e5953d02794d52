// SPDX-License-Identifier: Apache-2.0
//! The daemon's encoders and decoders (feature `codec`), for frames from anywhere.
//!
//! ```no_run
//! use vsclient::codec::{Encoder, Output};
//! use vsclient::{Format, FourCc, FrameMeta, Rate};
//!
//! let format = Format::packed(FourCc::NV12, 1280, 720, Rate::fps(30))?;
//! let mut encoder = Encoder::builder().bitrate(2_000_000).open(&format)?;
//! for number in 0..300 {
//!     let mut slot = encoder.buffer()?;
//!     slot.write(|memories| memories[0].fill(number as u8))?;
//!     let bytes_used = slot.format().picture_bytes();
//!     let frame = slot.finish(FrameMeta { pts: Some(number * 33_333_333), bytes_used, ..FrameMeta::default() })?;
//!     encoder.submit(&frame, number as u64)?;
//!     while let Some(output) = encoder.try_receive()? {
//!         show(output)?;
//!     }
//! }
//! encoder.drain()?;
//! while let Some(output) = encoder.receive(None)? {
//!     let drained = matches!(output, Output::Drained);
//!     show(output)?;
//!     if drained {
//!         break;
//!     }
//! }
//!
//! fn show(output: Output) -> Result<(), Box<dyn std::error::Error>> {
//!     match output {
//!         Output::Done(unit) => println!("{}: {} bytes", unit.tag, unit.frame.map()?.payload().len()),
//!         Output::Lost(lost) => println!("{} is lost: {}", lost.tag, lost.text),
//!         _ => {}
//!     }
//!     Ok(())
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An [`Encoder`] takes pictures and gives access units, a [`Decoder`] the other way round.
//! Each frame that is submitted comes out once, [done](Output::Done) or [lost](Output::Lost), with
//! the tag that it was submitted with. None is skipped: whoever is faster waits.
//!
//! # No copies
//!
//! What is submitted is read where it lies: in a buffer of [`Encoder::buffer`], in memory of the
//! program's own ([`import`], [`lend`]), or in a frame of a stream
//! ([`Frame::pass_on`](crate::Frame::pass_on)). It must stay as it is until the frame's last handle
//! is dropped, which the session does when the daemon has given it back. Pictures of a decoder lie
//! where the decoder has put them, and go back when they are dropped. Only access units are copied
//! once, for they are small.
//!
//! A frame of a stream that is passed on counts against the client's credits until the session has
//! brought it back, which `receive`, `try_receive` and `submit` do. So a program that has passed on as many
//! as it may hold listens to the session while it waits for the stream (the example `encode` does).
//!
//! # Credit
//!
//! Each side lends the other only so many frames ([`EncoderBuilder::frames`]). A program that
//! submits without receiving comes to a point where the daemon waits for it, and
//! [`SubmitError::Full`] says so.
//!
//! # Event loops
//!
//! A session has a descriptor (`AsFd`). `try_submit` and `try_receive` never wait; call
//! `try_receive` until it gives `None` whenever the descriptor is readable, and if
//! [`wants_write`](Encoder::wants_write), also when it is writable. With tokio, put it into an
//! `AsyncFd`, and open it with [`EncoderBuilder::open_on`].

mod builder;
mod decoder;
mod encoder;
mod error;
mod session;

pub use builder::{DecoderBuilder, EncoderBuilder};
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use error::{BufferError, EndedError, OpenError, ReceiveError, RequestError, SubmitError};
pub use session::{Done, Lost, Output};

pub use crate::dbus::{DecoderInfo, EncoderInfo};
pub use crate::lending::{ImportError, import, lend};
pub use vs_frame::{Frame, WriteSlot};
pub use vs_ipc::exchange::{DEFAULT_CREDITS, MAX_CREDITS, Settings};
pub use vs_ipc::wire::LossCause;
