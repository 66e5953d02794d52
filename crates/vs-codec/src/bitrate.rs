// SPDX-License-Identifier: Apache-2.0
//! Bits per second, as people write them.

use std::fmt;
use std::str::FromStr;

use vs_frame::Rate;

/// A bit rate in bit/s, never 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Bitrate(u32);

/// Bits that a picture of camera content takes per pixel, in hundredths, where nobody says
/// otherwise: 1080p30 gets 6.2 Mbit/s, 640x480 at 30 fps 0.9 Mbit/s.
const DEFAULT_CENTIBITS_PER_PIXEL: u64 = 10;

/// Below it, headers alone would fill a stream; bounds the default for tiny pictures.
const SMALLEST_DEFAULT: u64 = 64_000;

impl Bitrate {
    /// `bits` per second; `None` if 0.
    #[must_use]
    pub const fn new(bits: u32) -> Option<Self> {
        if bits == 0 { None } else { Some(Self(bits)) }
    }

    /// `bits` per second that are known not to be 0.
    #[cfg(feature = "software-h264")]
    pub(crate) const fn from_bits(bits: u32) -> Self {
        assert!(bits > 0, "a bitrate of 0");
        Self(bits)
    }

    /// What pictures of this size and rate get by default: a tenth of a bit per pixel, and at
    /// least 64 kbit/s. An unknown rate counts as `assumed` frames per second.
    #[must_use]
    pub fn default_for(width: u32, height: u32, rate: Rate, assumed: u32) -> Self {
        let rate = if rate.is_known() { rate } else { Rate::fps(assumed) };
        let pixels = u128::from(width) * u128::from(height) * u128::from(rate.num) / u128::from(rate.den);
        let bits = pixels * u128::from(DEFAULT_CENTIBITS_PER_PIXEL) / 100;
        Self(u32::try_from(bits.max(u128::from(SMALLEST_DEFAULT))).unwrap_or(u32::MAX))
    }

    /// Bits per second.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Bitrate {
    /// The shortest exact text that can be read back: `5M`, `2500k`, `64001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bits if bits % 1_000_000 == 0 => write!(f, "{}M", bits / 1_000_000),
            bits if bits % 1000 == 0 => write!(f, "{}k", bits / 1000),
            bits => write!(f, "{bits}"),
        }
    }
}

/// Why a text is not a bit rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a bitrate: write bits per second as 5M, 2.5M, 800k or 800000, more than 0 and less than 4.29G")]
pub struct ParseBitrateError(String);

impl FromStr for Bitrate {
    type Err = ParseBitrateError;

    /// Reads a number with at most six decimals and an optional unit: `k`, `M` or `G`, in
    /// either case, for powers of 1000.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParseBitrateError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Bitrate> {
    let (number, unit) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1000),
        b'm' | b'M' => (&text[..text.len() - 1], 1_000_000),
        b'g' | b'G' => (&text[..text.len() - 1], 1_000_000_000),
        _ => (text, 1u64),
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 6 {
        return None;
    }
    let fraction = decimals.parse::<u64>().ok()? * unit;
    let scale = 10u64.pow(decimals.len() as u32);
    let bits = whole.parse::<u32>().ok().map(|whole| u64::from(whole) * unit + fraction / scale)?;
    Bitrate::new(u32::try_from(bits).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, bits) in
            [("5M", 5_000_000), ("800k", 800_000), ("2.5m", 2_500_000), ("64000", 64_000), ("1G", 1_000_000_000)]
        {
            assert_eq!(text.parse::<Bitrate>().unwrap().bits(), bits, "{text}");
        }
        for bad in
            ["", "0", "0.4", "M", "5 M", "-1k", "+5", "5Mb", "1e6", "5G", "1.0000001M", "99999999999", ".5M", "5."]
        {
            assert!(bad.parse::<Bitrate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_default_is_a_tenth_of_a_bit_per_pixel() {
        let default = |width, height, rate| Bitrate::default_for(width, height, rate, 30).bits();
        assert_eq!(default(1920, 1080, Rate::fps(30)), 6_220_800);
        assert_eq!(default(1920, 1080, Rate::UNKNOWN), 6_220_800);
        assert_eq!(default(16, 16, Rate::fps(1)), 64_000);
        assert_eq!(default(16384, 16384, Rate::fps(u32::MAX)), u32::MAX);
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(bits in 1..=u32::MAX) {
            let bitrate = Bitrate::new(bits).unwrap();
            prop_assert_eq!(bitrate.to_string().parse(), Ok(bitrate));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,12}") {
            let _ = text.parse::<Bitrate>();
        }
    }
}
