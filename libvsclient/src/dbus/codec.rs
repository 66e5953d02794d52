// SPDX-License-Identifier: Apache-2.0
//! Codec sessions: what is asked of them, and what came of it.

use zbus::zvariant::{SerializeDict, Type};

use super::dict::dicts;

/// What an encoder is to do; for [`OpenEncoder`](super::ManagerProxy::open_encoder). What is `None`
/// is left to the daemon; format and size must be there.
#[derive(Debug, Clone, PartialEq, Eq, Default, SerializeDict, Type)]
#[zvariant(signature = "a{sv}", rename_all = "kebab-case")]
pub struct EncoderOptions {
    /// V4L2 fourcc of the pictures, such as `NV12`.
    pub format: Option<String>,
    /// Width and height of the pictures in pixels.
    pub size: Option<(u32, u32)>,
    /// Frames, in seconds.
    pub rate: Option<(u32, u32)>,
    /// V4L2 colorspace, transfer function, encoding and quantization.
    pub color: Option<(u8, u8, u8, u8)>,
    /// The codec: `H264`.
    pub codec: Option<String>,
    /// Bits per second.
    pub bitrate: Option<u64>,
    /// `vbr`, `cbr` or `quality`.
    pub rate_control: Option<String>,
    /// Constant quality from 1 to 100.
    pub quality: Option<u32>,
    /// Longest time between keyframes, in ns.
    pub keyframe_interval: Option<u64>,
    /// `baseline`, `main` or `high`.
    pub profile: Option<String>,
    /// A level such as `4.1`.
    pub level: Option<String>,
    /// `auto`, `v4l2` or `software`.
    pub backend: Option<String>,
    /// Pictures that the caller may lend at once.
    pub inputs: Option<u32>,
    /// Access units that the daemon may lend at once.
    pub outputs: Option<u32>,
}

/// What a decoder is to do; for [`OpenDecoder`](super::ManagerProxy::open_decoder). What is `None`
/// is left to the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Default, SerializeDict, Type)]
#[zvariant(signature = "a{sv}", rename_all = "kebab-case")]
pub struct DecoderOptions {
    /// The codec: `H264`.
    pub codec: Option<String>,
    /// Width and height of the pictures in pixels, if they are known.
    pub size: Option<(u32, u32)>,
    /// V4L2 fourccs of the pictures, the most wanted first.
    pub formats: Option<Vec<String>>,
    /// `auto`, `v4l2` or `software`.
    pub backend: Option<String>,
    /// Access units that the caller may lend at once.
    pub inputs: Option<u32>,
    /// Pictures that the daemon may lend at once.
    pub outputs: Option<u32>,
}

dicts! {
    /// An encoder that was opened.
    EncoderInfo "kebab-case" {
        /// Name and version of the encoder.
        name: String,
        /// `v4l2` or `software`.
        backend: String,
        /// Why this one was taken; may be empty.
        reason: String,
        /// The codec.
        codec: String,
        /// Width and height of the coded picture.
        size: (u32, u32),
        /// `vbr`, `cbr` or `quality`.
        rate_control: String,
        /// Bits per second; 0 with a constant quality.
        bitrate: u64,
        /// Constant quality from 1 to 100; 0 with a bitrate.
        quality: u32,
        /// Longest time between keyframes, in ns.
        keyframe_interval: u64,
        /// The profile; empty if it is not known.
        profile: String,
        /// The level; empty if it is not known.
        level: String,
        /// Pictures that the caller may lend at once.
        inputs: u32,
        /// Access units that the daemon may lend at once.
        outputs: u32,
    }

    /// A decoder that was opened.
    DecoderInfo "kebab-case" {
        /// Name and version of the decoder.
        name: String,
        /// `v4l2` or `software`.
        backend: String,
        /// Why this one was taken; may be empty.
        reason: String,
        /// Access units that the caller may lend at once.
        inputs: u32,
        /// Pictures that the daemon may lend at once.
        outputs: u32,
    }

    /// An encoder or decoder of some process.
    CodecSessionInfo "kebab-case" {
        /// Its number in this life of the daemon.
        number: u64,
        /// `encoder` or `decoder`.
        kind: String,
        /// The codec.
        codec: String,
        /// Name and version of what does it now; empty while it is being opened.
        name: String,
        /// `v4l2` or `software`.
        backend: String,
        /// User id of the owner.
        uid: u32,
        /// Process id of the owner.
        pid: u32,
        /// Frames that came in.
        inputs: u64,
        /// Frames that were made of them.
        outputs: u64,
        /// Frames of which nothing was made.
        lost: u64,
    }
}
