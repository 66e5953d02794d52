// SPDX-License-Identifier: Apache-2.0
//! What is on the screen while something goes on.

mod monitor;
mod top;
mod watch;
