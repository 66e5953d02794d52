// SPDX-License-Identifier: Apache-2.0
//! The messages of an [`exchange`](crate::exchange) as structs: the tables of
//! `docs/codec-sessions.md`. FORMAT, BUFFER_RETIRED and GOODBYE are those of streams.

use vs_frame::format::MAX_PLANES;
use zerocopy::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::layout::messages;
use super::{Header, LossCause, MAX_TEXT, Message, WireError, parse, record, truncate};
use crate::client::incoming::text;

/// Both sides must agree on it.
pub const VERSION_MAJOR: u16 = 1;
/// The lower of both sides' is spoken.
pub const VERSION_MINOR: u16 = 0;

/// In [`Adjust`]: the next frame that is made is a keyframe.
pub const ADJUST_KEYFRAME: u32 = 1;

messages! {
    /// Daemon to client, first: how many frames each may lend at once.
    Opened = 0x20 {
        /// Filled in by [`record`].
        header: Header,
        /// [`VERSION_MAJOR`].
        major: U16,
        /// [`VERSION_MINOR`].
        minor: U16,
        /// Frames that the client may lend.
        inputs: U16,
        /// Frames that the daemon may lend.
        outputs: U16,
    }

    /// Either way: read this frame, and give it back. Carries the buffer's fds when the other side
    /// meets it first.
    Lend = 0x21 {
        /// Filled in by [`record`].
        header: Header,
        /// Number of the frame, each lender counting its own from 1.
        number: U64,
        /// Number of the input that it was made from; 0 for inputs.
        origin: U64,
        /// Number of its buffer.
        buffer: U64,
        /// Number of its format.
        format: U32,
        /// [`FrameFlags`](vs_frame::FrameFlags).
        flags: U32,
        /// The source's own count.
        sequence: U32,
        /// Memories of the buffer: 1 to 4.
        memories: u8,
        /// 0 memfd, 1 DmaBuf.
        memory_kind: u8,
        /// Descriptors with this message: 0, or one for each memory.
        fds: u8,
        /// 0.
        reserved: u8,
        /// When the source had it; ns of `CLOCK_MONOTONIC`.
        capture_ns: U64,
        /// Presentation time in ns, or [`UNKNOWN_TIME`](super::UNKNOWN_TIME).
        pts: I64,
        /// Decoding time in ns, or unknown.
        dts: I64,
        /// Duration in ns, or unknown.
        duration: I64,
        /// Payload in each memory, in bytes.
        bytes_used: [U32; MAX_PLANES],
    }

    /// Either way: done with a frame that was lent.
    Return = 0x22 {
        /// Filled in by [`record`].
        header: Header,
        /// Its number.
        number: U64,
    }

    /// Daemon to client: nothing was made of an input. UTF-8 text (why) follows.
    Lost = 0x23 {
        /// Filled in by [`record`].
        header: Header,
        /// Number of the input.
        origin: U64,
        /// [`LossCause`].
        cause: U32,
        /// Bytes of text behind the fixed part.
        text_len: U32,
    }

    /// Client to daemon: bring out what is still inside.
    Drain = 0x24 {
        /// Filled in by [`record`].
        header: Header,
        /// Chosen by the client; comes back in the answer.
        request: U64,
    }

    /// Daemon to client: everything that was lent before the DRAIN has been answered.
    Drained = 0x25 {
        /// Filled in by [`record`].
        header: Header,
        /// The request's number.
        request: U64,
    }

    /// Client to daemon: forget what is still inside.
    Flush = 0x26 {
        /// Filled in by [`record`].
        header: Header,
        /// Chosen by the client; comes back in the answer.
        request: U64,
    }

    /// Daemon to client: nothing more comes of what was lent before the FLUSH.
    Flushed = 0x27 {
        /// Filled in by [`record`].
        header: Header,
        /// The request's number.
        request: U64,
    }

    /// Client to daemon: change the encoder.
    Adjust = 0x28 {
        /// Filled in by [`record`].
        header: Header,
        /// Chosen by the client; comes back in the answer.
        request: U64,
        /// Bits per second; 0 leaves it as it is.
        bitrate: U64,
        /// Longest time between keyframes in ns; 0 leaves it as it is.
        keyframe_interval_ns: U64,
        /// [`ADJUST_KEYFRAME`].
        flags: U32,
        /// 0.
        reserved: U32,
    }

    /// Daemon to client: what the encoder does now. UTF-8 text (why not) follows a refusal.
    Adjusted = 0x29 {
        /// Filled in by [`record`].
        header: Header,
        /// The request's number.
        request: U64,
        /// Bits per second; 0 if there is no such number.
        bitrate: U64,
        /// Longest time between keyframes in ns.
        keyframe_interval_ns: U64,
        /// 0 done, 1 refused: everything is as it was.
        refused: U32,
        /// Bytes of text behind the fixed part.
        text_len: U32,
    }
}

/// What both sides say to each other beside lending frames.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Word {
    /// Nothing was made of an input.
    Lost {
        /// Number of the input.
        origin: u64,
        /// Why, for programs.
        cause: LossCause,
        /// Why, for people.
        text: String,
    },
    /// Bring out what is still inside.
    Drain(u64),
    /// Everything that was lent before has been answered.
    Drained(u64),
    /// Forget what is still inside.
    Flush(u64),
    /// Nothing more comes of what was lent before.
    Flushed(u64),
    /// Change the encoder.
    Adjust(u64, Adjustment),
    /// What the encoder does now, or why it was not changed.
    Adjusted(u64, Result<Settings, String>),
}

/// What to change; `None` leaves it as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Adjustment {
    /// Bits per second.
    pub bitrate: Option<u64>,
    /// Longest time between keyframes in ns.
    pub keyframe_interval_ns: Option<u64>,
    /// The next frame that is made is a keyframe.
    pub force_keyframe: bool,
}

/// What an encoder does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// Bits per second; `None` if it keeps the quality constant instead.
    pub bitrate: Option<u64>,
    /// Longest time between keyframes in ns.
    pub keyframe_interval_ns: u64,
}

impl Word {
    /// The record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Lost { origin, cause, text } => {
                let text = truncate(text, MAX_TEXT).as_bytes();
                let (cause, text_len) = (cause.code().into(), (text.len() as u32).into());
                record(Lost { origin: (*origin).into(), cause, text_len, ..Lost::default() }, text)
            }
            Self::Drain(request) => record(Drain { request: (*request).into(), ..Drain::default() }, &[]),
            Self::Drained(request) => record(Drained { request: (*request).into(), ..Drained::default() }, &[]),
            Self::Flush(request) => record(Flush { request: (*request).into(), ..Flush::default() }, &[]),
            Self::Flushed(request) => record(Flushed { request: (*request).into(), ..Flushed::default() }, &[]),
            Self::Adjust(request, adjustment) => adjust(*request, adjustment),
            Self::Adjusted(request, outcome) => adjusted(*request, outcome),
        }
    }

    /// Reads a record of this kind; `None` if its kind is none of these.
    ///
    /// # Errors
    /// [`WireError::TooShort`] or [`WireError::Field`].
    pub fn decode(kind: u16, bytes: &[u8]) -> Result<Option<Self>, WireError> {
        Ok(Some(match kind {
            Lost::KIND => {
                let (message, tail) = parse::<Lost>(bytes)?;
                let text = text(kind, message.text_len.get(), tail)?;
                let cause = LossCause::from_code(message.cause.get()).unwrap_or(LossCause::Other);
                Self::Lost { origin: message.origin.get(), cause, text }
            }
            Drain::KIND => Self::Drain(parse::<Drain>(bytes)?.0.request.get()),
            Drained::KIND => Self::Drained(parse::<Drained>(bytes)?.0.request.get()),
            Flush::KIND => Self::Flush(parse::<Flush>(bytes)?.0.request.get()),
            Flushed::KIND => Self::Flushed(parse::<Flushed>(bytes)?.0.request.get()),
            Adjust::KIND => {
                let (message, _) = parse::<Adjust>(bytes)?;
                let adjustment = Adjustment {
                    bitrate: some(message.bitrate),
                    keyframe_interval_ns: some(message.keyframe_interval_ns),
                    force_keyframe: message.flags.get() & ADJUST_KEYFRAME != 0,
                };
                Self::Adjust(message.request.get(), adjustment)
            }
            Adjusted::KIND => {
                let (message, tail) = parse::<Adjusted>(bytes)?;
                let text = text(kind, message.text_len.get(), tail)?;
                let keyframe_interval_ns = message.keyframe_interval_ns.get();
                let settings = Settings { bitrate: some(message.bitrate), keyframe_interval_ns };
                Self::Adjusted(message.request.get(), if message.refused == 0 { Ok(settings) } else { Err(text) })
            }
            _ => return Ok(None),
        }))
    }
}

fn some(number: U64) -> Option<u64> {
    Some(number.get()).filter(|number| *number > 0)
}

fn adjust(request: u64, adjustment: &Adjustment) -> Vec<u8> {
    let &Adjustment { bitrate, keyframe_interval_ns, force_keyframe } = adjustment;
    let message = Adjust {
        request: request.into(),
        bitrate: bitrate.unwrap_or(0).into(),
        keyframe_interval_ns: keyframe_interval_ns.unwrap_or(0).into(),
        flags: if force_keyframe { ADJUST_KEYFRAME } else { 0 }.into(),
        ..Adjust::default()
    };
    record(message, &[])
}

fn adjusted(request: u64, outcome: &Result<Settings, String>) -> Vec<u8> {
    let (settings, text) = match outcome {
        Ok(settings) => (*settings, ""),
        Err(text) => (Settings::default(), truncate(text, MAX_TEXT)),
    };
    let message = Adjusted {
        request: request.into(),
        bitrate: settings.bitrate.unwrap_or(0).into(),
        keyframe_interval_ns: settings.keyframe_interval_ns.into(),
        refused: u32::from(outcome.is_err()).into(),
        text_len: (text.len() as u32).into(),
        ..Adjusted::default()
    };
    record(message, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::kind_of;

    /// The sizes that `docs/codec-sessions.md` gives.
    #[test]
    fn sizes_are_those_of_the_specification() {
        let sizes = [
            (size_of::<Opened>(), 16),
            (size_of::<Lend>(), 96),
            (size_of::<Return>(), 16),
            (size_of::<Lost>(), 24),
            (size_of::<Drain>(), 16),
            (size_of::<Drained>(), 16),
            (size_of::<Flush>(), 16),
            (size_of::<Flushed>(), 16),
            (size_of::<Adjust>(), 40),
            (size_of::<Adjusted>(), 40),
        ];
        for (actual, specified) in sizes {
            assert_eq!(actual, specified);
        }
    }

    fn word() -> impl Strategy<Value = Word> {
        let number = || proptest::option::of(1..u64::MAX);
        let adjustment = (number(), number(), any::<bool>()).prop_map(|(bitrate, keyframe_interval_ns, force)| {
            Adjustment { bitrate, keyframe_interval_ns, force_keyframe: force }
        });
        let settings = (number(), any::<u64>())
            .prop_map(|(bitrate, keyframe_interval_ns)| Settings { bitrate, keyframe_interval_ns });
        let outcome = prop_oneof![settings.prop_map(Ok), "[a-z ]{0,40}".prop_map(Err)];
        prop_oneof![
            (any::<u64>(), proptest::sample::select(LossCause::ALL), "[a-zäöü ]{0,40}")
                .prop_map(|(origin, cause, text)| Word::Lost { origin, cause, text }),
            any::<u64>().prop_map(Word::Drain),
            any::<u64>().prop_map(Word::Drained),
            any::<u64>().prop_map(Word::Flush),
            any::<u64>().prop_map(Word::Flushed),
            (any::<u64>(), adjustment).prop_map(|(request, adjustment)| Word::Adjust(request, adjustment)),
            (any::<u64>(), outcome).prop_map(|(request, outcome)| Word::Adjusted(request, outcome)),
        ]
    }

    proptest! {
        #[test]
        fn what_is_said_is_what_is_heard(word in word()) {
            let bytes = word.encode();
            let kind = kind_of(&bytes).unwrap();
            prop_assert_eq!(Word::decode(kind, &bytes), Ok(Some(word)));
        }

        #[test]
        fn rubbish_is_refused_or_read_but_never_panics(kind in 0x20..0x30u16, bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Word::decode(kind, &bytes);
        }
    }
}
