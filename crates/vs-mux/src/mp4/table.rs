// SPDX-License-Identifier: Apache-2.0
//! What the final `moov` says about every frame, kept while recording.
//!
//! Sizes cost 4 bytes per frame. Durations and composition offsets are kept as runs, so a steady
//! camera costs nothing for them and a jittering one 8 bytes per frame each; each fragment costs 8
//! bytes for its offset (and 8 more when it has another number of frames than the one before), each
//! keyframe 4. At 30 frames per second with jitter that is about 16 bytes per frame, 1.7 MB per hour.

use super::boxes::BoxWriter;
use super::fragment::Sample;

/// Values that tend to repeat.
#[derive(Debug, Default)]
struct Runs {
    /// How often, what.
    runs: Vec<(u32, u32)>,
}

impl Runs {
    fn push(&mut self, value: u32) {
        match self.runs.last_mut() {
            Some((count, last)) if *last == value => *count += 1,
            _ => self.runs.push((1, value)),
        }
    }

    fn is_all(&self, value: u32) -> bool {
        self.runs.iter().all(|&(_, v)| v == value)
    }

    fn bytes(&self) -> usize {
        self.runs.capacity() * size_of::<(u32, u32)>()
    }

    /// As `stts` and `ctts` have it (8.6.1.2, 8.6.1.3).
    fn write(&self, w: &mut BoxWriter, kind: &[u8; 4]) {
        w.full(kind, 0, 0, |w| {
            w.u32(self.runs.len() as u32);
            for &(count, value) in &self.runs {
                w.u32(count);
                w.u32(value);
            }
        });
    }
}

/// All frames of a track that are in the file.
#[derive(Debug, Default)]
pub(crate) struct SampleTable {
    sizes: Vec<u32>,
    durations: Runs,
    offsets: Runs,
    keyframes: Vec<u32>,
    /// File offset of each fragment's frames.
    chunks: Vec<u64>,
    /// From which chunk on (counted from 1) how many frames each.
    chunk_lengths: Vec<(u32, u32)>,
    last_dts: u64,
    end_pts: u64,
}

impl SampleTable {
    /// Adds the frames of a fragment whose data begin at `offset`.
    ///
    /// A frame's duration is the distance to the next one, so the last one's stays open until there is
    /// a next one or [`Self::close`].
    pub fn add_fragment(&mut self, offset: u64, samples: &[Sample]) {
        for sample in samples {
            if !self.sizes.is_empty() {
                self.durations.push(sample.dts.saturating_sub(self.last_dts) as u32);
            }
            self.last_dts = sample.dts;
            self.sizes.push(sample.size);
            self.offsets.push(sample.composition_offset);
            if sample.keyframe {
                self.keyframes.push(self.sizes.len() as u32);
            }
            self.end_pts = self.end_pts.max(sample.dts + u64::from(sample.composition_offset));
        }
        self.chunks.push(offset);
        let length = samples.len() as u32;
        if self.chunk_lengths.last().is_none_or(|&(_, last)| last != length) {
            self.chunk_lengths.push((self.chunks.len() as u32, length));
        }
    }

    /// Gives the last frame its duration, in ticks. Only [`Self::write`] makes sense afterwards.
    pub fn close(&mut self, duration: u32) {
        if !self.sizes.is_empty() {
            self.durations.push(duration);
            self.last_dts += u64::from(duration);
            self.end_pts += u64::from(duration);
        }
    }

    pub fn frames(&self) -> u64 {
        self.sizes.len() as u64
    }

    /// Track time at which the last frame is decoded; once closed, at which its duration ends.
    pub fn last_dts(&self) -> u64 {
        self.last_dts
    }

    /// Track time of the last presentation; once closed, of its end.
    pub fn end_pts(&self) -> u64 {
        self.end_pts
    }

    /// Memory held, in bytes.
    pub fn memory(&self) -> usize {
        self.sizes.capacity() * size_of::<u32>()
            + self.durations.bytes()
            + self.offsets.bytes()
            + self.keyframes.capacity() * size_of::<u32>()
            + self.chunks.capacity() * size_of::<u64>()
            + self.chunk_lengths.capacity() * size_of::<(u32, u32)>()
    }

    /// Most bytes that [`Self::write`] makes once another `frames` in a fragment of their own are added.
    pub fn bound(&self, frames: usize) -> u64 {
        // Headers and counts of six boxes.
        let fixed = 6 * 16;
        let runs = self.durations.runs.len() + self.offsets.runs.len() + 2 * frames;
        let chunks = self.chunks.len() + 1;
        let numbers = self.sizes.len() + self.keyframes.len() + 2 * frames;
        let bytes = fixed + 8 * runs + 4 * numbers + 8 * chunks + 12 * (self.chunk_lengths.len() + 1);
        bytes as u64
    }

    /// Everything of `stbl` but the sample description (8.5).
    pub(super) fn write(&self, w: &mut BoxWriter) {
        self.durations.write(w, b"stts");
        if !self.offsets.is_all(0) {
            self.offsets.write(w, b"ctts");
        }
        // Without this box every frame is a keyframe (8.6.2).
        if self.keyframes.len() < self.sizes.len() {
            w.full(b"stss", 0, 0, |w| {
                w.u32(self.keyframes.len() as u32);
                self.keyframes.iter().for_each(|&number| w.u32(number));
            });
        }
        w.full(b"stsc", 0, 0, |w| {
            w.u32(self.chunk_lengths.len() as u32);
            for &(first, length) in &self.chunk_lengths {
                w.u32(first);
                w.u32(length);
                w.u32(1); // sample_description_index
            }
        });
        w.full(b"stsz", 0, 0, |w| {
            w.u32(0); // sizes differ
            w.u32(self.sizes.len() as u32);
            self.sizes.iter().for_each(|&size| w.u32(size));
        });
        self.write_chunk_offsets(w);
    }

    fn write_chunk_offsets(&self, w: &mut BoxWriter) {
        let far = self.chunks.last().is_some_and(|&offset| offset > u64::from(u32::MAX));
        w.full(if far { b"co64" } else { b"stco" }, 0, 0, |w| {
            w.u32(self.chunks.len() as u32);
            for &offset in &self.chunks {
                if far { w.u64(offset) } else { w.u32(offset as u32) }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(dts: u64, size: u32, keyframe: bool) -> Sample {
        Sample { dts, duration: 0, composition_offset: 0, size, keyframe }
    }

    fn written(table: &SampleTable) -> Vec<u8> {
        let mut w = BoxWriter::default();
        table.write(&mut w);
        w.into_bytes()
    }

    fn has(bytes: &[u8], part: &[u8]) -> bool {
        bytes.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn offsets_beyond_4_gib_have_64_bits() {
        let mut table = SampleTable::default();
        table.add_fragment(u64::from(u32::MAX), &[sample(0, 10, true)]);
        assert!(has(&written(&table), b"stco\0\0\0\0\0\0\0\x01\xff\xff\xff\xff"));
        table.add_fragment(1 << 32, &[sample(3000, 10, true)]);
        table.close(3000);
        let far = written(&table);
        assert!(has(&far, b"co64\0\0\0\0\0\0\0\x02\0\0\0\0\xff\xff\xff\xff\0\0\0\x01\0\0\0\0"));
        assert!(!has(&far, b"stco"));
    }

    #[test]
    fn a_steady_stream_costs_little_memory() {
        let mut table = SampleTable::default();
        for fragment in 0..10_000u64 {
            let samples = [0, 1, 2].map(|i| sample((3 * fragment + i) * 3000, 1000, fragment % 10 == 0 && i == 0));
            table.add_fragment(fragment * 3100, &samples);
        }
        table.close(3000);
        assert_eq!((table.frames(), table.last_dts()), (30_000, 30_000 * 3000));
        // Sizes, and a third of an offset; vectors grow by doubling.
        assert!(table.memory() < 30_000 * 2 * (4 + 3));
        // One run of durations, every frame of the same length.
        assert!(has(&written(&table), b"stts\0\0\0\0\0\0\0\x01\0\0\x75\x30\0\0\x0b\xb8"));
        assert!(!has(&written(&table), b"ctts"));
    }
}
