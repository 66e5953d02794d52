// SPDX-License-Identifier: Apache-2.0
//! Pictures in, access units out.
//!
//! Pictures are encoded from the memory in which the client has them. Access units are small, and
//! are copied once, into memory that the client can read and nobody can write.

use std::sync::Arc;

use vs_codec::{
    AccessUnit, Backend, BackendError, BackendKind, Bitrate, Changes, Effective, Encoder, EncoderConfig, FrameTag,
    KeyframeInterval, Output, RateControl, Session, SubmitError,
};
use vs_frame::clock::NS_PER_SEC;
use vs_frame::{Colorimetry, CpuMemory, CpuPool, Format, Frame, FrameFlags, FrameMeta, Rate};
use vs_ipc::exchange::{Adjustment, Credits, Loan, Settings};
use vs_ipc::wire::LossCause;

use super::open::OpenFailure;
use super::worker::{Outcome, Work, cause};
use super::{EncoderWish, Opened, open};
use crate::codecs::Codecs;

pub(super) struct Encoding {
    encoder: Box<dyn Encoder>,
    /// What it was opened for.
    input: Format,
    config: EncoderConfig,
    backend: Backend,
    codecs: Arc<Codecs>,
    memory: Memory,
}

impl Encoding {
    pub(super) fn open(wish: EncoderWish, codecs: Arc<Codecs>, credits: Credits) -> Result<Self, OpenFailure> {
        let EncoderWish { input, config, backend, .. } = wish;
        let encoder = open::encoder(&codecs, &input, &config, backend)?;
        // One more than can be lent is in the worker's hand.
        let memory = Memory { buffers: usize::from(credits.outputs) + 1, pool: None };
        Ok(Self { encoder, input, config, backend, codecs, memory })
    }

    fn outcome(&mut self, unit: &AccessUnit) -> Outcome {
        let origin = unit.tag.serial;
        match self.memory.frame(unit, self.encoder.effective(), self.input.rotation) {
            Ok(frame) => Outcome::Made(origin, frame),
            Err(error) => Outcome::Lost(origin, LossCause::Other, format!("{error:#}")),
        }
    }

    fn changes(&self, adjustment: &Adjustment) -> Result<Changes, String> {
        let rate_control = match (adjustment.bitrate, self.encoder.effective().rate_control) {
            (None, _) => None,
            (Some(_), RateControl::Quality(_)) => {
                return Err("it keeps the quality constant, whatever the bitrate: open one with a bitrate".to_owned());
            }
            (Some(bits), now) => {
                let bitrate = u32::try_from(bits).ok().and_then(Bitrate::new);
                let bitrate = bitrate.ok_or_else(|| format!("{bits} bit/s is out of range"))?;
                Some(if matches!(now, RateControl::Cbr(_)) {
                    RateControl::Cbr(bitrate)
                } else {
                    RateControl::Vbr(bitrate)
                })
            }
        };
        let keyframe_interval = adjustment.keyframe_interval_ns.map(KeyframeInterval::Time);
        Ok(Changes { rate_control, keyframe_interval })
    }
}

impl Work for Encoding {
    fn session(&mut self) -> &mut dyn Session {
        &mut *self.encoder
    }

    fn submit(&mut self, loan: &Loan) -> Result<(), SubmitError> {
        let (frame, meta) = (&loan.frame, loan.frame.meta());
        // Colour is written into the stream once, when the encoder is opened.
        if frame.format().color != self.input.color {
            let describe = |color: Colorimetry| format!("colours {color:?}");
            return Err(SubmitError::Format {
                expected: describe(self.input.color),
                got: describe(frame.format().color),
            });
        }
        let capture_pts = || i64::try_from(meta.capture_ns).unwrap_or(i64::MAX);
        let tag = FrameTag {
            serial: loan.number,
            capture_ns: meta.capture_ns,
            pts_ns: meta.pts.unwrap_or_else(capture_pts),
            duration_ns: meta.duration,
        };
        self.encoder.submit(frame, tag)
    }

    fn receive(&mut self) -> Result<Outcome, BackendError> {
        Ok(match self.encoder.receive()? {
            Output::Done(unit) => self.outcome(&unit),
            Output::Lost(tag, loss) => Outcome::Lost(tag.serial, cause(&loss), loss.to_string()),
            Output::Pending => Outcome::Pending,
            Output::Drained => Outcome::Drained,
        })
    }

    fn adjust(&mut self, adjustment: &Adjustment) -> Result<Settings, String> {
        let changes = self.changes(adjustment)?;
        if changes != Changes::default() {
            self.encoder.reconfigure(&changes).map_err(|error| error.to_string())?;
            // One that takes its place is to be as this one is.
            self.config.rate_control = changes.rate_control.or(self.config.rate_control);
            self.config.keyframe_interval = changes.keyframe_interval.unwrap_or(self.config.keyframe_interval);
        }
        if adjustment.force_keyframe {
            self.encoder.force_keyframe();
        }
        Ok(settings(self.encoder.effective()))
    }

    fn reopen(mut self, format: Option<&Arc<Format>>) -> Result<Self, OpenFailure> {
        drop(self.encoder);
        if let Some(format) = format {
            // Who lends frames one by one may not know their rate.
            let rate = if format.rate.is_known() { format.rate } else { self.input.rate };
            self.input = Format { rate, ..Format::clone(format) };
        }
        let encoder = open::encoder(&self.codecs, &self.input, &self.config, self.backend)?;
        Ok(Self { encoder, ..self })
    }

    fn name(&self) -> &str {
        &self.encoder.effective().name
    }

    fn backend(&self) -> BackendKind {
        self.encoder.effective().backend
    }

    fn opened(&self, credits: Credits) -> Opened {
        let effective = self.encoder.effective().clone();
        Opened {
            name: effective.name.clone(),
            backend: effective.backend,
            reason: effective.reason.clone(),
            effective: Some(effective),
            credits,
        }
    }
}

/// What an encoder does, in the words of the exchange.
fn settings(effective: &Effective) -> Settings {
    let bitrate = match effective.rate_control {
        RateControl::Vbr(bitrate) | RateControl::Cbr(bitrate) => Some(u64::from(bitrate.bits())),
        RateControl::Quality(_) => None,
    };
    Settings { bitrate, keyframe_interval_ns: keyframe_interval_ns(effective) }
}

/// How far keyframes are apart at most, at the nominal rate.
pub fn keyframe_interval_ns(effective: &Effective) -> u64 {
    let rate = if effective.rate.is_known() { effective.rate } else { Rate::fps(vs_codec::config::ASSUMED_FPS) };
    let ns = u128::from(effective.keyframe_interval.get()) * u128::from(NS_PER_SEC) * u128::from(rate.den);
    u64::try_from(ns / u128::from(rate.num)).unwrap_or(u64::MAX)
}

/// Where access units go.
struct Memory {
    buffers: usize,
    pool: Option<CpuPool>,
}

impl Memory {
    fn frame(&mut self, unit: &AccessUnit, effective: &Effective, rotation: u16) -> anyhow::Result<Frame> {
        let pool = self.pool_for(effective, rotation)?;
        // Parameter sets become known with the first access unit, and change with some settings.
        let format = pool.format();
        let format = if format.parameter_sets == effective.parameter_sets {
            Arc::clone(format)
        } else {
            Arc::new(Format { parameter_sets: Arc::clone(&effective.parameter_sets), ..Format::clone(format) })
        };
        let slot = pool.acquire()?;
        let mut slot = slot.ok_or_else(|| anyhow::anyhow!("all memory for access units is in use"))?;
        let len = unit.data.len();
        slot.write(|memories| {
            let room = memories.first_mut().and_then(|memory| memory.get_mut(..len));
            room.map(|room| room.copy_from_slice(&unit.data))
        })?
        .ok_or_else(|| anyhow::anyhow!("an access unit of {len} bytes is larger than any was to be"))?;
        let mut flags = FrameFlags::empty();
        flags.set(FrameFlags::KEYFRAME, unit.keyframe);
        let meta = FrameMeta {
            sequence: unit.tag.serial as u32,
            capture_ns: unit.tag.capture_ns,
            pts: Some(unit.tag.pts_ns),
            dts: Some(unit.dts_ns).filter(|dts| *dts != unit.tag.pts_ns),
            duration: unit.tag.duration_ns,
            bytes_used: [len as u32, 0, 0, 0],
            flags,
        };
        Ok(slot.finish_as(format, meta)?)
    }

    /// The pool, made anew if the encoder makes something else than before.
    fn pool_for(&mut self, effective: &Effective, rotation: u16) -> anyhow::Result<&CpuPool> {
        let Effective { codec, width, height, rate, color, largest_access_unit, parameter_sets, .. } = effective;
        let format = Format::coded(*codec, *width, *height, *rate, *largest_access_unit)?;
        let parameter_sets = Arc::clone(parameter_sets);
        let format = Format { color: *color, rotation, parameter_sets, ..format };
        let alike = |pool: &CpuPool| {
            let known = pool.format();
            Format { parameter_sets: Arc::clone(&known.parameter_sets), ..format.clone() } == **known
        };
        let pool = match self.pool.take() {
            Some(pool) if alike(&pool) => pool,
            _ => CpuPool::new(Arc::new(format), CpuMemory::Memfd, 1, self.buffers)?,
        };
        Ok(self.pool.insert(pool))
    }
}
