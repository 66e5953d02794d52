// SPDX-License-Identifier: Apache-2.0
//! Which bus the daemon is on.

use std::fmt;
use std::str::FromStr;

use zbus::address::Address;
use zbus::connection::Builder;

/// The environment variable that names the bus where nobody does: `system`, `session` or an
/// address.
pub const BUS_VARIABLE: &str = "VIDEOSTREAM_BUS";

/// A message bus. The default is the system bus, for that is where a daemon that owns
/// hardware belongs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Bus {
    /// The system bus.
    #[default]
    System,
    /// The bus of the login session.
    Session,
    /// The bus at an address such as `unix:path=/run/user/1000/bus`.
    Address(Address),
}

impl Bus {
    /// The bus that [`BUS_VARIABLE`] names; the system bus if it is unset or empty.
    ///
    /// # Errors
    /// [`ParseBusError`] if it names none.
    pub fn from_env() -> Result<Self, ParseBusError> {
        match std::env::var_os(BUS_VARIABLE) {
            Some(value) if !value.is_empty() => value.to_string_lossy().parse(),
            _ => Ok(Self::System),
        }
    }

    pub(super) fn builder(&self) -> zbus::Result<Builder<'static>> {
        match self {
            Self::System => Builder::system(),
            Self::Session => Builder::session(),
            Self::Address(address) => Builder::address(address.clone()),
        }
    }
}

impl fmt::Display for Bus {
    /// As it is read: `system`, `session` or the address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::Session => f.write_str("session"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// Why a text names no bus.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a bus ({reason}): write system, session or an address such as unix:path=/run/user/1000/bus")]
pub struct ParseBusError {
    text: String,
    reason: String,
}

impl FromStr for Bus {
    type Err = ParseBusError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "system" => Ok(Self::System),
            "session" => Ok(Self::Session),
            address => address
                .parse()
                .map(Self::Address)
                .map_err(|error: zbus::Error| ParseBusError { text: text.to_owned(), reason: error.to_string() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buses_are_read_as_they_are_written() {
        for text in ["system", "session", "unix:path=/tmp/dbus-test"] {
            assert_eq!(text.parse::<Bus>().unwrap().to_string(), text);
        }
        let error = "sesion".parse::<Bus>().unwrap_err().to_string();
        assert!(error.contains("sesion") && error.contains("session"), "{error}");
    }
}
