// SPDX-License-Identifier: Apache-2.0
//! How access units reach one of those who want them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use vs_codec::AccessUnit;

/// Access units that may wait for a sink: about eight seconds of 30 fps, the time that a
/// storage device may take to come back from a pause without a frame being lost.
const QUEUE: usize = 256;

/// The session's end.
#[derive(Debug)]
pub struct Sink {
    sender: mpsc::Sender<AccessUnit>,
    dropped: Arc<AtomicU64>,
    /// Nothing can be decoded until the next keyframe.
    awaits_keyframe: bool,
    /// Whether it has had anything yet: what comes before its first keyframe is not lost.
    begun: bool,
}

/// The receiving end; it ends when the session does.
#[derive(Debug)]
pub struct SinkReceiver {
    /// The queue.
    pub units: mpsc::Receiver<AccessUnit>,
    /// Access units that did not fit into it.
    pub dropped: Arc<AtomicU64>,
}

/// A sink that begins with a keyframe.
pub fn sink() -> (Sink, SinkReceiver) {
    let (sender, units) = mpsc::channel(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    (
        Sink { sender, dropped: Arc::clone(&dropped), awaits_keyframe: true, begun: false },
        SinkReceiver { units, dropped },
    )
}

impl Sink {
    /// Whether it can use nothing but a keyframe.
    pub fn awaits_keyframe(&self) -> bool {
        self.awaits_keyframe
    }

    /// Offers an access unit. Returns whether the sink still exists.
    pub fn offer(&mut self, unit: &AccessUnit) -> bool {
        if self.awaits_keyframe && !unit.keyframe {
            self.dropped.fetch_add(u64::from(self.begun), Ordering::Relaxed);
            return !self.sender.is_closed();
        }
        match self.sender.try_send(unit.clone()) {
            Ok(()) => {
                self.awaits_keyframe = false;
                self.begun = true;
                true
            }
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                self.awaits_keyframe = true;
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use vs_codec::FrameTag;

    use super::*;

    fn unit(keyframe: bool) -> AccessUnit {
        AccessUnit { data: Arc::from([]), tag: FrameTag::default(), dts_ns: 0, keyframe }
    }

    #[test]
    fn begins_and_resumes_with_a_keyframe() {
        let (mut sink, mut receiver) = sink();
        assert!(sink.offer(&unit(false)));
        assert!(sink.offer(&unit(true)));
        for _ in 1..QUEUE {
            sink.offer(&unit(false));
        }
        assert_eq!(receiver.dropped.load(Ordering::Relaxed), 0);
        sink.offer(&unit(false));
        while receiver.units.try_recv().is_ok() {}
        sink.offer(&unit(false));
        assert!(receiver.units.try_recv().is_err(), "a picture that nothing refers to");
        assert_eq!(receiver.dropped.load(Ordering::Relaxed), 2);
        sink.offer(&unit(true));
        assert!(receiver.units.try_recv().is_ok_and(|unit| unit.keyframe));
        drop(receiver);
        assert!(!sink.offer(&unit(true)));
    }
}
