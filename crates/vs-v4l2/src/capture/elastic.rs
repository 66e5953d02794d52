// SPDX-License-Identifier: Apache-2.0
//! How many buffers a camera has: enough for its driver to keep its floor whatever readers
//! hold, and more than it began with only for as long as they are needed.
//!
//! What is idle are the buffers that the driver has beyond its floor; [`Spares`] has the rule,
//! which a pattern's pool follows, too. The driver cannot be asked to hand a buffer out. So
//! those that come home next come to rest, and later looks let go of them, unless they are
//! needed again by then.

use vs_frame::Spares;

use super::queue::{BufferQueue, Driver, Holders, LetGo};

/// See the module.
#[derive(Debug)]
pub(super) struct Elastic {
    spares: Spares,
    initial: u32,
    floor: u32,
    removes: bool,
}

/// What is to be done for the driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Need {
    /// It has its floor.
    Nothing,
    /// It gets what rests, if anything does, and what comes home from now on.
    Wake,
    /// It gets a new one.
    Grow,
}

impl Elastic {
    /// For a camera that begins with `initial` buffers and may have `spares` more. `removes`
    /// says whether its driver can take out single ones.
    pub(super) fn new(initial: u32, spares: u32, floor: u32, removes: bool) -> Self {
        let rule = Spares::new(initial as usize, initial.saturating_add(spares) as usize);
        Self { spares: rule, initial, floor, removes }
    }

    /// What the driver needs, at a moment when a frame has just been handed out.
    pub(super) fn need(&mut self, holders: Holders) -> Need {
        self.spares.note(self.idle(holders));
        if holders.driver >= self.floor {
            Need::Nothing
        } else if holders.resting == 0 && self.spares.may_grow(holders.all() as usize) {
            Need::Grow
        } else {
            Need::Wake
        }
    }

    /// A new one could not be had.
    pub(super) fn refuse(&mut self, holders: Holders) {
        self.spares.refuse(holders.all() as usize);
    }

    /// Lets go of what has come to rest, and lets so many more rest as nobody has needed since
    /// the last call.
    pub(super) fn trim<D: Driver>(&mut self, queue: &mut BufferQueue<D>) -> LetGo {
        let gone = queue.let_go();
        let holders = queue.holders();
        let in_use = holders.all() - holders.resting;
        let unneeded = self.spares.unneeded(in_use as usize, self.idle(holders));
        if gone.refused.is_some() {
            // What it says it can do it cannot.
            self.removes = false;
            queue.wake();
        }
        if self.removes {
            queue.rest(unneeded as u32);
        }
        gone
    }

    /// Whether single buffers can be removed.
    pub(super) fn removes(&self) -> bool {
        self.removes
    }

    /// Buffers that there can be at most.
    pub(super) fn max(&self) -> u32 {
        self.spares.max() as u32
    }

    /// Those that it did not begin with.
    pub(super) fn beyond_initial(&self, holders: Holders) -> u32 {
        holders.all().saturating_sub(self.initial)
    }

    fn idle(&self, holders: Holders) -> usize {
        holders.driver.saturating_sub(self.floor) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::queue::tests::{BUFFERS, FakeDriver, MAX, buffers};
    use super::*;

    const FLOOR: u32 = 3;

    /// What happens between two frames.
    #[derive(Clone, Debug)]
    enum Op {
        Nothing,
        /// Readers give so many of the frames back that they hold, the oldest first.
        Return(usize),
        Trim,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![6 => Just(Op::Nothing), 4 => (1..5usize).prop_map(Op::Return), 2 => Just(Op::Trim)]
    }

    /// A camera as the stream's thread runs it: a frame is taken and handed out, then the
    /// driver is seen to.
    struct Rig {
        driver: Arc<FakeDriver>,
        queue: BufferQueue<FakeDriver>,
        elastic: Elastic,
        held: VecDeque<u32>,
    }

    impl Rig {
        fn new(removes: bool) -> Self {
            let driver = Arc::new(FakeDriver::default());
            let queue = BufferQueue::new(Arc::clone(&driver), buffers());
            queue.start().unwrap();
            let elastic = Elastic::new(BUFFERS, MAX - BUFFERS, FLOOR, removes);
            Self { driver, queue, elastic, held: VecDeque::new() }
        }

        /// Returns whether readers got a frame: the driver keeps two buffers.
        fn frame(&mut self) -> bool {
            let taken = self.queue.dequeue().unwrap().unwrap().index;
            let spared = self.queue.holders().driver >= FLOOR - 1;
            if spared {
                self.held.push_back(taken)
            } else {
                self.queue.home().take_back(taken)
            }
            match self.elastic.need(self.queue.holders()) {
                Need::Nothing => {}
                Need::Wake => {
                    self.queue.wake();
                }
                Need::Grow => self.queue.add(self.driver.create().unwrap(), buffers().remove(0)),
            }
            spared
        }

        fn give_back(&mut self, count: usize) {
            for index in self.held.drain(..count.min(self.held.len())) {
                self.queue.home().take_back(index);
            }
        }

        fn all(&self) -> u32 {
            self.queue.holders().all()
        }
    }

    proptest! {
        #[test]
        fn the_driver_keeps_its_floor_and_readers_get_what_the_bound_allows(
            removes: bool, ops in prop::collection::vec(op(), 1..300),
        ) {
            let mut rig = Rig::new(removes);
            for op in ops {
                match op {
                    Op::Nothing => {}
                    Op::Return(count) => rig.give_back(count),
                    Op::Trim => {
                        let before = rig.all();
                        let removed = rig.elastic.trim(&mut rig.queue).removed;
                        prop_assert_eq!(rig.all(), before - removed);
                        prop_assert!(removes || removed == 0);
                    }
                }
                // Of the floor, one is what was just filled.
                let room = rig.held.len() < (MAX - FLOOR + 1) as usize;
                let spared = rig.frame();
                prop_assert_eq!(spared, room, "a frame is dropped only if readers hold all that they may");
                let holders = rig.queue.holders();
                prop_assert!((BUFFERS..=MAX).contains(&holders.all()));
                prop_assert!(holders.driver >= FLOOR.min(MAX - rig.held.len() as u32), "{holders:?}");
            }
            // The readers leave. Between two looks every buffer comes home once.
            for _ in 0..4 {
                rig.give_back(usize::MAX);
                rig.elastic.trim(&mut rig.queue);
                for _ in 0..MAX {
                    rig.frame();
                    rig.give_back(usize::MAX);
                }
            }
            prop_assert!(!removes || rig.all() == BUFFERS);
        }
    }

    #[test]
    fn a_driver_that_breaks_its_word_keeps_its_buffers_in_use() {
        let mut rig = Rig::new(true);
        (0..3).for_each(|_| assert!(rig.frame()));
        let all = rig.all();
        rig.give_back(3);
        rig.elastic.trim(&mut rig.queue);
        rig.frame();
        rig.elastic.trim(&mut rig.queue);
        rig.frame();
        rig.give_back(2);
        rig.elastic.trim(&mut rig.queue);
        assert!(rig.queue.holders().resting > 0);
        rig.driver.refuse(true);
        assert_eq!(rig.elastic.trim(&mut rig.queue).removed, 0);
        rig.driver.refuse(false);
        rig.frame();
        let holders = rig.queue.holders();
        assert_eq!((holders.all(), holders.resting, holders.nobody), (all, 0, 0));
        assert!(!rig.elastic.removes());
    }
}
