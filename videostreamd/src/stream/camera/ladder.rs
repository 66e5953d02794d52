// SPDX-License-Identifier: Apache-2.0
//! What to do about a camera that does not deliver, and when.
//!
//! A pure state machine: time comes in as a number, steps go out. Each trouble climbs one rung:
//! STREAMOFF and STREAMON, then close and open, then the same with pauses that double up to a
//! bound, for ever. Only a camera that has delivered for a while is back on the ground, so one
//! that gives a frame between two failures cannot keep us busy.

use vs_frame::Rate;
use vs_frame::clock::{NS_PER_MS, NS_PER_SEC};

/// Frame intervals without a frame after which a camera is said to stand still.
const PATIENCE_FRAMES: u64 = 10;

/// However fast a camera is: on a busy machine a driver's thread may be late by as much.
const PATIENCE_MIN_NS: u64 = NS_PER_SEC;

/// However slow it is: the longest exposures of sensors are some ten seconds.
const PATIENCE_MAX_NS: u64 = 60 * NS_PER_SEC;

/// Of a camera whose rate nobody knows.
const PATIENCE_UNKNOWN_NS: u64 = 2 * NS_PER_SEC;

/// What a camera may need beyond that for its first frame: power, focus, exposure.
const START_NS: u64 = 3 * NS_PER_SEC;

/// The first pause. In it, udev has time to say that the camera is gone.
const PAUSE_MIN_NS: u64 = 250 * NS_PER_MS;

/// The longest pause: how long a camera that works again may go unnoticed.
const PAUSE_MAX_NS: u64 = 10 * NS_PER_SEC;

/// How often an input without signal is looked at.
const SIGNAL_NS: u64 = 500 * NS_PER_MS;

/// How long a camera must deliver before it is taken for repaired.
const STEADY_NS: u64 = 2 * NS_PER_SEC;

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// STREAMOFF and STREAMON.
    Restart,
    /// Close it and open it.
    Reopen,
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It is open, but its driver reports an error.
    Failed,
    /// What it delivers has another form now: it must be opened anew.
    Changed,
    /// It cannot be opened, or is not there any more.
    Closed,
    /// It is there, but nothing comes in.
    NoSignal,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ladder {
    phase: Phase,
    /// 0: nothing is wrong.
    rung: u32,
    /// It delivers since then.
    steady_since_ns: Option<u64>,
    stalls: u64,
}

const RESTART: u32 = 1;
const REOPEN: u32 = 2;
const PAUSE: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There is no camera.
    Away,
    /// A frame is to come until then.
    Watching { until_ns: u64 },
    /// This is to be done then.
    Due { at_ns: u64, step: Step },
}

/// For how long a camera of this rate may be silent.
pub fn patience_ns(rate: Rate) -> u64 {
    let interval = rate.interval_ns().map(|interval| interval.saturating_mul(PATIENCE_FRAMES));
    interval.map_or(PATIENCE_UNKNOWN_NS, |ns| ns.clamp(PATIENCE_MIN_NS, PATIENCE_MAX_NS))
}

impl Ladder {
    /// Without a camera yet.
    pub fn new() -> Self {
        Self { phase: Phase::Away, rung: 0, steady_since_ns: None, stalls: 0 }
    }

    /// A camera is there, for the first time or again: it is to be opened at once.
    pub fn arrived(&mut self, now_ns: u64) {
        (self.rung, self.steady_since_ns) = (0, None);
        self.phase = Phase::Due { at_ns: now_ns, step: Step::Reopen };
    }

    /// The camera has gone: there is nothing to do until it [has arrived](Self::arrived).
    pub fn left(&mut self) {
        self.phase = Phase::Away;
    }

    /// The camera streams; its first frame is to come.
    pub fn started(&mut self, now_ns: u64, patience_ns: u64) {
        self.phase = Phase::Watching { until_ns: now_ns.saturating_add(patience_ns).saturating_add(START_NS) };
    }

    /// A frame has come; the next one is to come within `patience_ns`.
    pub fn delivered(&mut self, now_ns: u64, patience_ns: u64) {
        self.phase = Phase::Watching { until_ns: now_ns.saturating_add(patience_ns) };
        let since = *self.steady_since_ns.get_or_insert(now_ns);
        if now_ns.saturating_sub(since) >= STEADY_NS {
            self.rung = 0;
        }
    }

    /// Something is wrong with a camera that is there: what is next, [`due`](Self::due) says.
    pub fn trouble(&mut self, now_ns: u64, trouble: Trouble) {
        self.steady_since_ns = None;
        let least = match trouble {
            Trouble::Failed => RESTART,
            Trouble::Changed => REOPEN,
            Trouble::Closed | Trouble::NoSignal => PAUSE,
        };
        self.rung = self.rung.saturating_add(1).max(least);
        let pause_ns = match (trouble, self.rung) {
            (Trouble::NoSignal, _) => {
                // Waiting for somebody to plug it in is no failure that grows.
                self.rung = PAUSE;
                SIGNAL_NS
            }
            (_, RESTART | REOPEN) => 0,
            (_, rung) => PAUSE_MIN_NS.saturating_mul(2u64.saturating_pow(rung - PAUSE)).min(PAUSE_MAX_NS),
        };
        let step = if self.rung == RESTART { Step::Restart } else { Step::Reopen };
        self.phase = Phase::Due { at_ns: now_ns.saturating_add(pause_ns), step };
    }

    /// When to ask what is [`due`](Self::due); `None` while there is no camera.
    pub fn deadline_ns(&self) -> Option<u64> {
        match self.phase {
            Phase::Away => None,
            Phase::Watching { until_ns } => Some(until_ns),
            Phase::Due { at_ns, .. } => Some(at_ns),
        }
    }

    /// What is to be done next, and when; `None` while a frame is awaited, or there is no camera.
    pub fn step(&self) -> Option<(u64, Step)> {
        match self.phase {
            Phase::Due { at_ns, step } => Some((at_ns, step)),
            Phase::Away | Phase::Watching { .. } => None,
        }
    }

    /// What is to be done now. A camera that stands still is in trouble by this.
    pub fn due(&mut self, now_ns: u64) -> Option<Step> {
        if let Phase::Watching { until_ns } = self.phase
            && until_ns <= now_ns
        {
            self.stalls += 1;
            self.trouble(now_ns, Trouble::Failed);
        }
        match self.phase {
            Phase::Due { at_ns, step } if at_ns <= now_ns => {
                // Should nobody say what came of it, it is tried again.
                self.started(now_ns, PATIENCE_UNKNOWN_NS);
                Some(step)
            }
            _ => None,
        }
    }

    /// Whether nothing is wrong, or nothing has been for a while.
    pub fn is_healthy(&self) -> bool {
        self.rung == 0
    }

    /// Whether it has come to pauses between attempts.
    pub fn pauses(&self) -> bool {
        self.rung >= PAUSE
    }

    /// Times that the camera stood still.
    pub fn stalls(&self) -> u64 {
        self.stalls
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATIENCE: u64 = NS_PER_SEC;

    /// Does what is due for `seconds`, and says when, with a camera that never comes back.
    fn steps(ladder: &mut Ladder, mut now_ns: u64, seconds: u64, fails: Trouble) -> Vec<(u64, Step)> {
        let (end, mut steps) = (now_ns + seconds * NS_PER_SEC, Vec::new());
        while let Some(at) = ladder.deadline_ns().filter(|at| *at <= end) {
            now_ns = now_ns.max(at);
            if let Some(step) = ladder.due(now_ns) {
                steps.push((now_ns, step));
                ladder.trouble(now_ns, fails);
            }
        }
        steps
    }

    fn running(now_ns: u64) -> Ladder {
        let mut ladder = Ladder::new();
        ladder.arrived(now_ns);
        assert_eq!(ladder.due(now_ns), Some(Step::Reopen));
        ladder.started(now_ns, PATIENCE);
        ladder.delivered(now_ns, PATIENCE);
        ladder
    }

    #[test]
    fn a_dead_camera_is_restarted_then_opened_then_left_in_peace() {
        let mut ladder = running(0);
        let done = steps(&mut ladder, 0, 600, Trouble::Failed);
        assert_eq!(done[0], (PATIENCE, Step::Restart));
        assert_eq!(done[1], (PATIENCE, Step::Reopen));
        assert!(done[2..].iter().all(|(_, step)| *step == Step::Reopen));
        let pauses: Vec<_> = done[1..].windows(2).map(|two| two[1].0 - two[0].0).collect();
        assert_eq!(pauses[0], PAUSE_MIN_NS);
        assert!(pauses.is_sorted() && pauses.last() == Some(&PAUSE_MAX_NS), "{pauses:?}");
        assert!(ladder.pauses());
    }

    #[test]
    fn only_a_camera_that_goes_on_delivering_is_repaired() {
        let mut ladder = running(0);
        assert_eq!(ladder.due(PATIENCE), Some(Step::Restart));
        let mut now = PATIENCE;
        // One frame, then it fails again: up.
        ladder.delivered(now, PATIENCE);
        ladder.trouble(now, Trouble::Failed);
        assert_eq!(ladder.due(now), Some(Step::Reopen));
        for _ in 0..=STEADY_NS / (NS_PER_SEC / 2) {
            assert!(!ladder.is_healthy());
            ladder.delivered(now, PATIENCE);
            now += NS_PER_SEC / 2;
        }
        assert!(ladder.is_healthy());
        ladder.trouble(now, Trouble::Failed);
        assert_eq!(ladder.due(now), Some(Step::Restart));
    }

    #[test]
    fn an_input_without_signal_is_looked_at_steadily() {
        let mut ladder = running(0);
        ladder.trouble(0, Trouble::NoSignal);
        let done = steps(&mut ladder, 0, 10, Trouble::NoSignal);
        assert_eq!(done.len() as u64, 10 * NS_PER_SEC / SIGNAL_NS);
    }

    #[test]
    fn an_unplugged_camera_is_left_alone_until_it_is_back() {
        let mut ladder = running(0);
        ladder.left();
        assert_eq!((ladder.deadline_ns(), ladder.due(u64::MAX)), (None, None));
        ladder.arrived(5);
        assert_eq!(ladder.due(5), Some(Step::Reopen));
    }

    #[test]
    fn patience_follows_the_rate() {
        assert_eq!(patience_ns(Rate::fps(30)), PATIENCE_MIN_NS);
        assert_eq!(patience_ns(Rate::fps(5)), 2 * NS_PER_SEC);
        assert_eq!(patience_ns(Rate::UNKNOWN), PATIENCE_UNKNOWN_NS);
    }

    #[derive(Debug, Clone)]
    enum Op {
        Arrived,
        Left,
        Started,
        Delivered,
        Trouble(Trouble),
        Due,
    }

    fn op() -> impl Strategy<Value = Op> {
        let trouble =
            prop_oneof![Just(Trouble::Failed), Just(Trouble::Changed), Just(Trouble::Closed), Just(Trouble::NoSignal)];
        prop_oneof![
            Just(Op::Arrived),
            Just(Op::Left),
            Just(Op::Started),
            Just(Op::Delivered),
            trouble.prop_map(Op::Trouble),
            Just(Op::Due),
        ]
    }

    proptest! {
        /// Whatever happens, a camera that is there is never forgotten, and nothing is done
        /// before its time.
        #[test]
        fn there_is_always_a_next_step(ops in proptest::collection::vec((op(), 0..20 * NS_PER_SEC), 1..200)) {
            let (mut ladder, mut now, mut there) = (Ladder::new(), 0, false);
            for (op, later) in ops {
                now += later;
                match op {
                    Op::Arrived => { ladder.arrived(now); there = true; }
                    Op::Left => { ladder.left(); there = false; }
                    Op::Started if there => ladder.started(now, PATIENCE),
                    Op::Delivered if there => ladder.delivered(now, PATIENCE),
                    Op::Trouble(trouble) if there => ladder.trouble(now, trouble),
                    Op::Due => {
                        let early = ladder.deadline_ns().is_none_or(|at| at > now);
                        let done = ladder.due(now);
                        prop_assert!(!early || done.is_none());
                    }
                    _ => {}
                }
                let deadline = ladder.deadline_ns();
                prop_assert_eq!(deadline.is_some(), there);
                if let Some(at) = deadline {
                    prop_assert!(at <= now + (PATIENCE + START_NS).max(PAUSE_MAX_NS));
                }
            }
        }

        /// A camera that delivers one frame after each step, at once, and fails again.
        #[test]
        fn a_flapping_camera_does_not_keep_us_busy(frames in 1..5u32, fails in prop_oneof![Just(Trouble::Failed), Just(Trouble::Closed), Just(Trouble::Changed)]) {
            let (mut ladder, mut now, mut done) = (running(0), 0, 0u64);
            ladder.trouble(now, fails);
            while now < 3600 * NS_PER_SEC {
                now = now.max(ladder.deadline_ns().unwrap_or(u64::MAX));
                if ladder.due(now).is_some() {
                    done += 1;
                    for _ in 0..frames {
                        now += NS_PER_SEC / 30;
                        ladder.delivered(now, PATIENCE);
                    }
                    ladder.trouble(now, fails);
                }
            }
            prop_assert!(done <= 3600 * NS_PER_SEC / PAUSE_MAX_NS + 20, "{done} steps in an hour");
        }

        /// Frames in time never cause a step.
        #[test]
        fn who_delivers_is_left_alone(gaps in proptest::collection::vec(0..PATIENCE, 1..100)) {
            let (mut ladder, mut now) = (running(0), 0);
            for gap in gaps {
                now += gap;
                prop_assert_eq!(ladder.due(now), None);
                ladder.delivered(now, PATIENCE);
            }
            prop_assert_eq!(ladder.stalls(), 0);
        }
    }
}
