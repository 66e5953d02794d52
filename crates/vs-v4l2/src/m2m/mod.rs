// SPDX-License-Identifier: Apache-2.0
//! Mem2mem sessions: encoders, decoders, converters.

#[allow(dead_code, reason = "what drives it comes in a later commit")]
mod machine;
