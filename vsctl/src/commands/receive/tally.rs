// SPDX-License-Identifier: Apache-2.0
//! Counting frames, bytes and time.

use vsclient::Frame;

use crate::latency::Latencies;

/// What has come so far.
pub struct Tally {
    /// Frames published before this moment were waiting for us, not on their way: their
    /// latency says nothing.
    connected_ns: u64,
    pub frames: u64,
    pub bytes: u64,
    first: Option<Mark>,
    last_ns: u64,
    pub latencies: Latencies,
}

/// The frame from which rates are counted.
struct Mark {
    received_ns: u64,
    frames: u64,
    bytes: u64,
}

/// How much came in how much time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    pub fps: f64,
    pub bits_per_s: f64,
}

impl Tally {
    /// Nothing, from the moment of connecting on, in ns of `CLOCK_MONOTONIC`.
    pub fn new(connected_ns: u64) -> anyhow::Result<Self> {
        Ok(Self { connected_ns, frames: 0, bytes: 0, first: None, last_ns: 0, latencies: Latencies::new()? })
    }

    /// Connected again.
    pub fn reconnected(&mut self, now_ns: u64) {
        self.connected_ns = now_ns;
    }

    /// Counts a frame.
    pub fn add(&mut self, frame: &Frame) {
        let bytes = frame.meta().bytes_used.iter().copied().map(u64::from).sum();
        self.count(frame.publish_ns(), frame.received_ns(), bytes);
    }

    fn count(&mut self, publish_ns: u64, received_ns: u64, bytes: u64) {
        self.frames += 1;
        self.bytes += bytes;
        if publish_ns < self.connected_ns {
            return;
        }
        self.latencies.add(received_ns.saturating_sub(publish_ns));
        self.last_ns = received_ns;
        self.first.get_or_insert(Mark { received_ns, frames: self.frames, bytes: self.bytes });
    }

    /// From the first frame to the last, in ns.
    pub fn duration_ns(&self) -> u64 {
        self.first.as_ref().map_or(0, |first| self.last_ns.saturating_sub(first.received_ns))
    }

    /// Between the first frame and the last; `None` before there are two.
    pub fn rates(&self) -> Option<Rates> {
        let first = self.first.as_ref()?;
        let seconds = self.duration_ns() as f64 / 1e9;
        (seconds > 0.0).then(|| Rates {
            fps: (self.frames - first.frames) as f64 / seconds,
            bits_per_s: (self.bytes - first.bytes) as f64 * 8.0 / seconds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_that_was_waiting_does_not_spoil_the_figures() {
        let mut tally = Tally::new(1_000_000_000).unwrap();
        tally.count(500_000_000, 1_000_100_000, 1000);
        for frame in 0..31 {
            let publish_ns = 1_010_000_000 + frame * 20_000_000;
            tally.count(publish_ns, publish_ns + 50_000, 1000);
        }
        assert_eq!((tally.frames, tally.bytes), (32, 32_000));
        assert_eq!(tally.duration_ns(), 600_000_000);
        let rates = tally.rates().unwrap();
        assert!((rates.fps - 50.0).abs() < 1e-6 && (rates.bits_per_s - 400_000.0).abs() < 1e-3, "{rates:?}");
        let latency = tally.latencies.summary().unwrap();
        assert!(latency.max < 51.0, "{latency:?}");
    }

    #[test]
    fn one_frame_has_no_rate() {
        let mut tally = Tally::new(0).unwrap();
        assert_eq!(tally.rates(), None);
        tally.count(10, 20, 1);
        assert_eq!(tally.rates(), None);
    }
}
