// SPDX-License-Identifier: Apache-2.0
//! How much of a file system recordings leave free.

use std::str::FromStr;

use super::directory::Space;
use crate::recording::parse_bytes;

/// Hundredths of the file system that stay free unless told otherwise: a small system disk shall not come to its end.
const DEFAULT_PERCENT: u64 = 5;

/// The most that stays free unless told otherwise, in bytes: what others need to go on does not grow with the disk.
const DEFAULT_MAX: u64 = 1_000_000_000;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Floor {
    /// 5 % of the file system, at most 1 GB.
    #[default]
    Default,
    /// So many bytes.
    Bytes(u64),
    /// So many hundredths of the file system.
    Percent(u8),
}

/// What a recording needs to go on, in bytes: some seconds of video.
const WORKING_ROOM: u64 = 10_000_000;

/// The most of that, as a part of the file system: a small one is to be used, too.
const WORKING_PART: u64 = 16;

/// What the file that is written needs on such a file system. Without it a disk would be full before the oldest goes.
pub fn working_room(space: Space) -> u64 {
    WORKING_ROOM.min(space.total / WORKING_PART)
}

impl Floor {
    /// In bytes, on such a file system.
    pub fn bytes(self, space: Space) -> u64 {
        let percent = |percent: u64| space.total / 100 * percent;
        let asked = match self {
            Self::Default => percent(DEFAULT_PERCENT).min(DEFAULT_MAX),
            Self::Bytes(bytes) => bytes,
            Self::Percent(hundredths) => percent(hundredths.into()),
        };
        asked.max(working_room(space))
    }
}

impl FromStr for Floor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let percent = || text.strip_suffix('%')?.trim_end().parse().ok().filter(|percent| *percent < 100);
        let bytes = || if text == "0" { Some(0) } else { parse_bytes(text) };
        let floor = percent().map(Self::Percent).or_else(|| bytes().map(Self::Bytes));
        floor.ok_or_else(|| format!("'{text}' is no amount of free space: write \"2G\", \"10%\" or \"0\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        let disk = |total| Space { free: 0, total };
        assert_eq!(Floor::default().bytes(disk(8_000_000_000)), 400_000_000);
        assert_eq!(Floor::default().bytes(disk(2_000_000_000_000)), 1_000_000_000);
        assert_eq!("10%".parse::<Floor>().unwrap().bytes(disk(1000)), 100);
        assert_eq!("2G".parse::<Floor>().unwrap().bytes(disk(1000)), 2_000_000_000);
        assert_eq!("0".parse::<Floor>(), Ok(Floor::Bytes(0)));
        for wrong in ["100%", "-1%", "2", "", "%", "much"] {
            assert!(wrong.parse::<Floor>().unwrap_err().contains("no amount of free space"), "{wrong}");
        }
    }
}
