// SPDX-License-Identifier: Apache-2.0
//! What a queue of a device offers: pixel formats, their sizes, their frame rates.

use std::fmt;

use bitflags::bitflags;
use vs_frame::{FourCc, Rate};

bitflags! {
    /// `V4L2_FMT_FLAG_*` (kernel doc, "VIDIOC_ENUM_FMT"). Unknown bits are kept.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct FormatFlags: u32 {
        /// A codec rather than pixels.
        const COMPRESSED = 1 << 0;
        /// Made by a library, not by the device.
        const EMULATED = 1 << 1;
        /// The decoder takes any chunks of the stream, not only whole access units.
        const CONTINUOUS_BYTESTREAM = 1 << 2;
        /// The decoder can follow a change of resolution within the stream.
        const DYN_RESOLUTION = 1 << 3;
        /// The encoder's frame rate may be set on its coded side.
        const ENC_CAP_FRAME_INTERVAL = 1 << 4;
        const _ = !0;
    }
}

/// One pixel format or codec that a queue offers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FormatDesc {
    /// Its code.
    pub fourcc: FourCc,
    /// The driver's words for it.
    pub description: String,
    /// What is special about it.
    pub flags: FormatFlags,
    /// Picture sizes; empty if the driver does not tell.
    pub sizes: Vec<FrameSize>,
}

/// A picture size, or a range of sizes, in pixels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FrameSize {
    /// Exactly this size.
    Discrete {
        /// Width and height.
        size: (u32, u32),
        /// Frame rates at this size; empty if the driver does not tell.
        rates: Vec<RateOffer>,
    },
    /// Any size from `min` to `max` in steps of `step`, counted from `min`.
    Stepwise {
        /// Smallest width and height.
        min: (u32, u32),
        /// Largest width and height.
        max: (u32, u32),
        /// Steps of width and height; 1 where any value will do.
        step: (u32, u32),
        /// Frame rates at the largest size; empty if the driver does not tell.
        rates: Vec<RateOffer>,
    },
}

/// A frame rate, or a range of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RateOffer {
    /// Exactly this rate.
    Discrete(Rate),
    /// Any rate in this range that the driver can make.
    Range {
        /// Fewest frames per second.
        slowest: Rate,
        /// Most frames per second.
        fastest: Rate,
    },
}

impl FormatDesc {
    /// Whether a frame of it is an access unit rather than a picture.
    #[must_use]
    pub fn is_coded(&self) -> bool {
        self.flags.contains(FormatFlags::COMPRESSED) || self.fourcc.is_coded()
    }

    /// Whether it comes in this size and, if asked for, at this rate. What the driver does
    /// not tell is taken for possible.
    #[must_use]
    pub fn offers(&self, size: Option<(u32, u32)>, rate: Option<Rate>) -> bool {
        let rate_fits = |frame_size: &FrameSize| rate.is_none_or(|rate| frame_size.offers_rate(rate));
        let size_fits = |frame_size: &FrameSize| size.is_none_or(|size| frame_size.contains(size));
        self.sizes.is_empty() || self.sizes.iter().any(|offer| size_fits(offer) && rate_fits(offer))
    }
}

impl FrameSize {
    /// Whether `size` is this size, or one of the range.
    #[must_use]
    pub fn contains(&self, size: (u32, u32)) -> bool {
        match self {
            Self::Discrete { size: only, .. } => *only == size,
            Self::Stepwise { min, max, step, .. } => {
                let on_grid = |value: u32, min: u32, max: u32, step: u32| {
                    (min..=max).contains(&value) && (value - min).is_multiple_of(step.max(1))
                };
                on_grid(size.0, min.0, max.0, step.0) && on_grid(size.1, min.1, max.1, step.1)
            }
        }
    }

    /// The frame rates at this size; empty if the driver does not tell.
    #[must_use]
    pub fn rates(&self) -> &[RateOffer] {
        match self {
            Self::Discrete { rates, .. } | Self::Stepwise { rates, .. } => rates,
        }
    }

    fn offers_rate(&self, rate: Rate) -> bool {
        self.rates().is_empty() || self.rates().iter().any(|offer| offer.contains(rate))
    }
}

impl RateOffer {
    /// Whether `rate` is this rate, or one of the range.
    #[must_use]
    pub fn contains(self, rate: Rate) -> bool {
        match self {
            Self::Discrete(only) => same_rate(only, rate),
            Self::Range { slowest, fastest } => {
                let frames = |a: Rate, b: Rate| u64::from(a.num) * u64::from(b.den);
                frames(slowest, rate) <= frames(rate, slowest) && frames(rate, fastest) <= frames(fastest, rate)
            }
        }
    }
}

/// Drivers count intervals in units of their own (UVC: 100 ns), so that 30 frames per second
/// come back as 10000000/333333. This many parts in a million are taken for the same rate;
/// 30 and 30000/1001, which differ by 1000, are not.
const SAME_RATE_PPM: u128 = 100;

/// Whether two rates are the same but for a driver's rounding.
pub(crate) fn same_rate(a: Rate, b: Rate) -> bool {
    let left = u128::from(a.num) * u128::from(b.den);
    let right = u128::from(b.num) * u128::from(a.den);
    left.abs_diff(right) * 1_000_000 <= left.max(right) * SAME_RATE_PPM
}

impl fmt::Display for FrameSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discrete { size: (width, height), .. } => write!(f, "{width}x{height}"),
            Self::Stepwise { min, max, step, .. } => {
                write!(f, "{}x{} to {}x{} in steps of {}x{}", min.0, min.1, max.0, max.1, step.0, step.1)
            }
        }
    }
}

impl fmt::Display for RateOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discrete(rate) => rate.fmt(f),
            Self::Range { slowest, fastest } => write!(f, "{slowest} to {fastest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_survives_the_drivers_units() {
        let uvc = Rate { num: 10_000_000, den: 333_333 };
        assert!(same_rate(uvc, Rate::fps(30)));
        assert!(!same_rate(Rate { num: 30000, den: 1001 }, Rate::fps(30)));
        assert!(!same_rate(Rate::UNKNOWN, Rate::fps(30)));
        assert!(RateOffer::Range { slowest: Rate::fps(1), fastest: Rate::fps(30) }.contains(Rate::fps(30)));
        assert!(!RateOffer::Range { slowest: Rate::fps(1), fastest: Rate::fps(30) }.contains(Rate::fps(31)));
    }

    #[test]
    fn a_step_counts_from_the_smallest_size() {
        let sizes = FrameSize::Stepwise { min: (16, 16), max: (1920, 1080), step: (16, 8), rates: vec![] };
        assert!(sizes.contains((640, 480)) && sizes.contains((1920, 1080)));
        assert!(!sizes.contains((641, 480)) && !sizes.contains((1936, 1080)) && !sizes.contains((0, 0)));
    }

    #[test]
    fn what_a_driver_does_not_tell_is_possible() {
        let silent =
            FormatDesc { fourcc: FourCc::NV12, description: String::new(), flags: FormatFlags::empty(), sizes: vec![] };
        assert!(silent.offers(Some((640, 480)), Some(Rate::fps(30))));
    }
}
