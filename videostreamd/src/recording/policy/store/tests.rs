// SPDX-License-Identifier: Apache-2.0
//! A store in a real directory, beside a model that remembers everything: random sequences of what may happen, with
//! clocks that jump, files that others delete, and daemons that are killed.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;

const S: i64 = 1_000_000_000;

/// 2026-11-22.
const TODAY: i64 = 1_795_000_000 * S;

#[derive(Clone, Debug)]
enum Op {
    /// Records a file of so many bytes, for so many seconds.
    Record { bytes: u16, seconds: u16 },
    /// Begins one and is killed; the next daemon repairs what it finds, if it can.
    Killed { bytes: u16, repairable: bool },
    /// The daemon is started anew, with the machine: perhaps nobody has told it the time.
    Restart { unset: bool },
    /// Time goes by.
    Pass { seconds: u32 },
    /// Somebody sets the clock: to so many seconds beside the true time, or to 1970.
    Clock(Option<i32>),
    /// Somebody deletes a file.
    Deleted(prop::sample::Index),
    /// Somebody puts a file there.
    Alien(prop::sample::Index),
    /// So many bytes are free on the disk.
    Full { free: u16 },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => (1_u16..2000, 1_u16..600).prop_map(|(bytes, seconds)| Op::Record { bytes, seconds }),
        2 => (1_u16..2000, any::<bool>()).prop_map(|(bytes, repairable)| Op::Killed { bytes, repairable }),
        2 => any::<bool>().prop_map(|unset| Op::Restart { unset }),
        2 => (1_u32..5000).prop_map(|seconds| Op::Pass { seconds }),
        2 => prop::option::of(-100_000_i32..0).prop_map(Op::Clock),
        1 => any::<prop::sample::Index>().prop_map(Op::Deleted),
        1 => any::<prop::sample::Index>().prop_map(Op::Alien),
        1 => (0_u16..5000).prop_map(|free| Op::Full { free }),
    ];
    prop::collection::vec(op, 1..60)
}

const ALIENS: [&str; 5] =
    ["notes.txt", "2026-11-22/cam-120000 (copy).mp4", "2026-11-22/x/cam-120000.mp4", "cam-120000.mp4", "x.mp4.part"];

/// What the model knows of a recording.
#[derive(Debug)]
struct Known {
    path: String,
    bytes: u64,
    /// True time at its end, in ns.
    ended: i64,
    /// Somebody else has deleted it.
    taken: bool,
    /// The store has.
    deleted: bool,
}

struct World {
    place: tempfile::TempDir,
    rules: Rules,
    store: Option<Store>,
    /// True time since the beginning.
    elapsed: i64,
    /// What the wall clock is off by; `None`: it began in 1970.
    off: Option<i64>,
    known: Vec<Known>,
    aliens: BTreeSet<&'static str>,
    /// The daemon learns the true time before it ends.
    learns: bool,
}

impl World {
    fn new(rules: Rules) -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut world = Self {
            place,
            rules,
            store: None,
            elapsed: 0,
            off: Some(0),
            known: Vec::new(),
            aliens: BTreeSet::new(),
            learns: false,
        };
        world.start();
        world
    }

    fn now(&self) -> Moment {
        let wall_ns = self.off.map_or(self.elapsed, |off| TODAY + self.elapsed + off);
        Moment { wall_ns, boot_ns: self.elapsed }
    }

    fn store(&mut self) -> &mut Store {
        self.store.as_mut().unwrap()
    }

    fn start(&mut self) -> Vec<String> {
        self.store = None;
        let directory = Directory::open(self.place.path(), false).unwrap();
        let (store, torn) = Store::open("cam", directory, self.rules.clone(), self.now()).unwrap();
        self.store = Some(store);
        torn
    }

    fn tell_time(&mut self) {
        if self.learns {
            self.off = Some(0);
            let now = self.now();
            self.store().tidy(now).unwrap();
        }
    }

    /// A file of the store's, with the time that the clock says. Returns its name.
    fn write(&mut self, bytes: u64, seconds: i64) -> String {
        let begins = UNIX_EPOCH + Duration::from_nanos(self.now().wall_ns as u64);
        let (file, name) = self.store().create(begins).unwrap();
        file.set_len(bytes).unwrap();
        drop(file);
        self.elapsed += seconds * S;
        let now = self.now();
        self.store().directory().set_modified(&format!("{name}{PART}"), now.wall_ns).unwrap();
        name
    }

    fn remember(&mut self, path: String, bytes: u64) {
        self.known.push(Known { path, bytes, ended: self.elapsed, taken: false, deleted: false });
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Record { bytes, seconds } => {
                let name = self.write((*bytes).into(), (*seconds).into());
                let now = self.now();
                self.store().tidy(now).unwrap();
                assert!(self.there(&format!("{name}{PART}")), "{name} was deleted while it was written");
                let path = self.store().finish(&name, now).unwrap();
                self.remember(path, (*bytes).into());
            }
            Op::Killed { bytes, repairable } => {
                // What is written until the end has the time of the end.
                self.tell_time();
                let name = self.write((*bytes).into(), 1);
                let torn = self.start();
                assert_eq!(torn, std::slice::from_ref(&name));
                let now = self.now();
                let (_, modified_ns) = self.store().directory().look(&format!("{name}{PART}")).unwrap().unwrap();
                let store = self.store();
                let mended = if *repairable {
                    store.repaired(&name, modified_ns, now)
                } else {
                    store.broken(&name, modified_ns, now)
                };
                self.remember(mended.unwrap(), (*bytes).into());
            }
            Op::Restart { unset } => {
                self.tell_time();
                if *unset {
                    self.off = None;
                }
                assert!(self.start().is_empty());
            }
            Op::Pass { seconds } => self.elapsed += i64::from(*seconds) * S,
            Op::Clock(off) => self.off = off.map(|seconds| i64::from(seconds) * S),
            Op::Deleted(index) if !self.known.is_empty() => {
                let known = index.index(self.known.len());
                let known = &mut self.known[known];
                known.taken |= !known.deleted;
                let _ = std::fs::remove_file(self.place.path().join(&known.path));
            }
            Op::Deleted(_) => {}
            Op::Alien(index) => {
                let alien = index.get(&ALIENS);
                let path = self.place.path().join(alien);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, "precious").unwrap();
                self.aliens.insert(alien);
            }
            Op::Full { free } => {
                // So small that nothing but the floor that was set keeps it free.
                let (now, space) = (self.now(), Space { free: (*free).into(), total: 0 });
                let room = self.store().make_room(now, space);
                let floor = self.rules.floor.bytes(space);
                assert_eq!(room.is_err(), floor > self.freed() + space.free && floor > space.free, "{room:?}");
            }
        }
        let now = self.now();
        let before = self.known.iter().filter(|known| self.there(&known.path)).map(|known| known.bytes).sum::<u64>();
        self.store().tidy(now).unwrap();
        self.check(before);
    }

    /// What the last operation has freed.
    fn freed(&self) -> u64 {
        let gone = |known: &&Known| !known.deleted && !known.taken && !self.there(&known.path);
        self.known.iter().filter(gone).map(|known| known.bytes).sum()
    }

    fn there(&self, path: &str) -> bool {
        Path::new(self.place.path()).join(path).exists()
    }

    fn check(&mut self, before: u64) {
        for alien in &self.aliens {
            let found = std::fs::read(self.place.path().join(alien)).unwrap_or_default();
            assert_eq!(found, b"precious", "{alien} was touched");
        }
        let place = self.place.path().to_owned();
        for known in &mut self.known {
            known.deleted |= !known.taken && !place.join(&known.path).exists();
        }
        // The oldest first: nothing is left of what is older than anything that was deleted.
        let newest_deleted = self.known.iter().rposition(|known| known.deleted).unwrap_or(0);
        for older in self.known.iter().take(newest_deleted) {
            assert!(older.deleted || older.taken, "{older:?} outlived {:?}", self.known[newest_deleted]);
        }
        let left: Vec<_> = self.known.iter().filter(|known| !known.deleted && !known.taken).collect();
        let bytes: u64 = left.iter().map(|known| known.bytes).sum();
        let keep = self.rules.keep;
        assert!(keep.bytes.is_none_or(|max| bytes <= max || left.is_empty()), "{bytes} bytes are left");
        assert!(bytes <= before);
    }
}

fn rules(keep: Keep, floor: u64) -> Rules {
    Rules { pattern: "%Y-%m-%d/cam-%H%M%S".parse().unwrap(), keep, floor: Floor::Bytes(floor) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_bound_of_size_holds(ops in ops()) {
        let mut world = World::new(rules(Keep { time_ns: None, bytes: Some(5000) }, 0));
        for op in &ops {
            world.apply(op);
        }
    }

    /// Whatever the clock does, as long as it does not run ahead of the time, and is right some time before the daemon
    /// ends: nothing goes before its time. And when it is always right, nothing stays.
    #[test]
    fn the_bound_of_time_holds(ops in ops()) {
        const HOUR: i64 = 3600 * S;
        let mut world = World::new(rules(Keep { time_ns: Some(HOUR as u64), bytes: None }, 0));
        world.learns = true;
        let mut right = true;
        for op in &ops {
            world.apply(op);
            right &= !matches!(op, Op::Clock(_) | Op::Restart { unset: true });
            for known in &world.known {
                let age = world.elapsed - known.ended;
                // A file system's own clock has been set for it: by a tick for each file, at most.
                let late = known.ended + HOUR + 60 * TICK_NS;
                prop_assert!(!known.deleted || age >= HOUR - LEAP_MIN_NS - 60 * TICK_NS, "{known:?} was {age} ns old");
                prop_assert!(!right || known.deleted || known.taken || world.elapsed <= late, "{known:?} is {age} ns old");
            }
        }
    }

    #[test]
    fn the_floor_holds(ops in ops()) {
        let mut world = World::new(rules(Keep::default(), 2500));
        for op in &ops {
            world.apply(op);
        }
    }
}

#[test]
fn names_that_are_taken_get_numbers() {
    let place = tempfile::tempdir().unwrap();
    let open = || {
        let directory = Directory::open(place.path(), false).unwrap();
        let rules = Rules { pattern: "video".parse().unwrap(), ..rules(Keep::default(), 0) };
        Store::open("cam", directory, rules, Moment::now()).unwrap()
    };
    let (mut store, _) = open();
    std::fs::write(place.path().join("video-2.mp4"), "precious").unwrap();
    let names: Vec<_> = (0..3).map(|_| store.create(UNIX_EPOCH).unwrap().1).collect();
    assert_eq!(names, ["video.mp4", "video-3.mp4", "video-4.mp4"]);
    // Somebody takes the name while the file is written.
    std::fs::write(place.path().join("video.mp4"), "precious").unwrap();
    assert_eq!(store.finish("video.mp4", Moment::now()).unwrap(), "video-5.mp4");
    assert_eq!(std::fs::read(place.path().join("video.mp4")).unwrap(), b"precious");
    drop(store);
    let (_, torn) = open();
    assert_eq!(torn, ["video-3.mp4", "video-4.mp4"]);
}

#[test]
fn what_it_has_reserved_is_room() {
    const RESERVED: u64 = 16 << 20;
    let mut world = World::new(rules(Keep::default(), 0));
    let (file, _) = world.store().create(UNIX_EPOCH).unwrap();
    if rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, RESERVED).is_err() {
        eprintln!("nothing can be reserved here: skipped");
        return;
    }
    assert!(world.store().reserved_in_hand() >= RESERVED);
    let (ours, all) = (world.store().space().unwrap(), world.store().directory().space().unwrap());
    // Others write, too.
    assert!(ours.free > all.free + RESERVED / 2, "{ours:?} of {all:?}");
    file.set_len(0).unwrap();
    assert!(world.store().reserved_in_hand() < RESERVED);
}

/// A board without a clock records, and learns the time: nothing is decades old because of that.
#[test]
fn the_time_comes_late() {
    let mut world = World::new(rules(Keep { time_ns: Some(3600 * S as u64), bytes: None }, 0));
    world.off = None;
    world.start();
    world.apply(&Op::Record { bytes: 10, seconds: 60 });
    world.off = Some(0);
    world.apply(&Op::Record { bytes: 10, seconds: 60 });
    world.start();
    world.apply(&Op::Record { bytes: 10, seconds: 60 });
    assert!(world.known.iter().all(|known| !known.deleted));
    world.apply(&Op::Pass { seconds: 3560 });
    assert_eq!(world.known.iter().map(|known| known.deleted).collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn ten_thousand_files_take_no_time() {
    let place = tempfile::tempdir().unwrap();
    for day in 10..20 {
        let directory = place.path().join(format!("2026-11-{day}"));
        std::fs::create_dir(&directory).unwrap();
        for minute in 0..1000 {
            let name = format!("cam-{:02}{:02}00.mp4", minute / 60, minute % 60);
            std::fs::File::create(directory.join(name)).unwrap().set_len(10).unwrap();
        }
    }
    let directory = Directory::open(place.path(), false).unwrap();
    let keep = Keep { time_ns: None, bytes: Some(99_000) };
    let (mut store, torn) = Store::open("cam", directory, rules(keep, 0), Moment::now()).unwrap();
    assert_eq!((store.contents(), torn.len()), ((10_000, 100_000), 0));
    store.tidy(Moment::now()).unwrap();
    assert_eq!(store.contents(), (9900, 99_000));
}
