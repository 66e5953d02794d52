// SPDX-License-Identifier: Apache-2.0
//! What can be adjusted at a device (kernel doc, "Extended Controls API").
//!
//! A device lists its own controls with types, ranges and names; nothing about a particular
//! one is built in here but which automatic rules which value. Several are set all or
//! nothing: everything that the driver's own list can say is checked before, then the driver
//! is asked whether it could (`VIDIOC_TRY_EXT_CTRLS`), then told in one call. What a driver
//! does by halves all the same is set back.
//!
//! Texts, choices and flags are the driver's; names are made of its titles as `v4l2-ctl` makes
//! them, so that what is written there can be written here.

mod control;
mod device;
mod error;
mod name;
mod order;
mod plan;
#[cfg(test)]
mod samples;

pub use control::{Control, ControlFlags, ControlKind, ControlValue, MenuItem};
pub use device::{Controls, Reading};
pub use error::{ControlError, ValueError};
pub use name::{nearest, normalise};
pub use plan::{Wish, find};
