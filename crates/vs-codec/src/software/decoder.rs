// SPDX-License-Identifier: Apache-2.0
//! The H.264 decoder.
//!
//! Each access unit is decoded within `submit`, into a buffer that was taken before, and its picture
//! waits until its turn to be shown has come. What is damaged is not shown, nor is anything that
//! comes after it until the next keyframe: what it refers to is not what was meant.
//!
//! The library is given parameter sets and slices only, and none before it is clear that it stands
//! what they describe.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use vs_bitstream::h264::Sps;
use vs_bitstream::order::{PictureCounter, PictureStart};
use vs_bitstream::{Codec, NalKind, is_keyframe, nal_units};
use vs_frame::clock::NS_PER_SEC;
use vs_frame::colorimetry::H273;
use vs_frame::{Format, FourCc, Rate, WriteSlot};

use super::fill;
use super::openh264::{MAX_DIMENSION, MAX_MACROBLOCKS, name};
use super::openh264_decoder::{Decoded, Openh264Decoder, disguise};
use super::outbox::{NoSlot, Outbox};
use super::reorder::{Depth, Reorder};
use crate::decoder::{Decoder, DecoderConfig, DecoderInfo, MAX_ACCESS_UNIT};
use crate::open::{BackendKind, OpenError};
use crate::session::{BackendError, FrameTag, Loss, Output, Picture, Session, SubmitError};

/// The pixel formats that it makes, its own first.
const OUTPUTS: [FourCc; 2] = [FourCc::YUV420, FourCc::NV12];

/// The longest access unit that the library takes (`MAX_ACCESS_UNIT_CAPACITY`).
const LONGEST_UNIT: usize = 7_077_888;
const _: () = assert!(LONGEST_UNIT <= MAX_ACCESS_UNIT);

/// Pictures that a caller may have in hand at most: what it asks for is memory.
const MAX_PICTURES: usize = 32;

/// A frame that lasts longer, in ns, is no rate (it would overflow when reckoned with).
const LONGEST_FRAME: u64 = 1000 * NS_PER_SEC;

/// The H.264 decoder.
pub(crate) struct SoftwareDecoder {
    info: DecoderInfo,
    library: Openh264Decoder,
    fourcc: FourCc,
    /// How many the caller may have in hand.
    pictures: usize,
    order: PictureCounter,
    reorder: Reorder<Picture>,
    outbox: Outbox,
    /// What the library is given.
    unit: Vec<u8>,
    awaits_keyframe: bool,
    draining: bool,
}

impl SoftwareDecoder {
    pub(crate) fn open(config: &DecoderConfig) -> Result<Self, OpenError> {
        if config.codec != FourCc::H264 {
            return Err(OpenError::NoSoftware { codec: config.codec });
        }
        refuse_unsupported(&config.parameter_sets).map_err(|reason| OpenError::Stream { reason })?;
        let wanted = config.formats.iter().find(|fourcc| OUTPUTS.contains(fourcc));
        let name = name();
        Ok(Self {
            library: Openh264Decoder::open()?,
            fourcc: wanted.copied().unwrap_or(OUTPUTS[0]),
            pictures: config.pictures.clamp(1, MAX_PICTURES),
            order: PictureCounter::default(),
            reorder: Reorder::default(),
            outbox: Outbox::new(name.clone())?,
            unit: Vec::new(),
            awaits_keyframe: true,
            draining: false,
            info: DecoderInfo { backend: BackendKind::Software, name, reason: String::new(), codec: FourCc::H264 },
        })
    }

    /// Says why it was taken.
    pub(crate) fn because(mut self, why: String) -> Self {
        self.info.reason = why;
        self
    }

    /// The picture of an access unit with slices, or why there is none.
    fn decode(&mut self, unit: &[u8], start: &PictureStart, slot: Option<WriteSlot>) -> Result<Made, BackendError> {
        let format = format_of(&start.sps, self.fourcc);
        let Some(format) = format else { return Ok(Made::Lost(Loss::Corrupt)) };
        let depth = depth_of(&start.sps);
        let (width, height) = (format.width as usize, format.height as usize);
        // One buffer is being filled, and some pictures wait for others.
        self.outbox.set_format(format, self.pictures + depth.pictures + 1)?;
        let current = self.outbox.format();
        let slot = slot.filter(|slot| current.is_some_and(|format| Arc::ptr_eq(slot.format(), format)));
        let slot = match slot {
            Some(slot) => Ok(Some(slot)),
            // The format is new, and with it the buffers.
            None => self.outbox.slot(),
        };
        let mut slot = match slot {
            Ok(Some(slot)) => slot,
            Ok(None) | Err(NoSlot::Full) => return Err(self.outbox.failed("take a buffer", "a new pool has none")),
            Err(NoSlot::Memory(error)) => return Err(error),
        };
        let (mut count, mut whole) = (0, false);
        let decoded = feed(&mut self.library, &mut self.unit, unit, |picture| {
            count += 1;
            whole = (picture.width, picture.height) == (width, height) && write(&mut slot, picture);
        });
        if !decoded || count != 1 || !whole {
            return Ok(Made::Lost(Loss::Corrupt));
        }
        Ok(Made::Picture(slot, depth))
    }

    /// Nothing that refers to what has been decoded can be shown any more.
    fn lose(&mut self, tag: FrameTag, loss: Loss) -> Result<(), BackendError> {
        self.awaits_keyframe = true;
        self.show_all();
        self.outbox.push(Output::Lost(tag, loss));
        // What the library makes of damage is its own affair; its successor knows nothing of it.
        self.library = Openh264Decoder::open()?;
        Ok(())
    }

    fn show_all(&mut self) {
        for picture in self.reorder.flush() {
            self.outbox.push(Output::Done(picture));
        }
    }
}

/// What became of an access unit.
enum Made {
    Picture(WriteSlot, Depth),
    Lost(Loss),
}

impl Session for SoftwareDecoder {
    fn as_poll_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.outbox.as_fd())
    }

    fn deadline(&self) -> Option<u64> {
        None
    }

    fn drain(&mut self) -> Result<(), BackendError> {
        if !self.draining {
            self.draining = true;
            self.show_all();
            self.outbox.push(Output::Drained);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BackendError> {
        self.reorder.flush();
        self.outbox.clear();
        self.draining = false;
        self.awaits_keyframe = true;
        Ok(())
    }
}

impl Decoder for SoftwareDecoder {
    fn info(&self) -> &DecoderInfo {
        &self.info
    }

    fn submit(&mut self, unit: &Arc<[u8]>, tag: FrameTag) -> Result<(), SubmitError> {
        if self.draining {
            return Err(SubmitError::Draining);
        }
        if unit.len() > LONGEST_UNIT {
            return Err(SubmitError::TooLong { len: unit.len(), max: LONGEST_UNIT });
        }
        if !self.outbox.has_room() {
            return Err(SubmitError::Full);
        }
        let slot = self.outbox.slot().map_err(|missing| match missing {
            NoSlot::Full => SubmitError::Full,
            NoSlot::Memory(error) => error.into(),
        })?;
        refuse_unsupported(unit).map_err(|reason| self.outbox.failed("decode", reason))?;
        let start = match self.order.read(unit) {
            Ok(Some(start)) => start,
            Ok(None) => {
                // Parameter sets alone are for what follows.
                if !feed(&mut self.library, &mut self.unit, unit, |_| ()) {
                    return Ok(self.lose(tag, Loss::Corrupt)?);
                }
                self.outbox.push(Output::Lost(tag, Loss::NoPicture));
                return Ok(());
            }
            Err(_) if self.awaits_keyframe && !is_keyframe(Codec::H264, unit) => {
                self.outbox.push(Output::Lost(tag, Loss::NoPicture));
                return Ok(());
            }
            Err(_) => return Ok(self.lose(tag, Loss::Corrupt)?),
        };
        if self.awaits_keyframe && !start.idr {
            self.outbox.push(Output::Lost(tag, Loss::NoPicture));
            return Ok(());
        }
        match self.decode(unit, &start, slot)? {
            Made::Lost(loss) => self.lose(tag, loss)?,
            Made::Picture(slot, depth) => {
                self.awaits_keyframe = false;
                let picture = self.outbox.picture(slot, tag)?;
                for picture in self.reorder.push(start.order, start.idr, picture, depth) {
                    self.outbox.push(Output::Done(picture));
                }
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Output<Picture>, BackendError> {
        let output = self.outbox.receive();
        if matches!(output, Output::Drained) {
            self.draining = false;
            self.awaits_keyframe = true;
        }
        Ok(output)
    }
}

/// Says why the pictures of a sequence parameter set in `unit` cannot be decoded. One that cannot be
/// read is damaged, which is another matter.
fn refuse_unsupported(unit: &[u8]) -> Result<(), String> {
    let sequences = nal_units(unit).filter(|nal| NalKind::of(Codec::H264, nal) == NalKind::Sps);
    sequences.filter_map(|nal| Sps::parse(nal).ok()).try_for_each(|sps| check_sps(&sps))
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
        _ => return check_size(sps),
    };
    let profile = sps.profile;
    Err(format!("{what} (profile_idc {profile}); it decodes progressive 8 bit 4:2:0 of Baseline, Main and High"))
}

fn check_size(sps: &Sps) -> Result<(), String> {
    let (wide, high) = (sps.coded_size.0 / 16, sps.coded_size.1 / 16);
    let most = MAX_DIMENSION / 16;
    if wide <= most && high <= most && wide.saturating_mul(high) <= MAX_MACROBLOCKS {
        return Ok(());
    }
    let format = &sps.format;
    Err(format!(
        "pictures of {}x{}; it decodes at most 9.4 megapixels (4096x2304), and {MAX_DIMENSION} pixels on a side",
        format.width, format.height
    ))
}

fn depth_of(sps: &Sps) -> Depth {
    const BASELINE: u8 = 66;
    let said = sps.max_reorder_frames.is_some();
    // Baseline has no B-frames. It may reorder others, but nobody does without saying so.
    let pictures = if sps.profile == BASELINE && !said { 0 } else { sps.reorder_frames() };
    Depth { pictures: pictures as usize, said }
}

/// `None` if there can be no such picture.
fn format_of(sps: &Sps, fourcc: FourCc) -> Option<Format> {
    let coded = &sps.format;
    let rate = coded.frame_duration_ns.map_or(Rate::UNKNOWN, rate_of);
    let mut format = Format::packed(fourcc, u32::from(coded.width), u32::from(coded.height), rate).ok()?;
    let unspecified = H273 { primaries: 2, transfer: 2, matrix: 2, full_range: false };
    let color = coded.colour.map_or(unspecified, |colour| H273 {
        primaries: colour.primaries,
        transfer: colour.transfer,
        matrix: colour.matrix,
        full_range: colour.full_range,
    });
    format.color = color.colorimetry();
    Some(format)
}

/// The rate of frames that are so many ns apart: whole, or of NTSC's kind, if that is what it is.
fn rate_of(duration_ns: i64) -> Rate {
    let Some(ns) = u64::try_from(duration_ns).ok().filter(|ns| (1..=LONGEST_FRAME).contains(ns)) else {
        return Rate::UNKNOWN;
    };
    let nearest = |den: u64, unit: u64| {
        let num = (NS_PER_SEC * den + ns * unit / 2) / (ns * unit) * unit;
        let apart = (NS_PER_SEC * den).checked_div(num)?;
        (apart.abs_diff(ns) <= 1).then_some((num, den))
    };
    let (num, den) = nearest(1, 1).or_else(|| nearest(1001, 1000)).unwrap_or((NS_PER_SEC, ns));
    u32::try_from(num).ok().zip(u32::try_from(den).ok()).map_or(Rate::UNKNOWN, |(num, den)| Rate { num, den })
}

/// Gives the library what it needs of an access unit; whether it found no fault.
fn feed(library: &mut Openh264Decoder, buffer: &mut Vec<u8>, unit: &[u8], each: impl FnMut(&Decoded<'_>)) -> bool {
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
    buffer.is_empty() || library.decode(buffer, each).is_ok()
}

/// Copies a picture into a buffer of its size; whether that worked.
fn write(slot: &mut WriteSlot, picture: &Decoded<'_>) -> bool {
    let format = Arc::clone(slot.format());
    matches!(slot.write(|memories| fill::fill(memories, &format, &picture.planes)), Ok(Some(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_that_people_write() {
        for rate in [Rate::fps(25), Rate::fps(60), Rate { num: 30_000, den: 1001 }, Rate { num: 24_000, den: 1001 }] {
            assert_eq!(rate_of(rate.interval_ns().unwrap_or(0) as i64), rate);
        }
        assert_eq!(rate_of(70_123_456), Rate { num: 1_000_000_000, den: 70_123_456 });
        for absurd in [i64::MIN, 0, i64::MAX] {
            assert_eq!(rate_of(absurd), Rate::UNKNOWN);
        }
        rate_of(1);
    }
}
