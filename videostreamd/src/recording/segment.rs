// SPDX-License-Identifier: Apache-2.0
//! How long each file of a recording is.

use std::str::FromStr;

/// Shortest files in ns: those of one fragment. Each begins with a keyframe, which is asked of an encoder that others
/// share.
pub const SHORTEST_NS: u64 = 100_000_000;

/// Smallest files in bytes: what a second of the poorest video fills. Each begins with a keyframe, too.
pub const SMALLEST_BYTES: u64 = 10_000;

/// When a recording goes on in its next file: with the first keyframe after so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    /// Of video, in ns.
    Time(u64),
    /// Of file.
    Bytes(u64),
}

impl Segment {
    /// # Errors
    /// If files of this length make no sense.
    pub fn time(ns: u64) -> Result<Self, String> {
        if ns < SHORTEST_NS {
            return Err(format!("{ns} ns is too short for a file: 100ms is the least"));
        }
        Ok(Self::Time(ns))
    }

    /// # Errors
    /// If files of this size make no sense.
    pub fn bytes(bytes: u64) -> Result<Self, String> {
        if bytes < SMALLEST_BYTES {
            return Err(format!("{bytes} bytes are too few for a file: 10k is the least"));
        }
        Ok(Self::Bytes(bytes))
    }
}

impl FromStr for Segment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(bytes) = parse_bytes(text) {
            return Self::bytes(bytes);
        }
        let time = humantime::parse_duration(text).ok().and_then(|time| u64::try_from(time.as_nanos()).ok());
        let ns = time.ok_or_else(|| {
            format!("'{text}' is no length of a file: write a time as 60s or 10min, or a size as 100M")
        })?;
        Self::time(ns)
    }
}

/// An amount of bytes with its decimal unit, as `100M`, `2.5G` or `800kB`. What has another unit is none: `5m` is a
/// time.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let amount = text.strip_suffix('B').unwrap_or(text);
    let units = [("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)];
    let (digits, unit) = units.iter().find_map(|(unit, factor)| Some((amount.strip_suffix(unit)?, factor)))?;
    let plain =
        digits.starts_with(|c: char| c.is_ascii_digit()) && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    let bytes = digits.parse::<f64>().ok().filter(|_| plain)? * unit;
    // Above this, a float no longer counts single bytes; no disk is as large.
    (bytes <= 2f64.powi(53)).then_some(bytes.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_or_a_size() {
        for (text, segment) in [
            ("60s", Segment::Time(60_000_000_000)),
            ("10min", Segment::Time(600_000_000_000)),
            ("5m", Segment::Time(300_000_000_000)),
            ("100ms", Segment::Time(SHORTEST_NS)),
            ("100M", Segment::Bytes(100_000_000)),
            ("2.5G", Segment::Bytes(2_500_000_000)),
            ("800kB", Segment::Bytes(800_000)),
        ] {
            assert_eq!(text.parse(), Ok(segment), "{text}");
        }
        for wrong in ["", "60", "M", "-1M", "1e3M", "nanM", "infG", "1..2M", "soon", "99ms", "9k", "0s", "9999999999T"]
        {
            assert!(wrong.parse::<Segment>().is_err(), "{wrong}");
        }
    }
}
