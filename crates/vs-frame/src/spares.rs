// SPDX-License-Identifier: Apache-2.0
//! When a set of buffers grows, and when it gives some back: the rule for whoever fills them,
//! the CPU or a device.
//!
//! It grows by one when no buffer lies idle, up to its bound. It gives back those that lay
//! idle all the time between two looks at it, down to the number that it began with. Memory
//! that could not be had is not asked for again with every frame.

/// The rule for one set. It counts; whoever has the buffers acts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spares {
    initial: usize,
    max: usize,
    /// The fewest that lay idle since the last [`unneeded`](Self::unneeded).
    idle_low: usize,
    refused: Option<Refused>,
}

/// Memory was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Refused {
    /// The bound that shows.
    max: usize,
    /// Calls of `unneeded` until more is tried again.
    calls: u32,
}

/// Calls of [`Spares::unneeded`] for which refused memory is not asked for again: with one
/// every five seconds a minute, in which whoever has the memory may be done with it.
const REFUSED_CALLS: u32 = 12;

impl Spares {
    /// For a set that begins with `initial` buffers and may have `max`.
    #[must_use]
    pub fn new(initial: usize, max: usize) -> Self {
        Self { initial, max: max.max(initial), idle_low: 0, refused: None }
    }

    /// Buffers that there can be at most: less than what was allowed while memory is refused.
    #[must_use]
    pub fn max(&self) -> usize {
        self.refused.map_or(self.max, |refused| refused.max)
    }

    /// Whether a set of `len` buffers of which none is idle may have one more.
    #[must_use]
    pub fn may_grow(&self, len: usize) -> bool {
        len < self.max()
    }

    /// The system had no memory for one more than `len`.
    pub fn refuse(&mut self, len: usize) {
        self.refused = Some(Refused { max: len, calls: REFUSED_CALLS });
    }

    /// Notes how many lie idle. Call it whenever that may have become fewer.
    pub fn note(&mut self, idle: usize) {
        self.idle_low = self.idle_low.min(idle);
    }

    /// How many of `len` buffers, `idle` of which lie idle now, nobody has needed since the
    /// last call. They are to be given back. Call it every few seconds.
    pub fn unneeded(&mut self, len: usize, idle: usize) -> usize {
        self.refused = self.refused.and_then(|refused| {
            let calls = refused.calls.checked_sub(1)?;
            Some(Refused { calls, ..refused })
        });
        self.note(idle);
        let unneeded = self.idle_low.min(len.saturating_sub(self.initial));
        self.idle_low = idle - unneeded;
        unneeded
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Op {
        Take,
        Return,
        Look,
        /// From now on there is memory, or none.
        Memory(bool),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            8 => Just(Op::Take),
            8 => Just(Op::Return),
            3 => Just(Op::Look),
            1 => any::<bool>().prop_map(Op::Memory),
        ]
    }

    proptest! {
        /// A set of buffers that follows the rule, and what must hold of it whatever happens.
        #[test]
        fn bounds_hold_and_nothing_needed_goes(
            initial in 1..5usize, spares in 0..6usize, ops in prop::collection::vec(op(), 1..200),
        ) {
            let max = initial + spares;
            let mut rule = Spares::new(initial, max);
            let (mut len, mut used, mut memory) = (initial, 0, true);
            let mut peak = 0;
            for op in ops {
                match op {
                    Op::Take => {
                        if used == len && rule.may_grow(len) {
                            if memory { len += 1 } else { rule.refuse(len) }
                        }
                        used = (used + 1).min(len);
                        rule.note(len - used);
                        peak = peak.max(used);
                    }
                    Op::Return => used = used.saturating_sub(1),
                    Op::Look => {
                        let before = len;
                        len -= rule.unneeded(len, len - used);
                        prop_assert!(len >= used, "a buffer in use was given back");
                        prop_assert!(len >= peak.min(before), "what was needed since the last look was given back");
                        peak = used;
                    }
                    Op::Memory(there) => memory = there,
                }
                prop_assert!((initial..=max).contains(&len) && rule.max() <= max);
            }
            // All come home, and nobody needs any between two looks.
            len -= rule.unneeded(len, len);
            len -= rule.unneeded(len, len);
            prop_assert_eq!(len, initial);
        }
    }

    #[test]
    fn what_lay_idle_between_two_looks_goes_down_to_the_beginning() {
        let mut rule = Spares::new(2, 8);
        rule.note(0);
        assert_eq!(rule.unneeded(8, 6), 0, "all were needed meanwhile");
        rule.note(1);
        assert_eq!(rule.unneeded(8, 6), 1);
        assert_eq!(rule.unneeded(7, 6), 5, "down to the two it began with, and one more is in use");
        assert_eq!(rule.unneeded(2, 1), 0);
    }

    #[test]
    fn refused_memory_is_tried_again_after_a_while() {
        let mut rule = Spares::new(2, 8);
        rule.refuse(5);
        assert_eq!(rule.max(), 5);
        let mut looks = 0;
        while !rule.may_grow(5) {
            rule.unneeded(5, 0);
            looks += 1;
        }
        assert_eq!((looks, rule.max()), (REFUSED_CALLS + 1, 8));
    }
}
