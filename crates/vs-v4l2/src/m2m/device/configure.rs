// SPDX-License-Identifier: Apache-2.0
//! What a device is told before it has buffers: formats, the visible part, controls.

use std::sync::Arc;

use rustix::io::Errno;
use vs_frame::{Format, FourCc, Rate};

use super::{Device, Plan};
use crate::capture::layout::format_of;
use crate::m2m::controls::{self, EffectiveControl, EncoderControl, JOINABLE};
use crate::m2m::error::OpenSessionError;
use crate::m2m::machine::{Answer, Reply, Role, Side};
use crate::m2m::pictures;
use crate::sys::{self, PixFormat, PixWish};

/// Buffers for imported pictures. They have no memory of their own, but the driver remembers
/// what each was last given with and need not map that again: so a camera's buffers, eight
/// unless asked otherwise, and its spares should have one each.
const IMPORT_SLOTS: u32 = 16;

impl Device {
    /// Agrees on a format; the driver must know it.
    fn agree(&mut self, side: Side, wish: &PixWish) -> Result<PixFormat, Errno> {
        let (fd, queue) = self.queue(side)?;
        let offered: Vec<FourCc> = sys::formats(fd, queue)?.iter().map(|format| format.fourcc).collect();
        if offered.contains(&wish.fourcc) {
            let pix = sys::set_queue_format(fd, queue, wish)?;
            if pix.fourcc == wish.fourcc {
                return Ok(pix);
            }
        }
        let direction = if side == Side::Output { "take" } else { "give" };
        let devnode = self.devnode.clone();
        let problem = OpenSessionError::NotOffered { devnode, direction, wanted: wish.fourcc, offered };
        Err(self.explain(problem, Errno::INVAL))
    }

    pub(super) fn layout(&mut self, pix: &PixFormat, rate: Rate) -> Result<Format, Errno> {
        format_of(pix, rate).map_err(|source| {
            let devnode = self.devnode.clone();
            self.explain(OpenSessionError::Layout { devnode, source }, Errno::PROTO)
        })
    }

    pub(super) fn configure_output(&mut self) -> Answer {
        let Some((source, import)) = self.plan.source().map(|(source, import)| (Arc::clone(source), import)) else {
            return self.configure_coded_output();
        };
        let size = (source.width, source.height);
        let plain = PixWish { color: source.color, ..PixWish::new(source.fourcc, size) };
        let stride = source.planes.first().map_or(0, |plane| plane.stride);
        let mut pix = self.agree(Side::Output, &PixWish { stride: if import { stride } else { 0 }, ..plain })?;
        let mut taken = self.layout(&pix, source.rate)?;
        self.imports = import && pictures::can_import(&source, &taken);
        if import && !self.imports {
            // A stride that is not the driver's own is of no use then.
            pix = self.agree(Side::Output, &plain)?;
            taken = self.layout(&pix, source.rate)?;
        }
        if pix.width < size.0 || pix.height < size.1 {
            let problem =
                OpenSessionError::Size { devnode: self.devnode.clone(), wanted: size, got: (pix.width, pix.height) };
            return Err(self.explain(problem, Errno::INVAL));
        }
        if self.plan.role() == Role::Encoder {
            self.configure_encoder(size, (pix.width, pix.height))?;
        }
        self.taken = Some(taken);
        let slots = if self.imports { IMPORT_SLOTS } else { 0 };
        Ok(Reply::Configured { min_buffers: self.needed(v4l2r::bindings::V4L2_CID_MIN_BUFFERS_FOR_OUTPUT)?, slots })
    }

    fn configure_coded_output(&mut self) -> Answer {
        let Plan::Decoder(request) = &self.plan else { return Err(Errno::INVAL) };
        let size = request.size.unwrap_or_default();
        let wish = PixWish { bytes: request.unit_bytes, ..PixWish::new(request.coded, size) };
        self.agree(Side::Output, &wish)?;
        self.taken = None;
        self.imports = false;
        let min_buffers = self.needed(v4l2r::bindings::V4L2_CID_MIN_BUFFERS_FOR_OUTPUT)?;
        Ok(Reply::Configured { min_buffers, slots: 0 })
    }

    /// Encoder document, "Initialization": visible size, frame interval, controls.
    fn configure_encoder(&mut self, size: (u32, u32), coded_size: (u32, u32)) -> Result<(), Errno> {
        let Plan::Encoder(request) = &self.plan else { return Ok(()) };
        let (coded, rate, wanted) = (request.coded, request.rate, request.controls.clone());
        let (fd, queue) = self.queue(Side::Output)?;
        // Without the ioctl the driver's padding becomes part of the picture.
        let got = match sys::crop(fd, queue, size) {
            Ok(got) => got,
            Err(Errno::INVAL | Errno::NOTTY) => coded_size,
            Err(error) => return Err(error),
        };
        if got != size {
            let problem = OpenSessionError::Size { devnode: self.devnode.clone(), wanted: size, got };
            return Err(self.explain(problem, Errno::INVAL));
        }
        if rate.is_known() {
            // The interval lies at the same place in the structures of both directions.
            sys::set_rate(fd, queue, rate)?;
        }
        for setting in JOINABLE {
            controls::set(fd, coded, setting)?;
        }
        let mut effective = Vec::with_capacity(wanted.len());
        for (control, wanted) in wanted {
            effective.push(EffectiveControl { control, wanted, got: controls::set(fd, coded, (control, wanted))? });
        }
        self.effective = effective;
        Ok(())
    }

    /// Sets a control now, and again when the device has to be opened again.
    pub(in super::super) fn set_control(&mut self, control: EncoderControl, wanted: i64) -> Result<Option<i64>, Errno> {
        let Plan::Encoder(request) = &self.plan else { return Ok(None) };
        let coded = request.coded;
        let (fd, _) = self.queue(Side::Output)?;
        let got = controls::change(fd, coded, (control, wanted))?;
        if control != EncoderControl::ForceKeyframe {
            if let Plan::Encoder(request) = &mut self.plan {
                request.controls.retain(|(known, _)| *known != control);
                request.controls.push((control, wanted));
            }
            self.effective.retain(|known| known.control != control);
            self.effective.push(EffectiveControl { control, wanted, got });
        }
        Ok(got)
    }

    /// What an encoder works with; `None` if it has no such control, or is closed.
    pub(in super::super) fn control(&self, control: EncoderControl) -> Option<i64> {
        let Plan::Encoder(request) = &self.plan else { return None };
        let (fd, _) = self.queue(Side::Output).ok()?;
        controls::get(fd, request.coded, control)
    }

    /// Whether an encoder can be told which picture is to be a keyframe.
    pub(in super::super) fn forces_keyframes(&self) -> bool {
        let Plan::Encoder(request) = &self.plan else { return false };
        let has = |(fd, _)| controls::has(fd, request.coded, EncoderControl::ForceKeyframe);
        self.queue(Side::Output).is_ok_and(has)
    }

    pub(super) fn configure_capture(&mut self) -> Answer {
        match &self.plan {
            Plan::Encoder(request) => {
                let size = (request.source.width, request.source.height);
                let wish = PixWish::new(request.coded, size);
                self.agree(Side::Capture, &wish)?;
            }
            Plan::Converter(request) => {
                let wish = PixWish::new(request.fourcc, request.size);
                self.agree(Side::Capture, &wish)?;
            }
            Plan::Decoder(request) => {
                let (fd, queue) = self.queue(Side::Capture)?;
                let now = sys::get_queue_format(fd, queue)?;
                let offered = sys::formats(fd, queue)?;
                let is_offered = |wanted: &&FourCc| offered.iter().any(|format| format.fourcc == **wanted);
                if let Some(wanted) = request.raw.iter().find(is_offered).filter(|wanted| **wanted != now.fourcc) {
                    sys::set_queue_format(fd, queue, &PixWish::new(*wanted, (now.width, now.height)))?;
                }
            }
        }
        let min_buffers = self.needed(v4l2r::bindings::V4L2_CID_MIN_BUFFERS_FOR_CAPTURE)?;
        Ok(Reply::Configured { min_buffers, slots: 0 })
    }

    /// Buffers that the device needs in a queue; drivers that do not say need one.
    fn needed(&self, control: u32) -> Result<u32, Errno> {
        let (fd, _) = self.queue(Side::Output)?;
        let needed = controls::read(fd, control).ok().and_then(|needed| u32::try_from(needed).ok());
        Ok(needed.unwrap_or(1).clamp(1, v4l2r::bindings::VIDEO_MAX_FRAME))
    }
}
