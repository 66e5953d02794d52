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

/// What a queue is asked for. Strides and sizes left at zero the driver computes: a stride
/// left over from an earlier format makes a later QBUF fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PixWish {
    pub(crate) fourcc: FourCc,
    pub(crate) size: (u32, u32),
    /// Of the first memory, in bytes.
    pub(crate) stride: u32,
    /// Of the first memory, in bytes; what coded data need.
    pub(crate) bytes: u32,
    pub(crate) color: Colorimetry,
}

impl PixWish {
    /// A format of which the driver decides the rest.
    pub(crate) fn new(fourcc: FourCc, size: (u32, u32)) -> Self {
        Self { fourcc, size, stride: 0, bytes: 0, color: Colorimetry::default() }
    }
}

/// The capture format that is set now.
pub(crate) fn get_format(fd: BorrowedFd<'_>, planar: Planar) -> Result<PixFormat> {
    get_queue_format(fd, planar.capture())
}

/// The format of a queue that is set now.
pub(crate) fn get_queue_format(fd: BorrowedFd<'_>, queue: QueueType) -> Result<PixFormat> {
    let raw: bindings::v4l2_format = retry(|| ioctl::g_fmt(&fd, queue).map_err(errno))?;
    read(&raw, Planar::of_queue(queue))
}

/// Asks for a capture format and returns what the driver made of it.
pub(crate) fn set_format(fd: BorrowedFd<'_>, planar: Planar, fourcc: FourCc, size: (u32, u32)) -> Result<PixFormat> {
    set_queue_format(fd, planar.capture(), &PixWish::new(fourcc, size))
}

/// Asks for a format of a queue and returns what the driver made of it.
pub(crate) fn set_queue_format(fd: BorrowedFd<'_>, queue: QueueType, wish: &PixWish) -> Result<PixFormat> {
    let (pixelformat, (width, height)) = (wish.fourcc.to_u32(), wish.size);
    let (colorspace, xfer_func) = (u32::from(wish.color.colorspace), wish.color.transfer);
    let (encoding, quantization) = (wish.color.encoding, wish.color.quantization);
    let planar = Planar::of_queue(queue);
    let fmt = match planar {
        Planar::Single => bindings::v4l2_format__bindgen_ty_1 {
            pix: bindings::v4l2_pix_format {
                width,
                height,
                pixelformat,
                bytesperline: wish.stride,
                sizeimage: wish.bytes,
                colorspace,
                xfer_func: u32::from(xfer_func),
                quantization: u32::from(quantization),
                __bindgen_anon_1: bindings::v4l2_pix_format__bindgen_ty_1 { ycbcr_enc: u32::from(encoding) },
                ..Default::default()
            },
        },
        Planar::Multi => {
            let mut plane_fmt = [bindings::v4l2_plane_pix_format::default(); bindings::VIDEO_MAX_PLANES as usize];
            plane_fmt[0].bytesperline = wish.stride;
            plane_fmt[0].sizeimage = wish.bytes;
            // Where a size is stated, so is how many there are.
            let num_planes = u8::from(wish.stride > 0 || wish.bytes > 0);
            bindings::v4l2_format__bindgen_ty_1 {
                pix_mp: bindings::v4l2_pix_format_mplane {
                    width,
                    height,
                    pixelformat,
                    plane_fmt,
                    num_planes,
                    colorspace,
                    xfer_func,
                    quantization,
                    __bindgen_anon_1: bindings::v4l2_pix_format_mplane__bindgen_ty_1 { ycbcr_enc: encoding },
                    ..Default::default()
                },
            }
        }
    };
    let raw: bindings::v4l2_format = retry(|| {
        let wanted = bindings::v4l2_format { type_: queue as u32, fmt };
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
