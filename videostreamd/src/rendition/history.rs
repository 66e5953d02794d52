// SPDX-License-Identifier: Apache-2.0
//! The last seconds of a rendition, for recordings that begin before somebody asked for them.
//!
//! Whole groups of pictures are kept, for one can begin only at a keyframe. How much that is, is bounded twice: by
//! time, and, since a bitrate is a promise of the encoder's, by memory. Access units are shared with those who
//! receive them, so a recording that begins with them copies nothing.

use std::collections::VecDeque;
use std::time::Duration;

use vs_codec::Effective;

use super::Coded;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pre {
    /// The time that a recording can begin before it is asked for. Up to one group of pictures more is kept.
    pub duration: Duration,
    /// Bytes of memory that it may take. If the time does not fit, the oldest pictures go earlier.
    pub memory: usize,
}

impl Pre {
    /// Memory if nobody says: 10 s at 50 Mbit/s, more than any camera's stream should have.
    pub const DEFAULT_MEMORY: usize = 64 << 20;

    /// As much as both.
    pub fn and(self, other: Self) -> Self {
        Self { duration: self.duration.max(other.duration), memory: self.memory.max(other.memory) }
    }
}

/// What is there of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Past {
    /// From the first picture to the newest.
    pub duration: Duration,
    /// Bytes of memory that it takes.
    pub memory: usize,
}

/// What an access unit takes beside its bytes and its place in a list: the counters of a shared allocation.
const UNIT_OVERHEAD: usize = 2 * size_of::<usize>();

/// See the module.
#[derive(Debug, Default)]
pub struct History {
    groups: VecDeque<Group>,
    memory: usize,
}

/// A keyframe and what follows it up to the next.
#[derive(Debug)]
struct Group {
    begins_ns: i64,
    units: Vec<Coded>,
    /// Of the access units; the list itself is counted apart, as it grows.
    data: usize,
}

impl Group {
    fn memory(&self) -> usize {
        self.data + self.units.capacity() * size_of::<Coded>()
    }
}

impl History {
    /// Takes an access unit, and forgets what is too old or too much.
    pub fn push(&mut self, coded: &Coded, keep: Pre) {
        let newest = self.groups.back().and_then(|group| group.units.last());
        if newest.is_some_and(|newest| !goes_on(&newest.encoder, &coded.encoder)) {
            self.clear();
        }
        if coded.unit.keyframe {
            self.groups.push_back(Group { begins_ns: coded.unit.tag.pts_ns, units: Vec::new(), data: 0 });
        }
        let Some(group) = self.groups.back_mut() else { return };
        let before = if group.units.is_empty() { 0 } else { group.memory() };
        group.units.push(coded.clone());
        group.data += coded.unit.data.len() + UNIT_OVERHEAD;
        self.memory += group.memory() - before;
        self.forget(keep, coded.unit.tag.pts_ns);
    }

    fn forget(&mut self, keep: Pre, now_ns: i64) {
        let wanted_ns = i64::try_from(keep.duration.as_nanos()).unwrap_or(i64::MAX);
        // The oldest group goes when the next one alone is long enough.
        while self.groups.get(1).is_some_and(|next| now_ns.saturating_sub(next.begins_ns) >= wanted_ns)
            || self.memory > keep.memory
        {
            let Some(oldest) = self.groups.pop_front() else { return };
            self.memory -= oldest.memory();
        }
    }

    /// The last `duration` and up to one group of pictures more, from a keyframe on; less if there is no more.
    pub fn since(&self, duration: Duration) -> Vec<Coded> {
        let newest = self.groups.back().and_then(|group| group.units.last());
        let Some(newest) = newest.map(|coded| coded.unit.tag.pts_ns) else { return Vec::new() };
        let wanted_ns = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        let early_enough = |group: &Group| newest.saturating_sub(group.begins_ns) >= wanted_ns;
        let first = self.groups.iter().rposition(early_enough).unwrap_or(0);
        self.groups.iter().skip(first).flat_map(|group| &group.units).cloned().collect()
    }

    /// How much there is.
    pub fn past(&self) -> Past {
        let begins = self.groups.front().map(|group| group.begins_ns);
        let newest = self.groups.back().and_then(|group| group.units.last());
        let ns = begins.zip(newest).map_or(0, |(begins, newest)| newest.unit.tag.pts_ns.saturating_sub(begins));
        Past { duration: Duration::from_nanos(u64::try_from(ns).unwrap_or(0)), memory: self.memory }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Whether one file can hold what both encoders make.
fn goes_on(before: &Effective, now: &Effective) -> bool {
    let form = |encoder: &Effective| (encoder.codec, encoder.width, encoder.height, encoder.color, encoder.rotation);
    form(before) == form(now) && before.parameter_sets == now.parameter_sets
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, OnceLock};

    use proptest::prelude::*;
    use vs_codec::{AccessUnit, Choice, EncoderConfig, FrameTag, open_encoder};
    use vs_frame::{Format, FourCc, Rate};

    use super::*;

    const MS: i64 = 1_000_000;

    fn encoder() -> &'static Arc<Effective> {
        static ENCODER: OnceLock<Arc<Effective>> = OnceLock::new();
        ENCODER.get_or_init(|| {
            let format = Format::packed(FourCc::NV12, 64, 32, Rate::fps(30)).unwrap();
            let encoder = open_encoder(&format, &EncoderConfig::default(), &Choice::default()).unwrap();
            Arc::new(encoder.effective().clone())
        })
    }

    fn coded(at_ms: i64, keyframe: bool, bytes: usize) -> Coded {
        let tag = FrameTag { pts_ns: at_ms * MS, ..FrameTag::default() };
        let unit = AccessUnit { data: vec![0; bytes].into(), tag, dts_ns: at_ms * MS, keyframe };
        Coded { unit, encoder: Arc::clone(encoder()) }
    }

    fn times(units: &[Coded]) -> Vec<i64> {
        units.iter().map(|coded| coded.unit.tag.pts_ns / MS).collect()
    }

    fn pre(ms: u64, memory: usize) -> Pre {
        Pre { duration: Duration::from_millis(ms), memory }
    }

    /// What is really held, counted anew.
    fn held(history: &History) -> usize {
        history.groups.iter().map(Group::memory).sum()
    }

    #[test]
    fn an_hour_stays_within_its_bounds() {
        let keep = pre(10_000, 4 << 20);
        let mut history = History::default();
        for frame in 0..3600 * 30i64 {
            let at = frame * 1000 / 30;
            // Half of the time the encoder does not keep to its bitrate.
            let bytes = if (frame / 9000) % 2 == 0 { 1000 } else { 30_000 };
            history.push(&coded(at, frame % 60 == 0, bytes), keep);
            assert!(history.memory <= keep.memory, "{} bytes after {at} ms", history.memory);
            if frame % 100 == 0 {
                assert_eq!(history.memory, held(&history));
                let units = history.since(keep.duration);
                let begins = at - times(&units)[0];
                assert!(units[0].unit.keyframe);
                // 2 s from one keyframe to the next.
                assert!(begins <= 12_000, "it begins {begins} ms ago");
                if bytes == 1000 && frame % 9000 > 400 && frame > 400 {
                    assert!(begins >= 10_000 - 34, "only {begins} ms at {at} ms");
                }
            }
        }
    }

    #[test]
    fn another_form_begins_anew() {
        let keep = pre(10_000, 1 << 20);
        let mut history = History::default();
        history.push(&coded(0, true, 10), keep);
        let mut other = coded(40, true, 10);
        let mut effective = (**encoder()).clone();
        effective.width += 2;
        other.encoder = Arc::new(effective);
        history.push(&other, keep);
        assert_eq!(times(&history.since(keep.duration)), [40]);
    }

    proptest! {
        #[test]
        fn it_is_what_was_said_last(
            units in prop::collection::vec((1..200i64, prop::bool::weighted(0.2), 0..4000usize), 1..300),
            kept in 0..5000u64, asked in 0..6000u64, memory in 0..200_000usize,
        ) {
            let keep = pre(kept, memory);
            let (mut history, mut now) = (History::default(), 0);
            let mut all = Vec::new();
            for (apart, keyframe, bytes) in units {
                now += apart;
                let unit = coded(now, keyframe, bytes);
                all.push((now, keyframe));
                history.push(&unit, keep);
                prop_assert!(history.memory <= memory);
                prop_assert_eq!(history.memory, held(&history));
                let got = history.since(Duration::from_millis(asked));
                // The end of everything, without a hole, from a keyframe on.
                let tail: Vec<_> = all[all.len() - got.len()..].iter().map(|(at, _)| *at).collect();
                prop_assert_eq!(times(&got), tail);
                prop_assert!(got.first().is_none_or(|first| first.unit.keyframe));
                // The first is at most one group earlier than asked.
                let next = got.iter().skip(1).find(|unit| unit.unit.keyframe);
                if let Some(next) = next {
                    prop_assert!(now - next.unit.tag.pts_ns / MS < asked as i64);
                }
            }
        }
    }
}
