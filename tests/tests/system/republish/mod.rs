// SPDX-License-Identifier: Apache-2.0
//! The daemon takes over what another host publishes: between a publisher, or a host of
//! libvideostream, that does what a test wants, or is killed, and clients that check every byte.

mod ancestor;
mod ancestors;
mod hostile;
mod lives;
mod passing_on;
mod pressure;
mod stage;
mod taking_back;
