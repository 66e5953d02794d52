// SPDX-License-Identifier: Apache-2.0
//! Which bus.

use std::fmt;
use std::str::FromStr;

use anyhow::Context;
use zbus::connection::Builder;

/// A D-Bus to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// That of the machine.
    System,
    /// That of the user.
    Session,
    /// One named by its address, such as `unix:path=/tmp/bus`.
    Custom(String),
}

impl Address {
    pub(super) async fn connect(&self) -> anyhow::Result<zbus::Connection> {
        let builder = match self {
            Self::System => Builder::system(),
            Self::Session => Builder::session(),
            Self::Custom(address) => Builder::address(address.as_str()),
        };
        let connect = async { builder?.build().await };
        connect.await.with_context(|| {
            format!("cannot connect to the {self} bus: is it running? --bus session or --bus ADDRESS chooses another")
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::System => "system",
            Self::Session => "session",
            Self::Custom(address) => address,
        })
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "system" => Ok(Self::System),
            "session" => Ok(Self::Session),
            address if address.contains(':') => Ok(Self::Custom(address.to_owned())),
            other => {
                Err(format!("'{other}' is not a bus: use system, session or an address such as unix:path=/tmp/bus"))
            }
        }
    }
}
