// SPDX-License-Identifier: Apache-2.0
//! What a driver's frame count says about frames that never came.

/// A step forward of more than half the range is a step back: the driver began to count
/// anew.
const HALF: u32 = 1 << 31;

/// Follows the sequence numbers of one camera.
#[derive(Clone, Debug, Default)]
pub(super) struct SequenceTracker {
    last: Option<u32>,
    /// Something was lost since the last frame that was published.
    gap: bool,
    published: bool,
    lost: u64,
}

impl SequenceTracker {
    /// Frames that the driver counted but never delivered.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// The stream starts, and with it the driver's count. After a stop, time is missing.
    pub(super) fn restart(&mut self) {
        self.last = None;
        self.gap |= self.published;
    }

    /// Something is missing before the next frame.
    pub(super) fn note_gap(&mut self) {
        self.gap = true;
    }

    /// A frame is published; returns whether something is missing just before it.
    pub(super) fn publish(&mut self, sequence: u32) -> bool {
        let jumped = match self.last.map(|last| sequence.wrapping_sub(last)) {
            // The same number again says nothing: the two fields of an interlaced frame
            // share one, and some drivers do not count at all.
            None | Some(0 | 1) => false,
            Some(step) => {
                self.count(step);
                true
            }
        };
        self.last = Some(sequence);
        self.published = true;
        std::mem::take(&mut self.gap) | jumped
    }

    /// A frame came but is not to be trusted, and neither is a number that goes back.
    pub(super) fn skip(&mut self, sequence: u32) {
        self.gap = true;
        let step = self.last.map_or(0, |last| sequence.wrapping_sub(last));
        if step < HALF {
            self.count(step);
            self.last = Some(sequence);
        }
    }

    fn count(&mut self, step: u32) {
        if step < HALF {
            self.lost += u64::from(step.saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(first: &[u32]) -> SequenceTracker {
        let mut tracker = SequenceTracker::default();
        for sequence in first {
            tracker.publish(*sequence);
        }
        tracker
    }

    #[test]
    fn a_jump_is_a_gap_and_counted() {
        let mut tracker = after(&[5, 6]);
        assert_eq!(tracker.lost(), 0);
        assert!(tracker.publish(9));
        assert_eq!(tracker.lost(), 2);
        assert!(!tracker.publish(10));
    }

    #[test]
    fn the_count_may_wrap() {
        let mut tracker = after(&[u32::MAX - 1, u32::MAX]);
        assert!(!tracker.publish(0));
        assert!(tracker.publish(2));
        assert_eq!(tracker.lost(), 1);
    }

    #[test]
    fn a_count_that_starts_anew_is_a_gap_of_unknown_length() {
        let mut tracker = after(&[1000]);
        assert!(tracker.publish(0));
        assert_eq!(tracker.lost(), 0);
    }

    #[test]
    fn drivers_that_do_not_count_lose_nothing() {
        let mut tracker = after(&[0]);
        assert!(!tracker.publish(0));
    }

    #[test]
    fn a_corrupt_frame_is_a_gap_but_not_lost() {
        let mut tracker = after(&[3]);
        tracker.skip(4);
        assert!(tracker.publish(5));
        tracker.skip(0);
        assert!(tracker.publish(6));
        assert_eq!(tracker.lost(), 0);
    }

    #[test]
    fn only_a_restart_after_a_frame_is_a_gap() {
        let mut tracker = SequenceTracker::default();
        tracker.restart();
        assert!(!tracker.publish(0));
        tracker.restart();
        assert!(tracker.publish(0));
        assert!(!tracker.publish(1));
    }

    proptest! {
        #[test]
        fn whatever_comes_the_losses_add_up(
            start: u32, steps in proptest::collection::vec((1..50u32, any::<bool>()), 1..100),
        ) {
            let mut tracker = after(&[start]);
            let (mut sequence, mut missing) = (start, 0);
            for (step, corrupt) in steps {
                sequence = sequence.wrapping_add(step);
                missing += u64::from(step - 1);
                if corrupt { tracker.skip(sequence) } else { tracker.publish(sequence); }
            }
            prop_assert_eq!(tracker.lost(), missing);
        }
    }
}
