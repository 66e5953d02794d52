// SPDX-License-Identifier: Apache-2.0
//! Whether the data of frames are data of frames, and not what a power cut put in their place.

use std::io::{Read, Seek};

use super::fragment::Fragment;
use crate::mp4::IoFailure;
use crate::read::error::Trouble;
use crate::read::source::Source;
use vs_bitstream::{Codec, NalKind};

/// What a disk loses is lost in blocks of at least 512 bytes; a stretch of so many zeros, wherever it
/// begins, contains an aligned piece of this size. No NAL unit has one (H.264 7.4.1, H.265 7.4.2.1:
/// three zero bytes in a row do not occur).
const PIECE_BYTES: usize = 256;

/// Whether all frames of `fragment` are there and look like frames. `buffer` is kept for the next.
pub(super) fn are_intact<F: Read + Seek>(
    source: &mut Source<F>,
    fragment: &Fragment,
    codec: Codec,
    buffer: &mut Vec<u8>,
) -> Result<bool, IoFailure> {
    let mut at = fragment.data_at;
    for sample in &fragment.samples {
        buffer.resize(sample.size as usize, 0);
        match source.read_at(at, buffer) {
            Ok(()) => {}
            Err(Trouble::Io(failure)) => return Err(failure),
            Err(Trouble::Broken(_)) => return Ok(false),
        }
        if !is_frame(codec, buffer) {
            return Ok(false);
        }
        at += u64::from(sample.size);
    }
    Ok(true)
}

/// Whether these are NAL units behind their lengths, as our recorder writes them, with a picture
/// among them. It writes no zero byte at the end of a unit (see `vs_bitstream::nal_units`).
fn is_frame(codec: Codec, mut sample: &[u8]) -> bool {
    let mut picture = false;
    while let Some((length, rest)) = sample.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some((nal, rest)) = rest.split_at_checked(length) else { return false };
        let forbidden_zero_bit = nal.first().is_none_or(|header| header & 0x80 != 0);
        let zeros = nal.chunks_exact(PIECE_BYTES).any(|piece| piece.iter().all(|&byte| byte == 0));
        if forbidden_zero_bit || zeros || nal.last() == Some(&0) {
            return false;
        }
        picture |= NalKind::of(codec, nal).is_slice();
        sample = rest;
    }
    picture && sample.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_power_cut_leaves_is_no_frame() {
        let nal = [&[0x65, 0x88][..], &[7; 3000]].concat();
        let frame = [&(nal.len() as u32).to_be_bytes()[..], &nal].concat();
        assert!(is_frame(Codec::H264, &frame));
        for from in (0..frame.len()).step_by(7) {
            // A block in the middle, or all from there on.
            for to in [from + 512, frame.len()] {
                let mut damaged = frame.clone();
                damaged[from..to.min(frame.len())].fill(0);
                assert!(!is_frame(Codec::H264, &damaged), "{from}..{to}");
            }
            assert!(!is_frame(Codec::H264, &frame[..from]), "{from}");
        }
        // A delimiter alone is no picture.
        assert!(!is_frame(Codec::H264, &[0, 0, 0, 2, 9, 0x30]));
    }
}
