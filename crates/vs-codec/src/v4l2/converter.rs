// SPDX-License-Identifier: Apache-2.0
//! The converter of a device.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use vs_frame::{Format, Frame};
use vs_v4l2::m2m::{ConverterRequest, OpenSessionError};

use super::link::{Link, Request};
use super::name_of;
use crate::BackendKind;
use crate::converter::{Converter, ConverterConfig, ConverterInfo};
use crate::hardware::{Device, Ticket};
use crate::input::check_input;
use crate::session::{BackendError, FrameTag, Output, Picture, Session, SubmitError};

/// See the [module](self).
pub(crate) struct V4l2Converter {
    link: Link,
    input: Format,
    info: ConverterInfo,
}

impl V4l2Converter {
    pub(crate) fn open(
        device: &Device,
        ticket: Ticket,
        input: &Format,
        config: &ConverterConfig,
    ) -> Result<Self, OpenSessionError> {
        let fourcc = config.fourcc.unwrap_or(input.fourcc);
        let size = config.size.unwrap_or((input.width, input.height));
        let mut request = ConverterRequest::new(Arc::new(input.clone()), fourcc, size);
        request.tuning.outputs = u32::try_from(config.pictures).unwrap_or(u32::MAX);
        let link = Link::open(device, ticket, Request::Converter(request))?;
        let got = link.session().format().map_or((0, 0), |format| (format.width, format.height));
        let output = match link.session().format() {
            Some(given) if got == size => Arc::clone(given),
            _ => return Err(OpenSessionError::Size { devnode: device.devnode.clone(), wanted: size, got }),
        };
        let info = ConverterInfo { backend: BackendKind::V4l2, name: name_of(device), reason: String::new(), output };
        Ok(Self { link, input: input.clone(), info })
    }

    /// The same, with why it was taken.
    pub(crate) fn because(mut self, reason: String) -> Self {
        self.info.reason = reason;
        self
    }
}

impl Session for V4l2Converter {
    fn as_poll_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.link.poll_fd())
    }

    fn deadline(&self) -> Option<u64> {
        self.link.deadline()
    }

    fn drain(&mut self) -> Result<(), BackendError> {
        self.link.drain()
    }

    fn flush(&mut self) -> Result<(), BackendError> {
        self.link.flush()
    }
}

impl Converter for V4l2Converter {
    fn info(&self) -> &ConverterInfo {
        &self.info
    }

    fn submit(&mut self, frame: &Frame, tag: FrameTag) -> Result<(), SubmitError> {
        check_input(&self.input, frame.format())?;
        self.link.check_room()?;
        self.link.submit_picture(frame, tag, false)
    }

    fn receive(&mut self) -> Result<Output<Picture>, BackendError> {
        self.link.next_picture()
    }
}
