// SPDX-License-Identifier: Apache-2.0
//! Which of the two protocols a host speaks, and a connection in either.
//!
//! Their sockets are of the same type, so the socket does not tell; the first answer does. The
//! stream protocol begins with a HELLO, and nobody but a host of that protocol answers it with a
//! message of that protocol. A host of libvideostream takes it for a request about a frame that
//! it does not have, and answers with one of its own events, which is harmless and cannot be
//! mistaken. Each attempt to connect begins so, for the next host at a path may be another one.

use std::time::Duration;

use vs_ipc::client::ConnectError;

use super::{Said, Subscription, Terms, Trouble, native, vsl};

/// A connection, not yet watched by the stream's runtime.
#[derive(Debug)]
pub(super) enum Connected {
    Native(native::Connected),
    Vsl(vsl::Connected),
}

/// A connection to a host.
#[derive(Debug)]
pub(super) enum Upstream {
    Native(native::Upstream),
    Vsl(vsl::Upstream),
}

/// Connects; blocks for at most three times the `timeout`.
pub(super) fn connect(subscription: &Subscription, timeout: Duration) -> Result<Connected, Trouble> {
    match native::connect(subscription, timeout) {
        Ok(connected) => Ok(Connected::Native(connected)),
        Err(ConnectError::Libvideostream) => vsl::connect(subscription, timeout).map(Connected::Vsl),
        Err(error) => Err(native::refused(error)),
    }
}

impl Connected {
    /// Puts the connection into the runtime on which this is called.
    pub(super) fn watch(self) -> Result<(Upstream, Terms), Trouble> {
        Ok(match self {
            Self::Native(connected) => {
                let (upstream, terms) = connected.watch()?;
                (Upstream::Native(upstream), terms)
            }
            Self::Vsl(connected) => {
                let (upstream, terms) = connected.watch()?;
                (Upstream::Vsl(upstream), terms)
            }
        })
    }
}

impl Upstream {
    /// The protocol that is spoken, for the log.
    pub(super) fn protocol(&self) -> &'static str {
        match self {
            Self::Native(_) => "videostreamd",
            Self::Vsl(_) => "libvideostream",
        }
    }

    /// Waits for what the host says next. Safe to cancel: nothing is taken before it returns.
    pub(super) async fn next(&mut self) -> Result<Said, Trouble> {
        match self {
            Self::Native(upstream) => upstream.next().await,
            Self::Vsl(upstream) => upstream.next().await,
        }
    }
}
