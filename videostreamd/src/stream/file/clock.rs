// SPDX-License-Identifier: Apache-2.0
//! When a picture is due: the file's time on ours.

/// A stream that is this late goes on from where it is: what it has missed it does not make up for.
pub const LAG_MAX_NS: u64 = 1_000_000_000;

/// Begins with the first picture, which is due at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock(Option<Start>);

#[derive(Debug, Clone, Copy)]
struct Start {
    at_ns: u64,
    pts_ns: i64,
}

impl Clock {
    /// When the picture with this time is due, in ns of `CLOCK_MONOTONIC`.
    pub fn due(&mut self, pts_ns: i64, now_ns: u64) -> u64 {
        let start = *self.0.get_or_insert(Start { at_ns: now_ns, pts_ns });
        let due_ns = start.at_ns.saturating_add_signed(pts_ns.saturating_sub(start.pts_ns));
        if now_ns.saturating_sub(due_ns) > LAG_MAX_NS {
            self.0 = Some(Start { at_ns: now_ns, pts_ns });
            return now_ns;
        }
        due_ns
    }

    /// Begins anew with the next picture.
    pub fn reset(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_as_far_apart_as_in_the_file() {
        let mut clock = Clock::default();
        assert_eq!(clock.due(-5, 1000), 1000);
        assert_eq!(clock.due(30, 1010), 1035);
        assert_eq!(clock.due(20, 1040), 1025);
        assert_eq!(clock.due(i64::MAX, 1040), 1000 + i64::MAX as u64);
    }

    #[test]
    fn who_is_far_behind_goes_on_from_there() {
        let mut clock = Clock::default();
        clock.due(0, 0);
        assert_eq!(clock.due(40, LAG_MAX_NS + 40), 40);
        assert_eq!(clock.due(40, LAG_MAX_NS + 41), LAG_MAX_NS + 41);
        assert_eq!(clock.due(80, LAG_MAX_NS + 50), LAG_MAX_NS + 81);
    }
}
