// SPDX-License-Identifier: Apache-2.0
//! `VIDIOC_ENCODER_CMD`, `VIDIOC_DECODER_CMD`, `VIDIOC_G_SELECTION`, `VIDIOC_S_SELECTION`.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;
use v4l2r::{QueueType, bindings};

use super::{Result, retry};

nix::ioctl_readwrite!(vidioc_encoder_cmd, b'V', 77, bindings::v4l2_encoder_cmd);
nix::ioctl_readwrite!(vidioc_g_selection, b'V', 94, bindings::v4l2_selection);
nix::ioctl_readwrite!(vidioc_s_selection, b'V', 95, bindings::v4l2_selection);
nix::ioctl_readwrite!(vidioc_decoder_cmd, b'V', 96, bindings::v4l2_decoder_cmd);

/// A part of a picture, in pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rect {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// Begins a drain.
pub(crate) fn encoder_stop(fd: BorrowedFd<'_>) -> Result<()> {
    encoder_command(fd, bindings::V4L2_ENC_CMD_STOP)
}

/// Goes on after a drain.
pub(crate) fn encoder_start(fd: BorrowedFd<'_>) -> Result<()> {
    encoder_command(fd, bindings::V4L2_ENC_CMD_START)
}

/// Begins a drain.
pub(crate) fn decoder_stop(fd: BorrowedFd<'_>) -> Result<()> {
    decoder_command(fd, bindings::V4L2_DEC_CMD_STOP)
}

/// Goes on after a drain.
pub(crate) fn decoder_start(fd: BorrowedFd<'_>) -> Result<()> {
    decoder_command(fd, bindings::V4L2_DEC_CMD_START)
}

fn encoder_command(fd: BorrowedFd<'_>, cmd: u32) -> Result<()> {
    retry(|| {
        let mut command = bindings::v4l2_encoder_cmd { cmd, ..Default::default() };
        // SAFETY: `command` is the structure of this request, alive for the call.
        os(unsafe { vidioc_encoder_cmd(fd.as_raw_fd(), &raw mut command) })
    })
}

fn decoder_command(fd: BorrowedFd<'_>, cmd: u32) -> Result<()> {
    retry(|| {
        let mut command = bindings::v4l2_decoder_cmd { cmd, ..Default::default() };
        // SAFETY: `command` is the structure of this request, alive for the call.
        os(unsafe { vidioc_decoder_cmd(fd.as_raw_fd(), &raw mut command) })
    })
}

/// The part of a decoder's CAPTURE buffers that is picture (`V4L2_SEL_TGT_COMPOSE`); `None`
/// if the driver does not tell.
pub(crate) fn visible_part(fd: BorrowedFd<'_>, queue: QueueType) -> Result<Option<Rect>> {
    let mut selection = selection(queue, bindings::V4L2_SEL_TGT_COMPOSE);
    let asked = retry(|| {
        // SAFETY: `selection` is the structure that this request fills, alive for the call.
        os(unsafe { vidioc_g_selection(fd.as_raw_fd(), &raw mut selection) })
    });
    let side = |value: u32| (value > 0).then_some(value);
    match asked {
        Ok(()) => Ok(side(selection.r.width).zip(side(selection.r.height)).and_then(|(width, height)| {
            let left = u32::try_from(selection.r.left).ok()?;
            let top = u32::try_from(selection.r.top).ok()?;
            Some(Rect { left, top, width, height })
        })),
        Err(Errno::INVAL | Errno::NOTTY | Errno::NODATA) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tells an encoder which part of its OUTPUT buffers is picture (`V4L2_SEL_TGT_CROP`); returns
/// what the driver made of it.
pub(crate) fn crop(fd: BorrowedFd<'_>, queue: QueueType, (width, height): (u32, u32)) -> Result<(u32, u32)> {
    let mut selection = selection(queue, bindings::V4L2_SEL_TGT_CROP);
    selection.r = bindings::v4l2_rect { left: 0, top: 0, width, height };
    retry(|| {
        // SAFETY: `selection` is the structure of this request, alive for the call.
        os(unsafe { vidioc_s_selection(fd.as_raw_fd(), &raw mut selection) })
    })?;
    Ok((selection.r.width, selection.r.height))
}

/// Selections know the single-planar types; old kernels refuse the others (kernel doc,
/// "VIDIOC_G_SELECTION").
fn selection(queue: QueueType, target: u32) -> bindings::v4l2_selection {
    let single = match queue {
        QueueType::VideoCaptureMplane => QueueType::VideoCapture,
        QueueType::VideoOutputMplane => QueueType::VideoOutput,
        other => other,
    };
    bindings::v4l2_selection { type_: single as u32, target, ..Default::default() }
}

fn os(result: nix::Result<i32>) -> Result<()> {
    result.map(|_| ()).map_err(|error| Errno::from_raw_os_error(error as i32))
}
