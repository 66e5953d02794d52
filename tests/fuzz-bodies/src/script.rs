// SPDX-License-Identifier: Apache-2.0
//! Bytes as a script: what happens next, to whom, with which numbers.
//!
//! A fuzzer changes, inserts and removes bytes, so every byte string is a script, each step
//! reads what it needs, and a script ends where its bytes do.

/// The bytes that are left.
#[derive(Debug)]
pub(crate) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// The next step; `None` at the end.
    pub(crate) fn step(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A number; 0 at the end.
    pub(crate) fn byte(&mut self) -> u8 {
        self.step().unwrap_or(0)
    }

    /// Some bytes behind their number, as many as there are.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte());
        self.take(len)
    }

    /// At most `len` bytes.
    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A number near an edge of what 64 bits hold, or near `base`.
    pub(crate) fn near(&mut self, base: u64) -> u64 {
        let byte = self.byte();
        let distance = u64::from(byte & 0x3f);
        match byte >> 6 {
            0 => base.wrapping_sub(distance),
            1 => base.wrapping_add(distance),
            2 => distance,
            _ => u64::MAX - distance,
        }
    }
}
