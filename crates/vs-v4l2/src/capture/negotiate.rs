// SPDX-License-Identifier: Apache-2.0
//! Agreeing with a driver on format, size and rate.

use std::os::fd::BorrowedFd;
use std::path::Path;

use vs_frame::{FourCc, Rate};

use super::error::OpenError;
use super::request::{CaptureRequest, DEFAULT_RATE};
use crate::formats::{FormatDesc, FrameSize};
use crate::node::NodeError;
use crate::planar::Planar;
use crate::sys::{self, PixFormat};

/// Pixel formats from the most useful to the least: first what encoders, scalers and neural
/// networks take as it is, then what needs to be converted.
const PREFERRED: &[FourCc] = &[
    FourCc::NV12,
    FourCc::YUYV,
    FourCc::UYVY,
    FourCc::YUV420,
    FourCc::NV12M,
    FourCc::YUV420M,
    FourCc::NV16,
    FourCc::NV21,
    FourCc::YVU420,
    FourCc::YVYU,
    FourCc::VYUY,
    FourCc::BGRX32,
    FourCc::RGBX32,
    FourCc::BGRA32,
    FourCc::RGBA32,
    FourCc::RGB24,
    FourCc::BGR24,
    FourCc::GREY,
    FourCc::MJPEG,
    FourCc::JPEG,
    FourCc::H264,
    FourCc::HEVC,
];

/// Asks the driver for what the request says, in the order that drivers need: the rate
/// depends on the size, the size on the format.
pub(super) fn negotiate(
    fd: BorrowedFd<'_>,
    devnode: &Path,
    planar: Planar,
    request: &CaptureRequest,
) -> Result<(PixFormat, Rate), OpenError> {
    let failed = |action| move |errno| NodeError::new(action, devnode, errno);
    let queue = planar.capture();
    let offered = sys::formats(fd, queue).map_err(failed("list the formats of"))?;
    let fourcc = match request.fourcc {
        Some(wanted) if offered.iter().any(|format| format.fourcc == wanted) => wanted,
        Some(wanted) => {
            let offered = offered.iter().map(|format| format.fourcc).collect();
            return Err(OpenError::NotOffered { devnode: devnode.to_owned(), wanted, offered });
        }
        None => choose(offered, request, |fourcc| sys::frame_sizes(fd, fourcc, request.rate.is_some()))
            .map_err(failed("list the picture sizes of"))?
            .ok_or_else(|| OpenError::NotACamera { devnode: devnode.to_owned() })?,
    };
    let size = match request.size {
        Some(size) => size,
        None => {
            let now = sys::get_format(fd, planar).map_err(failed("learn the format of"))?;
            (now.width, now.height)
        }
    };
    let pix = sys::set_format(fd, planar, fourcc, size).map_err(failed("set the format of"))?;
    let wanted = request.rate.filter(|rate| rate.is_known()).unwrap_or(DEFAULT_RATE);
    let rate = match sys::set_rate(fd, queue, wanted).map_err(failed("set the frame rate of"))? {
        Some(rate) => Some(rate),
        // It cannot be set, but the driver may know it all the same (HDMI).
        None => sys::get_rate(fd, queue).map_err(failed("learn the frame rate of"))?,
    };
    Ok((pix, rate.unwrap_or(Rate::UNKNOWN)))
}

/// The format to take when none was asked for: the most preferred one that comes in the
/// wanted size at the wanted rate; if none does, in the wanted size; if none does, at all.
/// `None` only if nothing is offered. `sizes` is asked no further than needed, for that is
/// hundreds of system calls.
fn choose<E>(
    mut offered: Vec<FormatDesc>,
    request: &CaptureRequest,
    mut sizes: impl FnMut(FourCc) -> Result<Vec<FrameSize>, E>,
) -> Result<Option<FourCc>, E> {
    // Of those without a preference the first is taken: drivers list their best first.
    offered.sort_by_key(|format| PREFERRED.iter().position(|fourcc| *fourcc == format.fourcc).unwrap_or(usize::MAX));
    let mut in_size = None;
    for format in &mut offered {
        if request.size.is_some() || request.rate.is_some() {
            format.sizes = sizes(format.fourcc)?;
        }
        if format.offers(request.size, request.rate) {
            return Ok(Some(format.fourcc));
        }
        if in_size.is_none() && format.offers(request.size, None) {
            in_size = Some(format.fourcc);
        }
    }
    Ok(in_size.or_else(|| offered.first().map(|format| format.fourcc)))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::formats::{FormatFlags, RateOffer};

    fn offer(fourcc: FourCc, sizes: &[((u32, u32), u32)]) -> FormatDesc {
        let size = |(size, fps): &((u32, u32), u32)| FrameSize::Discrete {
            size: *size,
            rates: vec![RateOffer::Discrete(Rate::fps(*fps))],
        };
        FormatDesc {
            fourcc,
            description: String::new(),
            flags: FormatFlags::empty(),
            sizes: sizes.iter().map(size).collect(),
        }
    }

    fn chosen(offered: &[FormatDesc], request: &CaptureRequest) -> Option<FourCc> {
        let sizes = |fourcc| offered.iter().find(|format| format.fourcc == fourcc).unwrap().sizes.clone();
        let listed = offered.iter().map(|format| FormatDesc { sizes: vec![], ..format.clone() }).collect();
        choose(listed, request, |fourcc| Ok::<_, Infallible>(sizes(fourcc))).unwrap()
    }

    #[test]
    fn the_most_useful_format_that_fits_is_taken() {
        let hd = (1920, 1080);
        let webcam = [
            offer(FourCc::MJPEG, &[((640, 480), 30), (hd, 30)]),
            offer(FourCc::YUYV, &[((640, 480), 30), (hd, 5)]),
            offer(FourCc(*b"RG10"), &[((4000, 3000), 1)]),
        ];
        let chosen = |size, rate: Option<u32>| {
            let request = CaptureRequest { size, rate: rate.map(Rate::fps), ..CaptureRequest::default() };
            chosen(&webcam, &request).unwrap()
        };
        assert_eq!(chosen(None, None), FourCc::YUYV);
        assert_eq!(chosen(Some((640, 480)), Some(30)), FourCc::YUYV);
        assert_eq!(chosen(Some(hd), None), FourCc::YUYV);
        assert_eq!(chosen(Some(hd), Some(30)), FourCc::MJPEG);
        assert_eq!(chosen(Some(hd), Some(50)), FourCc::YUYV);
        assert_eq!(chosen(Some((4000, 3000)), Some(30)), FourCc(*b"RG10"));
        assert_eq!(chosen(Some((1, 1)), None), FourCc::YUYV);
    }

    #[test]
    fn nothing_offered_is_nothing_chosen() {
        assert_eq!(chosen(&[], &CaptureRequest::default()), None);
        let unknown = [offer(FourCc(*b"aaaa"), &[]), offer(FourCc(*b"bbbb"), &[])];
        assert_eq!(chosen(&unknown, &CaptureRequest::default()), Some(FourCc(*b"aaaa")));
    }
}
