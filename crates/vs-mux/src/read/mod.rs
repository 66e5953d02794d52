// SPDX-License-Identifier: Apache-2.0
//! Reading files: what other people's encoders and our own recorder wrote becomes access units again.
//!
//! [`Movie::open`] looks at a file's content, not its name, and takes
//!
//! * MP4 and QuickTime files, with the `moov` before or after the frames;
//! * fragmented ones, [recordings](crate::mp4) that are not finished or were cut off among them: what
//!   is whole is read, and then it is over;
//! * bare H.264 and H.265 streams (Annex B), whose frames have no times.
//!
//! Of several video tracks it reads the first whose codec it knows. [`Movie::next_unit`] then yields
//! the frames in decoding order, each as something a decoder can take.
//!
//! A file is the word of a stranger. Tables are read through a small window, so that memory does not
//! grow with the file; every offset is checked against the file's length, which also bounds how many
//! frames are believed in.
//!
//! References without a name are to ISO/IEC 14496-12.

pub(crate) mod bare;
mod boxed;
pub(crate) mod boxes;
pub(crate) mod compose;
mod edit;
mod entry;
pub(crate) mod error;
mod fragment;
mod header;
pub(crate) mod kind;
mod movie;
mod run;
mod sample;
pub(crate) mod source;
mod table;
mod track;

pub use error::{Broken, OpenMovieError, ReadError};
pub use movie::{Movie, SetPlacement};
pub use track::{Times, Track, TrackCodec, Unit};
