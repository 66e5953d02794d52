// SPDX-License-Identifier: Apache-2.0
//! H.264 by openh264.
//!
//! The library is given parameter sets and slices only, and none before it is clear that it stands
//! what they describe.

use std::sync::Arc;

use vs_bitstream::h264::Sps;
use vs_bitstream::order::PictureCounter;
use vs_bitstream::{Codec, NalKind, is_keyframe, nal_units};
use vs_convert::fill;
use vs_frame::{FourCc, WriteSlot};

use super::engine::{Announced, Damaged, Engine, Look, check_size, format_of_video};
use super::openh264::name;
use super::openh264_decoder::{Decoded, Openh264Decoder, disguise};
use super::reorder::{Depth, Reorder};
use crate::decoder::MAX_ACCESS_UNIT;
use crate::session::{BackendError, Output, Picture};

/// The longest access unit that the library takes (`MAX_ACCESS_UNIT_CAPACITY`).
const LONGEST_UNIT: usize = 7_077_888;
const _: () = assert!(LONGEST_UNIT <= MAX_ACCESS_UNIT);

pub(super) struct H264 {
    library: Openh264Decoder,
    fourcc: FourCc,
    order: PictureCounter,
    reorder: Reorder<Picture>,
    /// Of the picture that was looked at last.
    place: Place,
    /// What the library is given.
    unit: Vec<u8>,
}

/// Where among the others a picture is to be shown.
#[derive(Clone, Copy)]
struct Place {
    order: i64,
    idr: bool,
    depth: Depth,
}

impl H264 {
    pub(super) fn open(fourcc: FourCc) -> Result<Self, BackendError> {
        Ok(Self {
            library: Openh264Decoder::open()?,
            fourcc,
            order: PictureCounter::default(),
            reorder: Reorder::default(),
            place: Place { order: 0, idr: false, depth: Depth { pictures: 0, said: false } },
            unit: Vec::new(),
        })
    }

    /// Gives the library what it needs of an access unit; whether it found no fault.
    fn feed(&mut self, unit: &[u8], each: impl FnMut(&Decoded<'_>)) -> bool {
        let buffer = &mut self.unit;
        buffer.clear();
        for nal in nal_units(unit) {
            let kind = NalKind::of(Codec::H264, nal);
            if kind.is_slice() || kind.is_parameter_set() {
                buffer.extend_from_slice(&[0, 0, 0, 1]);
                let start = buffer.len();
                buffer.extend_from_slice(nal);
                if kind == NalKind::Sps {
                    disguise(&mut buffer[start..]);
                }
            }
        }
        buffer.is_empty() || self.library.decode(buffer, each).is_ok()
    }
}

impl Engine for H264 {
    fn name(&self) -> String {
        name()
    }

    fn longest_unit(&self) -> usize {
        LONGEST_UNIT
    }

    fn refuse_unsupported(&self, unit: &[u8]) -> Result<(), String> {
        let sequences = nal_units(unit).filter(|nal| NalKind::of(Codec::H264, nal) == NalKind::Sps);
        sequences.filter_map(|nal| Sps::parse(nal).ok()).try_for_each(|sps| check_sps(&sps))
    }

    fn look(&mut self, unit: &[u8]) -> Look {
        match self.order.read(unit) {
            Ok(None) => Look::Nothing,
            Err(_) => Look::Unclear { keyframe: is_keyframe(Codec::H264, unit) },
            Ok(Some(start)) => {
                let depth = depth_of(&start.sps);
                self.place = Place { order: start.order, idr: start.idr, depth };
                let format = format_of_video(self.fourcc, &start.sps.format);
                Look::Picture(Announced { keyframe: start.idr, format, waiting: depth.pictures })
            }
        }
    }

    fn decode(&mut self, unit: &[u8], slot: Option<&mut WriteSlot>) -> Result<bool, Damaged> {
        let Some(slot) = slot else {
            return if self.feed(unit, |_| ()) { Ok(false) } else { Err(Damaged) };
        };
        let (width, height) = (slot.format().width as usize, slot.format().height as usize);
        let (mut count, mut whole) = (0, false);
        let decoded = self.feed(unit, |picture| {
            count += 1;
            whole = (picture.width, picture.height) == (width, height) && write(slot, picture);
        });
        if decoded && count == 1 && whole { Ok(true) } else { Err(Damaged) }
    }

    fn take_turn(&mut self, picture: Option<Picture>) -> Vec<Output<Picture>> {
        let Place { order, idr, depth } = self.place;
        let ready = picture.map(|picture| self.reorder.push(order, idr, picture, depth));
        ready.into_iter().flatten().map(Output::Done).collect()
    }

    fn end(&mut self) -> Vec<Picture> {
        self.reorder.flush()
    }

    fn reopen(&mut self) -> Result<(), BackendError> {
        self.reorder.flush();
        self.library = Openh264Decoder::open()?;
        Ok(())
    }
}

fn check_sps(sps: &Sps) -> Result<(), String> {
    const PROFILES: [u8; 3] = [66, 77, 100];
    let format = &sps.format;
    let what = match format.chroma_format {
        0 => "pictures without colour (4:0:0)",
        2 => "4:2:2 pictures",
        3 => "4:4:4 pictures",
        _ if format.bit_depth_luma.max(format.bit_depth_chroma) > 8 => "pictures of more than 8 bit",
        _ if !sps.frame_mbs_only => "interlaced pictures",
        _ if !PROFILES.contains(&sps.profile) => "this profile",
        _ => return check_size(sps.coded_size.0, sps.coded_size.1),
    };
    let profile = sps.profile;
    Err(format!("{what} (profile_idc {profile}); it decodes progressive 8 bit 4:2:0 of Baseline, Main and High"))
}

fn depth_of(sps: &Sps) -> Depth {
    const BASELINE: u8 = 66;
    let said = sps.max_reorder_frames.is_some();
    // Baseline has no B-frames. It may reorder others, but nobody does without saying so.
    let pictures = if sps.profile == BASELINE && !said { 0 } else { sps.reorder_frames() };
    Depth { pictures: pictures as usize, said }
}

/// Copies a picture into a buffer of its size; whether that worked.
fn write(slot: &mut WriteSlot, picture: &Decoded<'_>) -> bool {
    let format = Arc::clone(slot.format());
    matches!(slot.write(|memories| fill(memories, &format, &picture.planes)), Ok(Some(())))
}
