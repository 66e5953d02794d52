// SPDX-License-Identifier: Apache-2.0
//! Conversions on the CPU as a session: its pictures are buffers of its own.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use vs_convert::{Conversion, ConversionError};
use vs_frame::{Format, Frame};

use super::outbox::{NoSlot, Outbox};
use crate::converter::{Converter, ConverterConfig, ConverterInfo};
use crate::input::check_input;
use crate::open::{BackendKind, OpenError};
use crate::session::{BackendError, FrameTag, Output, Picture, Session, SubmitError};

/// Pictures that a caller may have in hand at most.
const MAX_PICTURES: usize = 32;

/// The converter.
pub(crate) struct SoftwareConverter {
    info: ConverterInfo,
    conversion: Conversion,
    outbox: Outbox,
    draining: bool,
}

impl SoftwareConverter {
    pub(crate) fn open(input: &Format, config: &ConverterConfig) -> Result<Self, OpenError> {
        let conversion = Conversion::new(input, config.fourcc, config.size).map_err(|error| match error {
            ConversionError::Modifier { modifier } => OpenError::Modifier { modifier },
            error => OpenError::Conversion { reason: error.to_string() },
        })?;
        let name = "yuv and fast_image_resize".to_owned();
        let mut outbox = Outbox::new(name.clone())?;
        // One more is being filled.
        outbox.set_format(conversion.output().clone(), config.pictures.clamp(1, MAX_PICTURES) + 1)?;
        let output = outbox.format().map_or_else(|| Arc::new(conversion.output().clone()), Arc::clone);
        let info = ConverterInfo { backend: BackendKind::Software, name, reason: String::new(), output };
        Ok(Self { info, conversion, outbox, draining: false })
    }

    /// Says why it was taken.
    pub(crate) fn because(mut self, why: String) -> Self {
        self.info.reason = why;
        self
    }
}

impl Session for SoftwareConverter {
    fn as_poll_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.outbox.as_fd())
    }

    fn deadline(&self) -> Option<u64> {
        None
    }

    fn drain(&mut self) -> Result<(), BackendError> {
        if !self.draining {
            self.draining = true;
            self.outbox.push(Output::Drained);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BackendError> {
        self.outbox.clear();
        self.draining = false;
        Ok(())
    }
}

impl Converter for SoftwareConverter {
    fn info(&self) -> &ConverterInfo {
        &self.info
    }

    fn submit(&mut self, frame: &Frame, tag: FrameTag) -> Result<(), SubmitError> {
        if self.draining {
            return Err(SubmitError::Draining);
        }
        check_input(self.conversion.input(), frame.format())?;
        let mut slot = match self.outbox.slot() {
            Ok(Some(slot)) => slot,
            Ok(None) | Err(NoSlot::Full) => return Err(SubmitError::Full),
            Err(NoSlot::Memory(error)) => return Err(error.into()),
        };
        let (view, layout) = (frame.map()?, Arc::clone(slot.format()));
        let done = slot.write(|memories| self.conversion.convert_into(&view, memories, &layout))?;
        done.map_err(|_| SubmitError::Incomplete)?;
        let picture = self.outbox.picture(slot, tag)?;
        self.outbox.push(Output::Done(picture));
        Ok(())
    }

    fn receive(&mut self) -> Result<Output<Picture>, BackendError> {
        let output = self.outbox.receive();
        if matches!(output, Output::Drained) {
            self.draining = false;
        }
        Ok(output)
    }
}
