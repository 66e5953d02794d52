// SPDX-License-Identifier: Apache-2.0
//! What the exit status says: a script can tell a daemon that is not there from a stream
//! that is not there without reading messages.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use vsclient::dbus::{CallError, ConnectError, ParseBusError};

/// The exit statuses, as `vsctl --help` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// It was tried and did not work.
    Failure = 1,
    /// The command line is wrong. (clap exits with this number, too.)
    Usage = 2,
    /// No bus, or no daemon on it.
    NoDaemon = 3,
    /// No stream, device, control or recording of this name.
    NotFound = 4,
    /// Not all that was asked for in the time there was.
    Incomplete = 5,
}

/// A wrong command line that only shows when all of it is known.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Nobody listens any more.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoDaemon(pub String);

/// Something that is not there.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotFound(pub String);

/// Less than what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Incomplete(pub String);

/// The daemon is there and says nothing.
#[derive(Debug, thiserror::Error)]
#[error("videostreamd has not answered within {} s: it is stopped or overloaded (see its log)", .0.as_secs())]
pub struct NoAnswer(pub Duration);

impl Exit {
    /// The status that an error asks for, and the name it has in JSON.
    fn classify(error: &anyhow::Error) -> (Self, &'static str) {
        for cause in error.chain() {
            if let Some(error) = cause.downcast_ref::<CallError>() {
                let exit = match error {
                    CallError::NoSuchStream(_)
                    | CallError::NoSuchRecording(_)
                    | CallError::NoSuchDevice(_)
                    | CallError::NoSuchControl(_)
                    | CallError::NoSuchObject(_) => Self::NotFound,
                    CallError::Gone => Self::NoDaemon,
                    _ => Self::Failure,
                };
                return (exit, error.name());
            }
            let known = [
                (cause.is::<Usage>() || cause.is::<ParseBusError>(), Self::Usage, "Usage"),
                (cause.is::<ConnectError>() || cause.is::<NoDaemon>(), Self::NoDaemon, "NoDaemon"),
                (cause.is::<NotFound>(), Self::NotFound, "NotFound"),
                (cause.is::<Incomplete>(), Self::Incomplete, "Incomplete"),
                (cause.is::<NoAnswer>(), Self::Incomplete, "NoAnswer"),
            ];
            if let Some((_, exit, name)) = known.into_iter().find(|(is, ..)| *is) {
                return (exit, name);
            }
        }
        (Self::Failure, "Failed")
    }

    /// The status that an error asks for.
    pub fn of(error: &anyhow::Error) -> Self {
        Self::classify(error).0
    }

    /// The name of an error in JSON.
    pub fn name_of(error: &anyhow::Error) -> &'static str {
        Self::classify(error).1
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Whether nobody reads our output any more.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_keep_their_status_under_context() {
        let error = anyhow::Error::from(CallError::NoSuchStream("there is no stream 'x'".to_owned())).context("record");
        assert_eq!((Exit::of(&error), Exit::name_of(&error)), (Exit::NotFound, "NoSuchStream"));
        assert_eq!(Exit::of(&NoAnswer(Duration::from_secs(1)).into()), Exit::Incomplete);
        assert_eq!(Exit::of(&CallError::BadFormat(String::new()).into()), Exit::Failure);
        assert_eq!(Exit::of(&"bus?".parse::<vsclient::dbus::Bus>().unwrap_err().into()), Exit::Usage);
    }

    #[test]
    fn only_our_own_broken_pipe_is_quiet() {
        let error = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_broken_pipe(&error.into()));
        assert!(!is_broken_pipe(&anyhow::anyhow!("broken pipe")));
    }
}
