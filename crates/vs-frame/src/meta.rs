// SPDX-License-Identifier: Apache-2.0
//! What is known of one frame beside its bytes.

use bitflags::bitflags;

use crate::format::MAX_PLANES;

bitflags! {
    /// What is special about a frame. Unknown bits are kept: a later version may send them.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct FrameFlags: u32 {
        /// Decoding can start here. Raw pictures never carry it.
        const KEYFRAME = 1 << 0;
        /// The source lost frames, or time, just before this one: a driver's sequence
        /// jumped, a camera was replugged.
        const GAP = 1 << 1;
        /// A picture of even rows only, from 0, in a stream of alternating fields
        /// (`V4L2_FIELD_ALTERNATE`). Both fields of a frame have the same sequence number.
        const TOP_FIELD = 1 << 2;
        /// The same of odd rows.
        const BOTTOM_FIELD = 1 << 3;
        const _ = !0;
    }
}

/// Times, order and payload sizes of one frame.
///
/// `capture_ns` is `CLOCK_MONOTONIC`; `pts` and `dts` are on the source's own timeline.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FrameMeta {
    /// The source's own count (V4L2 `sequence`): a jump means that the device lost frames.
    pub sequence: u32,
    /// When the source had the picture, in ns of `CLOCK_MONOTONIC`.
    pub capture_ns: u64,
    /// Presentation time in ns; `None` if the source has no timeline of its own.
    pub pts: Option<i64>,
    /// Decoding time in ns; `None` if unknown or equal to `pts`.
    pub dts: Option<i64>,
    /// How long the frame is to be shown, in ns; `None` if unknown.
    pub duration: Option<u64>,
    /// Bytes that carry payload in each memory of the buffer, counted from the offset of the
    /// first plane that lies in it.
    pub bytes_used: [u32; MAX_PLANES],
    /// What is special about it.
    pub flags: FrameFlags,
}
