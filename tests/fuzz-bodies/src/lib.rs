// SPDX-License-Identifier: Apache-2.0
//! What each fuzz target does with its bytes.
//!
//! Everything that reads bytes of another process has a target here: an ordinary function
//! that must come back, whatever it is given, and whose own checks must hold. `fuzz/` runs
//! them under libFuzzer; the test of this crate gives them the corpus and bytes by chance, so
//! that every `cargo test` shows that they still hold, without a fuzzer.

#![warn(missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what is not as expected is a finding, and a finding is a panic"
)]

mod bitstream;
mod client;
mod convert;
mod exchange;
mod host;
mod http;
mod movie;
mod picture;
mod repair;
mod script;
pub mod seeds;
mod socket;
mod vsl;
mod wire;

/// A target: its name, in `fuzz/fuzz_targets/` and `fuzz/corpus/`, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 11] = [
    ("bitstream", bitstream::run),
    ("client", client::run),
    ("convert", convert::run),
    ("exchange", exchange::run),
    ("host", host::run),
    ("http", http::run),
    ("movie", movie::run),
    ("picture", picture::run),
    ("repair", repair::run),
    ("vsl_client", vsl::run),
    ("wire", wire::run),
];

/// Runs the target of this name.
///
/// # Panics
/// If there is none, or with a finding.
pub fn run(name: &str, data: &[u8]) {
    let (_, body) = TARGETS.iter().find(|(known, _)| *known == name).expect("no such target");
    body(data);
}
