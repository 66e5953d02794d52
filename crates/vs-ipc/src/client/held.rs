// SPDX-License-Identifier: Apache-2.0
//! The frames in the program's hands, so that a message about one finds it.
//!
//! The memory behind a frame's handle is used again for a later one: frames come and go for
//! as long as the program runs, and in a process that sleeps between them every piece of
//! memory not touched for a while is a slow one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::ReceivedFrame;
use super::frame::{Contents, Inner};
use super::link::Link;

/// See the module. There are as many as the program ever held at once on this connection.
#[derive(Debug, Default)]
pub(super) struct Held(Vec<Arc<Inner>>);

impl Held {
    /// A handle to a new frame, the only one.
    pub(super) fn add(
        &mut self,
        link: &Arc<Link>,
        contents: Contents,
        deadline_ns: u64,
        leased: bool,
    ) -> ReceivedFrame {
        for place in &mut self.0 {
            // Only a place without handles is this table's alone.
            if let Some(inner) = Arc::get_mut(place) {
                inner.contents = contents;
                *inner.deadline_ns.get_mut() = deadline_ns;
                *inner.revoked.get_mut() = false;
                *inner.leased.get_mut() = leased;
                *inner.requested.get_mut() = false;
                *inner.handles.get_mut() = 1;
                return ReceivedFrame(Arc::clone(place));
            }
        }
        let inner = Arc::new(Inner {
            link: Arc::clone(link),
            contents,
            deadline_ns: AtomicU64::new(deadline_ns),
            revoked: AtomicBool::new(false),
            leased: AtomicBool::new(leased),
            requested: AtomicBool::new(false),
            handles: AtomicUsize::new(1),
        });
        self.0.push(Arc::clone(&inner));
        ReceivedFrame(inner)
    }

    /// A further handle to a frame that the program holds.
    pub(super) fn find(&self, serial: u64) -> Option<ReceivedFrame> {
        self.0.iter().filter(|inner| inner.contents.serial == serial).find_map(|inner| {
            // A frame whose last handle is being dropped is not to be had any more.
            let one_more = |handles: usize| (handles > 0).then(|| handles + 1);
            inner.handles.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
            Some(ReceivedFrame(Arc::clone(inner)))
        })
    }

    /// Lets go of what frames that are gone have left: their buffers may be gone, too.
    pub(super) fn tidy(&mut self) {
        self.0.retain_mut(|place| Arc::get_mut(place).is_none());
    }
}
