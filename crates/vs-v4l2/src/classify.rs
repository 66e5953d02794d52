// SPDX-License-Identifier: Apache-2.0
//! What a node is for, judged by what it can do and what it offers.

use std::fmt;

use v4l2r::ioctl::Capabilities;
use vs_frame::FourCc;

use crate::formats::FormatDesc;

/// What a V4L2 node does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DeviceKind {
    /// Delivers pictures: a camera, a grabber, an HDMI input.
    Camera,
    /// Turns pictures into a coded stream.
    Encoder,
    /// Turns a coded stream into pictures.
    Decoder,
    /// Turns pictures into other pictures: scales, rotates, converts.
    Converter,
    /// Nothing that this project uses: metadata, an output, radio, a touch panel, a
    /// stateless codec.
    Other,
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Camera => "camera",
            Self::Encoder => "encoder",
            Self::Decoder => "decoder",
            Self::Converter => "converter",
            Self::Other => "other",
        })
    }
}

/// Coded formats of stateless decoders (kernel doc, "Compressed Formats"): they want the
/// parsed headers of each frame through the request API, which is another trade.
const STATELESS: &[FourCc] = &[
    FourCc(*b"S264"),
    FourCc(*b"S265"),
    FourCc(*b"MG2S"),
    FourCc(*b"VP8F"),
    FourCc(*b"VP9F"),
    FourCc(*b"AV1F"),
    FourCc(*b"SFWH"),
];

/// How a node moves pictures, by its capabilities alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    Capture,
    Mem2Mem,
    Neither,
}

impl Direction {
    /// Reads the node's own capabilities (`device_caps`), not its device's.
    pub(crate) fn of(caps: Capabilities) -> Self {
        use Capabilities as C;
        let gives = caps.intersects(C::VIDEO_CAPTURE | C::VIDEO_CAPTURE_MPLANE);
        let takes = caps.intersects(C::VIDEO_OUTPUT | C::VIDEO_OUTPUT_MPLANE);
        let converts = caps.intersects(C::VIDEO_M2M | C::VIDEO_M2M_MPLANE);
        let usable = caps.contains(C::STREAMING) && !caps.intersects(C::TOUCH);
        match (usable, gives, takes, converts) {
            (false, ..) => Self::Neither,
            // Drivers older than the M2M capabilities set both directions instead.
            (_, _, _, true) | (_, true, true, _) => Self::Mem2Mem,
            (_, true, false, _) => Self::Capture,
            (_, false, _, _) => Self::Neither,
        }
    }
}

/// Judges a node by its capabilities and the formats of its two queues.
pub(crate) fn classify(caps: Capabilities, capture: &[FormatDesc], output: &[FormatDesc]) -> DeviceKind {
    let coded = |formats: &[FormatDesc]| formats.iter().any(FormatDesc::is_coded);
    let stateful = |format: &FormatDesc| format.is_coded() && !STATELESS.contains(&format.fourcc);
    match Direction::of(caps) {
        Direction::Capture if capture.is_empty() => DeviceKind::Other,
        Direction::Capture => DeviceKind::Camera,
        Direction::Mem2Mem if coded(capture) => DeviceKind::Encoder,
        Direction::Mem2Mem if output.iter().any(stateful) => DeviceKind::Decoder,
        Direction::Mem2Mem if coded(output) || capture.is_empty() || output.is_empty() => DeviceKind::Other,
        Direction::Mem2Mem => DeviceKind::Converter,
        Direction::Neither => DeviceKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use Capabilities as C;
    use DeviceKind::{Camera, Converter, Decoder, Encoder, Other};

    use super::*;
    use crate::formats::FormatFlags;

    fn formats(codes: &[&[u8; 4]]) -> Vec<FormatDesc> {
        let desc = |code: &&[u8; 4]| FormatDesc {
            fourcc: FourCc(**code),
            description: String::new(),
            flags: if STATELESS.contains(&FourCc(**code)) { FormatFlags::COMPRESSED } else { FormatFlags::empty() },
            sizes: vec![],
        };
        codes.iter().map(desc).collect()
    }

    #[test]
    fn capabilities_and_formats_decide() {
        type Codes = &'static [&'static [u8; 4]];
        let s = C::STREAMING;
        let cases: &[(C, Codes, Codes, DeviceKind)] = &[
            // What the node can do, what it gives, what it takes.
            (C::VIDEO_CAPTURE | s, &[b"YUYV", b"MJPG"], &[], Camera),
            (C::VIDEO_CAPTURE | C::TUNER | C::AUDIO | s, &[b"YUYV"], &[], Camera),
            (C::VIDEO_CAPTURE_MPLANE | s, &[b"NV12", b"NM12"], &[], Camera),
            (C::VIDEO_CAPTURE_MPLANE | s, &[b"RG10"], &[], Camera),
            (C::VIDEO_CAPTURE | s, &[], &[], Other),
            (C::VIDEO_CAPTURE, &[b"YUYV"], &[], Other),
            (C::VIDEO_CAPTURE | C::TOUCH | s, &[b"TD16"], &[], Other),
            (C::META_CAPTURE | s, &[], &[], Other),
            (C::VIDEO_OUTPUT | s, &[], &[b"YUYV"], Other),
            (C::VBI_CAPTURE | s, &[], &[], Other),
            (C::RADIO | C::TUNER, &[], &[], Other),
            (C::VIDEO_M2M | s, &[b"FWHT"], &[b"NV12"], Encoder),
            (C::VIDEO_M2M_MPLANE | s, &[b"H264", b"HEVC"], &[b"NV12"], Encoder),
            (C::VIDEO_M2M | s, &[b"NV12"], &[b"FWHT"], Decoder),
            (C::VIDEO_M2M_MPLANE | s, &[b"NV12"], &[b"H264", b"S264"], Decoder),
            (C::VIDEO_M2M_MPLANE | s, &[b"NV12"], &[b"SFWH"], Other),
            (C::VIDEO_M2M | s, &[b"RGBP"], &[b"YUYV"], Converter),
            (C::VIDEO_CAPTURE | C::VIDEO_OUTPUT | s, &[b"YUYV"], &[b"NV12"], Converter),
            (C::VIDEO_M2M | s, &[], &[], Other),
        ];
        for (caps, capture, output, kind) in cases {
            assert_eq!(classify(*caps, &formats(capture), &formats(output)), *kind, "{caps:?} {capture:?} {output:?}");
        }
    }
}
