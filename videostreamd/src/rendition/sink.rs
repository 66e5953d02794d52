// SPDX-License-Identifier: Apache-2.0
//! How access units reach one of those who want them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::mpsc;
use vs_codec::{AccessUnit, Effective};

/// Access units that may wait for a sink: about eight seconds of 30 fps, the time that a
/// storage device may take to come back from a pause without a frame being lost.
const QUEUE: usize = 256;

/// Room that there must be again before a sink that has lost something goes on. A keyframe for each place that
/// becomes free would make keyframes of all frames, for everybody who shares the encoder.
const ROOM_TO_RESUME: usize = QUEUE / 2;

/// An access unit and the encoder that it came from.
#[derive(Debug, Clone)]
pub struct Coded {
    /// The unit.
    pub unit: AccessUnit,
    /// Another one when the pictures have changed their form.
    pub encoder: Arc<Effective>,
}

/// The session's end.
#[derive(Debug)]
pub struct Sink {
    sender: mpsc::Sender<Coded>,
    dropped: Arc<AtomicU64>,
    /// The receiver asks for a keyframe.
    wish: Arc<AtomicBool>,
    /// Nothing can be decoded until the next keyframe.
    awaits_keyframe: bool,
    /// Whether it has had anything yet: what comes before its first keyframe is not lost.
    begun: bool,
    /// Whether it can go on with access units of another encoder.
    flexible: bool,
}

/// The receiving end; it ends when the session does.
#[derive(Debug)]
pub struct SinkReceiver {
    /// What was before it joined, and comes first.
    past: VecDeque<Coded>,
    units: mpsc::Receiver<Coded>,
    /// Access units that did not fit into the queue.
    pub dropped: Arc<AtomicU64>,
    wish: Arc<AtomicBool>,
}

impl SinkReceiver {
    /// The next access unit; `None` when the session has ended. Safe to cancel.
    pub async fn next(&mut self) -> Option<Coded> {
        match self.past.pop_front() {
            Some(coded) => Some(coded),
            None => self.units.recv().await,
        }
    }

    /// The same if there is one now.
    pub fn try_next(&mut self) -> Option<Coded> {
        self.past.pop_front().or_else(|| self.units.try_recv().ok())
    }

    /// Access units that wait to be taken.
    pub fn waiting(&self) -> usize {
        self.past.len() + self.units.len()
    }

    /// What was before it joined, as far as it has not been taken.
    pub fn past(&self) -> impl ExactSizeIterator<Item = &Coded> {
        self.past.iter()
    }

    /// These come first.
    pub(super) fn set_past(&mut self, past: Vec<Coded>) {
        self.past = past.into();
    }

    /// Asks for a keyframe as soon as there can be one.
    pub fn request_keyframe(&self) {
        self.wish.store(true, Ordering::Relaxed);
    }

    /// Access units that did not fit into the queue so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// A sink that begins with a keyframe. A `flexible` one can go on with another encoder's access
/// units.
pub fn sink(flexible: bool) -> (Sink, SinkReceiver) {
    let (sender, units) = mpsc::channel(QUEUE);
    let (dropped, wish) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let sink = Sink {
        sender,
        dropped: Arc::clone(&dropped),
        wish: Arc::clone(&wish),
        awaits_keyframe: true,
        begun: false,
        flexible,
    };
    (sink, SinkReceiver { past: VecDeque::new(), units, dropped, wish })
}

impl Sink {
    /// Whether it can go on with access units of another encoder.
    pub fn is_flexible(&self) -> bool {
        self.flexible
    }

    /// It has been given what came before: it can go on with any access unit.
    pub(super) fn follows(&mut self) {
        self.awaits_keyframe = false;
        self.begun = true;
    }

    /// Whether anybody listens.
    pub fn is_there(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Whether it can use nothing but a keyframe, or asks for one. A wish is told once.
    pub fn awaits_keyframe(&self) -> bool {
        self.wish.swap(false, Ordering::Relaxed) || (self.awaits_keyframe && self.can_resume())
    }

    fn can_resume(&self) -> bool {
        self.sender.capacity() >= ROOM_TO_RESUME
    }

    /// Offers an access unit. Returns whether the sink still exists.
    pub fn offer(&mut self, coded: &Coded) -> bool {
        if self.awaits_keyframe && !(coded.unit.keyframe && self.can_resume()) {
            self.dropped.fetch_add(u64::from(self.begun), Ordering::Relaxed);
            return !self.sender.is_closed();
        }
        match self.sender.try_send(coded.clone()) {
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
    use vs_codec::{Choice, EncoderConfig, FrameTag, open_encoder};
    use vs_frame::{Format, FourCc, Rate};

    use super::*;

    fn unit(keyframe: bool) -> Coded {
        let format = Format::packed(FourCc::NV12, 64, 32, Rate::fps(30)).unwrap();
        let encoder = open_encoder(&format, &EncoderConfig::default(), &Choice::default()).unwrap();
        let unit = AccessUnit { data: Arc::from([]), tag: FrameTag::default(), dts_ns: 0, keyframe };
        Coded { unit, encoder: Arc::new(encoder.effective().clone()) }
    }

    #[test]
    fn begins_and_resumes_with_a_keyframe() {
        let (mut sink, mut receiver) = sink(true);
        assert!(sink.offer(&unit(false)));
        assert!(sink.offer(&unit(true)));
        let follower = unit(false);
        for _ in 1..QUEUE {
            sink.offer(&follower);
        }
        assert_eq!(receiver.dropped(), 0);
        sink.offer(&unit(false));
        // One place is not worth a keyframe.
        assert!(receiver.units.try_recv().is_ok() && !sink.awaits_keyframe());
        sink.offer(&unit(true));
        while receiver.units.try_recv().is_ok() {}
        assert!(sink.awaits_keyframe());
        sink.offer(&unit(false));
        assert!(receiver.units.try_recv().is_err(), "a picture that nothing refers to");
        assert_eq!(receiver.dropped(), 3);
        sink.offer(&unit(true));
        assert!(receiver.units.try_recv().is_ok_and(|coded| coded.unit.keyframe));
        assert!(!sink.awaits_keyframe());
        receiver.request_keyframe();
        assert!(sink.awaits_keyframe() && !sink.awaits_keyframe());
        drop(receiver);
        assert!(!sink.offer(&unit(true)));
    }
}
