// SPDX-License-Identifier: Apache-2.0
//! libvsclient for C: `libvsclient.so.1` and `include/vsclient.h`.
//!
//! Each function is a thin layer over the Rust library of the same name. What the layer adds is what
//! C cannot have otherwise: arguments are looked at before they are used, a failure is a number and a
//! message ([`error`]), no panic crosses the border, and an object that two threads use at once says
//! so instead of breaking.
//!
//! # What keeps the ABI stable
//!
//! * Objects are opaque; options are set by functions.
//! * Structs that may grow (at their end) are the library's own, and given out as `const` pointers:
//!   a program never says how large they are.
//! * Structs that the caller has never grow.
//! * Functions take enumerations as `int`, so that a number of the future is an error, not undefined
//!   behaviour.
//!
//! The header is generated of this code (`tests/header.rs`), and what it says of each function stands
//! here once.

#![allow(non_camel_case_types, reason = "these are C's names")]
#![allow(clippy::missing_safety_doc, reason = "the header says what pointers must be; the rule is in `argument`")]

mod argument;
pub mod buffer;
pub mod client;
pub mod client_options;
pub mod codec;
pub mod control;
pub mod decoder;
mod dispatch;
pub mod encoder;
pub mod error;
pub mod event;
pub mod format;
pub mod frame;
pub mod import;
pub mod library;
pub mod publisher;
