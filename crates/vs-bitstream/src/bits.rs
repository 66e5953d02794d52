// SPDX-License-Identifier: Apache-2.0
//! Bits of a raw byte sequence payload, read straight from the NAL unit.
//!
//! A NAL unit may not contain a start code, so encoders put a 3 after every two zero bytes
//! (emulation prevention, H.264 7.4.1, H.265 7.4.2). [`rbsp`] leaves those bytes out while reading,
//! so no copy of the NAL unit is needed.

use crate::SpsError;

/// The payload bytes of `nal` (header included) without emulation prevention bytes.
pub fn rbsp(nal: &[u8]) -> impl Iterator<Item = u8> + Clone + '_ {
    let mut zeros = 0;
    nal.iter().copied().filter(move |&byte| {
        let emulation = zeros >= 2 && byte == 3;
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        !emulation
    })
}

/// Reads the fields of H.264 7.2 and H.265 7.2: u(n), ue(v), se(v).
#[derive(Clone)]
pub(super) struct BitReader<I> {
    bytes: I,
    current: u8,
    unread: u32,
}

impl<I: Iterator<Item = u8>> BitReader<I> {
    pub fn new(bytes: I) -> Self {
        Self { bytes, current: 0, unread: 0 }
    }

    pub fn flag(&mut self) -> Result<bool, SpsError> {
        if self.unread == 0 {
            self.current = self.bytes.next().ok_or(SpsError::Truncated)?;
            self.unread = 8;
        }
        self.unread -= 1;
        Ok(self.current >> self.unread & 1 == 1)
    }

    /// u(n) for up to 32 bits.
    pub fn bits(&mut self, count: u32) -> Result<u32, SpsError> {
        (0..count).try_fold(0, |value, _| Ok(value << 1 | u32::from(self.flag()?)))
    }

    pub fn u8(&mut self) -> Result<u8, SpsError> {
        Ok(self.bits(8)? as u8)
    }

    pub fn u16(&mut self) -> Result<u16, SpsError> {
        Ok(self.bits(16)? as u16)
    }

    pub fn skip(&mut self, count: u32) -> Result<(), SpsError> {
        (0..count).try_for_each(|_| self.flag().map(drop))
    }

    /// ue(v): unsigned Exp-Golomb, H.264 9.1. Longer codes than 32 bits do not exist in either standard.
    pub fn ue(&mut self) -> Result<u32, SpsError> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(SpsError::OutOfRange("Exp-Golomb code"));
            }
        }
        Ok((1 << zeros) - 1 + self.bits(zeros)?)
    }

    /// ue(v) that the standard limits to `max`.
    pub fn ue_to(&mut self, max: u32, name: &'static str) -> Result<u32, SpsError> {
        match self.ue()? {
            value if value <= max => Ok(value),
            _ => Err(SpsError::OutOfRange(name)),
        }
    }

    /// se(v): signed Exp-Golomb, H.264 9.1.1.
    pub fn se(&mut self) -> Result<i64, SpsError> {
        let code = i64::from(self.ue()?);
        Ok(if code % 2 == 0 { -(code / 2) } else { (code + 1) / 2 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reader(bytes: &[u8]) -> BitReader<impl Iterator<Item = u8> + '_> {
        BitReader::new(rbsp(bytes))
    }

    /// What an encoder does: H.264 7.4.1.
    fn escape(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for &byte in payload {
            if byte <= 3 && out.ends_with(&[0, 0]) {
                out.push(3);
            }
            out.push(byte);
        }
        out
    }

    #[test]
    fn exp_golomb_codes_of_the_standard() {
        // 1 | 010 | 011 | 00100 | 00101 | padding
        let mut bits = reader(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let codes: Vec<u32> = (0..5).map(|_| bits.ue().unwrap()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4]);
        let mut bits = reader(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let codes: Vec<i64> = (0..5).map(|_| bits.se().unwrap()).collect();
        assert_eq!(codes, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn the_end_is_an_error() {
        assert_eq!(reader(&[0xff]).bits(9), Err(SpsError::Truncated));
        assert_eq!(reader(&[0, 0, 0]).ue(), Err(SpsError::Truncated));
        assert!(matches!(reader(&[0; 9]).ue(), Err(SpsError::OutOfRange(_))));
    }

    proptest! {
        #[test]
        fn escaping_is_undone(payload in prop::collection::vec(0u8..5, 0..64)) {
            prop_assert_eq!(rbsp(&escape(&payload)).collect::<Vec<_>>(), payload);
        }

        #[test]
        fn any_bytes_can_be_read(bytes: Vec<u8>) {
            let mut bits = reader(&bytes);
            while bits.se().is_ok() {}
        }
    }
}
