// SPDX-License-Identifier: Apache-2.0
//! The book of buffers against a driver that keeps its own book and refuses at will.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use vs_frame::MAX_PLANES;

use super::*;

/// What a queue begins with, and what it can have.
pub(in crate::capture) const BUFFERS: u32 = 4;
pub(in crate::capture) const MAX: u32 = 8;

/// A driver that remembers what it has, and panics when it is given what it must not get.
pub(in crate::capture) struct FakeDriver {
    /// Numbers of the buffers that there are.
    made: Mutex<BTreeSet<u32>>,
    has: Mutex<VecDeque<u32>>,
    streaming: AtomicBool,
    refuses: AtomicBool,
    released: AtomicBool,
    shared: AtomicBool,
}

impl Default for FakeDriver {
    fn default() -> Self {
        Self {
            made: Mutex::new((0..BUFFERS).collect()),
            has: Mutex::default(),
            streaming: AtomicBool::default(),
            refuses: AtomicBool::default(),
            released: AtomicBool::default(),
            shared: AtomicBool::default(),
        }
    }
}

impl FakeDriver {
    /// As the kernel does: under the lowest number that is free.
    pub(in crate::capture) fn create(&self) -> Option<u32> {
        let mut made = self.made.lock().unwrap();
        let index = (0..MAX).find(|index| !made.contains(index))?;
        made.insert(index);
        Some(index)
    }

    /// From now on, or no more, it refuses everything.
    pub(in crate::capture) fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }

    fn made(&self) -> Vec<u32> {
        self.made.lock().unwrap().iter().copied().collect()
    }

    fn has(&self) -> Vec<u32> {
        let mut has: Vec<_> = self.has.lock().unwrap().iter().copied().collect();
        has.sort_unstable();
        has
    }
}

impl Driver for FakeDriver {
    fn enqueue(&self, index: u32) -> Result<()> {
        assert!(!self.released.load(Ordering::Relaxed), "a buffer came to a closed queue");
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Errno::INVAL);
        }
        let mut has = self.has.lock().unwrap();
        assert!(self.made.lock().unwrap().contains(&index), "there is no buffer {index}");
        assert!(!has.contains(&index), "buffer {index} came twice");
        has.push_back(index);
        Ok(())
    }

    fn dequeue(&self) -> Result<Option<Dequeued>> {
        let index = self.has.lock().unwrap().pop_front();
        Ok(index.map(|index| Dequeued {
            last: false,
            keyframe: false,
            stamp_us: 0,
            index,
            error: false,
            sequence: 0,
            field: vs_frame::Field::PROGRESSIVE,
            capture_ns: None,
            bytes_used: [0; MAX_PLANES],
            data_offset: [0; MAX_PLANES],
        }))
    }

    fn stream_on(&self) -> Result<()> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Errno::IO);
        }
        self.streaming.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn stream_off(&self) -> Result<()> {
        self.streaming.store(false, Ordering::Relaxed);
        self.has.lock().unwrap().clear();
        Ok(())
    }

    fn is_shared(&self, _: &Buffer) -> bool {
        self.shared.load(Ordering::Relaxed)
    }

    fn remove(&self, index: u32) -> Result<()> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Errno::BUSY);
        }
        assert!(!self.has.lock().unwrap().contains(&index), "the driver still had buffer {index}");
        assert!(!self.shared.load(Ordering::Relaxed), "somebody still has buffer {index}");
        assert!(self.made.lock().unwrap().remove(&index), "there is no buffer {index}");
        Ok(())
    }

    fn release(&self) -> Result<()> {
        self.released.store(true, Ordering::Relaxed);
        Ok(())
    }
}

pub(in crate::capture) fn buffers() -> Vec<Arc<Buffer>> {
    let format = vs_frame::Format::packed(vs_frame::FourCc::GREY, 8, 8, vs_frame::Rate::fps(1)).unwrap();
    let pool = vs_frame::CpuPool::new(Arc::new(format), vs_frame::CpuMemory::Memfd, 4, 4).unwrap();
    let frame = |_| pool.acquire().unwrap().unwrap().finish(vs_frame::FrameMeta::default()).unwrap();
    let frames: Vec<_> = (0..BUFFERS).map(frame).collect();
    frames.iter().map(|frame| Arc::clone(frame.buffer())).collect()
}

#[derive(Clone, Debug)]
enum Op {
    Start,
    Stop,
    Dequeue,
    /// A reader gives back one of the buffers that readers hold.
    Return(prop::sample::Index),
    /// The driver begins, or ceases, to refuse everything.
    Refuse(bool),
    Add,
    Rest(u32),
    Wake,
    LetGo,
    /// Somebody has the memory of every buffer, or nobody.
    Share(bool),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => Just(Op::Start),
        1 => Just(Op::Stop),
        4 => Just(Op::Dequeue),
        4 => any::<prop::sample::Index>().prop_map(Op::Return),
        1 => any::<bool>().prop_map(Op::Refuse),
        1 => Just(Op::Add),
        1 => (0..3u32).prop_map(Op::Rest),
        1 => Just(Op::Wake),
        2 => Just(Op::LetGo),
        1 => any::<bool>().prop_map(Op::Share),
    ]
}

fn check(queue: &BufferQueue<FakeDriver>, held: &[u32]) {
    let entries = queue.book.lock();
    let numbers = || 0..entries.slots.len() as u32;
    let of = |slot| numbers().filter(|index| entries.slots[*index as usize] == slot).collect::<Vec<_>>();
    let there: Vec<_> = numbers().filter(|index| queue.buffer(*index).is_some()).collect();
    assert_eq!(there, queue.driver.made(), "the buffers are those that the driver made");
    assert_eq!(of(Slot::Absent), numbers().filter(|index| !there.contains(index)).collect::<Vec<_>>());
    assert_eq!(of(Slot::Driver), queue.driver.has(), "the driver has what the book says");
    let mut held = held.to_vec();
    held.sort_unstable();
    assert_eq!(of(Slot::Reader), held, "readers have what the book says");
    assert!(entries.streaming || of(Slot::Driver).is_empty(), "a stopped driver has nothing");
    assert_eq!(entries.streaming, queue.driver.streaming.load(Ordering::Relaxed));
    let refuses = queue.driver.refuses.load(Ordering::Relaxed);
    if entries.streaming && !refuses && entries.refused.count == 0 {
        assert_eq!(of(Slot::Nobody), [], "nothing lies idle while the driver could fill it");
    }
}

proptest! {
    #[test]
    fn every_buffer_is_always_in_exactly_one_place(ops in prop::collection::vec(op(), 1..200)) {
        let driver = Arc::new(FakeDriver::default());
        let mut queue = BufferQueue::new(Arc::clone(&driver), buffers());
        let (home, mut held) = (queue.home(), Vec::new());
        for op in ops {
            match op {
                Op::Start => { let _ = queue.start(); }
                Op::Stop => queue.stop(),
                Op::Dequeue if queue.is_streaming() => held.extend(queue.dequeue().unwrap().map(|taken| taken.index)),
                Op::Return(which) if !held.is_empty() => home.take_back(held.swap_remove(which.index(held.len()))),
                Op::Refuse(refuses) => driver.refuse(refuses),
                Op::Add => if let Some(index) = driver.create() {
                    queue.add(index, buffers().remove(0));
                },
                Op::Rest(count) => queue.rest(count),
                Op::Wake => {
                    queue.wake();
                    prop_assert_eq!(queue.holders().resting, 0);
                }
                Op::LetGo => {
                    let before = queue.holders();
                    let gone = queue.let_go();
                    prop_assert!(gone.removed + gone.renamed <= before.resting);
                    prop_assert_eq!(queue.holders().all(), before.all() - gone.removed);
                    prop_assert_eq!(queue.holders().resting, before.resting - gone.removed);
                }
                Op::Share(shared) => driver.shared.store(shared, Ordering::Relaxed),
                Op::Dequeue | Op::Return(_) => {}
            }
            check(&queue, &held);
        }
        drop(queue);
        prop_assert!(driver.released.load(Ordering::Relaxed));
        for index in held {
            home.take_back(index);
        }
        prop_assert_eq!(driver.has(), []);
    }
}

#[test]
fn a_refused_buffer_is_offered_again() {
    let queue = BufferQueue::new(Arc::new(FakeDriver::default()), buffers());
    queue.start().unwrap();
    let taken = queue.dequeue().unwrap().unwrap();
    queue.driver.refuse(true);
    queue.home().take_back(taken.index);
    assert_eq!(queue.refused(), Refused { count: 1, last: Some(Errno::INVAL) });
    assert_eq!(queue.holders(), Holders { driver: 3, readers: 0, nobody: 1, resting: 0 });
    queue.driver.refuse(false);
    queue.dequeue().unwrap();
    assert_eq!(queue.holders(), Holders { driver: 3, readers: 1, nobody: 0, resting: 0 });
}

#[test]
fn a_queue_that_takes_no_buffer_does_not_start() {
    let queue = BufferQueue::new(Arc::new(FakeDriver::default()), buffers());
    queue.driver.refuse(true);
    assert_eq!(queue.start(), Err(StartFailure::NoBuffer(Errno::INVAL)));
    assert!(!queue.is_streaming());
    queue.driver.refuse(false);
    assert_eq!(queue.start(), Ok(()));
}

#[test]
fn readers_may_return_from_any_thread_while_the_queue_stops() {
    let driver = Arc::new(FakeDriver::default());
    for _ in 0..200 {
        let queue = BufferQueue::new(Arc::clone(&driver), buffers());
        queue.start().unwrap();
        let taken: Vec<_> = (0..BUFFERS).map(|_| queue.dequeue().unwrap().unwrap().index).collect();
        std::thread::scope(|scope| {
            for index in taken {
                let home = queue.home();
                scope.spawn(move || home.take_back(index));
            }
            queue.stop();
        });
        assert_eq!(queue.holders(), Holders { driver: 0, readers: 0, nobody: BUFFERS, resting: 0 });
        drop(queue);
        driver.released.store(false, Ordering::Relaxed);
    }
}

#[test]
fn what_rests_goes_when_readers_have_forgotten_it() {
    let mut queue = BufferQueue::new(Arc::new(FakeDriver::default()), buffers());
    queue.start().unwrap();
    let taken: Vec<_> = (0..2).map(|_| queue.dequeue().unwrap().unwrap().index).collect();
    let known = queue.buffer(taken[0]).unwrap().id();
    queue.rest(1);
    assert_eq!(queue.let_go(), LetGo::default(), "none has come home yet");
    taken.iter().for_each(|index| queue.home().take_back(*index));
    assert_eq!(queue.holders(), Holders { driver: 3, readers: 0, nobody: 0, resting: 1 });
    assert_eq!(queue.let_go(), LetGo { renamed: 1, ..LetGo::default() });
    assert_ne!(queue.buffer(taken[0]).unwrap().id(), known);
    queue.driver.shared.store(true, Ordering::Relaxed);
    assert_eq!(queue.let_go(), LetGo::default(), "somebody still has it");
    queue.driver.shared.store(false, Ordering::Relaxed);
    assert_eq!(queue.let_go(), LetGo { removed: 1, ..LetGo::default() });
    assert!(queue.buffer(taken[0]).is_none());
    let index = queue.driver.create().unwrap();
    assert_eq!(index, taken[0]);
    queue.add(index, buffers().remove(0));
    assert_eq!(queue.holders(), Holders { driver: 4, readers: 0, nobody: 0, resting: 0 });
}

#[test]
fn what_was_renamed_is_used_again_if_it_is_needed() {
    let mut queue = BufferQueue::new(Arc::new(FakeDriver::default()), buffers());
    queue.start().unwrap();
    let taken = queue.dequeue().unwrap().unwrap();
    queue.rest(1);
    queue.home().take_back(taken.index);
    queue.let_go();
    assert_eq!(queue.wake(), 1);
    assert_eq!(queue.let_go(), LetGo::default());
    assert_eq!(queue.holders(), Holders { driver: 4, readers: 0, nobody: 0, resting: 0 });
}
