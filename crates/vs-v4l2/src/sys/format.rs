// SPDX-License-Identifier: Apache-2.0
//! `VIDIOC_G_FMT`, `VIDIOC_S_FMT`, `VIDIOC_G_PARM`, `VIDIOC_S_PARM`, in one shape for both APIs.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use v4l2r::{QueueType, bindings, ioctl};
use vs_frame::{Colorimetry, Field, FourCc, Rate};

use super::enumerate::rate_of;
use super::{Result, errno, retry};
use crate::planar::Planar;

/// A picture format as a driver states it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PixFormat {
    pub(crate) fourcc: FourCc,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) field: Field,
    pub(crate) color: Colorimetry,
    /// One for each memory of a buffer.
    pub(crate) planes: Vec<PixPlane>,
}

/// One memory of a buffer, in the driver's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PixPlane {
    pub(crate) bytesperline: u32,
    pub(crate) sizeimage: u32,
}

/// The capture format that is set now.
pub(crate) fn get_format(fd: BorrowedFd<'_>, planar: Planar) -> Result<PixFormat> {
    let raw: bindings::v4l2_format = retry(|| ioctl::g_fmt(&fd, planar.capture()).map_err(errno))?;
    read(&raw, planar)
}

/// Asks for a capture format and returns what the driver made of it. Strides and sizes are
/// left zero, so that the driver computes them: a stride left over from an earlier format
/// makes a later QBUF fail.
pub(crate) fn set_format(fd: BorrowedFd<'_>, planar: Planar, fourcc: FourCc, size: (u32, u32)) -> Result<PixFormat> {
    let (pixelformat, (width, height)) = (fourcc.to_u32(), size);
    let fmt = match planar {
        Planar::Single => bindings::v4l2_format__bindgen_ty_1 {
            pix: bindings::v4l2_pix_format { width, height, pixelformat, ..Default::default() },
        },
        Planar::Multi => bindings::v4l2_format__bindgen_ty_1 {
            pix_mp: bindings::v4l2_pix_format_mplane { width, height, pixelformat, ..Default::default() },
        },
    };
    let raw: bindings::v4l2_format = retry(|| {
        let wanted = bindings::v4l2_format { type_: planar.capture() as u32, fmt };
        ioctl::s_fmt(&mut fd.clone(), wanted).map_err(errno)
    })?;
    read(&raw, planar)
}

/// Numbers above 255 are no colour code of any kernel: they count as "default".
fn color_code(value: u32) -> u8 {
    u8::try_from(value).unwrap_or(0)
}

fn read(raw: &bindings::v4l2_format, planar: Planar) -> Result<PixFormat> {
    match planar {
        Planar::Single => {
            // SAFETY: the kernel fills `pix` for the single-planar type that was asked for;
            // all its fields are plain numbers.
            let (pix, encoding) = unsafe { (raw.fmt.pix, raw.fmt.pix.__bindgen_anon_1.ycbcr_enc) };
            Ok(PixFormat {
                fourcc: FourCc::from_u32(pix.pixelformat),
                width: pix.width,
                height: pix.height,
                field: Field(color_code(pix.field)),
                color: Colorimetry {
                    colorspace: color_code(pix.colorspace),
                    transfer: color_code(pix.xfer_func),
                    encoding: color_code(encoding),
                    quantization: color_code(pix.quantization),
                },
                planes: vec![PixPlane { bytesperline: pix.bytesperline, sizeimage: pix.sizeimage }],
            })
        }
        Planar::Multi => {
            // SAFETY: the kernel fills `pix_mp` for the multi-planar type that was asked for;
            // all its fields are plain numbers.
            let (pix, encoding) = unsafe { (raw.fmt.pix_mp, raw.fmt.pix_mp.__bindgen_anon_1.ycbcr_enc) };
            // The structure is packed: take the array out before pointing into it.
            let planes = pix.plane_fmt;
            let planes = planes.get(..usize::from(pix.num_planes)).ok_or(Errno::PROTO)?;
            let plane = |plane: &bindings::v4l2_plane_pix_format| PixPlane {
                bytesperline: plane.bytesperline,
                sizeimage: plane.sizeimage,
            };
            Ok(PixFormat {
                fourcc: FourCc::from_u32(pix.pixelformat),
                width: pix.width,
                height: pix.height,
                field: Field(color_code(pix.field)),
                color: Colorimetry {
                    colorspace: color_code(pix.colorspace),
                    transfer: pix.xfer_func,
                    encoding,
                    quantization: pix.quantization,
                },
                planes: planes.iter().map(plane).collect(),
            })
        }
    }
}

/// The frame rate that is set now; `None` if the driver has no such thing.
pub(crate) fn get_rate(fd: BorrowedFd<'_>, queue: QueueType) -> Result<Option<Rate>> {
    match retry(|| ioctl::g_parm::<bindings::v4l2_streamparm>(&fd, queue).map_err(errno)) {
        Ok(raw) => Ok(read_rate(&raw)),
        Err(Errno::NOTTY | Errno::INVAL | Errno::NODATA) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Asks for a frame rate and returns what the driver made of it; `None` if it has no such
/// thing.
pub(crate) fn set_rate(fd: BorrowedFd<'_>, queue: QueueType, rate: Rate) -> Result<Option<Rate>> {
    let timeperframe = bindings::v4l2_fract { numerator: rate.den, denominator: rate.num };
    let capture = bindings::v4l2_captureparm { timeperframe, ..Default::default() };
    let wanted =
        || bindings::v4l2_streamparm { type_: queue as u32, parm: bindings::v4l2_streamparm__bindgen_ty_1 { capture } };
    match retry(|| ioctl::s_parm::<_, bindings::v4l2_streamparm>(&fd, wanted()).map_err(errno)) {
        Ok(raw) => Ok(read_rate(&raw)),
        Err(Errno::NOTTY | Errno::INVAL | Errno::NODATA) => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_rate(raw: &bindings::v4l2_streamparm) -> Option<Rate> {
    // SAFETY: the kernel fills `capture` for the capture queue that was asked for; all its
    // fields are plain numbers.
    let interval = unsafe { raw.parm.capture.timeperframe };
    rate_of(&interval)
}
