// SPDX-License-Identifier: Apache-2.0

#[cfg(feature = "dbus")]
pub mod dbus;
