// SPDX-License-Identifier: Apache-2.0
//! Values as people write them, checked while they are read.

use std::borrow::Borrow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use vs_frame::CpuMemory;
use vs_frame::format::MAX_DIMENSION;

/// A value written as text in quotes. A bare number would be another one than it looks like:
/// TOML reads `0o660` as 432.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted<T>(pub T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Quoted<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

/// A value written as text, or as a bare number where that reads the same (`rate = 30`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<T>(pub T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsText<T>(std::marker::PhantomData<T>);

        impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for AsText<T> {
            type Value = Text<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text in quotes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<T>, E> {
                text.parse().map(Text).map_err(E::custom)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Text<T>, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Text<T>, E> {
                self.visit_str(&number.to_string())
            }
        }

        deserializer.deserialize_any(AsText(std::marker::PhantomData))
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal<const MIN: u32, const MAX: u32>(pub u32);

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Decimal<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        let fits = u32::try_from(number).ok().filter(|number| (MIN..=MAX).contains(number));
        fits.map(Self).ok_or_else(|| {
            let range = format!("a whole number from {MIN} to {MAX}");
            D::Error::invalid_value(Unexpected::Signed(number), &range.as_str())
        })
    }
}

/// Name of a stream: that of its socket, too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketName(String);

/// A name has room in a unix socket address (108 bytes) behind a usual directory.
pub const NAME_MAX: usize = 48;

impl SocketName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for SocketName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SocketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for SocketName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let fine = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > NAME_MAX || name.starts_with('.') || !name.chars().all(fine) {
            return Err(format!(
                "'{name}' cannot name a stream: use 1 to {NAME_MAX} letters, digits, '-', '_' or '.', not beginning with '.'"
            ));
        }
        Ok(Self(name.to_owned()))
    }
}

impl<'de> Deserialize<'de> for SocketName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Width and height in pixels, as `1280x720`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| text.parse::<u32>().ok().filter(|side| (1..=MAX_DIMENSION).contains(side));
        let sides = text.split_once('x').and_then(|(w, h)| Some((side(w)?, side(h)?)));
        let (width, height) = sides
            .ok_or_else(|| format!("'{text}' is not a size: write pixels as 1280x720, each at most {MAX_DIMENSION}"))?;
        Ok(Self { width, height })
    }
}

/// A length of time, as `100ms`, `2s` or `1min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(Duration);

/// The longest period that means anything here.
const PERIOD_MAX: Duration = Duration::from_secs(3600);

impl Period {
    /// In nanoseconds.
    pub fn ns(self) -> u64 {
        // At most an hour: far from the end of 64 bits.
        self.0.as_nanos() as u64
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let period = humantime::parse_duration(text)
            .map_err(|error| format!("'{text}' is not a length of time ({error}): write 100ms, 2s or 1min"))?;
        if period.is_zero() || period > PERIOD_MAX {
            return Err(format!("'{text}' is out of range: more than 0 and at most 1h"));
        }
        Ok(Self(period))
    }
}

/// An amount of memory or disk, as `64M`: K, M, G and T stand for powers of 1024, as in systemd's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, shift) = match text.char_indices().last() {
            Some((at, 'K')) => (&text[..at], 10),
            Some((at, 'M')) => (&text[..at], 20),
            Some((at, 'G')) => (&text[..at], 30),
            Some((at, 'T')) => (&text[..at], 40),
            _ => (text, 0),
        };
        let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
        let bytes = bytes.filter(|bytes| *bytes > 0);
        bytes.map(Self).ok_or_else(|| format!("'{text}' is not an amount of bytes: write 500K, 64M or 20G"))
    }
}

/// Permission bits, as `0660`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Octal(pub u32);

impl FromStr for Octal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
        mode.map(Self).ok_or_else(|| format!("'{text}' is not a mode: write permission bits as \"0660\""))
    }
}

/// Where CPU-filled frames lie: `memfd`, `dma-heap` or `dma-heap:NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory(pub CpuMemory);

/// The heap that every kernel with DMA heaps has.
const DEFAULT_HEAP: &str = "system";

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let heap = |name: &str| Self(CpuMemory::DmaHeap(PathBuf::from("/dev/dma_heap").join(name)));
        match text.split_once(':') {
            None if text == "memfd" => Ok(Self(CpuMemory::Memfd)),
            None if text == "dma-heap" => Ok(heap(DEFAULT_HEAP)),
            Some(("dma-heap", name)) if !name.is_empty() && !name.contains('/') && name != ".." => Ok(heap(name)),
            _ => Err(format!("'{text}' is not a kind of memory: use memfd, dma-heap or dma-heap:NAME")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_make_safe_file_names() {
        for good in ["cam0", "cam0-h264", "a.b_c"] {
            assert!(good.parse::<SocketName>().is_ok(), "{good}");
        }
        let long = "x".repeat(NAME_MAX + 1);
        for bad in ["", ".hidden", "..", "a/b", "a b", "\u{e4}", &long] {
            assert!(bad.parse::<SocketName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn values_out_of_range_are_refused() {
        assert!("0s".parse::<Period>().is_err());
        assert!("2h".parse::<Period>().is_err());
        assert_eq!("100ms".parse::<Period>().unwrap().ns(), 100_000_000);
        assert_eq!(["9", "64M", "1T"].map(|text| text.parse::<Bytes>().unwrap().0), [9, 64 << 20, 1 << 40]);
        for bad in ["", "M", "0G", "-1K", "5k", "1.5G", "99999999999T"] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad}");
        }
        assert!("0x5".parse::<Size>().is_err());
        assert!("99999x5".parse::<Size>().is_err());
        assert!("1777".parse::<Octal>().is_err());
        assert_eq!("0660".parse::<Octal>(), Ok(Octal(0o660)));
        assert!("dma-heap:../../etc".parse::<Memory>().is_err());
    }
}
