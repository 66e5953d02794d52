// SPDX-License-Identifier: Apache-2.0
//! A movie fragment (8.8): a few frames that can be played together with the file's beginning.

use super::boxes::BoxWriter;
use super::config::SampleContent;
use super::moov::TRACK_ID;
use vs_bitstream::Codec;

/// `default-base-is-moof` (8.8.7.1): offsets count from the fragment, wherever it lies.
pub(crate) const TFHD_BASE_IS_MOOF: u32 = 0x02_0000;
/// Sample flags (8.8.3.1) of a picture others need not: decoding can begin here.
pub(crate) const SYNC_SAMPLE: u32 = 0x0200_0000;
/// Sample flags of a picture that depends on others; set for all in `trex`.
pub(super) const NON_SYNC_SAMPLE: u32 = 0x0101_0000;

/// `trun` fields that are present (8.8.8.1).
pub(crate) const TRUN_DATA_OFFSET: u32 = 0x001;
pub(crate) const TRUN_FIRST_FLAGS: u32 = 0x004;
pub(crate) const TRUN_DURATION: u32 = 0x100;
pub(crate) const TRUN_SIZE: u32 = 0x200;
pub(crate) const TRUN_COMPOSITION: u32 = 0x800;

pub(crate) const MDAT_HEADER_BYTES: u32 = 8;

/// A file that a power cut or a kill tears is torn at the end of a page. Some players refuse a file that
/// ends within a `moof` (FFmpeg: "corrupted TRUN atom"), so none of ours crosses that.
const PAGE_BYTES: u64 = 4096;
/// Longest `free` box before a fragment: what is left of a page.
pub(crate) const MAX_PADDING: u64 = PAGE_BYTES;

/// One frame, in ticks of the track.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Ticks after the first frame's decoding.
    pub dts: u64,
    /// How long it lasts. In a fragment's last frame an estimate, which the next fragment's `tfdt`
    /// corrects; no part of the finished file's tables, which have the distances.
    pub duration: u32,
    /// From decoding to presentation.
    pub composition_offset: u32,
    /// Bytes of sample data.
    pub size: u32,
    /// Decoding can begin here. Only a fragment's first frame is such.
    pub keyframe: bool,
}

/// Frames that wait for their fragment to be complete. The memory is kept from one to the next.
#[derive(Debug, Default)]
pub(super) struct Fragment {
    samples: Vec<Sample>,
    data: Vec<u8>,
    padding: BoxWriter,
    header: BoxWriter,
    sequence: u32,
}

impl Fragment {
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Bytes of sample data.
    pub fn data_bytes(&self) -> usize {
        self.data.len()
    }

    /// Adds a frame behind those that are there. The distance to it is how long the one before lasts.
    pub fn push(&mut self, sample: Sample, codec: Codec, content: SampleContent, access_unit: &[u8]) {
        self.end_last_at(sample.dts);
        let keep = |kind| content.keeps(kind);
        let size = vs_bitstream::append_length_prefixed(codec, access_unit, keep, &mut self.data) as u32;
        self.samples.push(Sample { size, ..sample });
    }

    /// Says when the frame after the last one is decoded.
    pub fn end_last_at(&mut self, dts: u64) {
        if let Some(last) = self.samples.last_mut() {
            last.duration = dts.saturating_sub(last.dts) as u32;
        }
    }

    /// The fragment as it goes to the file at `offset`: what fills up a page, the headers, and the
    /// frames' data behind them.
    pub fn seal(&mut self, offset: u64) -> [&[u8]; 3] {
        self.sequence += 1;
        self.header.clear();
        write_header(&mut self.header, self.sequence, &self.samples, self.data.len() as u32);
        self.padding.clear();
        let (header, left) = (self.header.len() as u64, PAGE_BYTES - offset % PAGE_BYTES);
        if header > left && header + 8 <= PAGE_BYTES {
            let padding = left.max(8) as usize;
            self.padding.boxed(b"free", |w| w.zeros(padding - 8));
        }
        [self.padding.bytes(), self.header.bytes(), &self.data]
    }

    /// Begins the next fragment.
    pub fn clear(&mut self) {
        self.samples.clear();
        self.data.clear();
    }
}

/// Writes `moof` and the header of the `mdat` that follows it.
fn write_header(w: &mut BoxWriter, sequence: u32, samples: &[Sample], data_bytes: u32) {
    let Some(first) = samples.first() else { return };
    let mut data_offset_field = 0;
    w.boxed(b"moof", |w| {
        w.full(b"mfhd", 0, 0, |w| w.u32(sequence));
        w.boxed(b"traf", |w| {
            w.full(b"tfhd", 0, TFHD_BASE_IS_MOOF, |w| w.u32(TRACK_ID));
            w.full(b"tfdt", 1, 0, |w| w.u64(first.dts));
            data_offset_field = write_run(w, samples, first.keyframe);
        });
    });
    w.patch_u32(data_offset_field, w.len() as u32 + MDAT_HEADER_BYTES);
    w.u32(MDAT_HEADER_BYTES + data_bytes);
    w.raw(b"mdat");
}

/// Writes `trun` and returns where its data offset stands.
fn write_run(w: &mut BoxWriter, samples: &[Sample], keyframe: bool) -> usize {
    let reordered = samples.iter().any(|sample| sample.composition_offset != 0);
    let flags = TRUN_DATA_OFFSET
        | TRUN_DURATION
        | TRUN_SIZE
        | if keyframe { TRUN_FIRST_FLAGS } else { 0 }
        | if reordered { TRUN_COMPOSITION } else { 0 };
    let mut data_offset_field = 0;
    w.full(b"trun", 0, flags, |w| {
        w.u32(samples.len() as u32);
        data_offset_field = w.len();
        w.u32(0);
        if keyframe {
            w.u32(SYNC_SAMPLE);
        }
        for sample in samples {
            w.u32(sample.duration);
            w.u32(sample.size);
            if reordered {
                w.u32(sample.composition_offset);
            }
        }
    });
    data_offset_field
}
