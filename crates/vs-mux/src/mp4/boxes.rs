// SPDX-License-Identifier: Apache-2.0
//! Writing boxes (4.2): a length, four letters, and what a closure puts in.

/// Collects boxes in memory, big-endian.
#[derive(Debug, Default)]
pub(super) struct BoxWriter {
    bytes: Vec<u8>,
}

impl BoxWriter {
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Keeps the allocation for the next fragment.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// A box whose content `body` writes. Its size field has 32 bits; `limits::MAX_FRAMES` keeps the
    /// largest box, the final `moov`, within them.
    pub fn boxed(&mut self, kind: &[u8; 4], body: impl FnOnce(&mut Self)) {
        let start = self.len();
        self.u32(0);
        self.raw(kind);
        body(self);
        self.patch_u32(start, (self.len() - start) as u32);
    }

    /// A box with version and flags (4.2.2).
    pub fn full(&mut self, kind: &[u8; 4], version: u8, flags: u32, body: impl FnOnce(&mut Self)) {
        self.boxed(kind, |w| {
            w.u32(u32::from(version) << 24 | flags);
            body(w);
        });
    }

    /// Replaces four bytes written earlier, at the position [`Self::len`] had then.
    pub fn patch_u32(&mut self, at: usize, value: u32) {
        if let Some(field) = self.bytes.get_mut(at..at + 4) {
            field.copy_from_slice(&value.to_be_bytes());
        }
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub fn zeros(&mut self, count: usize) {
        self.bytes.resize(self.bytes.len() + count, 0);
    }

    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.raw(&value.to_be_bytes());
    }

    pub fn i32(&mut self, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    pub fn i64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }
}
