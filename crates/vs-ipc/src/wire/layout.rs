// SPDX-License-Identifier: Apache-2.0
//! The tables of `docs/protocol.md` as structs: little-endian, without padding, so that
//! field order and sizes *are* the protocol. A test in this file holds them to the page.

use vs_frame::format::MAX_PLANES;
use zerocopy::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::codes::SKIP_COUNTERS;
use super::{Message, NAME_LEN};

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident $(= $kind:literal)? {
        $($(#[$fdoc:meta])* $field:ident: $type:ty,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(C)]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $type,)*
        }

        $(impl Message for $name {
            const KIND: u16 = $kind;
        })?

        impl Default for $name {
            fn default() -> Self {
                zerocopy::FromZeros::new_zeroed()
            }
        }
    )*};
}

pub(super) use messages;

messages! {
    /// The start of every message.
    Header {
        /// Which message it is.
        kind: U16,
        /// 0; ignored by receivers.
        reserved: U16,
        /// Bytes of the whole record, header included.
        length: U32,
    }

    /// Client to host, first: who I am and what I want.
    Hello = 0x01 {
        /// Filled in by [`record`](super::record).
        header: Header,
        /// [`MAGIC`](super::MAGIC).
        magic: [u8; 4],
        /// [`VERSION_MAJOR`](super::VERSION_MAJOR) of the client.
        major: U16,
        /// [`VERSION_MINOR`](super::VERSION_MINOR) of the client.
        minor: U16,
        /// [`Mode`](super::Mode).
        mode: u8,
        /// 0.
        reserved: [u8; 1],
        /// Frames it wants to hold at once; 0 leaves it to the host.
        credits: U16,
        /// 0.
        reserved2: U32,
        /// Lease wanted, in ns; 0 leaves it to the host.
        lease_ns: U64,
        /// Its name, for statistics.
        name: [u8; NAME_LEN],
    }

    /// Host to client, the answer to HELLO.
    Welcome = 0x02 {
        /// Filled in by [`record`](super::record).
        header: Header,
        /// Major version spoken from here on.
        major: U16,
        /// Minor version spoken from here on.
        minor: U16,
        /// Frames the client may hold at once.
        credits: U16,
        /// [`Mode`](super::Mode) in force.
        mode: u8,
        /// 0.
        reserved: u8,
        /// Number of the client at this host.
        client: U64,
        /// Changes whenever the host starts anew; serials and buffer numbers belong to it.
        epoch: U64,
        /// Length of a lease in ns.
        lease_ns: U64,
        /// The longest a client may hold one frame, renewals included, in ns.
        lease_max_ns: U64,
        /// How long an announced frame stays untouched without a lease, in ns.
        lifespan_ns: U64,
        /// Name of the stream.
        stream: [u8; NAME_LEN],
    }

    /// Host to client: what the stream is doing. UTF-8 text (why) follows.
    State = 0x03 {
        /// Filled in by [`record`](super::record).
        header: Header,
        /// [`StreamState`](super::StreamState).
        state: U32,
        /// Bytes of text behind the fixed part.
        text_len: U32,
    }

    /// Where one plane lies; part of [`FormatMessage`].
    WirePlane {
        /// Bytes from the start of its memory to its first row.
        offset: U32,
        /// Bytes from row to row.
        stride: U32,
        /// Bytes of the plane.
        size: U32,
        /// Index of its memory.
        memory: U32,
    }

    /// Host to client: how the frames that follow are laid out. Parameter sets follow.
    FormatMessage = 0x04 {
        /// Filled in by [`record`](super::record).
        header: Header,
        /// Number of the format; frames name it.
        format: U32,
        /// V4L2 four-character code.
        fourcc: U32,
        /// Pixels.
        width: U32,
        /// Pixels.
        height: U32,
        /// Frames in `rate_den` seconds; 0 unknown.
        rate_num: U32,
        /// Seconds.
        rate_den: U32,
        /// DRM format modifier.
        modifier: U64,
        /// `enum v4l2_colorspace`.
        colorspace: u8,
        /// `enum v4l2_xfer_func`.
        transfer: u8,
        /// `enum v4l2_ycbcr_encoding`.
        encoding: u8,
        /// `enum v4l2_quantization`.
        quantization: u8,
        /// `enum v4l2_field`.
        field: u8,
        /// Planes in use: 1 to 4.
        plane_count: u8,
        /// Degrees to turn the picture counter-clockwise to have it upright.
        rotation: U16,
        /// The planes; those not in use are 0.
        planes: [WirePlane; MAX_PLANES],
        /// Bytes of parameter sets behind the fixed part.
        parameter_sets_len: U32,
        /// 0.
        reserved2: U32,
    }

    /// Host to client: a frame. Carries the buffer's fds when the client meets it first.
    FrameEvent = 0x05 {
        /// Filled in by [`record`](super::record).
        header: Header,
        /// Number of the frame in this epoch, from 1.
        serial: U64,
        /// Number of its buffer in this epoch.
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
        /// 1 if the frame comes with a lease.
        leased: u8,
        /// When the source had it; ns of `CLOCK_MONOTONIC`.
        capture_ns: U64,
        /// When the host published it; ns of `CLOCK_MONOTONIC`.
        publish_ns: U64,
        /// Presentation time in ns, or [`UNKNOWN_TIME`](super::UNKNOWN_TIME).
        pts: I64,
        /// Decoding time in ns, or unknown.
        dts: I64,
        /// Duration in ns, or unknown.
        duration: I64,
        /// Until when it surely stays untouched: the lease's deadline, or the end of its
        /// lifespan; ns of `CLOCK_MONOTONIC`.
        expires_ns: U64,
        /// Payload in each memory, in bytes.
        bytes_used: [U32; MAX_PLANES],
        /// Frames of this stream that this client did not get so far, by
        /// [`SkipReason`](super::SkipReason).
        skipped: [U32; SKIP_COUNTERS],
    }

    /// Client to host: let me keep this frame, or keep it longer.
    LockRequest = 0x06 {
        /// Filled in by [`record`](super::record).
        header: Header,
        /// Chosen by the client; comes back in the answer.
        request: U64,
        /// Which frame.
        serial: U64,
        /// For how long, in ns from now; 0 for the lease of WELCOME.
        lease_ns: U64,
    }

    /// Host to client: the answer to one LOCK_REQUEST.
    LockResponse = 0x07 {
        /// Filled in by [`record`](super::record).
        header: Header,
        /// The request's number.
        request: U64,
        /// The frame's.
        serial: U64,
        /// [`LockStatus`](super::LockStatus).
        status: U32,
        /// 0.
        reserved: U32,
        /// The lease's deadline if granted, else 0; ns of `CLOCK_MONOTONIC`.
        deadline_ns: U64,
    }

    /// Client to host: done with it. No answer.
    UnlockRequest = 0x08 {
        /// Filled in by [`record`](super::record).
        header: Header,
        /// Which frame.
        serial: U64,
    }

    /// Host to client: the lease has ended; the bytes may change from now on.
    Revoked = 0x09 {
        /// Filled in by [`record`](super::record).
        header: Header,
        /// Which frame.
        serial: U64,
        /// [`RevokeReason`](super::RevokeReason).
        reason: U32,
        /// 0.
        reserved: U32,
    }

    /// [`Revoked`] as version 1.0 has it: without a reason.
    RevokedV0 = 0x09 {
        /// Filled in by [`record`](super::record).
        header: Header,
        /// Which frame.
        serial: U64,
    }

    /// Host to client: this buffer will not come again; close its descriptors.
    BufferRetired = 0x0a {
        /// Filled in by [`record`](super::record).
        header: Header,
        /// Which buffer.
        buffer: U64,
    }

    /// Host to client: the connection ends. UTF-8 text (why) follows.
    Goodbye = 0x0b {
        /// Filled in by [`record`](super::record).
        header: Header,
        /// [`GoodbyeReason`](super::GoodbyeReason).
        reason: U32,
        /// Major version that the host speaks.
        major: U16,
        /// Highest minor version that the host speaks.
        minor: U16,
        /// Bytes of text behind the fixed part.
        text_len: U32,
        /// 0.
        reserved: U32,
    }

    /// Host to client: memory in which to unlock without a message. Carries its descriptor.
    UnlockPage = 0x0c {
        /// Filled in by [`record`](super::record).
        header: Header,
        /// Entries in it.
        entries: U32,
        /// 0.
        reserved: U32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes that `docs/protocol.md` gives.
    #[test]
    fn sizes_are_those_of_the_specification() {
        let sizes = [
            (size_of::<Header>(), 8),
            (size_of::<Hello>(), 96),
            (size_of::<Welcome>(), 120),
            (size_of::<State>(), 16),
            (size_of::<WirePlane>(), 16),
            (size_of::<FormatMessage>(), 120),
            (size_of::<FrameEvent>(), 120),
            (size_of::<LockRequest>(), 32),
            (size_of::<LockResponse>(), 40),
            (size_of::<UnlockRequest>(), 16),
            (size_of::<Revoked>(), 24),
            (size_of::<RevokedV0>(), 16),
            (size_of::<BufferRetired>(), 16),
            (size_of::<Goodbye>(), 24),
            (size_of::<UnlockPage>(), 16),
        ];
        for (actual, specified) in sizes {
            assert_eq!(actual, specified);
        }
    }
}
