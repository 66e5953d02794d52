// SPDX-License-Identifier: Apache-2.0
//! Puts the pictures of a bare stream in the order in which they are shown, gives each its time, and hands them on
//! in the order in which they came.
//!
//! A picture is shown when more wait than the stream reorders, the one with the lowest count first: what a decoder
//! does (H.264 C.4.5.3, H.265 C.5.2). Its time is that of the pictures shown before it. It is decoded when the
//! picture so many places before it is shown: no picture is decoded too late, and the times grow.

use std::collections::VecDeque;

use vs_bitstream::{Entry, PictureTime};

use super::clock::Clock;
use super::error::ConvertError;

/// Most pictures that wait. A group of 64 with all B-frames in a pyramid has 63 between a picture and the one that it
/// is shown behind.
const MAX_WAITING: usize = 256;
/// Most bytes of them. What is coded larger than 2 MB a picture is hardly reordered that far.
const MAX_WAITING_BYTES: usize = 512 << 20;

/// A picture with its times, in nanoseconds.
#[derive(Debug)]
pub(super) struct Placed {
    pub data: Vec<u8>,
    pub keyframe: bool,
    pub pts_ns: i64,
    pub dts_ns: i64,
    /// How long the picture lasts that is shown last so far: at the end, the file's last.
    pub duration_ns: i64,
}

#[derive(Debug)]
struct Waiting {
    data: Vec<u8>,
    keyframe: bool,
    picture: PictureTime,
    /// Counts those that begin a sequence.
    sequence: u64,
    /// It cannot be decoded, for the stream begins behind what it needs.
    undecodable: bool,
    /// When it is shown; `None` as long as nobody knows.
    shown: Option<i64>,
}

/// The pictures that wait, and the times of those shown last.
#[derive(Debug)]
pub(super) struct Display {
    clock: Clock,
    waiting: VecDeque<Waiting>,
    unshown: usize,
    bytes: usize,
    /// Times of pictures in the order of showing, from the picture numbered `first_time` on.
    times: VecDeque<i64>,
    first_time: u64,
    /// Pictures handed on.
    handed_on: u64,
    /// How many pictures earlier than they are shown pictures are decoded; known with the first.
    delay: Option<u32>,
    least_delay: u32,
    cautious: bool,
    first: Option<PictureTime>,
    sequence: u64,
    keyframes: u64,
    first_frame_ns: i64,
    last_frame_ns: i64,
    /// The first time at which a picture is shown that can be decoded.
    pub begins_ns: Option<i64>,
    /// Pictures before that.
    pub leading: u64,
    /// Pictures shown out of turn.
    pub disordered: u64,
}

/// A picture is shown earlier than it can be decoded: they must be decoded so many places before they are shown.
#[derive(Debug)]
pub(super) struct Late(pub u32);

impl Display {
    /// `least_delay` is known from an earlier attempt. `cautious`: there cannot be another one.
    pub fn new(clock: Clock, least_delay: u32, cautious: bool) -> Self {
        Self {
            clock,
            waiting: VecDeque::new(),
            unshown: 0,
            bytes: 0,
            times: VecDeque::new(),
            first_time: 0,
            handed_on: 0,
            delay: None,
            least_delay,
            cautious,
            first: None,
            sequence: 0,
            keyframes: 0,
            first_frame_ns: 0,
            last_frame_ns: 0,
            begins_ns: None,
            leading: 0,
            disordered: 0,
        }
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Takes the next picture in decoding order.
    pub fn push(&mut self, picture: PictureTime, data: Vec<u8>, keyframe: bool) -> Result<(), ConvertError> {
        if !picture.order_known {
            return Err(ConvertError::PictureOrder);
        }
        if picture.begins_sequence {
            self.end()?;
            self.sequence += 1;
        }
        self.keyframes += u64::from(picture.entry == Entry::Key);
        let first = *self.first.get_or_insert(picture);
        // Behind the first key picture no picture needs what is before it (H.264), or only those that say so.
        let before_first = first.entry != Entry::Key && self.keyframes == 0 && picture.order < first.order;
        let undecodable = before_first || picture.needs_past && self.keyframes <= 1;
        self.bytes += data.len();
        if self.bytes > MAX_WAITING_BYTES {
            return Err(ConvertError::TooMuchWaiting { limit: MAX_WAITING_BYTES });
        }
        self.waiting.push_back(Waiting { data, keyframe, picture, sequence: self.sequence, undecodable, shown: None });
        self.unshown += 1;
        while self.unshown > picture.reorder as usize {
            self.show_next()?;
        }
        while self.waiting.len() > MAX_WAITING && self.waiting.front().is_some_and(|front| front.shown.is_none()) {
            self.disordered += 1;
            self.show(0)?;
        }
        Ok(())
    }

    /// Nothing that comes is shown before what waits.
    pub fn end(&mut self) -> Result<(), ConvertError> {
        while self.unshown > 0 {
            self.show_next()?;
        }
        Ok(())
    }

    fn show_next(&mut self) -> Result<(), ConvertError> {
        let unshown = self.waiting.iter().enumerate().filter(|(_, waiting)| waiting.shown.is_none());
        match unshown.min_by_key(|(_, waiting)| waiting.picture.order).map(|(index, _)| index) {
            Some(index) => self.show(index),
            None => Ok(()),
        }
    }

    fn show(&mut self, index: usize) -> Result<(), ConvertError> {
        let Some(waiting) = self.waiting.get_mut(index) else { return Ok(()) };
        let (pts, duration) = self.clock.show(&waiting.picture)?;
        waiting.shown = Some(pts);
        self.last_frame_ns = duration;
        if self.times.is_empty() && self.first_time == 0 {
            self.first_frame_ns = duration;
        }
        if !waiting.undecodable {
            self.begins_ns.get_or_insert(pts);
        } else if self.begins_ns.is_none() {
            self.leading += 1;
        }
        self.times.push_back(pts);
        self.unshown -= 1;
        Ok(())
    }

    /// The next picture whose times are known, in decoding order.
    pub fn pop(&mut self) -> Result<Option<Placed>, Late> {
        let Some(pts_ns) = self.waiting.front().and_then(|front| front.shown) else { return Ok(None) };
        let delay = match self.delay {
            Some(delay) => delay,
            None => *self.delay.insert(self.first_delay()),
        };
        let dts_ns = match self.handed_on.checked_sub(delay.into()) {
            // Before the first is shown.
            None => {
                let early = i64::from(delay) - self.handed_on as i64;
                Some(early.saturating_mul(-self.first_frame_ns))
            }
            Some(number) => self.times.get((number - self.first_time) as usize).copied(),
        };
        let Some(dts_ns) = dts_ns.filter(|&dts_ns| dts_ns <= pts_ns) else {
            let place = self.times.iter().position(|&time| time == pts_ns);
            let needed = place.map_or(0, |place| self.handed_on.saturating_sub(self.first_time + place as u64));
            let said = self.waiting.front().map_or(0, |front| front.picture.reorder);
            return Err(Late(said.max(needed as u32).max(delay + 1)));
        };
        self.handed_on += 1;
        while self.first_time + u64::from(delay) < self.handed_on && self.times.len() > 1 {
            self.times.pop_front();
            self.first_time += 1;
        }
        Ok(self.waiting.pop_front().map(|waiting| {
            self.bytes -= waiting.data.len();
            let duration_ns = self.last_frame_ns;
            Placed { data: waiting.data, keyframe: waiting.keyframe, pts_ns, dts_ns, duration_ns }
        }))
    }

    /// What the stream says, or else what the first pictures need.
    fn first_delay(&self) -> u32 {
        let Some(first) = self.first else { return 0 };
        if first.reorder_said || self.cautious {
            return first.reorder.max(self.least_delay);
        }
        let place = |waiting: &Waiting| (waiting.sequence, waiting.picture.order);
        let needs = self.waiting.iter().enumerate().map(|(index, waiting)| {
            let overtaken = self.waiting.iter().take(index).filter(|before| place(before) > place(waiting));
            overtaken.count() as u32
        });
        needs.max().unwrap_or(0).max(self.least_delay)
    }
}
