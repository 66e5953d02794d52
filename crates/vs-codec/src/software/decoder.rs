// SPDX-License-Identifier: Apache-2.0
//! The decoder, whatever its codec.
//!
//! Each access unit is decoded within `submit`, into a buffer that was taken before, and its picture
//! waits until its turn to be shown has come. What is damaged is not shown, nor is anything that
//! comes after it until the next keyframe: what it refers to is not what was meant.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use vs_frame::{Format, FourCc, WriteSlot};

use super::engine::{Announced, Engine, Look};
use super::h264::H264;
#[cfg(feature = "software-h265")]
use super::h265::H265;
use super::outbox::{NoSlot, Outbox};
#[cfg(feature = "software-vp9")]
use super::vp9::Vp9;
use crate::decoder::{Decoder, DecoderConfig, DecoderInfo};
use crate::open::{BackendKind, OpenError};
use crate::session::{BackendError, FrameTag, Loss, Output, Picture, Session, SubmitError};

/// The codecs that it knows.
pub(crate) const DECODABLE: &[FourCc] = &[
    FourCc::H264,
    #[cfg(feature = "software-h265")]
    FourCc::HEVC,
    #[cfg(feature = "software-vp9")]
    FourCc::VP9,
];

/// The pixel formats that it makes, its own first.
const OUTPUTS: [FourCc; 2] = [FourCc::YUV420, FourCc::NV12];

/// Pictures that a caller may have in hand at most: what it asks for is memory.
const MAX_PICTURES: usize = 32;

/// The decoder.
pub(crate) struct SoftwareDecoder {
    info: DecoderInfo,
    engine: Box<dyn Engine>,
    /// How many the caller may have in hand.
    pictures: usize,
    outbox: Outbox,
    awaits_keyframe: bool,
    draining: bool,
}

impl SoftwareDecoder {
    pub(crate) fn open(config: &DecoderConfig) -> Result<Self, OpenError> {
        let wanted = config.formats.iter().find(|fourcc| OUTPUTS.contains(fourcc));
        let fourcc = wanted.copied().unwrap_or(OUTPUTS[0]);
        let engine: Box<dyn Engine> = match config.codec {
            FourCc::H264 => Box::new(H264::open(fourcc)?),
            #[cfg(feature = "software-h265")]
            FourCc::HEVC => Box::new(H265::new(fourcc)),
            #[cfg(feature = "software-vp9")]
            FourCc::VP9 => Box::new(Vp9::new(fourcc)),
            codec => return Err(OpenError::NoSoftware { codec }),
        };
        engine.refuse_unsupported(&config.parameter_sets).map_err(|reason| OpenError::Stream { reason })?;
        let name = engine.name();
        Ok(Self {
            engine,
            pictures: config.pictures.clamp(1, MAX_PICTURES),
            outbox: Outbox::new(name.clone())?,
            awaits_keyframe: true,
            draining: false,
            info: DecoderInfo { backend: BackendKind::Software, name, reason: String::new(), codec: config.codec },
        })
    }

    /// Says why it was taken.
    pub(crate) fn because(mut self, why: String) -> Self {
        self.info.reason = why;
        self
    }

    /// Decodes an access unit with slices. `slot` is of the format of the last picture, if there was
    /// one.
    fn decode(
        &mut self,
        unit: &[u8],
        tag: FrameTag,
        announced: Announced,
        slot: Option<WriteSlot>,
    ) -> Result<(), BackendError> {
        let Announced { keyframe, format, waiting } = announced;
        if self.awaits_keyframe && !keyframe {
            self.outbox.push(Output::Lost(tag, Loss::NoPicture));
            return Ok(());
        }
        let Some(format) = format else { return self.lose(tag) };
        let mut slot = self.slot_of(format, waiting, slot)?;
        let Ok(shows) = self.engine.decode(unit, Some(&mut slot)) else { return self.lose(tag) };
        self.awaits_keyframe = false;
        let picture = if shows { Some(self.outbox.picture(slot, tag)?) } else { None };
        if picture.is_none() {
            self.outbox.push(Output::Lost(tag, Loss::NoPicture));
        }
        for output in self.engine.take_turn(picture) {
            self.outbox.push(output);
        }
        Ok(())
    }

    /// A buffer for a picture of this format: the one that is there, or one of a new pool.
    fn slot_of(&mut self, format: Format, waiting: usize, slot: Option<WriteSlot>) -> Result<WriteSlot, BackendError> {
        // One buffer is being filled, and some pictures wait for others.
        self.outbox.set_format(format, self.pictures + waiting + 1)?;
        let current = self.outbox.format();
        if let Some(slot) = slot.filter(|slot| current.is_some_and(|format| Arc::ptr_eq(slot.format(), format))) {
            return Ok(slot);
        }
        match self.outbox.slot() {
            Ok(Some(slot)) => Ok(slot),
            Ok(None) | Err(NoSlot::Full) => Err(self.outbox.failed("take a buffer", "a new pool has none")),
            Err(NoSlot::Memory(error)) => Err(error),
        }
    }

    /// Nothing that refers to what has been decoded can be shown any more.
    fn lose(&mut self, tag: FrameTag) -> Result<(), BackendError> {
        self.awaits_keyframe = true;
        self.show_all();
        self.outbox.push(Output::Lost(tag, Loss::Corrupt));
        // What a library makes of damage is its own affair; its successor knows nothing of it.
        self.engine.reopen()
    }

    fn show_all(&mut self) {
        for picture in self.engine.end() {
            self.outbox.push(Output::Done(picture));
        }
    }
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
        self.engine.end();
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
        let max = self.engine.longest_unit();
        if unit.len() > max {
            return Err(SubmitError::TooLong { len: unit.len(), max });
        }
        if !self.outbox.has_room() {
            return Err(SubmitError::Full);
        }
        let slot = self.outbox.slot().map_err(|missing| match missing {
            NoSlot::Full => SubmitError::Full,
            NoSlot::Memory(error) => error.into(),
        })?;
        self.engine.refuse_unsupported(unit).map_err(|reason| self.outbox.failed("decode", reason))?;
        match self.engine.look(unit) {
            Look::Picture(announced) => self.decode(unit, tag, announced, slot)?,
            // Parameter sets alone are for what follows.
            Look::Nothing if self.engine.decode(unit, None).is_ok() => {
                self.outbox.push(Output::Lost(tag, Loss::NoPicture));
            }
            Look::Unclear { keyframe: false } if self.awaits_keyframe => {
                self.outbox.push(Output::Lost(tag, Loss::NoPicture));
            }
            Look::Nothing | Look::Unclear { .. } => self.lose(tag)?,
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
