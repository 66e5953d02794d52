// SPDX-License-Identifier: Apache-2.0
//! What the session of a decoder asks of the codec behind it, and what all codecs have in common: how
//! large pictures may be, and what their stream says of them.

use vs_frame::clock::NS_PER_SEC;
use vs_frame::colorimetry::H273;
use vs_frame::{Format, FourCc, Rate, WriteSlot};

use super::openh264::{MAX_DIMENSION, MAX_MACROBLOCKS};
use crate::session::{BackendError, Output, Picture};

/// A frame that lasts longer, in ns, is no rate (it would overflow when reckoned with).
const LONGEST_FRAME: u64 = 1000 * NS_PER_SEC;

/// A codec. An access unit is looked at, decoded, and its picture takes its turn, one after the other.
pub(super) trait Engine: Send {
    /// The library's name and version.
    fn name(&self) -> String;

    /// The longest access unit that it takes, in bytes.
    fn longest_unit(&self) -> usize;

    /// Says why what `unit` describes cannot be decoded. What cannot be read is damaged, which is
    /// another matter.
    fn refuse_unsupported(&self, unit: &[u8]) -> Result<(), String>;

    /// What is in an access unit.
    fn look(&mut self, unit: &[u8]) -> Look;

    /// Decodes the access unit that was looked at last; whether its picture is in `slot` now. Without
    /// a slot, there is no picture in it.
    fn decode(&mut self, unit: &[u8], slot: Option<&mut WriteSlot>) -> Result<bool, Damaged>;

    /// Takes the picture that was decoded last, if there is one; gives what has its turn now.
    fn take_turn(&mut self, picture: Option<Picture>) -> Vec<Output<Picture>>;

    /// Ends the sequence: gives all that still waits, as it is to be shown. What comes next is a
    /// keyframe.
    fn end(&mut self) -> Vec<Picture>;

    /// Forgets everything there was.
    fn reopen(&mut self) -> Result<(), BackendError>;
}

/// What is in an access unit.
pub(super) enum Look {
    /// No picture; parameter sets alone, perhaps.
    Nothing,
    /// This picture.
    Picture(Announced),
    /// It cannot be read; whether it means to be a keyframe.
    Unclear { keyframe: bool },
}

/// A picture before it is decoded.
pub(super) struct Announced {
    pub keyframe: bool,
    /// `None` if there can be no such picture.
    pub format: Option<Format>,
    /// So many pictures at most wait for one that is shown before them.
    pub waiting: usize,
}

/// The access unit is damaged, or refers to what is missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Damaged;

/// Runs what a library does with a stream. If that panics, the stream has found a fault in it, and the
/// library's state is to be thrown away: to everybody else, the access unit is damaged.
#[cfg(any(feature = "software-h265", feature = "software-vp9"))]
pub(super) fn guard<T>(library: &str, work: impl FnOnce() -> Result<T, Damaged>) -> Result<T, Damaged> {
    // Nothing of that state is looked at again.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| {
        tracing::error!(library, "the library panicked over a damaged access unit");
        Err(Damaged)
    })
}

/// Says why pictures of this size, before cropping, are not decoded.
pub(super) fn check_size(width: u32, height: u32) -> Result<(), String> {
    let macroblocks = width.div_ceil(16).saturating_mul(height.div_ceil(16));
    if width.max(height) <= MAX_DIMENSION && macroblocks <= MAX_MACROBLOCKS {
        return Ok(());
    }
    Err(format!(
        "pictures of {width}x{height}; it decodes at most 9.4 megapixels (4096x2304), and {MAX_DIMENSION} pixels on a \
         side"
    ))
}

/// The format of pictures that their stream describes like that; `None` if there can be none.
pub(super) fn format_of(fourcc: FourCc, size: (u32, u32), color: Option<H273>, rate: Rate) -> Option<Format> {
    const UNSPECIFIED: H273 = H273 { primaries: 2, transfer: 2, matrix: 2, full_range: false };
    let mut format = Format::packed(fourcc, size.0, size.1, rate).ok()?;
    format.color = color.unwrap_or(UNSPECIFIED).colorimetry();
    Some(format)
}

/// The same, of what a parameter set describes.
pub(super) fn format_of_video(fourcc: FourCc, video: &vs_bitstream::VideoFormat) -> Option<Format> {
    let rate = video.frame_duration_ns.map_or(Rate::UNKNOWN, rate_of);
    let color = video.colour.map(|colour| H273 {
        primaries: colour.primaries,
        transfer: colour.transfer,
        matrix: colour.matrix,
        full_range: colour.full_range,
    });
    format_of(fourcc, (u32::from(video.width), u32::from(video.height)), color, rate)
}

/// The rate of frames that are so many ns apart: whole, or of NTSC's kind, if that is what it is.
fn rate_of(duration_ns: i64) -> Rate {
    let Some(ns) = u64::try_from(duration_ns).ok().filter(|ns| (1..=LONGEST_FRAME).contains(ns)) else {
        return Rate::UNKNOWN;
    };
    let nearest = |den: u64, unit: u64| {
        let num = (NS_PER_SEC * den + ns * unit / 2) / (ns * unit) * unit;
        let apart = (NS_PER_SEC * den).checked_div(num)?;
        (apart.abs_diff(ns) <= 1).then_some((num, den))
    };
    let (num, den) = nearest(1, 1).or_else(|| nearest(1001, 1000)).unwrap_or((NS_PER_SEC, ns));
    u32::try_from(num).ok().zip(u32::try_from(den).ok()).map_or(Rate::UNKNOWN, |(num, den)| Rate { num, den })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_that_people_write() {
        for rate in [Rate::fps(25), Rate::fps(60), Rate { num: 30_000, den: 1001 }, Rate { num: 24_000, den: 1001 }] {
            assert_eq!(rate_of(rate.interval_ns().unwrap_or(0) as i64), rate);
        }
        assert_eq!(rate_of(70_123_456), Rate { num: 1_000_000_000, den: 70_123_456 });
        for absurd in [i64::MIN, 0, i64::MAX] {
            assert_eq!(rate_of(absurd), Rate::UNKNOWN);
        }
        rate_of(1);
    }
}
