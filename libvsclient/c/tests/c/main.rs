// SPDX-License-Identifier: Apache-2.0
//! The library as C programs meet it: the header, the symbols, the examples, and programs that do
//! what they must not. Programs are compiled without a warning, run against a real daemon, and, where
//! it is installed, under valgrind.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod abi;
mod documentation;
mod examples;
mod frames;
mod toolchain;
