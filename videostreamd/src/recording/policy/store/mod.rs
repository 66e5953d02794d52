// SPDX-License-Identifier: Apache-2.0
//! The files of a recording by policy: names for new ones, order among the old ones, and room for both.
//!
//! The directory is listed once, when it is opened; from then on the list is kept. Others may delete files meanwhile,
//! which is noticed before anything is deleted because there is too much. What others put there is never touched: only
//! what the [pattern](super::naming) can have made is the recording's.

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::time::SystemTime;

use super::clock::{LEAP_MIN_NS, Moment, SteadyClock};
use super::directory::{Directory, DirectoryError, Found, Space};
use super::floor::{Floor, working_room};
use super::naming::{BROKEN, FINISHED, Kind, PART, Pattern, numbered};
use super::retention::{Keep, Shelf, Shelved};

/// Files before this (2020) were written when nobody had set the clock: this program is younger.
const PLAUSIBLE_NS: i64 = 1_577_836_800_000_000_000;

/// A file that is written when the clock is behind that of the file before it has this much more, in ns: the order of
/// files is that of their times, also at the next start. No file system used for video has coarser times than 2 s
/// (FAT); those of one time are ordered by their names.
const TICK_NS: i64 = 1_000_000;

/// What the store is to be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What files are called.
    pub pattern: Pattern,
    /// What is kept.
    pub keep: Keep,
    /// What stays free of the file system.
    pub floor: Floor,
}

/// See the module.
#[derive(Debug)]
pub struct Store {
    recording: String,
    rules: Rules,
    directory: Directory,
    shelf: Shelf,
    clock: SteadyClock,
    /// When it was opened, by that clock.
    opened_ns: i64,
    /// The time of the newest file as the file system has it.
    newest_modified_ns: i64,
    /// Files that are being written or repaired, by the names that they will have: nobody deletes them.
    in_hand: Vec<Box<str>>,
    /// The last name given, and how many files had it.
    last: Option<(String, u32)>,
    /// Files that cannot be deleted.
    stuck: u64,
}

/// Why a recording cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum NoRoom {
    /// Whatever could be deleted has been.
    #[error(
        "{free} bytes are free and {floor} must stay so (floor), with no old file of this recording left to delete: it \
         goes on when there is space"
    )]
    Floor {
        /// Bytes that are free.
        free: u64,
        /// Bytes that must be.
        floor: u64,
    },
    /// The file system does not let us.
    #[error("cannot keep the bounds of the directory: {0}")]
    System(#[from] io::Error),
}

impl Store {
    /// Opens the directory and lists it. Returns also the files that are not finished, oldest first: they are in hand
    /// until [`repaired`](Self::repaired) or [`released`](Self::released).
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub fn open(
        recording: &str,
        directory: Directory,
        rules: Rules,
        now: Moment,
    ) -> Result<(Self, Vec<String>), DirectoryError> {
        let failed = |source| DirectoryError::System { what: "list", path: directory.path().to_owned(), source };
        let mut found = directory.list(&rules.pattern).map_err(failed)?;
        found.sort_unstable_by(|a, b| (a.modified_ns, &a.path).cmp(&(b.modified_ns, &b.path)));
        let newest = found.last().map(|file| file.modified_ns).filter(|ns| *ns >= PLAUSIBLE_NS);
        let clock = SteadyClock::new(now, newest);
        // Nobody knows how old those are that seem to be from 1970: not younger than the first that is not.
        let finished = found.iter().filter(|file| file.kind != Kind::Part);
        let known = finished.map(|file| file.modified_ns).find(|ns| *ns >= PLAUSIBLE_NS);
        let unknown = known.unwrap_or_else(|| clock.at(now));
        let mut store = Self {
            recording: recording.to_owned(),
            rules,
            directory,
            shelf: Shelf::default(),
            clock,
            opened_ns: clock.at(now),
            newest_modified_ns: i64::MIN,
            in_hand: Vec::new(),
            last: None,
            stuck: 0,
        };
        let mut torn: Vec<String> = Vec::new();
        for Found { path, kind, bytes, modified_ns } in found {
            if kind == Kind::Part {
                let name = path.strip_suffix(PART).unwrap_or(&path);
                store.in_hand.push(name.into());
                torn.push(name.to_owned());
            } else {
                let at_ns = if modified_ns < PLAUSIBLE_NS { unknown } else { modified_ns };
                store.newest_modified_ns = store.newest_modified_ns.max(modified_ns);
                store.shelf.put(Shelved { path, bytes, at_ns });
            }
        }
        // When they were written is known no better than by their own times, or those of others.
        torn.iter().for_each(|name| store.put_last(&format!("{name}{PART}"), i64::MIN));
        Ok((store, torn))
    }

    /// The directory.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Finished files and their bytes.
    pub fn contents(&self) -> (usize, u64) {
        (self.shelf.len(), self.shelf.bytes())
    }

    /// Makes the file for pictures that begin now. Returns the name that it will have when it is finished.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn create(&mut self, begins: SystemTime) -> io::Result<(File, String)> {
        let stem = self.rules.pattern.stem(begins).map_err(io::Error::other)?;
        let mut number = match &self.last {
            Some((last, number)) if *last == stem => number.saturating_add(1),
            _ => 1,
        };
        loop {
            let name = numbered(&stem, number).ok_or_else(|| exhausted(&stem))?;
            if self.directory.is_free(&name)? {
                match self.directory.create(&format!("{name}{PART}")) {
                    Ok(file) => {
                        self.last = Some((stem, number));
                        self.in_hand.push(name.as_str().into());
                        return Ok((file, name));
                    }
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(error),
                }
            }
            number = number.saturating_add(1);
        }
    }

    /// A file is complete, or repaired: it gets its name, and its place on the shelf. Returns the name.
    ///
    /// # Errors
    /// Whatever the system says; the file stays as it is until the next start.
    pub fn finish(&mut self, name: &str, now: Moment) -> io::Result<String> {
        let path = self.rename_free(name)?;
        let at_ns = self.time(now);
        self.put_last(&path, at_ns);
        if let Some((bytes, _)) = self.directory.look(&path)? {
            self.shelf.put(Shelved { path: path.as_str().into(), bytes, at_ns });
        }
        self.released(name);
        Ok(path)
    }

    /// Nobody writes this file any more, and it is not finished: it is newer than all that are.
    pub fn abandon(&mut self, name: &str, now: Moment) {
        let at_ns = self.time(now);
        self.put_last(&format!("{name}{PART}"), at_ns);
    }

    /// The time. If the clock has leapt, what was recorded since the start gets other times.
    fn time(&mut self, now: Moment) -> i64 {
        if let Some(by_ns) = self.clock.follow(now) {
            for file in self.shelf.later_than(self.opened_ns) {
                file.at_ns = file.at_ns.saturating_add(by_ns);
                let written = self.clock.written(file.at_ns);
                if self.directory.set_modified(&file.path, written).is_ok() {
                    self.newest_modified_ns = self.newest_modified_ns.max(written);
                }
            }
        }
        self.clock.at(now)
    }

    /// The time of the newest file must be later than those of all others, and not much earlier than when it was finished,
    /// whatever the clock was when it was written. If that cannot be, it is right until the next start all the same.
    fn put_last(&mut self, path: &str, at_ns: i64) {
        let Ok(Some((_, modified_ns))) = self.directory.look(path) else { return };
        let (after, at_ns) = (self.newest_modified_ns.saturating_add(TICK_NS), self.clock.written(at_ns));
        let later = after.max(at_ns);
        if modified_ns >= after.max(at_ns.saturating_sub(LEAP_MIN_NS)) {
            self.newest_modified_ns = modified_ns;
        } else if self.directory.set_modified(path, later).is_ok() {
            self.newest_modified_ns = later;
        }
    }

    /// An abandoned file has been repaired: it gets its name, and its place among the others.
    ///
    /// # Errors
    /// Whatever the system says; the file stays as it is until the next start.
    pub fn repaired(&mut self, name: &str, modified_ns: i64, now: Moment) -> io::Result<String> {
        let path = self.rename_free(name)?;
        self.shelve_old(name, &path, modified_ns, now)?;
        Ok(path)
    }

    /// An abandoned file cannot be repaired: it is kept aside.
    ///
    /// # Errors
    /// Whatever the system says; the file stays as it is until the next start.
    pub fn broken(&mut self, name: &str, modified_ns: i64, now: Moment) -> io::Result<String> {
        let path = format!("{name}{BROKEN}");
        self.directory.rename(&format!("{name}{PART}"), &path)?;
        self.shelve_old(name, &path, modified_ns, now)?;
        Ok(path)
    }

    fn shelve_old(&mut self, name: &str, path: &str, modified_ns: i64, now: Moment) -> io::Result<()> {
        // Repairing it was no recording: it is as old as it was.
        self.directory.set_modified(path, modified_ns)?;
        if let Some((bytes, modified_ns)) = self.directory.look(path)? {
            let latest = self.time(now);
            let at_ns = if modified_ns < PLAUSIBLE_NS { latest } else { modified_ns.min(latest) };
            self.shelf.put(Shelved { path: path.into(), bytes, at_ns });
        }
        self.released(name);
        Ok(())
    }

    /// Removes a file in which there is nothing.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn discard(&mut self, name: &str) -> io::Result<()> {
        self.directory.remove(&format!("{name}{PART}"))?;
        self.released(name);
        Ok(())
    }

    /// A file is not in hand any more; it stays as it is.
    pub fn released(&mut self, name: &str) {
        self.in_hand.retain(|other| **other != *name);
    }

    /// From `.part` to the name, or to one with a number if somebody has taken that.
    fn rename_free(&mut self, name: &str) -> io::Result<String> {
        let part = format!("{name}{PART}");
        let stem = name.strip_suffix(FINISHED).unwrap_or(name);
        let others = (2..).map_while(|number| numbered(stem, number));
        for path in std::iter::once(name.to_owned()).chain(others) {
            // Another file may be on its way to this name.
            if path != name && self.in_hand.iter().any(|other| **other == *path) {
                continue;
            }
            match self.directory.rename(&part, &path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(path),
            }
        }
        Err(exhausted(stem))
    }

    /// Deletes what has had its time, and what is too much.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn tidy(&mut self, now: Moment) -> io::Result<()> {
        let now_ns = self.time(now);
        while self.shelf.is_overdue(self.rules.keep, now_ns) {
            self.delete_oldest("keep (time)")?;
        }
        let in_hand = self.bytes_in_hand();
        if self.shelf.is_overfull(self.rules.keep, in_hand) {
            self.forget_missing();
        }
        while self.shelf.is_overfull(self.rules.keep, in_hand) {
            self.delete_oldest("keep (size)")?;
        }
        Ok(())
    }

    /// What the file system has for this recording. What the file that is written has reserved is part of that, for it
    /// is given back at its end: a small disk would otherwise stop a recording for what it has reserved itself.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn space(&self) -> io::Result<Space> {
        // In this order: what is given back meanwhile counts twice until the next look, and not never.
        let reserved = self.reserved_in_hand();
        let Space { free, total } = self.directory.space()?;
        Ok(Space { free: free.saturating_add(reserved), total })
    }

    /// Deletes what must go for the recording to go on, on a file system with so much space.
    ///
    /// # Errors
    /// [`NoRoom`] if there is none all the same.
    pub fn make_room(&mut self, now: Moment, space: Space) -> Result<(), NoRoom> {
        self.tidy(now)?;
        let floor = self.rules.floor.bytes(space);
        let mut free = space.free;
        // What is deleted may become free only later: it counts at once, or more would be deleted than must be.
        while free < floor {
            match self.delete_oldest("floor")? {
                Some(bytes) => free = free.saturating_add(bytes),
                None => return Err(NoRoom::Floor { free, floor }),
            }
        }
        Ok(())
    }

    /// Whether it makes sense to begin: whether there is room, if need be that of old files, for a while.
    ///
    /// # Errors
    /// [`NoRoom::Floor`] if not.
    pub fn has_room(&self, space: Space) -> Result<(), NoRoom> {
        let floor = self.rules.floor.bytes(space);
        let within_reach = space.free.saturating_add(self.shelf.bytes());
        if within_reach < floor.saturating_add(margin(floor, space)) {
            return Err(NoRoom::Floor { free: space.free, floor });
        }
        Ok(())
    }

    fn bytes_in_hand(&self) -> u64 {
        let bytes = |part: &str| self.directory.look(part).ok().flatten().map_or(0, |(bytes, _)| bytes);
        self.in_hand.iter().map(|name| bytes(&format!("{name}{PART}"))).sum()
    }

    fn reserved_in_hand(&self) -> u64 {
        let reserved = |part: &str| self.directory.reserved(part).unwrap_or(0);
        self.in_hand.iter().map(|name| reserved(&format!("{name}{PART}"))).sum()
    }

    /// Others delete files, too: they must not be counted when there seems to be too much.
    fn forget_missing(&mut self) {
        let Self { shelf, directory, .. } = self;
        let missing = shelf.retain(|file| !matches!(directory.look(&file.path), Ok(None)));
        if missing > 0 {
            tracing::info!(recording = self.recording, files = missing, "files were deleted by somebody else");
        }
    }

    /// Deletes the oldest file. Returns how much was freed; `None` if there is no file.
    fn delete_oldest(&mut self, bound: &'static str) -> io::Result<Option<u64>> {
        let Some(Shelved { path, bytes, .. }) = self.shelf.oldest().cloned() else { return Ok(None) };
        let there = self.directory.look(&path)?.is_some();
        match self.directory.remove(&path) {
            // One that is protected does not keep the others from going.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.stuck += 1;
                if self.stuck == 1 {
                    tracing::warn!(recording = self.recording, file = &*path, %error, "cannot delete an old recording: leaving it, and others like it, alone");
                }
                self.shelf.take_oldest();
                return Ok(Some(0));
            }
            removed => removed?,
        }
        self.shelf.take_oldest();
        tracing::info!(recording = self.recording, file = &*path, bytes, bound, "deleted an old recording");
        Ok(Some(if there { bytes } else { 0 }))
    }
}

/// Part of the floor that must be free beyond it for a recording to begin: it would not last otherwise.
const MARGIN_SHARE: u64 = 10;

fn margin(floor: u64, space: Space) -> u64 {
    (floor / MARGIN_SHARE).max(working_room(space))
}

fn exhausted(stem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, format!("there is no name left that begins with {stem}"))
}
