// SPDX-License-Identifier: Apache-2.0
//! `VIDIOC_QUERY_DV_TIMINGS`, `VIDIOC_G_DV_TIMINGS`, `VIDIOC_S_DV_TIMINGS`.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use v4l2r::bindings::{v4l2_bt_timings, v4l2_dv_timings};
use v4l2r::ioctl;

use super::{Result, errno, retry};

/// What comes in at a digital input (HDMI and the like).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Signal {
    /// A signal that the driver now expects; or an input for which that question has no meaning,
    /// such as a sensor.
    Fine,
    /// None, or none that is stable.
    Missing,
    /// One that the hardware cannot receive.
    Unsupported,
}

/// Makes a driver expect what comes in (kernel doc, "Digital Video (DV) Timings": a driver never
/// switches by itself). Its buffers must not be allocated.
pub(crate) fn follow_signal(fd: BorrowedFd<'_>) -> Result<Signal> {
    let coming: v4l2_dv_timings = match retry(|| ioctl::query_dv_timings(&fd).map_err(errno)) {
        Ok(timings) => timings,
        Err(Errno::NOLINK | Errno::NOLCK) => return Ok(Signal::Missing),
        Err(Errno::RANGE) => return Ok(Signal::Unsupported),
        // ENODATA: not this input. ENOTTY: not this driver. Whatever else it says, the format
        // that is set may do.
        Err(_) => return Ok(Signal::Fine),
    };
    let set: Result<v4l2_dv_timings> = retry(|| ioctl::g_dv_timings(&fd).map_err(errno));
    if !set.is_ok_and(|set| same(&set, &coming)) {
        retry(|| ioctl::s_dv_timings::<_, v4l2_dv_timings>(&fd, coming).map_err(errno))?;
    }
    Ok(Signal::Fine)
}

fn same(a: &v4l2_dv_timings, b: &v4l2_dv_timings) -> bool {
    let seen = |timings: &v4l2_dv_timings| {
        // SAFETY: the one type of timings that there is has `bt`; all its fields are numbers.
        let bt: v4l2_bt_timings = unsafe { timings.__bindgen_anon_1.bt };
        (bt.width, bt.height, bt.interlaced, bt.pixelclock, bt.hsync, bt.vsync)
    };
    a.type_ == b.type_ && seen(a) == seen(b)
}
