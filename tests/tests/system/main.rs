// SPDX-License-Identifier: Apache-2.0
//! The whole system at work: one file for each subject, one program for all of them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod absent;
mod as_delivered;
mod codec_sessions;
mod coded;
mod completions;
mod converted;
mod converting_files;
mod counters;
mod errors;
mod examples;
mod hostile;
mod introspection;
mod isolation;
mod json;
mod live;
mod made;
mod metrics;
mod on_demand;
mod playing;
mod policy;
mod pre_event;
mod receive;
mod recording;
mod reload;
mod repair;
mod republish;
mod shutdown;
mod snapshots;
mod streams;
mod versions;
mod vsl;
