// SPDX-License-Identifier: Apache-2.0
//! When a source is to be open: while somebody holds the stream, or uses it, and a while longer.

use std::time::{Duration, Instant};

/// What is to be done with the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Somebody has come.
    Open,
    /// Nobody has been there for long enough.
    Close,
}

/// See the module. A source that could not be opened is not asked for again before everybody has
/// gone: what can be repaired, it repairs itself.
#[derive(Debug)]
pub struct Demand {
    state: State,
    /// How long it stays open without users.
    linger: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Whoever started it wants it open, used or not.
    Held,
    /// Nobody wants anything.
    Idle,
    /// There are users.
    Used,
    /// There were users until a moment ago.
    Lingering { until: Instant },
}

impl Demand {
    /// Nobody has asked yet.
    pub fn new(linger: Duration) -> Self {
        Self { state: State::Idle, linger }
    }

    /// From now on it is wanted for good.
    pub fn hold(&mut self) {
        self.state = State::Held;
    }

    /// Whether it is closed because nobody wants it.
    pub fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    /// Whether its users matter.
    pub fn is_held(&self) -> bool {
        self.state == State::Held
    }

    /// When to look again although nothing has happened.
    pub fn due(&self) -> Option<Instant> {
        match self.state {
            State::Lingering { until } => Some(until),
            State::Held | State::Idle | State::Used => None,
        }
    }

    /// Takes note of whether there are users now; what follows from it.
    pub fn look(&mut self, used: bool, now: Instant) -> Option<Turn> {
        let (state, turn) = match (self.state, used) {
            (State::Idle, true) => (State::Used, Some(Turn::Open)),
            (State::Used, false) => (State::Lingering { until: now + self.linger }, None),
            (State::Lingering { .. }, true) => (State::Used, None),
            (State::Lingering { until }, false) if now >= until => (State::Idle, Some(Turn::Close)),
            (state, _) => (state, None),
        };
        self.state = state;
        turn
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINGER: Duration = Duration::from_secs(5);

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Hold,
        Look { used: bool, after_ms: u64 },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            1 => Just(Step::Hold),
            8 => (any::<bool>(), 0..4000u64).prop_map(|(used, after_ms)| Step::Look { used, after_ms }),
        ]
    }

    proptest! {
        #[test]
        fn it_is_open_while_it_is_wanted_and_a_while_longer(steps in prop::collection::vec(step(), 1..100)) {
            let mut now = Instant::now();
            let mut demand = Demand::new(LINGER);
            let (mut open, mut held, mut wanted_last) = (false, false, None);
            for step in steps {
                match step {
                    Step::Hold => {
                        demand.hold();
                        (open, held, wanted_last) = (true, true, Some(now));
                    }
                    Step::Look { used, after_ms } => {
                        now += Duration::from_millis(after_ms);
                        match demand.look(used, now) {
                            Some(Turn::Open) => {
                                prop_assert!(!open && used);
                                open = true;
                            }
                            Some(Turn::Close) => {
                                prop_assert!(open && !used && !held);
                                prop_assert!(wanted_last.is_some_and(|last| now - last >= LINGER));
                                open = false;
                            }
                            None => {}
                        }
                        if used || held {
                            wanted_last = Some(now);
                            prop_assert!(open);
                        }
                    }
                }
                prop_assert_eq!(demand.is_idle(), !open);
                // Whoever looks at the time that it names finds it closed.
                if let Some(due) = demand.due() {
                    prop_assert!(open && !held && due <= now + LINGER);
                }
            }
            if !held {
                demand.look(false, now);
                let due = demand.due();
                prop_assert_eq!(due.is_some(), open);
                if let Some(due) = due {
                    prop_assert_eq!(demand.look(false, due), Some(Turn::Close));
                }
            }
        }
    }
}
