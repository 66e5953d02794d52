// SPDX-License-Identifier: Apache-2.0
//! A camera, from opening to the last frame.
//!
//! [`Camera::open`] negotiates with the driver and exports its buffers; from then on a
//! buffer is with the driver, with readers, or (while the camera is stopped) with nobody.
//! The driver fills what it has, [`Camera::dequeue`] makes frames of it, and dropping the
//! last handle of a frame gives the buffer back to the driver from whatever thread that
//! happens on. Frames outlive everything: when the camera has been stopped or closed,
//! unplugged even, what readers still hold stays as it was, and its return is no event.
//!
//! How many buffers there are follows what readers hold: [`Camera::top_up`] adds spare ones
//! when the driver runs short, [`Camera::trim`] gives them back.

mod allocate;
mod camera;
mod elastic;
mod error;
pub(crate) mod layout;
mod negotiate;
mod queue;
mod request;
mod sequence;

pub use camera::{Camera, CaptureStats, Captured};
pub use error::{CaptureError, GrowError, OpenError, StartError};
pub use layout::LayoutError;
pub use request::{Adjustment, CaptureRequest, DEFAULT_BUFFERS, DEFAULT_RATE, MAX_BUFFERS, MIN_BUFFERS};
