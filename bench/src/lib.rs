// SPDX-License-Identifier: Apache-2.0
//! What benches have in common.

#![warn(missing_docs)]

pub mod stats;
