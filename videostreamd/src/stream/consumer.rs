// SPDX-License-Identifier: Apache-2.0
//! How raw frames reach an encoder: a queue too short to hide that it is too slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use vs_frame::Frame;

use super::spec::CONSUMER_QUEUE;

/// A frame with its serial in the stream.
#[derive(Debug)]
pub struct Feed {
    /// Serial under which clients know it.
    pub serial: u64,
    /// The frame; its buffer stays away from the source until this is dropped.
    pub frame: Frame,
}

/// The stream's end of the queue.
#[derive(Debug)]
pub struct Consumer {
    sender: mpsc::Sender<Feed>,
    dropped: Arc<AtomicU64>,
}

/// The consumer's end. It ends when the stream stops.
#[derive(Debug)]
pub struct FeedReceiver {
    receiver: mpsc::Receiver<Feed>,
    dropped: Arc<AtomicU64>,
}

/// Those who look at a stream, as far as a source cares that can wait for them.
#[derive(Debug, Clone, Copy)]
pub struct Readers<'a> {
    /// There is somebody, and all clients have room for a frame.
    pub have_room: bool,
    /// No client holds a frame.
    pub are_done: bool,
    /// Those inside the daemon.
    pub consumers: &'a [Consumer],
}

impl Readers<'_> {
    /// Waits until everybody has room for a frame; for ever if somebody has none now, for then the
    /// stream's loop comes round when that changes.
    pub async fn room(&self) {
        if !self.have_room {
            return std::future::pending().await;
        }
        for consumer in self.consumers {
            consumer.room().await;
        }
    }

    /// Waits until no client holds a frame, in the same way.
    pub async fn done(&self) {
        if !self.are_done {
            std::future::pending().await
        }
    }
}

/// A queue for one consumer.
pub fn queue() -> (Consumer, FeedReceiver) {
    let (sender, receiver) = mpsc::channel(CONSUMER_QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    (Consumer { sender, dropped: Arc::clone(&dropped) }, FeedReceiver { receiver, dropped })
}

impl Consumer {
    /// Offers a frame; a full queue drops it. Returns whether the consumer still exists.
    pub fn offer(&self, serial: u64, frame: &Frame) -> bool {
        match self.sender.try_send(Feed { serial, frame: frame.clone() }) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }

    /// Whether it still wants frames.
    pub fn is_there(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Waits until the queue has room for a frame, or nobody wants any.
    pub async fn room(&self) {
        let _ = self.sender.reserve().await;
    }

    /// Counts a frame that the source could not spare.
    pub fn miss(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl FeedReceiver {
    /// Waits for the next frame; `None` when the stream has stopped. Safe to cancel.
    pub async fn next(&mut self) -> Option<Feed> {
        self.receiver.recv().await
    }

    /// Frames that did not reach the consumer so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
