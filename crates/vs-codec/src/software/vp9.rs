// SPDX-License-Identifier: Apache-2.0
//! VP9 by rusty_vp9.
//!
//! An access unit is a superframe (VP9 bitstream specification, annex B): frames of which at most one
//! is shown, in the order in which they come. Each says its size itself, or takes it from one that it
//! refers to; all of them are read before the library is given any.

use std::sync::Arc;

use rusty_vp9::{BitReader, DecodedFrame, Error, FrameHeader, Vp9Decoder, parse_uncompressed_header};
use vs_convert::{I420, fill};
use vs_frame::colorimetry::H273;
use vs_frame::{FourCc, Rate, WriteSlot};

use super::engine::{Announced, Damaged, Engine, Look, check_size, format_of, guard};
use crate::decoder::MAX_ACCESS_UNIT;
use crate::session::{BackendError, Output, Picture};

const LIBRARY: &str = "rusty_vp9 0.1";

/// Places for frames that others refer to.
const REFERENCES: usize = 8;

type Size = (u32, u32);

pub(super) struct Vp9 {
    library: Vp9Decoder,
    fourcc: FourCc,
    /// Sizes of the frames that others refer to.
    references: [Size; REFERENCES],
    /// Colours of the last keyframe.
    color: Option<H273>,
    /// Frames of the access unit that was looked at last, and whether one of them is shown.
    frames: usize,
    shows: bool,
}

impl Vp9 {
    pub(super) fn new(fourcc: FourCc) -> Self {
        Self {
            library: Vp9Decoder::new(),
            fourcc,
            references: [(0, 0); REFERENCES],
            color: None,
            frames: 0,
            shows: false,
        }
    }

    fn read(&mut self, unit: &[u8]) -> Result<Option<Announced>, Damaged> {
        let (mut shown, mut last, mut keyframe) = (None, (0, 0), false);
        self.frames = 0;
        for frame in split(unit)? {
            let header = read_header(frame, &self.references)?;
            let size = if header.show_existing_frame {
                *self.references.get(header.frame_to_show as usize).ok_or(Damaged)?
            } else {
                (header.width, header.height)
            };
            if header.profile != 0 || check_size(size.0, size.1).is_err() {
                return Err(Damaged);
            }
            if header.key_frame {
                self.color = Some(read_color(frame)?);
                keyframe |= self.frames == 0;
            }
            if !header.show_existing_frame {
                let refreshed = if header.key_frame { u32::MAX } else { header.refresh_frame_flags };
                let places = self.references.iter_mut().enumerate();
                places.filter(|(place, _)| refreshed >> place & 1 == 1).for_each(|(_, reference)| *reference = size);
            }
            if header.show_existing_frame || header.show_frame {
                shown = Some(size);
            }
            (last, self.frames) = (size, self.frames + 1);
        }
        self.shows = shown.is_some();
        let format = format_of(self.fourcc, shown.unwrap_or(last), self.color, Rate::UNKNOWN);
        Ok((self.frames > 0).then_some(Announced { keyframe, format, waiting: 0 }))
    }
}

impl Engine for Vp9 {
    fn name(&self) -> String {
        LIBRARY.to_owned()
    }

    fn longest_unit(&self) -> usize {
        MAX_ACCESS_UNIT
    }

    fn refuse_unsupported(&self, unit: &[u8]) -> Result<(), String> {
        for frame in split(unit).unwrap_or_default() {
            // Only keyframes say it for certain; another frame that differs from its own is damaged.
            let Ok(header) = read_header(frame, &self.references) else { continue };
            match header.profile {
                _ if !header.key_frame => {}
                0 => check_size(header.width, header.height)?,
                1 => return Err(only("pictures other than 4:2:0 (profile 1)")),
                other => return Err(only(&format!("pictures of more than 8 bit (profile {other})"))),
            }
        }
        Ok(())
    }

    fn look(&mut self, unit: &[u8]) -> Look {
        match self.read(unit) {
            Ok(None) => Look::Nothing,
            Ok(Some(announced)) => Look::Picture(announced),
            Err(Damaged) => Look::Unclear { keyframe: unit.first().is_some_and(|byte| byte & 0b1100 == 0) },
        }
    }

    fn decode(&mut self, unit: &[u8], slot: Option<&mut WriteSlot>) -> Result<bool, Damaged> {
        let Some(slot) = slot else { return Ok(false) };
        let shown = guard(LIBRARY, || feed(&mut self.library, unit, self.frames))?;
        match shown {
            None if !self.shows => Ok(false),
            Some(picture) if self.shows && write(&picture, slot) => Ok(true),
            _ => Err(Damaged),
        }
    }

    fn take_turn(&mut self, picture: Option<Picture>) -> Vec<Output<Picture>> {
        picture.map(Output::Done).into_iter().collect()
    }

    fn end(&mut self) -> Vec<Picture> {
        Vec::new()
    }

    fn reopen(&mut self) -> Result<(), BackendError> {
        *self = Self::new(self.fourcc);
        Ok(())
    }
}

/// Decodes an access unit of so many frames; gives the one that is shown.
fn feed(library: &mut Vp9Decoder, unit: &[u8], frames: usize) -> Result<Option<DecodedFrame>, Damaged> {
    library.push(unit, None).map_err(|_| Damaged)?;
    let mut shown = None;
    for _ in 0..frames {
        match library.next_frame() {
            Ok(frame) => shown = Some(frame),
            Err(Error::Again) => {}
            Err(_) => return Err(Damaged),
        }
    }
    Ok(shown)
}

/// The frames of a superframe, or the one that there is.
fn split(unit: &[u8]) -> Result<Vec<&[u8]>, Damaged> {
    let Some(&marker) = unit.last() else { return Ok(Vec::new()) };
    let (count, size_bytes) = (usize::from(marker & 7) + 1, usize::from(marker >> 3 & 3) + 1);
    let index = unit.len().checked_sub(2 + count * size_bytes);
    let Some(index) = index.filter(|at| marker & 0xe0 == 0xc0 && unit[*at] == marker) else { return Ok(vec![unit]) };
    let (mut rest, sizes) = (&unit[..index], &unit[index + 1..unit.len() - 1]);
    let mut frames = Vec::with_capacity(count);
    for size in sizes.chunks_exact(size_bytes) {
        let size = size.iter().rev().fold(0, |size, byte| size << 8 | usize::from(*byte));
        let (frame, others) = rest.split_at_checked(size).ok_or(Damaged)?;
        frames.push(frame);
        rest = others;
    }
    Ok(frames)
}

fn read_header(frame: &[u8], references: &[Size; REFERENCES]) -> Result<FrameHeader, Damaged> {
    guard(LIBRARY, || parse_uncompressed_header(&mut BitReader::new(frame), references).map_err(|_| Damaged))
}

/// The colours of a keyframe of profile 0 (7.2.2). Of its primaries and transfer function, it says
/// nothing of its own.
fn read_color(frame: &[u8]) -> Result<H273, Damaged> {
    // Behind the first byte and three of a sync code: color_space, color_range.
    let byte = frame.get(4).ok_or(Damaged)?;
    let (primaries, transfer, matrix) = match byte >> 5 {
        1 => (5, 6, 5),
        2 => (1, 1, 1),
        3 => (6, 6, 6),
        4 => (7, 7, 7),
        5 => (9, 14, 9),
        _ => (2, 2, 2),
    };
    Ok(H273 { primaries, transfer, matrix, full_range: byte & 0x10 != 0 })
}

fn only(what: &str) -> String {
    format!("{what}; it decodes 8 bit 4:2:0 of profile 0")
}

/// Copies a picture into a buffer of its size; whether that worked.
fn write(picture: &DecodedFrame, slot: &mut WriteSlot) -> bool {
    let format = Arc::clone(slot.format());
    let kind = (picture.bit_depth, picture.subsampling_x, picture.subsampling_y);
    let ([y, u, v], [y_stride, uv_stride, _]) = (&picture.planes[..], &picture.strides[..]) else { return false };
    if (picture.width, picture.height) != (format.width, format.height) || kind != (8, 1, 1) {
        return false;
    }
    let planes = I420 { y, u, v, y_stride: *y_stride, uv_stride: *uv_stride };
    matches!(slot.write(|memories| fill(memories, &format, &planes)), Ok(Some(())))
}
