// SPDX-License-Identifier: Apache-2.0
//! Options of methods. Nothing is sent for what is `None`: the daemon then decides.

use zbus::zvariant::{SerializeDict, Type};

/// What a stream should be like; for [`StartStream`](super::ManagerProxy::start_stream).
#[derive(Debug, Clone, PartialEq, Eq, Default, SerializeDict, Type)]
#[zvariant(signature = "a{sv}", rename_all = "kebab-case")]
pub struct StartOptions {
    /// V4L2 fourcc, such as `NV12`.
    pub format: Option<String>,
    /// Width and height in pixels.
    pub size: Option<(u32, u32)>,
    /// Frames, in seconds: `(30000, 1001)` is 29.97 fps.
    pub rate: Option<(u32, u32)>,
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
#[derive(Debug, Clone, PartialEq, Eq, Default, SerializeDict, Type)]
#[zvariant(signature = "a{sv}", rename_all = "kebab-case")]
pub struct RecordOptions {
    /// End after so many ns of video.
    pub duration: Option<u64>,
    /// End after so many frames.
    pub frames: Option<u64>,
    /// Bits per second of video.
    pub bitrate: Option<u64>,
    /// Longest time between keyframes, in ns.
    pub keyframe_interval: Option<u64>,
    /// The codec: `h264`.
    pub codec: Option<String>,
    /// Go on when the caller has left the bus.
    pub detach: Option<bool>,
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use zbus::zvariant::serialized::Context;
    use zbus::zvariant::{LE, OwnedValue, to_bytes};

    use super::*;

    #[test]
    fn only_what_is_asked_for_is_sent() {
        let options =
            RecordOptions { keyframe_interval: Some(1_000_000_000), detach: Some(true), ..Default::default() };
        let bytes = to_bytes(Context::new_dbus(LE, 0), &options).unwrap();
        let (sent, _) = bytes.deserialize::<HashMap<String, OwnedValue>>().unwrap();
        let mut keys: Vec<_> = sent.keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["detach", "keyframe-interval"]);
        assert_eq!(u64::try_from(&sent["keyframe-interval"]), Ok(1_000_000_000));
        assert_eq!(to_bytes(Context::new_dbus(LE, 0), &StopOptions::default()).unwrap().len(), 8);
    }
}
