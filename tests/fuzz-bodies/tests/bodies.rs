// SPDX-License-Identifier: Apache-2.0
//! Every target comes back from the corpus, from the corpus damaged, and from bytes by chance.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use fuzz_bodies::{TARGETS, run, seeds};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

/// One test, for the targets count the descriptors of the process.
#[test]
fn every_target_comes_back() {
    the_corpus_is_run_to_its_end();
    damaged_inputs_are_survived();
    bytes_by_chance_are_survived();
}

/// Inputs of a target in the tree.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let files = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn the_corpus_is_run_to_its_end() {
    for (target, body) in TARGETS {
        let corpus = corpus(target);
        for (name, bytes) in seeds::of(target) {
            let kept = corpus.iter().any(|(path, kept)| path.ends_with(name) && *kept == bytes);
            assert!(kept, "fuzz/corpus/{target}/{name}: run `cargo run -p fuzz-bodies --example seeds`");
        }
        corpus.iter().for_each(|(_, bytes)| body(bytes));
    }
}

/// One thing that a fuzzer does to an input.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Cut(Index),
    Twice,
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |at: &Index, bytes: &Vec<u8>| at.index(bytes.len() + 1);
        match self {
            Self::Set(at, value) => {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = *value;
                }
            }
            Self::Insert(at, more) => {
                let at = place(at, bytes);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Cut(at) => bytes.truncate(place(at, bytes)),
            Self::Twice => bytes.extend_from_within(..),
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let some = proptest::collection::vec(any::<u8>(), 1..8);
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, value)| Change::Set(at, value)),
        2 => (any::<Index>(), some).prop_map(|(at, more)| Change::Insert(at, more)),
        1 => any::<Index>().prop_map(Change::Cut),
        1 => Just(Change::Twice),
    ]
}

fn try_all(cases: u32, input: impl Fn(&str) -> BoxedStrategy<Vec<u8>>) {
    for (target, _) in TARGETS {
        // What fails here belongs into the corpus, not into a file of its own.
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
        let mut runner = TestRunner::new(config);
        let outcome = runner.run(&input(target), |bytes| {
            run(target, &bytes);
            Ok(())
        });
        outcome.unwrap();
    }
}

fn damaged_inputs_are_survived() {
    try_all(500, |target| {
        let seeds: Vec<Vec<u8>> = corpus(target).into_iter().map(|(_, bytes)| bytes).collect();
        let changes = proptest::collection::vec(change(), 1..6);
        let damaged = (proptest::sample::select(seeds), changes).prop_map(|(mut bytes, changes)| {
            changes.iter().for_each(|change| change.apply(&mut bytes));
            bytes
        });
        damaged.boxed()
    });
}

fn bytes_by_chance_are_survived() {
    try_all(500, |_| proptest::collection::vec(any::<u8>(), 0..300).boxed());
}
