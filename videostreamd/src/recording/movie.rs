// SPDX-License-Identifier: Apache-2.0
//! One file of a recording, while it is written.

use std::fs::File;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use vs_codec::AccessUnit;
use vs_frame::FourCc;
use vs_frame::clock::monotonic_ns;
use vs_mux::mp4::{self, FileSink, Mp4Writer, Options, Rotation, TrackConfig, WriteError};
use vs_mux::{Codec, Colour};

use super::progress::Entry;
use super::segment::SHORTEST_NS;
use super::{Counts, Part, RecordOptions, Segment};
use crate::rendition::Coded;

/// What the files of a recording have in common.
#[derive(Debug, Clone)]
pub(super) struct Form {
    codec: Codec,
    fragment: Option<Duration>,
    sync: Option<Duration>,
}

impl Form {
    /// # Errors
    /// If no file can hold that codec.
    pub(super) fn new(codec: FourCc, options: &RecordOptions) -> anyhow::Result<Self> {
        let codec = match codec {
            FourCc::H264 => Codec::H264,
            FourCc::HEVC => Codec::H265,
            other => anyhow::bail!("{other} cannot be written to MP4: {} and {} can", FourCc::H264, FourCc::HEVC),
        };
        Ok(Self { codec, fragment: options.fragment, sync: options.sync })
    }

    fn options(&self, began: SystemTime) -> Options {
        let usual = Options::default();
        Options {
            fragment: self.fragment.unwrap_or(usual.fragment),
            sync: self.sync.or(usual.sync),
            creation_time: Some(began),
            ..usual
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Movie {
    writer: Mp4Writer<FileSink>,
    /// The how-manieth of its recording, from 1.
    pub(super) number: u64,
    /// What it is called.
    pub(super) name: String,
    began: SystemTime,
    /// Presentation of the first frame, in ns.
    first_ns: i64,
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) entry: Entry,
    /// Frames that it took, and that are not in it.
    pub(super) lost: u64,
    /// Why it is not as it should be.
    pub(super) failure: Option<anyhow::Error>,
}

impl Movie {
    /// A file that begins with `first`. Nothing is in it yet.
    pub(super) fn new(file: File, number: u64, name: String, form: &Form, first: &Coded) -> anyhow::Result<Self> {
        let file = FileSink::new(file).context("cannot record into this file")?;
        let mut track = TrackConfig::new(form.codec);
        let color = first.encoder.color.h273();
        track.colour = Some(Colour {
            primaries: color.primaries,
            transfer: color.transfer,
            matrix: color.matrix,
            full_range: color.full_range,
        });
        track.rotation = upright(first.encoder.rotation);
        let began = wall_clock(&first.unit);
        let writer = Mp4Writer::new(file, track, form.options(began))?;
        Ok(Self { writer, number, name, began, first_ns: first.unit.tag.pts_ns })
    }

    pub(super) fn write(&mut self, unit: &AccessUnit) -> Result<(), WriteError> {
        self.writer.write(&mp4::AccessUnit {
            data: &unit.data,
            pts_ns: unit.tag.pts_ns,
            dts_ns: unit.dts_ns,
            duration_ns: unit.tag.duration_ns.and_then(|ns| i64::try_from(ns).ok()),
            keyframe: unit.keyframe,
        })
    }

    /// Hands the kernel what waits for more frames.
    pub(super) fn flush(&mut self) -> Result<(), WriteError> {
        self.writer.flush()
    }

    /// Whether a frame for this time belongs into the next file.
    pub(super) fn is_full(&self, segment: Segment, pts_ns: i64) -> bool {
        let elapsed_ns = u64::try_from(pts_ns.saturating_sub(self.first_ns)).unwrap_or(0);
        elapsed_ns >= SHORTEST_NS
            && match segment {
                Segment::Time(ns) => elapsed_ns >= ns,
                Segment::Bytes(bytes) => self.writer.stats().bytes >= bytes,
            }
    }

    /// What is in it.
    pub(super) fn counts(&self) -> Counts {
        let stats = self.writer.stats();
        Counts {
            frames: stats.frames,
            bytes: stats.bytes,
            duration_ns: u64::try_from(stats.duration_ns).unwrap_or(0),
            dropped: 0,
        }
    }

    /// What is to be said of it if its end is never heard of.
    pub(super) fn torn(&self, dropped: u64) -> Entry {
        let part = Part {
            began: self.began,
            counts: Counts { dropped, ..self.counts() },
            progressive: false,
            error: "the recorder crashed while it finished this file".to_owned(),
        };
        Entry { number: self.number, name: self.name.clone(), part }
    }

    /// Ends the file, and waits for the disk. While it was written, `dropped` frames were.
    pub(super) fn finish(self, dropped: u64) -> Finished {
        let (done, failure) = match self.writer.finish() {
            Ok(done) => (done, None),
            Err(error) => (error.summary, Some(anyhow::Error::from(error))),
        };
        let counts = Counts {
            frames: done.frames,
            bytes: done.bytes,
            duration_ns: u64::try_from(done.duration_ns).unwrap_or(0),
            dropped: dropped + done.lost_frames,
        };
        let error = failure.as_ref().map(|failure| format!("{failure:#}")).unwrap_or_default();
        let part = Part { began: self.began, counts, progressive: done.progressive, error };
        Finished { entry: Entry { number: self.number, name: self.name, part }, lost: done.lost_frames, failure }
    }
}

/// When a picture was taken, by the wall clock: it may have waited for the file, or longer.
pub(super) fn wall_clock(unit: &AccessUnit) -> SystemTime {
    let age = Duration::from_nanos(monotonic_ns().saturating_sub(unit.tag.capture_ns));
    let now = SystemTime::now();
    now.checked_sub(age).unwrap_or(now)
}

/// How players turn pictures that are to be turned counter-clockwise by so many degrees. A file
/// can only say quarters.
fn upright(degrees: u16) -> Rotation {
    match degrees {
        90 => Rotation::Clockwise270,
        180 => Rotation::Half,
        270 => Rotation::Clockwise90,
        _ => Rotation::None,
    }
}
