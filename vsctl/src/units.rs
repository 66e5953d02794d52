// SPDX-License-Identifier: Apache-2.0
//! Quantities as people read them.

use std::collections::BTreeMap;

const NS_PER_SEC: f64 = 1e9;

/// Bytes with decimal units, as `ls --si` and file managers show them.
pub fn bytes(bytes: u64) -> String {
    scaled(bytes as f64, &["B", "kB", "MB", "GB", "TB", "PB"])
}

/// Bits per second.
pub fn bitrate(bits: f64) -> String {
    scaled(bits, &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"])
}

/// The bitrate of so many bytes in so many ns; `None` if there is no time yet.
pub fn average_bitrate(bytes: u64, ns: u64) -> Option<String> {
    (ns > 0).then(|| bitrate(bytes as f64 * 8.0 * NS_PER_SEC / ns as f64))
}

/// Three significant digits where there is a unit to scale by.
fn scaled(mut value: f64, units: &[&str]) -> String {
    let mut unit = 0;
    // What would be rounded to 1000 belongs to the next unit.
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = match value {
        _ if unit == 0 => 0,
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {}", units[unit])
}

/// A duration in ns: `5.00 s`, `1:02:03` from one minute on.
pub fn duration(ns: u64) -> String {
    let seconds = ns as f64 / NS_PER_SEC;
    if seconds < 59.995 {
        return format!("{seconds:.2} s");
    }
    let seconds = seconds.round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A short time in µs, with the unit that suits it: `85 µs`, `1.24 ms`, `2.00 s`.
pub fn microseconds(us: f64) -> String {
    scaled(us, &["µs", "ms", "s"])
}

/// Frames per second: no decimals where there are none.
pub fn fps(fps: f64) -> String {
    let text = format!("{fps:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Counts by reason: the sum, and what it is made of: `5 (no-credit 3, pool 2)`.
pub fn by_reason(counts: &BTreeMap<String, u64>) -> String {
    let parts: Vec<_> = counts.iter().filter(|(_, n)| **n > 0).map(|(reason, n)| format!("{reason} {n}")).collect();
    let sum = counts.values().fold(0u64, |sum, n| sum.saturating_add(*n));
    if parts.is_empty() { sum.to_string() } else { format!("{sum} ({})", parts.join(", ")) }
}

/// `1 frame`, `2 frames`.
pub fn count(n: u64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1000), "1.00 kB");
        assert_eq!(bytes(999_999), "1.00 MB");
        assert_eq!(bytes(12_345_678), "12.3 MB");
        assert_eq!(bytes(u64::MAX), "18447 PB");
        assert_eq!(bitrate(110_592_000.0), "111 Mbit/s");
    }

    #[test]
    fn times() {
        assert_eq!(duration(5_000_000_000), "5.00 s");
        assert_eq!(duration(59_996_000_000), "1:00");
        assert_eq!(duration(3_723_000_000_000), "1:02:03");
    }

    #[test]
    fn short_times() {
        for (us, text) in [(0.0, "0 µs"), (85.4, "85 µs"), (1240.0, "1.24 ms"), (2_000_000.0, "2.00 s")] {
            assert_eq!(microseconds(us), text);
        }
    }

    #[test]
    fn rates() {
        assert_eq!(fps(30.0), "30");
        assert_eq!(fps(30000.0 / 1001.0), "29.97");
        assert_eq!(fps(0.0), "0");
    }

    #[test]
    fn reasons_are_named() {
        let counts = |pairs: &[(&str, u64)]| pairs.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect();
        assert_eq!(by_reason(&counts(&[("pool", 2), ("no-credit", 3)])), "5 (no-credit 3, pool 2)");
        assert_eq!(by_reason(&counts(&[("pool", 0)])), "0");
        assert_eq!(count(1, "frame"), "1 frame");
    }
}
