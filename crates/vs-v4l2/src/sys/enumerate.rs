// SPDX-License-Identifier: Apache-2.0
//! `VIDIOC_ENUM_FMT`, `VIDIOC_ENUM_FRAMESIZES`, `VIDIOC_ENUM_FRAMEINTERVALS`.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use v4l2r::ioctl::{self, FrmIvalTypes, FrmSizeTypes};
use v4l2r::{PixelFormat, QueueType, bindings};
use vs_frame::{FourCc, Rate};

use super::{Result, errno, retry, text};
use crate::formats::{FormatDesc, FormatFlags, FrameSize, RateOffer};

/// No driver lists more; one that never ends its list must not keep us.
const MAX_ENTRIES: u32 = 256;

/// Calls `entry` for 0, 1, 2 … until the driver says that there are no more (EINVAL), or
/// that it does not list such things at all (ENOTTY, ENODATA).
fn list<T>(mut entry: impl FnMut(u32) -> Result<T>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    for index in 0..MAX_ENTRIES {
        match retry(|| entry(index)) {
            Ok(one) => all.push(one),
            Err(Errno::INVAL | Errno::NOTTY | Errno::NODATA) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// The formats of a queue, without their sizes.
pub(crate) fn formats(fd: BorrowedFd<'_>, queue: QueueType) -> Result<Vec<FormatDesc>> {
    list(|index| {
        let raw: bindings::v4l2_fmtdesc = ioctl::enum_fmt(&fd, queue, index).map_err(errno)?;
        Ok(FormatDesc {
            fourcc: FourCc::from_u32(raw.pixelformat),
            description: text(&raw.description),
            flags: FormatFlags::from_bits_retain(raw.flags),
            sizes: Vec::new(),
        })
    })
}

/// The sizes of a format, with the frame rates of each if `with_rates`.
pub(crate) fn frame_sizes(fd: BorrowedFd<'_>, fourcc: FourCc, with_rates: bool) -> Result<Vec<FrameSize>> {
    let code = PixelFormat::from_u32(fourcc.to_u32());
    let raw: Vec<bindings::v4l2_frmsizeenum> = list(|index| ioctl::enum_frame_sizes(&fd, index, code).map_err(errno))?;
    let rates = |size| if with_rates { frame_rates(fd, code, size) } else { Ok(Vec::new()) };
    let mut sizes = Vec::with_capacity(raw.len());
    for entry in &raw {
        match entry.size() {
            Some(FrmSizeTypes::Discrete(only)) => {
                let size = (only.width, only.height);
                sizes.push(FrameSize::Discrete { size, rates: rates(size)? });
            }
            Some(FrmSizeTypes::StepWise(range)) => {
                let max = (range.max_width, range.max_height);
                sizes.push(FrameSize::Stepwise {
                    min: (range.min_width, range.min_height),
                    max,
                    step: (range.step_width.max(1), range.step_height.max(1)),
                    rates: rates(max)?,
                });
                // A range is the only entry (kernel doc, "VIDIOC_ENUM_FRAMESIZES"); some
                // drivers answer every index with it.
                break;
            }
            None => {}
        }
    }
    Ok(sizes)
}

fn frame_rates(fd: BorrowedFd<'_>, code: PixelFormat, (width, height): (u32, u32)) -> Result<Vec<RateOffer>> {
    let mut rates = Vec::new();
    let raw: Vec<bindings::v4l2_frmivalenum> =
        list(|index| ioctl::enum_frame_intervals(&fd, index, code, width, height).map_err(errno))?;
    for entry in &raw {
        match entry.intervals() {
            Some(FrmIvalTypes::Discrete(interval)) => rates.extend(rate_of(interval).map(RateOffer::Discrete)),
            Some(FrmIvalTypes::StepWise(range)) => {
                let (slowest, fastest) = (rate_of(&range.max), rate_of(&range.min));
                rates.extend(slowest.zip(fastest).map(|(slowest, fastest)| RateOffer::Range { slowest, fastest }));
                break;
            }
            None => {}
        }
    }
    Ok(rates)
}

/// The rate of an interval in seconds, in lowest terms (HDMI receivers state 60 as pixel
/// clock by pixels); `None` for the 0 of drivers that do not know.
pub(super) fn rate_of(interval: &bindings::v4l2_fract) -> Option<Rate> {
    let divisor = greatest_common_divisor(interval.denominator, interval.numerator).max(1);
    Rate::new(interval.denominator / divisor, interval.numerator / divisor).filter(|rate| rate.is_known())
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_come_in_lowest_terms() {
        let rate = |numerator, denominator| rate_of(&bindings::v4l2_fract { numerator, denominator });
        assert_eq!(rate(12375, 742_500), Some(Rate::fps(60)));
        assert_eq!(rate(1001, 30000), Rate::new(30000, 1001));
        assert_eq!(rate(0, 0), None);
        assert_eq!(rate(1, 0), None);
        assert_eq!(rate(0, 30), None);
        assert_eq!(rate(u32::MAX, 1), Rate::new(1, u32::MAX));
    }
}
