// SPDX-License-Identifier: Apache-2.0
//! The tables of `docs/vsl.md` as structs. Unlike the stream protocol's they are in native
//! byte order, with the padding that a 64-bit C compiler leaves; it is sent as zeros.

use zerocopy::native_endian::{I32, I64, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::wire::codes::codes;

/// Frames that one client may have locked at once, whatever a host allows beyond that.
pub const LOCKS_MAX: usize = 20;

/// "Unknown" in duration, pts and dts.
pub const UNKNOWN: i64 = -1;

/// Host to client: a frame, with exactly one descriptor; or, with serial 0, an answer.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Event {
    /// [`Outcome`]; 0 for a frame.
    pub error: U32,
    /// 0.
    pub padding: U32,
    /// Number of the frame, from 1; 0 says that this is an answer.
    pub serial: I64,
    /// When it was published, in ns of `CLOCK_MONOTONIC`.
    pub timestamp: I64,
    /// In ns, or [`UNKNOWN`].
    pub duration: I64,
    /// In ns, or [`UNKNOWN`].
    pub pts: I64,
    /// In ns, or [`UNKNOWN`].
    pub dts: I64,
    /// Until when it stays untouched without a lock, in ns of `CLOCK_MONOTONIC`; 0 for ever.
    pub expires: I64,
    /// 1 in the answer to a lock that was granted, else 0.
    pub locked: I32,
    /// Four-character code, see [`picture`](super::picture).
    pub fourcc: U32,
    /// Pixels.
    pub width: I32,
    /// Pixels.
    pub height: I32,
    /// Physical address, 0 if unknown.
    pub address: U64,
    /// Bytes of the picture.
    pub size: U64,
    /// Where it begins behind the descriptor, in bytes; a multiple of the page size.
    pub offset: U64,
    /// Bytes from one row to the next.
    pub stride: I32,
    /// 0.
    pub padding2: U32,
}

/// Client to host.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Request {
    /// [`Control`].
    pub message: U32,
    /// Ignored.
    pub padding: U32,
    /// Which frame.
    pub serial: I64,
}

codes! {
    /// What a client asks for.
    Control: u32 {
        /// Let me keep this frame.
        Lock = 0, "lock";
        /// I am done with it.
        Unlock = 1, "unlock";
    }
}

codes! {
    /// What an answer says.
    Outcome: u32 {
        /// Done.
        Success = 0, "success";
        /// No such frame, or not any more.
        Expired = 1, "expired";
        /// Neither lock nor unlock.
        InvalidControl = 2, "invalid-control";
        /// The client has locked as many frames as it may.
        TooManyLocked = 3, "too-many-locked";
    }
}

impl Event {
    /// An answer. All of it is 0 but the outcome, and `locked` of a lock that was granted.
    #[must_use]
    pub fn answer(outcome: Outcome, locked: bool) -> Self {
        let blank: Self = zerocopy::FromZeros::new_zeroed();
        Self { error: outcome.code().into(), locked: i32::from(locked).into(), ..blank }
    }

    /// Whether it is an answer and not a frame.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        self.serial.get() == 0
    }

    /// Reads a record; `None` if it is too short. Bytes behind the first 104 are ignored.
    #[must_use]
    pub fn parse(record: &[u8]) -> Option<Self> {
        Self::read_from_prefix(record).ok().map(|(event, _)| event)
    }
}

impl Request {
    /// A request about frame `serial`.
    #[must_use]
    pub fn new(control: Control, serial: i64) -> Self {
        Self { message: control.code().into(), padding: 0.into(), serial: serial.into() }
    }

    /// Reads a record; `None` if it is too short. Bytes behind the first 16 are ignored.
    #[must_use]
    pub fn parse(record: &[u8]) -> Option<Self> {
        Self::read_from_prefix(record).ok().map(|(request, _)| request)
    }
}

/// Whether the first record of a host that was sent a HELLO of the stream protocol shows that
/// it is one of these hosts. To them a HELLO is a request to unlock a frame that does not
/// exist, so they answer it, and may send a frame before. Either is an [`Event`]; and where the
/// length of the record would have to stand, in every message of the stream protocol, an event
/// has padding.
#[must_use]
pub(crate) fn is_foreign(record: &[u8]) -> bool {
    record.len() == size_of::<Event>() && crate::wire::kind_of(record).is_err()
}

/// A time that may be unknown as a field.
#[must_use]
pub fn time_field(time: Option<i64>) -> i64 {
    time.unwrap_or(UNKNOWN)
}

/// A field as a time that may be unknown.
#[must_use]
pub fn field_time(field: i64) -> Option<i64> {
    (field != UNKNOWN).then_some(field)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{Hello, MAGIC, State, VERSION_MAJOR, record};

    #[test]
    fn a_hello_asks_for_nothing_that_a_host_has() {
        let hello = record(Hello { magic: MAGIC, major: VERSION_MAJOR.into(), ..Hello::default() }, &[]);
        let request = Request::parse(&hello).unwrap();
        // Where numbers are little-endian it is an unlock; elsewhere, no request at all.
        assert_ne!(Control::from_code(request.message.get()), Some(Control::Lock));
        assert!(request.serial.get() > 1 << 32, "no host gets that far in counting frames");
        assert!(is_foreign(Event::answer(Outcome::Expired, false).as_bytes()));
        let native = record(State::default(), &[0; 88]);
        assert!(native.len() == size_of::<Event>() && !is_foreign(&native));
    }

    proptest! {
        #[test]
        fn the_first_bytes_count_whatever_follows(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let request = Request::parse(&bytes);
            prop_assert_eq!(request.is_some(), bytes.len() >= 16);
            if let Some(request) = request {
                prop_assert_eq!(request.as_bytes(), &bytes[..16]);
            }
            let event = Event::parse(&bytes);
            prop_assert_eq!(event.is_some(), bytes.len() >= 104);
            if let Some(event) = event {
                prop_assert_eq!(event.as_bytes(), &bytes[..104]);
            }
        }
    }
}
