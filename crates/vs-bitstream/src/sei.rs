// SPDX-License-Identifier: Apache-2.0
//! Supplemental enhancement information: the messages that say when a picture is shown, and where decoding may
//! begin without a key picture (H.264 7.3.2.3 and annex D, H.265 7.3.5 and annex D).

use crate::h264::Sps;
use crate::{BitReader, rbsp};

/// Bytes of a NAL unit that are looked at. The messages wanted have some bytes and stand before those that are long.
const MAX_BYTES: usize = 4096;
/// payloadType, in both standards.
const PIC_TIMING: u32 = 1;
const RECOVERY_POINT: u32 = 6;

/// Messages of interest in SEI NAL units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sei {
    /// recovery_frame_cnt of H.264: after how many frames the picture is right.
    pub recovery: Option<u32>,
    /// pic_struct of H.264.
    pub pic_struct: Option<u8>,
}

impl Sei {
    /// Reads the messages of `nal`, whose header has `header` bytes. The timing of H.264 needs `sps`; damage ends the
    /// reading.
    pub fn read(&mut self, nal: &[u8], header: usize, sps: Option<&Sps>) {
        let bytes: Vec<u8> = rbsp(&nal[..nal.len().min(MAX_BYTES)]).skip(header).collect();
        let mut rest = &bytes[..];
        while let Some((kind, size)) = message_header(&mut rest)
            && let Some((payload, behind)) = rest.split_at_checked(size)
        {
            rest = behind;
            match kind {
                RECOVERY_POINT => self.recovery = BitReader::new(payload.iter().copied()).ue().ok(),
                PIC_TIMING => {
                    let mut bits = BitReader::new(payload.iter().copied());
                    let at = sps.and_then(|sps| sps.pic_struct_at);
                    self.pic_struct =
                        at.and_then(|at| bits.skip(at).and_then(|()| bits.bits(4)).ok()).map(|kind| kind as u8);
                }
                _ => {}
            }
        }
    }
}

/// payloadType and payloadSize, each a row of 255s and the rest.
fn message_header(rest: &mut &[u8]) -> Option<(u32, usize)> {
    let mut number = || {
        let mut sum = 0u32;
        loop {
            let (&byte, behind) = rest.split_first()?;
            *rest = behind;
            sum = sum.checked_add(byte.into())?;
            if byte != u8::MAX {
                return Some(sum);
            }
        }
    };
    Some((number()?, number()? as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_behind_each_other() {
        let mut sei = Sei::default();
        // User data of 2 bytes, then a recovery point of count 4 (00101).
        sei.read(&[6, 5, 2, 1, 2, 6, 1, 0b0010_1100, 0x80], 1, None);
        assert_eq!(sei, Sei { recovery: Some(4), pic_struct: None });
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes: Vec<u8>) {
            Sei::default().read(&bytes, 1, None);
        }
    }
}
