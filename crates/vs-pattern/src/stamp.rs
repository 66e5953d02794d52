// SPDX-License-Identifier: Apache-2.0
//! What a picture says of itself, and how that becomes the bits of the barcode.

use vs_frame::clock::NS_PER_MS;

/// Bits of the barcode: 40 of serial, 40 of time, 16 of checksum.
pub(crate) const STAMP_BITS: u32 = 96;

const STAMP_BYTES: usize = STAMP_BITS as usize / 8;

/// Serial and time are kept modulo this: 2^40 milliseconds are 34 years of uptime, and 2^40
/// frames at 240 per second are 145 years, so nobody sees either wrap.
const FIELD_LIMIT: u64 = 1 << 40;

/// Which frame a picture is, and when it was taken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Stamp {
    /// Serial of the frame, modulo 2^40.
    pub serial: u64,
    /// Capture time in whole milliseconds of `CLOCK_MONOTONIC`, modulo 2^40.
    pub time_ms: u64,
}

impl Stamp {
    /// The stamp of frame `serial`, taken at `time_ns` of `CLOCK_MONOTONIC`.
    #[must_use]
    pub const fn new(serial: u64, time_ns: u64) -> Self {
        Self { serial: serial % FIELD_LIMIT, time_ms: time_ns / NS_PER_MS % FIELD_LIMIT }
    }

    /// What is written for people: serial, then seconds and milliseconds.
    pub(crate) fn text(self) -> String {
        format!("{:08} {:06}.{:03}", self.serial, self.time_ms / 1000, self.time_ms % 1000)
    }

    /// The barcode's bytes, most significant first: serial, time, CRC-16 of both.
    pub(crate) fn to_bytes(self) -> [u8; STAMP_BYTES] {
        let mut bytes = [0; STAMP_BYTES];
        bytes[..5].copy_from_slice(&self.serial.to_be_bytes()[3..]);
        bytes[5..10].copy_from_slice(&self.time_ms.to_be_bytes()[3..]);
        let crc = crc16(&bytes[..10]);
        bytes[10..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; `None` if the checksum is wrong.
    pub(crate) fn from_bytes(bytes: [u8; STAMP_BYTES]) -> Option<Self> {
        let number = |field: &[u8]| field.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let crc = u64::from(crc16(&bytes[..10]));
        (number(&bytes[10..]) == crc).then(|| Self { serial: number(&bytes[..5]), time_ms: number(&bytes[5..10]) })
    }
}

/// CRC-16/IBM-3740 ("CCITT-FALSE"). It does not start from zero, so that neither a black
/// picture nor a white one passes for a stamp.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_checksum_is_the_one_it_is_said_to_be() {
        // The check value of the CRC catalogue.
        assert_eq!(crc16(b"123456789"), 0x29b1);
        assert_eq!(Stamp::from_bytes([0; STAMP_BYTES]), None);
        assert_eq!(Stamp::from_bytes([0xff; STAMP_BYTES]), None);
    }

    proptest! {
        #[test]
        fn comes_back_as_it_went_and_never_with_up_to_three_wrong_bits(
            serial: u64, time_ns: u64, wrong in proptest::collection::btree_set(0..STAMP_BITS, 1..=3),
        ) {
            let stamp = Stamp::new(serial, time_ns);
            let mut bytes = stamp.to_bytes();
            prop_assert_eq!(Stamp::from_bytes(bytes), Some(stamp));
            for bit in wrong {
                bytes[bit as usize / 8] ^= 0x80 >> (bit % 8);
            }
            prop_assert_eq!(Stamp::from_bytes(bytes), None);
        }
    }
}
