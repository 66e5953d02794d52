// SPDX-License-Identifier: Apache-2.0
//! The decoder of a device.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use vs_v4l2::m2m::{DecoderRequest, OpenSessionError};

use super::headers;
use super::link::{Link, Request};
use super::name_of;
use crate::BackendKind;
use crate::decoder::{Decoder, DecoderConfig, DecoderInfo, MAX_ACCESS_UNIT};
use crate::hardware::{Device, Ticket};
use crate::session::{BackendError, FrameTag, Output, Picture, Session, SubmitError};

/// See the [module](self).
pub(crate) struct V4l2Decoder {
    link: Link,
    info: DecoderInfo,
}

impl V4l2Decoder {
    pub(crate) fn open(device: &Device, ticket: Ticket, config: &DecoderConfig) -> Result<Self, OpenSessionError> {
        let mut request = DecoderRequest::new(config.codec);
        request.size = size_of(config);
        request.unit_bytes = request.size.map_or(0, unit_bytes);
        request.raw = config.formats.clone();
        request.tuning.outputs = u32::try_from(config.pictures).unwrap_or(u32::MAX);
        let link = Link::open(device, ticket, Request::Decoder(request))?;
        let info = DecoderInfo {
            backend: BackendKind::V4l2,
            name: name_of(device),
            reason: String::new(),
            codec: config.codec,
        };
        Ok(Self { link, info })
    }

    /// The same, with why it was taken.
    pub(crate) fn because(mut self, reason: String) -> Self {
        self.info.reason = reason;
        self
    }
}

/// The size of the pictures, as far as it is known before the first.
pub(crate) fn size_of(config: &DecoderConfig) -> Option<(u32, u32)> {
    config.size.or_else(|| headers::size_of(config.codec, &config.parameter_sets))
}

/// Bytes of an access unit that is as large as its picture in 4:2:0: no codec needs more.
fn unit_bytes((width, height): (u32, u32)) -> u32 {
    let bytes = u64::from(width) * u64::from(height) * 3 / 2;
    u32::try_from(bytes.min(MAX_ACCESS_UNIT as u64)).unwrap_or(0)
}

impl Session for V4l2Decoder {
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

impl Decoder for V4l2Decoder {
    fn info(&self) -> &DecoderInfo {
        &self.info
    }

    fn submit(&mut self, unit: &Arc<[u8]>, tag: FrameTag) -> Result<(), SubmitError> {
        self.link.check_room()?;
        self.link.submit_unit(unit, tag)
    }

    fn receive(&mut self) -> Result<Output<Picture>, BackendError> {
        self.link.next_picture()
    }
}
