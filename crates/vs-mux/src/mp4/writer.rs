// SPDX-License-Identifier: Apache-2.0
//! The writer: takes access units, keeps the file playable.

use super::config::{AccessUnit, Options, SampleContent, TrackConfig, limits};
use super::error::{ConfigError, FinishError, IoFailure, WriteError};
use super::finish::finish_in_place;
use super::fragment::Fragment;
use super::moov::{Track, file_header, index_bound};
use super::progress::Progress;
use super::sink::Sink;
use super::storage::Storage;
use super::table::SampleTable;
use super::timeline::Timeline;
use vs_bitstream::{NalKind, ParameterSets};

/// How far a recording has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Frames taken.
    pub frames: u64,
    /// Bytes written, and those of frames that wait for their fragment to be complete.
    pub bytes: u64,
    /// From the file's first presentation to the end of the last, in nanoseconds.
    pub duration_ns: i64,
    /// Memory held for the tables of the finished file, in bytes: about 16 per frame.
    pub table_bytes: usize,
}

/// What became of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Frames in the file. Without any, there is no MP4 to keep.
    pub frames: u64,
    /// Frames that were taken but could not be written.
    pub lost_frames: u64,
    /// From the file's first presentation to the end of the last, in nanoseconds.
    pub duration_ns: i64,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Whether it is an ordinary MP4. Otherwise it is a fragmented one: it plays as well, but some
    /// players seek badly in it.
    pub progressive: bool,
}

/// Writes one video track to a hybrid MP4; the [module](super) page has the idea.
///
/// Dropping the writer hands over the frames that still wait and leaves the file fragmented.
#[derive(Debug)]
pub struct Mp4Writer<S: Sink> {
    storage: Storage<S>,
    config: TrackConfig,
    options: Options,
    sets: ParameterSets,
    /// What the file says about its track, once it has a first frame.
    begun: Option<Begun>,
    fragment: Fragment,
    table: SampleTable,
    /// Takes no more frames: a write failed, or the file is finished.
    stopped: bool,
    lost_frames: u64,
}

#[derive(Debug)]
struct Begun {
    track: Track,
    placeholder_at: u64,
    progress: Progress,
}

impl<S: Sink> Mp4Writer<S> {
    /// A writer to `sink`. Nothing is written before the first keyframe.
    pub fn new(sink: S, config: TrackConfig, options: Options) -> Result<Self, ConfigError> {
        config.check()?;
        options.check()?;
        Ok(Self {
            storage: Storage::new(sink),
            sets: config.parameter_sets.clone().unwrap_or_default(),
            config,
            options,
            begun: None,
            fragment: Fragment::default(),
            table: SampleTable::default(),
            stopped: false,
            lost_frames: 0,
        })
    }

    /// Takes one access unit, in decode order.
    ///
    /// A unit of parameter sets alone is taken in, but is no frame. A fragment that is complete goes
    /// to the kernel before this returns, and to the disk when that is due.
    pub fn write(&mut self, unit: &AccessUnit<'_>) -> Result<(), WriteError> {
        if self.stopped {
            return Err(WriteError::Stopped);
        }
        let (bytes, limit) = (unit.data.len(), limits::MAX_ACCESS_UNIT);
        if bytes > limit {
            return Err(WriteError::TooLarge { bytes, limit });
        }
        if self.stats().frames >= limits::MAX_FRAMES {
            return Err(WriteError::Full { frames: limits::MAX_FRAMES });
        }
        if !self.take_parameter_sets(unit.data)? {
            return Ok(());
        }
        if self.begun.is_none() {
            self.begun = Some(self.begin(unit)?);
        }
        let Some(Begun { progress, .. }) = &mut self.begun else { return Ok(()) };
        let sample = progress.place(unit)?;
        let longest = progress.ticks(self.options.fragment);
        let frame = u64::from(sample.duration);

        if let Some(first) = self.fragment.samples().first() {
            let too_long = sample.dts + frame > first.dts + longest;
            let too_large = self.fragment.data_bytes() + unit.data.len() > limits::MAX_FRAGMENT_BYTES;
            let too_many = self.fragment.samples().len() >= limits::MAX_FRAGMENT_FRAMES;
            if unit.keyframe || too_long || too_large || too_many {
                self.fragment.end_last_at(sample.dts);
                self.hand_over()?;
            }
        }
        self.fragment.push(sample, self.config.codec, self.config.content, unit.data);
        // A fragment with no room for another frame like this one need not wait for it.
        if let Some(first) = self.fragment.samples().first()
            && sample.dts + 2 * frame > first.dts + longest
        {
            self.hand_over()?;
        }
        Ok(())
    }

    /// Hands the waiting frames to the kernel, and to the disk if that is due.
    ///
    /// [`write`](Self::write) cannot know that a stream pauses; call this when no frame came for a
    /// fragment's length.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        if self.stopped {
            return Err(WriteError::Stopped);
        }
        self.hand_over()?;
        Ok(self.sync_if_due()?)
    }

    /// How far the recording has come. Costs nothing.
    pub fn stats(&self) -> Stats {
        Stats {
            frames: self.table.frames() + self.fragment.samples().len() as u64,
            bytes: self.storage.end() + self.fragment.data_bytes() as u64,
            duration_ns: self.begun.as_ref().map_or(0, |begun| begun.progress.shown_ns()),
            table_bytes: self.table.memory(),
        }
    }

    /// Ends the file: an ordinary MP4 where the sink allows it, a fragmented one elsewhere.
    ///
    /// Goes the steps of the [module](super) page; the file plays at each of them. After a failed
    /// [`write`](Self::write) it ends the file with what is there.
    pub fn finish(mut self) -> Result<Summary, FinishError> {
        let flushed = self.hand_over();
        self.stopped = true;
        self.table.close(self.begun.as_ref().map_or(0, |begun| begun.progress.last_duration()));
        let (progressive, finalised) = self.finalise();
        let summary = Summary {
            frames: self.table.frames(),
            lost_frames: self.lost_frames,
            duration_ns: self.begun.as_ref().map_or(0, |begun| begun.track.shown_ns(&self.table)),
            bytes: self.storage.end(),
            progressive,
        };
        match flushed.and(finalised) {
            Ok(()) => Ok(summary),
            Err(failure) => Err(FinishError { failure, summary }),
        }
    }

    /// Looks at every NAL unit; says whether there is a picture among them.
    fn take_parameter_sets(&mut self, data: &[u8]) -> Result<bool, WriteError> {
        let codec = self.config.codec;
        let (mut empty, mut picture, mut changed) = (true, false, false);
        for nal in vs_bitstream::nal_units(data) {
            let kind = NalKind::of(codec, nal);
            empty = false;
            picture |= kind.is_slice();
            changed |= kind.is_parameter_set() && !self.sets.contains(kind, nal);
        }
        if empty {
            return Err(WriteError::NotAnnexB);
        }
        if changed && self.begun.is_some() {
            if self.config.content == SampleContent::Everything {
                return Ok(picture);
            }
            return Err(WriteError::ParameterSetsChanged);
        }
        if changed {
            self.sets.supersede(ParameterSets::gather(codec, data)?);
        }
        Ok(picture)
    }

    /// Writes the file's beginning, which the first keyframe decides.
    fn begin(&mut self, first: &AccessUnit<'_>) -> Result<Begun, WriteError> {
        if !first.keyframe {
            return Err(WriteError::NoKeyframe);
        }
        let timeline = Timeline::new(self.config.timescale, self.options.origin_ns, first.pts_ns, first.dts_ns);
        let format = self.sets.format(self.config.codec)?;
        let track = Track::new(&self.config, &self.sets, &format, timeline, self.options.creation_time)?;
        let progress = Progress::new(timeline, format.frame_duration_ns);
        // A frame that has no place in the file must not begin it.
        progress.clone().place(first)?;
        let header = file_header(&track);
        let written = self.storage.append("writing the file's beginning", &[&header.bytes]);
        self.stop_on_failure(written)?;
        Ok(Begun { track, placeholder_at: header.placeholder_at, progress })
    }

    /// Writes the open fragment, if there is one, and syncs if that is due.
    fn hand_over(&mut self) -> Result<(), IoFailure> {
        if self.fragment.samples().is_empty() {
            return Ok(());
        }
        let frames = self.fragment.samples().len();
        let index = self.begun.as_ref().map_or(0, |begun| index_bound(&begun.track, &self.table, frames));
        let parts = self.fragment.seal(self.storage.end());
        let [padding, header, data] = parts.map(|part| part.len() as u64);
        let (data_at, bytes) = (self.storage.end() + padding + header, padding + header + data);
        // On a disk that gets full, the index must not be what finds no room.
        let reserved = self.storage.reserve(bytes + index);
        let written = reserved.and_then(|()| self.storage.append("writing a fragment", &parts));
        if written.is_ok() {
            self.table.add_fragment(data_at, self.fragment.samples());
        } else {
            self.lost_frames += self.fragment.samples().len() as u64;
        }
        self.fragment.clear();
        self.stop_on_failure(written)?;
        self.sync_if_due()
    }

    fn sync_if_due(&mut self) -> Result<(), IoFailure> {
        let Some(interval) = self.options.sync else { return Ok(()) };
        let synced = self.storage.sync_if_due(interval, self.options.fragment);
        self.stop_on_failure(synced)
    }

    /// A file that failed once is not trusted with more.
    fn stop_on_failure(&mut self, result: Result<(), IoFailure>) -> Result<(), IoFailure> {
        self.stopped |= result.is_err();
        result
    }

    /// Turns the file into an ordinary MP4. Says whether it is one now, and what failed.
    fn finalise(&mut self) -> (bool, Result<(), IoFailure>) {
        let Some(Begun { track, placeholder_at, .. }) = &self.begun else { return (false, Ok(())) };
        if self.table.frames() == 0 || !self.storage.rewritable() {
            return (false, self.storage.sync());
        }
        finish_in_place(&mut self.storage, track, *placeholder_at, &self.table)
    }
}

impl<S: Sink> Drop for Mp4Writer<S> {
    fn drop(&mut self) {
        if !self.stopped {
            // Nobody is left to tell of a failure.
            let _ = self.hand_over().and_then(|()| self.storage.trim());
        }
    }
}
