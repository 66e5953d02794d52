// SPDX-License-Identifier: Apache-2.0
//! Pictures in a terminal: from a frame's bytes to what is written.
//!
//! * [`picture`]: any frame as RGB; [`fit`]: how large it becomes, and where it stands
//! * [`blocks`], [`sixel`], [`kitty`]: the three ways to show it
//! * [`painter`]: all of it, one frame after the other

pub mod blocks;
pub mod fit;
pub mod kitty;
pub mod painter;
pub mod picture;
pub mod sixel;
