// SPDX-License-Identifier: Apache-2.0
//! What is kept: a list of the recording's files from the oldest to the newest, and which of them must go.
//!
//! Pure: it knows neither clocks nor disks. A file costs about a hundred bytes of memory here; a year of minutes fits
//! into 60 MB.

use std::collections::VecDeque;

/// A finished file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelved {
    /// Relative to the recording's directory.
    pub path: Box<str>,
    /// Its size.
    pub bytes: u64,
    /// When it was finished, in ns of the [steady clock](super::clock::SteadyClock).
    pub at_ns: i64,
}

/// How much is kept. Both bounds hold, if there are two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Files that were finished longer ago go; in ns.
    pub time_ns: Option<u64>,
    /// All files together have at most so many bytes, the one that is written included.
    pub bytes: Option<u64>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Shelf {
    files: VecDeque<Shelved>,
    bytes: u64,
}

impl Shelf {
    /// Puts a file in its place; of those of one time it is the last.
    pub fn put(&mut self, file: Shelved) {
        self.bytes = self.bytes.saturating_add(file.bytes);
        let place = self.files.partition_point(|other| other.at_ns <= file.at_ns);
        self.files.insert(place, file);
    }

    /// The file that goes next.
    pub fn oldest(&self) -> Option<&Shelved> {
        self.files.front()
    }

    /// Those that were finished later than that, to change their times by the same for all.
    pub fn later_than(&mut self, ns: i64) -> impl Iterator<Item = &mut Shelved> {
        let first = self.files.partition_point(|file| file.at_ns <= ns);
        self.files.range_mut(first..)
    }

    /// Takes the oldest file out.
    pub fn take_oldest(&mut self) -> Option<Shelved> {
        let file = self.files.pop_front()?;
        self.bytes = self.bytes.saturating_sub(file.bytes);
        Some(file)
    }

    /// Leaves out what is not there any more; returns how many files that were.
    pub fn retain(&mut self, mut is_there: impl FnMut(&Shelved) -> bool) -> usize {
        let before = self.files.len();
        self.files.retain(|file| is_there(file));
        self.bytes = self.files.iter().map(|file| file.bytes).sum();
        before - self.files.len()
    }

    /// Files.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the oldest file has had its time.
    pub fn is_overdue(&self, keep: Keep, now_ns: i64) -> bool {
        let age = |file: &Shelved| u64::try_from(now_ns.saturating_sub(file.at_ns)).unwrap_or(0);
        self.oldest().zip(keep.time_ns).is_some_and(|(oldest, time)| age(oldest) > time)
    }

    /// Whether there is too much, with `writing` bytes in files that are not finished yet.
    pub fn is_overfull(&self, keep: Keep, writing: u64) -> bool {
        let all = self.bytes.saturating_add(writing);
        !self.files.is_empty() && keep.bytes.is_some_and(|bytes| all > bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, bytes: u64, at_ns: i64) -> Shelved {
        Shelved { path: path.into(), bytes, at_ns }
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut shelf = Shelf::default();
        for (path, at) in [("b", 20), ("d", 40), ("a", 10), ("c", 20)] {
            shelf.put(file(path, 1, at));
        }
        let order: Vec<_> = std::iter::from_fn(|| shelf.take_oldest()).map(|file| file.path).collect();
        assert_eq!(order.iter().map(|path| &**path).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert_eq!(shelf.bytes(), 0);
    }

    #[test]
    fn bounds_are_exact() {
        let mut shelf = Shelf::default();
        shelf.put(file("a", 100, 1000));
        let keep = Keep { time_ns: Some(50), bytes: Some(150) };
        assert!(!shelf.is_overdue(keep, 1050) && shelf.is_overdue(keep, 1051));
        assert!(!shelf.is_overdue(keep, 0), "a file from the future is young");
        assert!(!shelf.is_overfull(keep, 50) && shelf.is_overfull(keep, 51));
        assert!(!Shelf::default().is_overfull(keep, 1000), "there is nothing to delete");
        assert!(!shelf.is_overdue(Keep::default(), i64::MAX) && !shelf.is_overfull(Keep::default(), u64::MAX));
    }
}
