// SPDX-License-Identifier: Apache-2.0
//! Values of options: how they may be written, and what to say of those that are wrong.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use vsclient::Rate;

/// Below this, no video can be seen: 10 kbit/s is half a kilobyte for each of two frames a
/// second.
const MIN_BITRATE: u64 = 10_000;

/// Below this, a number without a unit is ambiguous: libvideostream's commands take kbit/s, up to 100000 of them.
const MIN_PLAIN_BITRATE: u64 = 200_000;

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = text.split_once(['x', 'X']).and_then(|(width, height)| {
            let (width, height) = (width.parse().ok()?, height.parse().ok()?);
            (width > 0 && height > 0).then_some(Self { width, height })
        });
        size.ok_or_else(|| "write WIDTHxHEIGHT in pixels, such as 1280x720".to_owned())
    }
}

/// Frames per second. Catches a size, which `-r` is in libvideostream.
pub fn rate(text: &str) -> Result<Rate, String> {
    if text.parse::<Size>().is_ok() {
        return Err(format!("that is a size: write --size {text} (-r is the frame rate)"));
    }
    text.parse().map_err(|_| "write frames per second as 30, 29.97 or 30000/1001".to_owned())
}

/// Bits per second: `5M`, `800k`, or all digits.
pub fn bitrate(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1e3),
        None => text.strip_suffix(['m', 'M']).map_or((text, 1.0), |digits| (digits, 1e6)),
    };
    let number = digits.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    let number = number.ok_or("write bits per second as 5M, 800k or 5000000")?;
    let bits = (number * factor).round() as u64;
    if factor == 1.0 && bits < MIN_PLAIN_BITRATE {
        return Err(format!("without a unit that is {text} bit/s: for kbit/s, as in libvideostream, write {text}k"));
    }
    if bits < MIN_BITRATE {
        return Err("that is too little for video: 10k is the least".to_owned());
    }
    Ok(bits)
}

/// A time: seconds (`5`, `2.5`), or with units (`300ms`, `1m30s`, `2h`).
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write seconds as 5 or 2.5, or a time such as 300ms, 1m30s or 2h".to_owned();
    let duration = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?,
        Err(_) => humantime::parse_duration(text).map_err(|_| wrong())?,
    };
    // The protocol and D-Bus count ns in 64 bits.
    if duration.is_zero() || u64::try_from(duration.as_nanos()).is_err() {
        return Err("the time must be more than 0 and less than 500 years".to_owned());
    }
    Ok(duration)
}

/// The same as D-Bus counts it. What does not fit was refused on the command line.
pub fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A time as [`duration`] takes it, or none at all.
pub fn duration_or_zero(text: &str) -> Result<Duration, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    if matches!(number.parse::<f64>(), Ok(0.0)) { Ok(Duration::ZERO) } else { duration(text) }
}

/// Length of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    /// In time.
    Time(Duration),
    /// In bytes.
    Bytes(u64),
}

/// Length of a file: a time (`60s`, `10min`) or an amount of bytes (`100M`, `2.5GB`). A bare number would be read as
/// either.
pub fn segment(text: &str) -> Result<Segment, String> {
    let amount = text.strip_suffix('B').unwrap_or(text);
    let units = [("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)];
    let size = units.iter().find_map(|(unit, factor)| Some((amount.strip_suffix(unit)?.parse::<f64>().ok()?, factor)));
    if let Some((number, factor)) = size {
        let bytes = Some(number * factor).filter(|bytes| (1.0..1e18).contains(bytes));
        return bytes.map(|bytes| Segment::Bytes(bytes.round() as u64)).ok_or("that is no size of a file".to_owned());
    }
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 => Err(format!("write a time as {text}s, or a size as {text}M")),
        Ok(_) => Err("write a time as 60s, or a size as 100M".to_owned()),
        Err(_) => duration(text).map(Segment::Time).map_err(|_| "write a time as 60s, or a size as 100M".to_owned()),
    }
}

/// A time in ms, or with its unit.
pub fn milliseconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(ms) => duration(&format!("{}", ms / 1e3)).map_err(|_| "write ms as 500, or a time such as 2s".to_owned()),
        Err(_) => duration(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!("1280x720".parse(), Ok(Size { width: 1280, height: 720 }));
        for wrong in ["1280", "1280x", "0x720", "-1x5", "1280*720", "1280x720x3", "99999999999x1"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates() {
        assert_eq!(rate("29.97"), Ok(Rate { num: 2997, den: 100 }));
        assert!(rate("640x480").unwrap_err().contains("--size 640x480"));
        assert!(rate("0").is_err() && rate("fast").is_err());
    }

    #[test]
    fn bitrates() {
        assert_eq!(bitrate("5M"), Ok(5_000_000));
        assert_eq!(bitrate("2.5m"), Ok(2_500_000));
        assert_eq!(bitrate("800k"), Ok(800_000));
        assert_eq!(bitrate("5000000"), Ok(5_000_000));
        assert_eq!(bitrate("25k"), Ok(25_000));
        // Five megabits, and the default of libvideostream.
        assert!(bitrate("5000").unwrap_err().contains("5000k"));
        assert!(bitrate("25000").unwrap_err().contains("25000k"));
        for wrong in ["", "M", "5G", "-5M", "nan", "inf", "5 M", "1k"] {
            assert!(bitrate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("5"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("2.5"), Ok(Duration::from_millis(2500)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(milliseconds("250"), Ok(Duration::from_millis(250)));
        assert_eq!(milliseconds("2s"), Ok(Duration::from_secs(2)));
        for wrong in ["0", "-1", "inf", "nan", "1e30", "soon", "", "0s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!((duration_or_zero("0"), duration_or_zero("0ms")), (Ok(Duration::ZERO), Ok(Duration::ZERO)));
        assert_eq!(duration_or_zero("0.5"), Ok(Duration::from_millis(500)));
        assert!(duration_or_zero("-1").is_err());
    }

    #[test]
    fn segments() {
        assert_eq!(segment("60s"), Ok(Segment::Time(Duration::from_secs(60))));
        assert_eq!(segment("5m"), Ok(Segment::Time(Duration::from_secs(300))));
        assert_eq!(segment("100M"), Ok(Segment::Bytes(100_000_000)));
        assert_eq!(segment("2.5GB"), Ok(Segment::Bytes(2_500_000_000)));
        assert!(segment("60").unwrap_err().contains("60s"));
        for wrong in ["", "0s", "-1M", "nanM", "infG", "soon", "M", "1e30G"] {
            assert!(segment(wrong).is_err(), "{wrong}");
        }
    }
}
