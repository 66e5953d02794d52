// SPDX-License-Identifier: Apache-2.0
//! Access units in, pictures out.
//!
//! An access unit lies in memory that the client can still change, so it is copied before anybody
//! looks into it. Pictures are lent as they come out of the decoder.

use std::sync::Arc;

use vs_codec::decoder::MAX_ACCESS_UNIT;
use vs_codec::{
    Backend, BackendError, BackendKind, Decoder, DecoderConfig, FrameTag, Output, Picture, Session, SubmitError,
};
use vs_frame::Format;
use vs_ipc::exchange::{Adjustment, Credits, Loan, Settings};

use super::open::OpenFailure;
use super::worker::{Outcome, Work, cause};
use super::{DecoderWish, Opened, open};
use crate::codecs::Codecs;

pub(super) struct Decoding {
    decoder: Box<dyn Decoder>,
    config: DecoderConfig,
    backend: Backend,
    codecs: Arc<Codecs>,
    /// A copy of the access unit that the decoder did not take yet, so that it is not made again
    /// with each attempt.
    copied: Option<(u64, Arc<[u8]>)>,
}

impl Decoding {
    pub(super) fn open(wish: DecoderWish, codecs: Arc<Codecs>, credits: Credits) -> Result<Self, OpenFailure> {
        let DecoderWish { config, backend, .. } = wish;
        // One more than can be lent is in the worker's hand.
        let config = DecoderConfig { pictures: usize::from(credits.outputs) + 1, ..config };
        let decoder = open::decoder(&codecs, &config, backend)?;
        Ok(Self { decoder, config, backend, codecs, copied: None })
    }

    fn copy(&mut self, loan: &Loan) -> Result<Arc<[u8]>, SubmitError> {
        if let Some((number, unit)) = &self.copied
            && *number == loan.number
        {
            return Ok(Arc::clone(unit));
        }
        let len = loan.frame.meta().bytes_used[0] as usize;
        if len > MAX_ACCESS_UNIT {
            return Err(SubmitError::TooLong { len, max: MAX_ACCESS_UNIT });
        }
        let view = loan.frame.map()?;
        let payload = view.payload();
        if loan.frame.format().fourcc != self.config.codec || payload.len() != len {
            return Err(SubmitError::Incomplete);
        }
        Ok(Arc::from(payload))
    }
}

impl Work for Decoding {
    fn session(&mut self) -> &mut dyn Session {
        &mut *self.decoder
    }

    fn submit(&mut self, loan: &Loan) -> Result<(), SubmitError> {
        let unit = self.copy(loan)?;
        let meta = loan.frame.meta();
        let tag = FrameTag {
            serial: loan.number,
            capture_ns: meta.capture_ns,
            pts_ns: meta.pts.unwrap_or_else(|| i64::try_from(meta.capture_ns).unwrap_or(i64::MAX)),
            duration_ns: meta.duration,
        };
        let submitted = self.decoder.submit(&unit, tag);
        self.copied = matches!(submitted, Err(SubmitError::Full)).then_some((loan.number, unit));
        submitted
    }

    fn receive(&mut self) -> Result<Outcome, BackendError> {
        Ok(match self.decoder.receive()? {
            Output::Done(Picture { frame, tag }) => Outcome::Made(tag.serial, frame),
            Output::Lost(tag, loss) => Outcome::Lost(tag.serial, cause(&loss), loss.to_string()),
            Output::Pending => Outcome::Pending,
            Output::Drained => Outcome::Drained,
        })
    }

    fn adjust(&mut self, _adjustment: &Adjustment) -> Result<Settings, String> {
        Err("there is nothing to adjust at a decoder".to_owned())
    }

    fn reopen(self, _format: Option<&Arc<Format>>) -> Result<Self, OpenFailure> {
        drop(self.decoder);
        let decoder = open::decoder(&self.codecs, &self.config, self.backend)?;
        Ok(Self { decoder, copied: None, ..self })
    }

    fn name(&self) -> &str {
        &self.decoder.info().name
    }

    fn backend(&self) -> BackendKind {
        self.decoder.info().backend
    }

    fn opened(&self, credits: Credits) -> Opened {
        let info = self.decoder.info();
        let (name, reason) = (info.name.clone(), info.reason.clone());
        Opened { name, backend: info.backend, reason, effective: None, credits }
    }
}
