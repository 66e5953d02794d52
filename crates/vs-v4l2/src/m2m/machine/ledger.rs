// SPDX-License-Identifier: Apache-2.0
//! What the driver has been given and has not answered yet.
//!
//! A driver copies the timestamp of an OUTPUT buffer to the CAPTURE buffers that come of it
//! (kernel doc, "Memory-to-Memory Stateful Video Decoder Interface", "Decoding"). So each
//! input gets a stamp of its own, never used twice, and the ledger knows whose it is. One
//! input has one answer: what comes with a stamp that has been answered already, or that was
//! given up, is a stray.

use std::collections::BTreeMap;

/// Inputs that the driver owes an answer.
#[derive(Debug)]
pub(super) struct Ledger {
    open: BTreeMap<u64, Entry>,
    window: u32,
}

#[derive(Debug)]
struct Entry {
    token: u64,
    /// The driver returned the input as erroneous.
    flagged: bool,
    /// How many later inputs have been answered since.
    overtaken: u32,
}

/// An input without an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Unanswered {
    pub(super) token: u64,
    pub(super) flagged: bool,
}

impl From<Entry> for Unanswered {
    fn from(entry: Entry) -> Self {
        Self { token: entry.token, flagged: entry.flagged }
    }
}

impl Ledger {
    /// A ledger that gives an input up when more than `window` later ones have been answered.
    pub(super) fn new(window: u32) -> Self {
        Self { open: BTreeMap::new(), window }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn enter(&mut self, stamp: u64, token: u64) {
        self.open.insert(stamp, Entry { token, flagged: false, overtaken: 0 });
    }

    /// The driver is done with the input of that stamp, and could make nothing of it.
    pub(super) fn flag(&mut self, stamp: u64) {
        if let Some(entry) = self.open.get_mut(&stamp) {
            entry.flagged = true;
        }
    }

    /// Closes the entry of an answer; `None` if it is a stray. What too many have overtaken by
    /// now is added to `given_up`.
    pub(super) fn answer(&mut self, stamp: u64, given_up: &mut Vec<Unanswered>) -> Option<u64> {
        let token = self.open.remove(&stamp)?.token;
        for (_, entry) in self.open.range_mut(..stamp) {
            entry.overtaken += 1;
        }
        // `BTreeMap::extract_if` is younger than the compiler that this project asks for.
        let late = self.open.iter().filter(|(_, entry)| entry.overtaken > self.window);
        let late: Vec<u64> = late.map(|(stamp, _)| *stamp).collect();
        given_up.extend(late.iter().filter_map(|stamp| self.withdraw(*stamp)));
        Some(token)
    }

    /// Closes the entry of an input that has to be given to the driver again, or is gone.
    pub(super) fn withdraw(&mut self, stamp: u64) -> Option<Unanswered> {
        self.open.remove(&stamp).map(Unanswered::from)
    }

    /// Closes everything, in order.
    pub(super) fn close(&mut self) -> impl Iterator<Item = Unanswered> + use<> {
        std::mem::take(&mut self.open).into_values().map(Unanswered::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_given_up_when_too_many_have_overtaken_it() {
        let mut ledger = Ledger::new(2);
        for stamp in 1..=4 {
            ledger.enter(stamp, stamp * 10);
        }
        ledger.flag(1);
        let mut given_up = Vec::new();
        for stamp in 2..=3 {
            assert_eq!(ledger.answer(stamp, &mut given_up), Some(stamp * 10));
        }
        assert_eq!(given_up, []);
        assert_eq!(ledger.answer(4, &mut given_up), Some(40));
        assert_eq!(given_up, [Unanswered { token: 10, flagged: true }]);
        assert!(ledger.is_empty());
    }

    #[test]
    fn an_answer_counts_once() {
        let mut ledger = Ledger::new(0);
        ledger.enter(7, 70);
        let mut given_up = Vec::new();
        assert_eq!(ledger.answer(7, &mut given_up), Some(70));
        assert_eq!(ledger.answer(7, &mut given_up), None);
        assert_eq!(given_up, []);
    }
}
