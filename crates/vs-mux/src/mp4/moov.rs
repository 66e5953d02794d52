// SPDX-License-Identifier: Apache-2.0
//! The boxes that describe the movie: the file's beginning, and the `moov` before and after.

use std::num::NonZeroU32;
use std::time::{SystemTime, UNIX_EPOCH};

use super::boxes::BoxWriter;
use super::config::{Rotation, SampleContent, TrackConfig};
use super::entry::sample_entry;
use super::fragment::NON_SYNC_SAMPLE;
use super::table::SampleTable;
use super::timeline::{Edit, Timeline, duration_ns};
use crate::VideoFormat;
use vs_bitstream::{ParameterSets, ParameterSetsError};

/// There is one track.
pub(crate) const TRACK_ID: u32 = 1;
/// The placeholder: room for a box header with a 64-bit size (4.2.2).
pub(crate) const PLACEHOLDER_BYTES: u64 = 16;
/// What fills the placeholder, so that a torn file is known as one that may be finished in place.
pub(crate) const PLACEHOLDER: &[u8; PLACEHOLDER_BYTES as usize] = b"\0\0\0\x10freevsmux\0\0\x01";

/// From the epoch of MP4 (1904) to that of Unix.
const EPOCH_1904_SECONDS: u64 = 2_082_844_800;
/// track_enabled and track_in_movie (8.3.2).
const TKHD_IN_USE: u32 = 3;
/// The data are in this very file (8.7.2).
const URL_SELF_CONTAINED: u32 = 1;
/// ISO 639-2 "und", packed in three times five bits (8.4.2).
const LANGUAGE_UNDETERMINED: u16 = 0x55c4;
/// 1.0 as 16.16 and 2.30 fixed point.
const FIXED_16_ONE: i32 = 1 << 16;
const FIXED_30_ONE: i32 = 1 << 30;
const UNITY_MATRIX: [i32; 9] = matrix([1, 0, 0, 1], 0, 0);

/// What every `moov` of a file says of its track, frames aside.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Track {
    /// The sample entry, a whole box.
    pub entry: Vec<u8>,
    /// How the picture is turned (8.3.2).
    pub matrix: [i32; 9],
    /// Width and height of the picture when its pixels are made square, as 16.16 fixed point.
    pub shown_size: [u32; 2],
    /// Ticks per second.
    pub timescale: NonZeroU32,
    pub edit: Edit,
    /// Seconds since 1904; 0 if nobody knows.
    pub created: u64,
}

impl Track {
    pub(super) fn new(
        config: &TrackConfig,
        sets: &ParameterSets,
        format: &VideoFormat,
        timeline: Timeline,
        created: Option<SystemTime>,
    ) -> Result<Self, ParameterSetsError> {
        let colour = config.colour.or(format.colour);
        let in_band = config.content == SampleContent::Everything;
        let entry = sample_entry(config.codec, sets, format, colour, in_band)?;
        let (width, height) = square_size(format);
        Ok(Self {
            entry,
            matrix: rotation_matrix(config.rotation, width.into(), height.into()),
            shown_size: [width, height].map(|pixels| u32::from(pixels) << 16),
            timescale: timeline.timescale,
            edit: timeline.edit(),
            created: seconds_since_1904(created),
        })
    }

    /// How long the presentation of all frames lasts, in nanoseconds. `table` must be closed.
    pub fn shown_ns(&self, table: &SampleTable) -> i64 {
        duration_ns(self.edit.shown(table.end_pts()), self.timescale)
    }
}

/// Width and height of the picture when its pixels are made square.
fn square_size(format: &VideoFormat) -> (u16, u16) {
    let (wide, high) = format.pixel_aspect.unwrap_or((1, 1));
    let width = u64::from(format.width) * u64::from(wide) / u64::from(high.max(1));
    (u16::try_from(width).unwrap_or(u16::MAX), format.height)
}

/// How long a movie lasts, in ticks. Zero while nobody knows.
#[derive(Clone, Copy, Default)]
struct Lengths {
    /// Of the track's own time.
    media: u64,
    /// Of what is shown of it.
    shown: u64,
}

/// How a file begins, and where in it the placeholder lies.
pub(super) struct FileHeader {
    pub bytes: Vec<u8>,
    pub placeholder_at: u64,
}

/// The beginning of the file: brands, placeholder, and a `moov` without frames.
pub(super) fn file_header(track: &Track) -> FileHeader {
    let mut w = BoxWriter::default();
    // `iso5` and `iso6` stand for what fragments use; a finished file is plain `isom`, too.
    w.boxed(b"ftyp", |w| {
        w.raw(b"isom");
        w.u32(512);
        w.raw(b"isomiso5iso6mp41");
    });
    let placeholder_at = w.len() as u64;
    w.raw(PLACEHOLDER);
    let empty = SampleTable::default();
    w.boxed(b"moov", |w| {
        write_movie(w, track, &empty, Lengths::default());
        w.boxed(b"mvex", |w| {
            w.full(b"trex", 0, 0, |w| {
                w.u32(TRACK_ID);
                w.u32(1); // sample_description_index
                w.u32(0); // duration
                w.u32(0); // size
                w.u32(NON_SYNC_SAMPLE);
            });
        });
    });
    FileHeader { bytes: w.into_bytes(), placeholder_at }
}

/// Most bytes that the `moov` of the finished file has with another `frames` in a fragment of their own.
pub(super) fn index_bound(track: &Track, table: &SampleTable, frames: usize) -> u64 {
    /// All boxes but the sample entry and the tables: 620 bytes with the longest edit list.
    const FIXED: u64 = 1024;
    FIXED + track.entry.len() as u64 + table.bound(frames)
}

/// The `moov` of the finished file. `table` must be closed.
pub(crate) fn final_moov(track: &Track, table: &SampleTable) -> Vec<u8> {
    let lengths = Lengths { media: table.last_dts(), shown: track.edit.shown(table.end_pts()) };
    let mut w = BoxWriter::default();
    w.boxed(b"moov", |w| write_movie(w, track, table, lengths));
    w.into_bytes()
}

/// What the placeholder becomes: the header of an `mdat` of `size` bytes.
pub(super) fn swallowing_mdat(size: u64) -> [u8; PLACEHOLDER_BYTES as usize] {
    let mut header = [0; PLACEHOLDER_BYTES as usize];
    header[..4].copy_from_slice(&1u32.to_be_bytes()); // "the size is behind the name"
    header[4..8].copy_from_slice(b"mdat");
    header[8..].copy_from_slice(&size.to_be_bytes());
    header
}

fn write_movie(w: &mut BoxWriter, track: &Track, table: &SampleTable, lengths: Lengths) {
    let (timescale, created, edit) = (track.timescale.get(), track.created, track.edit);
    let total = if lengths.shown == 0 { 0 } else { edit.delay + lengths.shown };
    w.full(b"mvhd", 1, 0, |w| {
        w.u64(created);
        w.u64(created);
        w.u32(timescale);
        w.u64(total);
        w.i32(FIXED_16_ONE); // rate
        w.u16(0x0100); // volume
        w.zeros(10);
        UNITY_MATRIX.iter().for_each(|&value| w.i32(value));
        w.zeros(24);
        w.u32(TRACK_ID + 1); // next_track_ID
    });
    w.boxed(b"trak", |w| {
        write_track_header(w, track, total);
        if !edit.is_trivial() {
            write_edits(w, edit, lengths.shown);
        }
        w.boxed(b"mdia", |w| {
            w.full(b"mdhd", 1, 0, |w| {
                w.u64(created);
                w.u64(created);
                w.u32(timescale);
                w.u64(lengths.media);
                w.u16(LANGUAGE_UNDETERMINED);
                w.u16(0);
            });
            w.full(b"hdlr", 0, 0, |w| {
                w.u32(0);
                w.raw(b"vide");
                w.zeros(12);
                w.raw(b"Video\0");
            });
            w.boxed(b"minf", |w| write_media(w, track, table));
        });
    });
}

/// 8.3.2
fn write_track_header(w: &mut BoxWriter, track: &Track, duration: u64) {
    w.full(b"tkhd", 1, TKHD_IN_USE, |w| {
        w.u64(track.created);
        w.u64(track.created);
        w.u32(TRACK_ID);
        w.zeros(4);
        w.u64(duration);
        w.zeros(8);
        w.zeros(8); // layer, group, volume
        track.matrix.iter().for_each(|&value| w.i32(value));
        track.shown_size.iter().for_each(|&value| w.u32(value));
    });
}

/// 8.6.6. A length of 0 in a file that grows means "whatever comes".
fn write_edits(w: &mut BoxWriter, edit: Edit, shown: u64) {
    let delay = (edit.delay > 0).then_some((edit.delay, -1));
    let edits = delay.into_iter().chain([(shown, edit.media_time as i64)]);
    w.boxed(b"edts", |w| {
        w.full(b"elst", 1, 0, |w| {
            w.u32(edits.clone().count() as u32);
            for (length, media_time) in edits {
                w.u64(length);
                w.i64(media_time);
                w.i32(FIXED_16_ONE);
            }
        });
    });
}

/// The content of `minf`: 8.4.4.
fn write_media(w: &mut BoxWriter, track: &Track, table: &SampleTable) {
    w.full(b"vmhd", 0, 1, |w| w.zeros(8));
    w.boxed(b"dinf", |w| {
        w.full(b"dref", 0, 0, |w| {
            w.u32(1);
            w.full(b"url ", 0, URL_SELF_CONTAINED, |_| {});
        });
    });
    w.boxed(b"stbl", |w| {
        w.full(b"stsd", 0, 0, |w| {
            w.u32(1);
            w.raw(&track.entry);
        });
        table.write(w);
    });
}

fn seconds_since_1904(time: Option<SystemTime>) -> u64 {
    time.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_secs() + EPOCH_1904_SECONDS)
}

/// How a player turns the picture (8.3.2), and then moves it back to the origin.
fn rotation_matrix(rotation: Rotation, width: i32, height: i32) -> [i32; 9] {
    match rotation {
        Rotation::None => UNITY_MATRIX,
        Rotation::Clockwise90 => matrix([0, 1, -1, 0], height, 0),
        Rotation::Half => matrix([-1, 0, 0, -1], width, height),
        Rotation::Clockwise270 => matrix([0, -1, 1, 0], 0, width),
    }
}

/// { a, b, u, c, d, v, x, y, w } from whole numbers. 16.16 fixed point wraps beyond 32767 pixels.
const fn matrix([a, b, c, d]: [i32; 4], x: i32, y: i32) -> [i32; 9] {
    let one = FIXED_16_ONE;
    [a * one, b * one, 0, c * one, d * one, 0, x << 16, y << 16, FIXED_30_ONE]
}
