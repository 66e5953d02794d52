// SPDX-License-Identifier: Apache-2.0
//! The numbers that messages carry, with their meaning. A number is never given a new
//! meaning; a receiver treats one that it does not know as the most general of its kind.

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident: $repr:ty {
        $($(#[$vdoc:meta])* $variant:ident = $code:literal, $text:literal;)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
        }

        impl $name {
            /// Every value, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> $repr {
                match self { $(Self::$variant => $code,)* }
            }

            /// The meaning of a number; `None` if this version does not know it.
            #[must_use]
            pub const fn from_code(code: $repr) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }

            /// The name used in statistics, on D-Bus and in JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

pub(crate) use codes;

codes! {
    /// How a client wants its frames.
    Mode: u8 {
        /// Each delivered frame carries a lease; the client unlocks it when it is done.
        Leased = 0, "leased";
        /// Frames are announced and usable within their lifespan; a LOCK_REQUEST makes a lease.
        Notify = 1, "notify";
    }
}

codes! {
    /// What a stream is doing.
    StreamState: u32 {
        /// No frames now, but they may come: the device is absent or starting.
        Waiting = 0, "waiting";
        /// Frames come.
        Running = 1, "running";
        /// Stopped on purpose.
        Stopped = 2, "stopped";
        /// Cannot run; the text says why.
        Failed = 3, "failed";
    }
}

codes! {
    /// The answer to a LOCK_REQUEST.
    LockStatus: u32 {
        /// The client holds the frame until the deadline in the answer.
        Granted = 0, "granted";
        /// There is no such frame, or not any more.
        Gone = 1, "gone";
        /// The client holds as many frames as it may.
        NoCredit = 2, "no-credit";
        /// All clients together hold as many frames as the source can spare.
        Pool = 3, "pool";
        /// Frames are scarce, and the client or its user holds more than its share.
        Share = 4, "share";
    }
}

codes! {
    /// Why a client did not get a frame.
    SkipReason: u32 {
        /// It held as many frames as it may.
        NoCredit = 0, "no-credit";
        /// Its socket was full: it does not read fast enough.
        NotReading = 1, "not-reading";
        /// All clients together held as many frames as the source can spare.
        Pool = 2, "pool";
        /// Frames were scarce, and the client or its user held more than its share.
        Share = 3, "share";
    }
}

codes! {
    /// Why a frame is no longer a client's before the client gave it back.
    RevokeReason: u32 {
        /// The lease's deadline passed.
        Deadline = 0, "deadline";
        /// Whoever lent the frame's memory took it back.
        Withdrawn = 1, "withdrawn";
    }
}

codes! {
    /// Why the host ends a connection.
    GoodbyeReason: u32 {
        /// Something else; the text says what.
        Other = 0, "other";
        /// Not a HELLO of this protocol, or of a major version that the host does not speak.
        Version = 1, "version";
        /// A message that breaks the protocol.
        Malformed = 2, "malformed";
        /// No HELLO in time.
        HandshakeTimeout = 3, "handshake-timeout";
        /// So many control messages unread that no more can be kept.
        NotReading = 4, "not-reading";
        /// The stream has as many clients as it may.
        TooManyClients = 5, "too-many-clients";
        /// The user has as many clients of this stream as one user may.
        TooManyOfUser = 6, "too-many-of-user";
        /// The stream is gone.
        StreamRemoved = 7, "stream-removed";
        /// The host shuts down; reconnecting later may succeed.
        Shutdown = 8, "shutdown";
        /// So many leases in a row were left to run out that the client cannot be alive, or
        /// does not mean well.
        Hoarding = 9, "hoarding";
    }
}

codes! {
    /// Why nothing was made of a frame that was lent to a codec session.
    LossCause: u32 {
        /// Something else; the text says what.
        Other = 0, "other";
        /// It is damaged, or came out damaged.
        Corrupt = 1, "corrupt";
        /// It shows no picture, or refers to one that is missing.
        NoPicture = 2, "no-picture";
        /// The codec did not take it.
        Refused = 3, "refused";
        /// The device stood still while it had it, and was repaired.
        Stalled = 4, "stalled";
        /// The codec failed while it had it, and was opened anew.
        Failed = 5, "failed";
    }
}

/// How many [`SkipReason`]s a FRAME_EVENT has counters for.
pub const SKIP_COUNTERS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_back() {
        for reason in GoodbyeReason::ALL {
            assert_eq!(GoodbyeReason::from_code(reason.code()), Some(*reason));
        }
        assert_eq!(GoodbyeReason::from_code(u32::MAX), None);
        assert!(SkipReason::ALL.iter().all(|reason| (reason.code() as usize) < SKIP_COUNTERS));
    }
}
