// SPDX-License-Identifier: Apache-2.0
//! The elements, as pipelines see them.

#![allow(clippy::unwrap_used)]

mod ancestors;
mod coded;
mod formats;
mod howtos;
mod leases;
mod lives;
mod memory;
mod numbers;
mod pipelines;
mod pools;
mod slow;
mod stage;
mod stopped;
