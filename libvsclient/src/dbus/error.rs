// SPDX-License-Identifier: Apache-2.0
//! What can go wrong between a caller and the daemon.

use zbus::fdo;

use super::{Bus, SERVICE};

/// Why the daemon cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no such bus.
    #[error("cannot connect to {}: {source}{}", bus_name(.bus), no_bus_remedy(.bus))]
    NoBus {
        /// The bus that was tried.
        bus: Bus,
        /// Why there is no connection.
        source: zbus::Error,
    },
    /// The bus is there and the daemon is not.
    #[error(
        "videostreamd is not running on {} (nobody owns {SERVICE}): start it with `{}`",
        bus_name(.bus), start_command(.bus)
    )]
    NotRunning {
        /// The bus that was asked.
        bus: Bus,
    },
    /// The bus knows how to start the daemon, and failed.
    #[error("videostreamd could not be started by {}: {source}", bus_name(.bus))]
    Activation {
        /// The bus that was asked.
        bus: Bus,
        /// The bus's word.
        source: fdo::Error,
    },
    /// The bus does not answer as a bus should.
    #[error("{} does not answer as it should: {source}", bus_name(.bus))]
    Bus {
        /// The bus that was asked.
        bus: Bus,
        /// Its word.
        source: zbus::Error,
    },
}

fn bus_name(bus: &Bus) -> String {
    match bus {
        Bus::System | Bus::Session => format!("the {bus} bus"),
        Bus::Address(address) => format!("the bus at {address}"),
    }
}

fn no_bus_remedy(bus: &Bus) -> &'static str {
    match bus {
        Bus::System => ": start dbus, or name another bus (session, or its address)",
        Bus::Session => {
            ": is DBUS_SESSION_BUS_ADDRESS set? `dbus-run-session` starts a bus, or name another one (system, or its address)"
        }
        Bus::Address(_) => ": check the address",
    }
}

fn start_command(bus: &Bus) -> String {
    match bus {
        Bus::System => "systemctl start videostreamd".to_owned(),
        other => format!("videostreamd --bus {other}"),
    }
}

/// Why the daemon did not do what it was asked. The texts are the daemon's own: they name
/// what was tried, on what, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// There is no stream of this name.
    #[error("{0}")]
    NoSuchStream(String),
    /// The configuration has no recording of this name.
    #[error("{0}")]
    NoSuchRecording(String),
    /// There is no device of this name.
    #[error("{0}")]
    NoSuchDevice(String),
    /// There is no such object: a recording that ended long ago, or a name nobody has.
    #[error("it has gone, or was never there: {0}")]
    NoSuchObject(String),
    /// The stream is not running.
    #[error("{0}")]
    NotRunning(String),
    /// The device has no control of this name.
    #[error("{0}")]
    NoSuchControl(String),
    /// The control cannot have that value, or not now.
    #[error("{0}")]
    BadControl(String),
    /// An option is unknown, of the wrong type or out of range.
    #[error("{0}")]
    BadOption(String),
    /// The source does not have this format.
    #[error("{0}")]
    BadFormat(String),
    /// The file cannot be recorded to.
    #[error("{0}")]
    BadFile(String),
    /// It was tried and did not work.
    #[error("{0}")]
    Failed(String),
    /// Something else is using what is needed.
    #[error("{0}")]
    Busy(String),
    /// The caller may not do this.
    #[error(
        "not permitted: {0} (on the system bus the daemon obeys root and members of the group video: `sudo usermod -aG video \"$USER\"`, \
         and log in anew)"
    )]
    Denied(String),
    /// The daemon went away before it answered.
    #[error("videostreamd went away before it answered: it was stopped, or it crashed (see its log)")]
    Gone,
    /// Something else went wrong on the bus.
    #[error("D-Bus: {0}")]
    Bus(#[source] zbus::Error),
}

impl CallError {
    /// The stable name of the error, as in the last part of its D-Bus name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoSuchStream(_) => "NoSuchStream",
            Self::NoSuchRecording(_) => "NoSuchRecording",
            Self::NoSuchDevice(_) => "NoSuchDevice",
            Self::NoSuchObject(_) => "NoSuchObject",
            Self::NotRunning(_) => "NotRunning",
            Self::NoSuchControl(_) => "NoSuchControl",
            Self::BadControl(_) => "BadControl",
            Self::BadOption(_) => "BadOption",
            Self::BadFormat(_) => "BadFormat",
            Self::BadFile(_) => "BadFile",
            Self::Failed(_) => "Failed",
            Self::Busy(_) => "Busy",
            Self::Denied(_) => "Denied",
            Self::Gone => "Gone",
            Self::Bus(_) => "Bus",
        }
    }

    /// What is there since the first version is always known.
    fn of_an_elder(text: &str) -> Self {
        Self::Failed(format!(
            "the daemon is older than this program, and cannot do this ({text}): upgrade videostreamd"
        ))
    }

    /// The error that a D-Bus name stands for; `None` if it is none of ours.
    fn from_name(name: &str, text: String) -> Option<Self> {
        const STANDARD: &str = "org.freedesktop.DBus.Error.";
        if let Some(name) = name.strip_prefix(STANDARD) {
            return match name {
                "ServiceUnknown" | "NameHasNoOwner" | "NoReply" | "Disconnected" => Some(Self::Gone),
                "UnknownObject" => Some(Self::NoSuchObject(text)),
                "AccessDenied" | "AuthFailed" | "InteractiveAuthorizationRequired" => Some(Self::Denied(text)),
                "UnknownMethod" | "UnknownInterface" | "UnknownProperty" => Some(Self::of_an_elder(&text)),
                _ => None,
            };
        }
        match name.strip_prefix(SERVICE)?.strip_prefix(".Error.")? {
            "NoSuchStream" => Some(Self::NoSuchStream(text)),
            "NoSuchRecording" => Some(Self::NoSuchRecording(text)),
            "NoSuchDevice" => Some(Self::NoSuchDevice(text)),
            "NotRunning" => Some(Self::NotRunning(text)),
            "NoSuchControl" => Some(Self::NoSuchControl(text)),
            "BadControl" => Some(Self::BadControl(text)),
            "BadOption" => Some(Self::BadOption(text)),
            "BadFormat" => Some(Self::BadFormat(text)),
            "BadFile" => Some(Self::BadFile(text)),
            "Failed" => Some(Self::Failed(text)),
            "Busy" => Some(Self::Busy(text)),
            // A later daemon may have more.
            _ => Some(Self::Failed(text)),
        }
    }
}

impl From<zbus::Error> for CallError {
    fn from(error: zbus::Error) -> Self {
        match &error {
            zbus::Error::MethodError(name, text, _) => {
                let text = text.clone().unwrap_or_else(|| name.to_string());
                Self::from_name(name, text).unwrap_or(Self::Bus(error))
            }
            zbus::Error::FDO(standard) => (**standard).clone().into(),
            // The bus itself went away.
            zbus::Error::InputOutput(_) => Self::Gone,
            _ => Self::Bus(error),
        }
    }
}

impl From<fdo::Error> for CallError {
    fn from(error: fdo::Error) -> Self {
        match error {
            fdo::Error::ZBus(error) => error.into(),
            fdo::Error::ServiceUnknown(_)
            | fdo::Error::NameHasNoOwner(_)
            | fdo::Error::NoReply(_)
            | fdo::Error::Disconnected(_) => Self::Gone,
            fdo::Error::UnknownObject(text) => Self::NoSuchObject(text),
            fdo::Error::UnknownMethod(text)
            | fdo::Error::UnknownInterface(text)
            | fdo::Error::UnknownProperty(text) => Self::of_an_elder(&text),
            fdo::Error::AccessDenied(text)
            | fdo::Error::AuthFailed(text)
            | fdo::Error::InteractiveAuthorizationRequired(text) => Self::Denied(text),
            other => Self::Bus(zbus::Error::FDO(Box::new(other))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_errors_become_errors() {
        let error = |name: &str| CallError::from_name(name, "why".to_owned()).map(|error| error.name());
        for name in [
            "NoSuchStream",
            "NoSuchRecording",
            "NoSuchDevice",
            "NoSuchControl",
            "BadControl",
            "NotRunning",
            "BadOption",
            "BadFormat",
            "BadFile",
            "Failed",
            "Busy",
        ] {
            assert_eq!(error(&format!("{SERVICE}.Error.{name}")), Some(name));
        }
        assert_eq!(error(&format!("{SERVICE}.Error.OfTheFuture")), Some("Failed"));
        assert_eq!(error("org.freedesktop.DBus.Error.NoReply"), Some("Gone"));
        assert_eq!(error("org.freedesktop.DBus.Error.UnknownMethod"), Some("Failed"));
        assert_eq!(error("com.example.Error.Failed"), None);
    }

    #[test]
    fn a_missing_daemon_comes_with_a_remedy() {
        let text = |bus| ConnectError::NotRunning { bus }.to_string();
        assert!(text(Bus::System).contains("`systemctl start videostreamd`"));
        assert!(text(Bus::Session).contains("`videostreamd --bus session`"));
    }
}
