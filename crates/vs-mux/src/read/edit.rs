// SPDX-License-Identifier: Apache-2.0
//! The edit list (8.6.6): what of the track is shown, and when that begins.

use std::io::{Read, Seek};
use std::num::NonZeroU32;

use super::boxes::BoxAt;
use super::error::OpenMovieError;
use super::sample::Sample;
use super::source::Source;
use super::table::Table;
use super::track::Times;
use crate::mp4::to_ns;

/// Most edits looked at. What is read here are a delay and one stretch of the track, in pieces perhaps.
const MAX_EDITS: u64 = 64;
/// A rate of 1 as 16.16 fixed point.
const RATE_ONE: u32 = 1 << 16;

/// How the track's own time becomes that of the presentation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Presentation {
    timescale: NonZeroU32,
    /// Before the first picture.
    delay_ns: i64,
    /// Where in the track's own time, in ticks, the presentation begins, and ends unless all is shown.
    start: i64,
    end: Option<i64>,
    /// Ticks by which decoding is earlier than the file says, so that nothing is shown before it.
    lead: u32,
}

impl Presentation {
    /// All of a track.
    pub fn whole(timescale: NonZeroU32) -> Self {
        Self { timescale, delay_ns: 0, start: 0, end: None, lead: 0 }
    }

    /// Reads `edts`. `movie_timescale` is what lengths are counted in; where `fragmented`, they are
    /// those of a time when not all fragments were known.
    pub fn read<F: Read + Seek>(
        mut self,
        source: &mut Source<F>,
        edts: &BoxAt,
        movie_timescale: NonZeroU32,
        fragmented: bool,
    ) -> Result<Self, OpenMovieError> {
        let Some(elst) = edts.find(source, b"elst")? else { return Ok(self) };
        let wide = elst.head::<1, F>(source)?[0] == 1;
        let mut table = Table::counted(source, &elst, if wide { 20 } else { 12 })?;
        if table.count() > MAX_EDITS {
            return Err(OpenMovieError::Edits);
        }
        let mut shown = false;
        for index in 0..table.count() {
            let Some(mut entry) = table.get(source, index)? else { break };
            let length = i64::try_from(entry.length(wide)).unwrap_or(i64::MAX);
            let media_time = if wide { entry.u64() as i64 } else { entry.i32().into() };
            let rate = entry.u32();
            if media_time < 0 && !shown {
                self.delay_ns = self.delay_ns.saturating_add(to_ns(length, movie_timescale));
                continue;
            }
            // A further edit may go on where the one before ended, within what lengths are rounded to.
            let tolerance = i64::from(self.timescale.get() / movie_timescale.get()) + 1;
            let goes_on = self.end.is_some_and(|end| (end - media_time).abs() <= tolerance);
            if media_time < 0 || rate != RATE_ONE || shown && !goes_on {
                return Err(OpenMovieError::Edits);
            }
            self.start = if shown { self.start } else { media_time };
            self.end = self.end_of_edit(media_time, length, movie_timescale);
            shown = true;
        }
        self.end = self.end.filter(|_| !fragmented);
        Ok(self)
    }

    /// A length of 0 means all there is.
    fn end_of_edit(&self, start: i64, length: i64, movie_timescale: NonZeroU32) -> Option<i64> {
        let ticks = i128::from(length) * i128::from(self.timescale.get()) / i128::from(movie_timescale.get());
        (length > 0).then(|| i64::try_from(ticks).ok()?.checked_add(start)).flatten()
    }

    /// The same with decoding earlier by these ticks.
    pub fn with_lead(self, lead: u32) -> Self {
        Self { lead, ..self }
    }

    /// How long the presentation of a track of so many ticks lasts, in nanoseconds.
    pub fn duration_ns(&self, track: i64) -> Option<i64> {
        let end = self.end.unwrap_or(track);
        (track > 0).then(|| self.ns(end.saturating_sub(self.start).max(0)).saturating_add(self.delay_ns))
    }

    /// Whether the sample's picture is shown.
    pub fn shows(&self, sample: &Sample) -> bool {
        let pts = sample.dts.saturating_add(sample.composition.into());
        pts >= self.start && self.end.is_none_or(|end| pts < end)
    }

    /// When a sample is decoded and shown.
    pub fn times(&self, sample: &Sample) -> Times {
        let at = |ticks: i64| self.ns(ticks.saturating_sub(self.start)).saturating_add(self.delay_ns);
        let pts_ns = at(sample.dts.saturating_add(sample.composition.into()));
        let dts_ns = at(sample.dts.saturating_sub(self.lead.into())).min(pts_ns);
        Times { pts_ns, dts_ns, duration_ns: self.ns(sample.duration.into()) }
    }

    fn ns(&self, ticks: i64) -> i64 {
        to_ns(ticks, self.timescale)
    }
}
