// SPDX-License-Identifier: Apache-2.0
//! Options of methods. Nothing is sent for what is `None`: the daemon then decides.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use zbus::zvariant::{SerializeDict, Signature, Type, Value};

/// What a stream should be like; for [`StartStream`](super::ManagerProxy::start_stream).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StartOptions {
    /// V4L2 fourcc, such as `NV12`.
    pub format: Option<String>,
    /// Width and height in pixels.
    pub size: Option<(u32, u32)>,
    /// Frames, in seconds: `(30000, 1001)` is 29.97 fps.
    pub rate: Option<(u32, u32)>,
    /// The stream to make it from, if it is not there yet.
    pub from: Option<String>,
    /// How to encode it.
    pub coding: CodingOptions,
    /// Keep so many ns of what has been encoded, for recordings that begin with it.
    pub pre: Option<u64>,
}

/// How to encode.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CodingOptions {
    /// The codec: `h264`, or what hardware has.
    pub codec: Option<String>,
    /// Bits per second of video.
    pub bitrate: Option<u64>,
    /// How they are spent: `vbr`, `cbr` or `quality`.
    pub rate_control: Option<String>,
    /// Constant quality, from 1 to 100.
    pub quality: Option<u32>,
    /// Longest time between keyframes, in ns.
    pub keyframe_interval: Option<u64>,
    /// The same in frames.
    pub gop: Option<u32>,
    /// B-frames between two others.
    pub b_frames: Option<u8>,
    /// `baseline`, `main` or `high`.
    pub profile: Option<String>,
    /// Such as `4.1`.
    pub level: Option<String>,
    /// Who works: `auto`, `v4l2` or `software`.
    pub backend: Option<String>,
}

/// For [`StopStream`](super::ManagerProxy::stop_stream). There are none yet.
#[derive(Debug, Clone, PartialEq, Eq, Default, SerializeDict, Type)]
#[zvariant(signature = "a{sv}", rename_all = "kebab-case")]
#[non_exhaustive]
pub struct StopOptions {}

/// For methods that have no options yet.
#[derive(Debug, Clone, PartialEq, Eq, Default, SerializeDict, Type)]
#[zvariant(signature = "a{sv}", rename_all = "kebab-case")]
#[non_exhaustive]
pub struct NoOptions {}

/// How to set controls; for [`SetControls`](super::ControlsProxy::set_controls).
#[derive(Debug, Clone, PartialEq, Eq, Default, SerializeDict, Type)]
#[zvariant(signature = "a{sv}", rename_all = "kebab-case")]
pub struct ControlOptions {
    /// Whether the device gets these values again each time before it streams.
    pub remember: Option<bool>,
}

/// How and how long to record; for [`Record`](super::ManagerProxy::record).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordOptions {
    /// End after so many ns of video.
    pub duration: Option<u64>,
    /// End after so many frames.
    pub frames: Option<u64>,
    /// Begin with what was encoded up to so many ns ago, as far as it is kept. The limits count what comes
    /// after it.
    pub pre: Option<u64>,
    /// Go on in the next file, which must be there by then ([`add_file`](super::RecordingProxy::add_file)), with the
    /// first keyframe after so many ns.
    pub segment_duration: Option<u64>,
    /// The same after so many bytes; not together with a duration.
    pub segment_bytes: Option<u64>,
    /// Longest fragment in ns: what a crash of the daemon loses.
    pub fragment: Option<u64>,
    /// How many ns a frame may wait to be on the disk: what a power cut loses. With 0, each fragment is synced.
    pub sync: Option<u64>,
    /// What the file is called, in messages.
    pub title: Option<String>,
    /// How to encode.
    pub coding: CodingOptions,
    /// Go on when the caller has left the bus.
    pub detach: Option<bool>,
}

/// What is said of a further file; for [`AddFile`](super::RecordingProxy::add_file).
#[derive(Debug, Clone, PartialEq, Eq, Default, SerializeDict, Type)]
#[zvariant(signature = "a{sv}", rename_all = "kebab-case")]
pub struct AddFileOptions {
    /// What it is called, in messages.
    pub title: Option<String>,
}

/// How to take a snapshot; for [`Snapshot`](super::ManagerProxy::snapshot).
#[derive(Debug, Clone, PartialEq, Eq, Default, SerializeDict, Type)]
#[zvariant(signature = "a{sv}", rename_all = "kebab-case")]
pub struct SnapshotOptions {
    /// `jpeg`, `png`, `raw`, or the fourcc of a pixel format.
    pub format: Option<String>,
    /// Width and height in pixels into which it is to fit; its shape stays.
    pub size: Option<(u32, u32)>,
    /// Of a JPEG, from 1 to 100.
    pub quality: Option<u32>,
    /// How long after its first picture a camera is ready, in ns.
    pub settle: Option<u64>,
    /// How long it may take, in ns.
    pub timeout: Option<u64>,
}

/// How to play a file; for [`Play`](super::ManagerProxy::play).
#[derive(Debug, Clone, PartialEq, Eq, Default, SerializeDict, Type)]
#[zvariant(signature = "a{sv}", rename_all = "kebab-case")]
pub struct PlayOptions {
    /// Name of the stream.
    pub name: Option<String>,
    /// What the file is called, in messages.
    pub title: Option<String>,
    /// Begin anew at the end.
    #[zvariant(rename = "loop")]
    pub looped: Option<bool>,
    /// `realtime` or `free`.
    pub pace: Option<String>,
    /// Who decodes: `auto`, `v4l2` or `software`.
    pub backend: Option<String>,
    /// Go on when the caller has left the bus.
    pub detach: Option<bool>,
}

/// What is sent: the derived form cannot take in the options of the encoder, which two methods
/// have in common. It is in order, for it is measured first and written then, and what lies between
/// the entries depends on their order.
struct Dict<'a>(BTreeMap<&'static str, Value<'a>>);

impl<'a> Dict<'a> {
    fn new() -> Self {
        Self(BTreeMap::new())
    }

    fn with(mut self, name: &'static str, value: Option<impl Into<Value<'a>>>) -> Self {
        if let Some(value) = value {
            self.0.insert(name, value.into());
        }
        self
    }

    fn coding(self, coding: &'a CodingOptions) -> Self {
        self.with("codec", coding.codec.as_deref())
            .with("bitrate", coding.bitrate)
            .with("rate-control", coding.rate_control.as_deref())
            .with("quality", coding.quality)
            .with("keyframe-interval", coding.keyframe_interval)
            .with("gop", coding.gop)
            .with("b-frames", coding.b_frames)
            .with("profile", coding.profile.as_deref())
            .with("level", coding.level.as_deref())
            .with("backend", coding.backend.as_deref())
    }
}

impl Serialize for StartOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dict = Dict::new()
            .with("format", self.format.as_deref())
            .with("size", self.size)
            .with("rate", self.rate)
            .with("from", self.from.as_deref())
            .with("pre", self.pre);
        dict.coding(&self.coding).0.serialize(serializer)
    }
}

impl Serialize for RecordOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dict = Dict::new()
            .with("duration", self.duration)
            .with("frames", self.frames)
            .with("pre", self.pre)
            .with("segment-duration", self.segment_duration)
            .with("segment-bytes", self.segment_bytes)
            .with("fragment", self.fragment)
            .with("sync", self.sync)
            .with("title", self.title.as_deref())
            .with("detach", self.detach);
        dict.coding(&self.coding).0.serialize(serializer)
    }
}

impl Type for StartOptions {
    const SIGNATURE: &'static Signature = <BTreeMap<&str, Value<'_>>>::SIGNATURE;
}

impl Type for RecordOptions {
    const SIGNATURE: &'static Signature = <BTreeMap<&str, Value<'_>>>::SIGNATURE;
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use zbus::zvariant::serialized::Context;
    use zbus::zvariant::{LE, OwnedValue, to_bytes};

    use super::*;

    #[test]
    fn only_what_is_asked_for_is_sent() {
        let options = RecordOptions {
            coding: CodingOptions { keyframe_interval: Some(1_000_000_000), ..Default::default() },
            detach: Some(true),
            ..Default::default()
        };
        let bytes = to_bytes(Context::new_dbus(LE, 0), &options).unwrap();
        let (sent, _) = bytes.deserialize::<HashMap<String, OwnedValue>>().unwrap();
        let mut keys: Vec<_> = sent.keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["detach", "keyframe-interval"]);
        assert_eq!(u64::try_from(&sent["keyframe-interval"]), Ok(1_000_000_000));
        assert_eq!(to_bytes(Context::new_dbus(LE, 0), &StopOptions::default()).unwrap().len(), 8);
    }
}
