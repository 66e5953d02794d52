// SPDX-License-Identifier: Apache-2.0
//! Hybrid MP4: fragmented while it is recorded, an ordinary file once it is finished.
//!
//! An ordinary MP4 says at its end where every frame lies, so a recorder that dies leaves a file
//! nobody can open. A fragmented one says it every few frames, but players seek in it badly. The
//! hybrid is the one and then the other, without rewriting a byte of video:
//!
//! ```text
//! recording   ftyp │ free 16 │ moov (no frames) │ moof mdat │ moof mdat │ moof mdat …
//! finished    ftyp │ mdat 64-bit size ────────────────────────────────────────────────│ moov (all frames)
//! ```
//!
//! [`Mp4Writer`] hands each fragment to the kernel in one write as soon as it is complete: a killed
//! process loses at most one fragment ([`Options::fragment`]), a power cut what came after the last
//! `fdatasync` ([`Options::sync`]). [`Mp4Writer::finish`] then
//!
//! 1. appends a `moov` that lists every frame (until then players skip this second `moov`),
//! 2. syncs,
//! 3. overwrites the 16-byte placeholder, which lies in the first sector, with the header of an
//!    `mdat` that swallows the first `moov` and all fragment headers,
//! 4. syncs.
//!
//! So the file plays at every moment in between. Room for the index is reserved on the disk all along
//! ([`Sink::reserve`]): when the disk is full, a fragment is refused, and the file can be finished. Where the placeholder cannot be reached again (a
//! pipe, a file opened for appending), the file stays fragmented, and the [`Summary`] says so.
//!
//! References without a name are to ISO/IEC 14496-12.

mod boxes;
mod config;
mod entry;
mod error;
mod finish;
mod fragment;
mod lock;
mod moov;
mod pace;
mod progress;
mod sink;
mod storage;
mod table;
mod timeline;
mod writer;

pub use config::{AccessUnit, DEFAULT_TIMESCALE, Options, Rotation, SampleContent, TrackConfig, limits};
pub use error::{ConfigError, FinishError, IoFailure, WriteError};
pub(crate) use finish::finish_in_place;
pub(crate) use fragment::{
    MAX_PADDING, MDAT_HEADER_BYTES, SYNC_SAMPLE, Sample, TFHD_BASE_IS_MOOF, TRUN_COMPOSITION, TRUN_DATA_OFFSET,
    TRUN_DURATION, TRUN_FIRST_FLAGS, TRUN_SIZE,
};
pub(crate) use lock::Lock;
pub(crate) use moov::{PLACEHOLDER, PLACEHOLDER_BYTES, TRACK_ID, Track, final_moov};
pub use sink::{FileSink, OpenError, Sink};
pub(crate) use storage::Storage;
pub(crate) use table::SampleTable;
pub(crate) use timeline::{Edit, duration_ns, to_ns, to_ticks};
pub use writer::{Mp4Writer, Stats, Summary};
