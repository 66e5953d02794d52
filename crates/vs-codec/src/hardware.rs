// SPDX-License-Identifier: Apache-2.0
//! The hardware that may be asked, and how many sessions it stands.
//!
//! A codec has a number of sessions, or so much work that it can do at a time; drivers tell neither.
//! Whoever administers the machine may say how many there are to be, and how many of them are kept
//! for what the machine is for, so that guests cannot take the place of its cameras.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use vs_v4l2::Function;

/// A hardware encoder, decoder or converter.
#[derive(Clone, Debug)]
pub struct Device {
    /// The name by which people know it.
    pub name: String,
    /// Its node.
    pub devnode: PathBuf,
    /// What it does.
    pub function: Arc<Function>,
    /// How many sessions it has.
    pub sessions: Arc<Sessions>,
}

/// How much a session matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Priority {
    /// Gets what is not kept for others.
    Guest,
    /// Gets all there is.
    #[default]
    Owner,
}

/// The sessions of a device: how many are open, and may be.
#[derive(Debug)]
pub struct Sessions {
    open: AtomicU32,
    /// As many as there may be.
    max: u32,
    /// As many of those as guests leave free.
    kept: u32,
}

impl Default for Sessions {
    /// As many as the driver has.
    fn default() -> Self {
        Self::new(u32::MAX, 0)
    }
}

impl Sessions {
    /// At most `max`, of which guests leave `kept` free.
    #[must_use]
    pub const fn new(max: u32, kept: u32) -> Self {
        Self { open: AtomicU32::new(0), max, kept }
    }

    /// Sessions that are open now.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    /// A place for one more; `None` if there is none for this priority.
    #[must_use]
    pub fn enter(self: &Arc<Self>, priority: Priority) -> Option<Ticket> {
        let limit = match priority {
            Priority::Guest => self.max.saturating_sub(self.kept),
            Priority::Owner => self.max,
        };
        let entered =
            self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < limit).then_some(open + 1));
        entered.is_ok().then(|| Ticket(Arc::clone(self)))
    }
}

/// A place at a device, until it is dropped.
#[derive(Debug)]
pub struct Ticket(Arc<Sessions>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_leave_room() {
        let sessions = Arc::new(Sessions::new(3, 2));
        let guest = sessions.enter(Priority::Guest);
        assert!(guest.is_some() && sessions.enter(Priority::Guest).is_none());
        let owners = [sessions.enter(Priority::Owner), sessions.enter(Priority::Owner)];
        assert!(owners.iter().all(Option::is_some) && sessions.enter(Priority::Owner).is_none());
        drop((guest, owners));
        assert_eq!(sessions.open(), 0);
    }
}
