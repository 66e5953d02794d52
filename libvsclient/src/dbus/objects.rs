// SPDX-License-Identifier: Apache-2.0
//! What the daemon's objects are like at one moment.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer};
use zbus::zvariant::{OwnedObjectPath, Type};

use super::dict::dicts;
use super::names::recording_number;

dicts! {
    /// A recording of the configuration, running or not.
    PolicyInfo "kebab-case" {
        /// Its name.
        name: String,
        /// The stream that it records.
        stream: String,
        /// Where its files are; empty if nobody has said.
        directory: String,
        /// `recording`, `waiting` or `stopped`.
        state: String,
        /// What it waits for.
        text: String,
        /// Number of its recording; 0 if it does not record.
        recording: u64,
        /// Finished files.
        files: u64,
        /// Their size in bytes.
        bytes: u64,
    }

    /// What a reload of the configuration has changed.
    ReloadInfo "kebab-case" {
        /// Streams that were not there before.
        streams_added: Vec<String>,
        /// Streams that ended and have begun anew.
        streams_changed: Vec<String>,
        /// Streams that are no more.
        streams_removed: Vec<String>,
        /// Recordings that were not there before.
        recordings_added: Vec<String>,
        /// Recordings that ended and have begun anew.
        recordings_changed: Vec<String>,
        /// Recordings that are no more.
        recordings_removed: Vec<String>,
        /// Sections that differ and count from the daemon's next start on.
        restart: Vec<String>,
    }

    /// The properties of the manager.
    ManagerInfo "PascalCase" {
        /// Version of the daemon.
        version: String,
        /// Directory of the streams' sockets.
        socket_directory: String,
        /// Changes at every start of the daemon.
        epoch: u64,
    }

    /// Something that the daemon found about its machine.
    FindingInfo "kebab-case" {
        /// What it belongs to: `kernel`, `user`, `camera`, `memory`…
        topic: String,
        /// Which one of them.
        name: String,
        /// `ok`, `note`, `missing` or `denied`.
        state: String,
        /// What there is, or what it means.
        text: String,
        /// What to do; empty if nothing.
        remedy: String,
    }

    /// The properties of a stream.
    StreamInfo "PascalCase" {
        /// Its name, and that of its socket.
        name: String,
        /// `stopped`, `idle` (its source is opened for the first user), `waiting`, `running` or `failed`.
        state: String,
        /// Why it is in that state; empty if there is nothing to say.
        state_text: String,
        /// What fills it: `pattern`, `camera`, `ipc`, `coded`, `converted` or `file`.
        source_kind: String,
        /// Object of the device that fills it, present or not; `/` if none does.
        device: OwnedObjectPath,
        /// Name of the stream that it is made from; empty if it is made from none.
        from: String,
        /// Path of its socket; empty while it is stopped.
        socket: String,
        /// Path of its socket for clients of libvideostream 2.x; empty if it has none, or is
        /// stopped.
        vsl_socket: String,
        /// Format of its frames; default before the first start.
        format: StreamFormat,
        /// The encoder that makes its frames; default if none does.
        encoding: Encoding,
        /// What is kept of it; default if nothing is.
        past: Past,
        /// In which ways the device's answer differs from what was asked.
        adjustments: Vec<String>,
        /// Counters since the start.
        counters: Counters,
        /// Those connected.
        clients: Vec<ClientInfo>,
        /// Those who went last, in the order in which they went.
        departures: Vec<DepartureInfo>,
    }

    /// Format of a stream's frames.
    StreamFormat "kebab-case" {
        /// V4L2 fourcc; empty before the first start.
        fourcc: String,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Frames, in seconds; `(0, 1)` if unknown.
        rate: (u32, u32),
        /// Layout of the planes.
        planes: Vec<PlaneInfo>,
        /// V4L2's `v4l2_colorspace`.
        colorspace: u32,
        /// V4L2's `v4l2_xfer_func`.
        transfer: u32,
        /// V4L2's `v4l2_ycbcr_encoding`.
        encoding: u32,
        /// V4L2's `v4l2_quantization`.
        quantization: u32,
        /// V4L2's `v4l2_field`.
        field: u32,
        /// Degrees by which to turn the picture counter-clockwise to have it upright.
        rotation: u32,
        /// DRM format modifier.
        modifier: u64,
        /// `dmabuf` or `memfd`.
        memory: String,
    }

    /// Where a plane lies.
    PlaneInfo "kebab-case" {
        /// Index of the memory.
        memory: u32,
        /// Bytes from the start of that memory.
        offset: u32,
        /// Bytes from one row to the next.
        stride: u32,
        /// Bytes of the plane.
        size: u32,
    }

    /// What a stream has counted since its start.
    Counters "kebab-case" {
        /// Frames published.
        published: u64,
        /// Frames delivered, to all clients together.
        delivered: u64,
        /// Frames not delivered to a client, by reason.
        skipped: HashMap<String, u64>,
        /// Leases taken back, by reason.
        revoked: HashMap<String, u64>,
        /// Connections ended by the daemon, by reason.
        goodbyes: HashMap<String, u64>,
        /// What the source counted: frames `captured`, `corrupt`, `lost`, `no-buffer`; of a camera
        /// `outages`, `stalls`, `refusals` (of buffers), `restarts`, `reopens`.
        source: HashMap<String, u64>,
        /// Buffers that the source has; 0 if another host has them.
        buffers: u32,
        /// Those of them that are there only because clients hold many.
        spares: u32,
        /// The most that `buffers` may be.
        buffers_max: u32,
        /// Leases that all clients together hold now.
        held: u32,
        /// The most that all clients together have held.
        held_max: u32,
        /// Frames that somebody has a right to, the newest included.
        frames_live: u32,
        /// The most that `frames_live` may be.
        frames_max: u32,
        /// From capture to publication.
        capture_latency: Distribution,
        /// How long clients held their frames, those that have left included.
        lease_hold: Distribution,
    }

    /// How durations are distributed.
    Distribution "kebab-case" {
        /// How many there are.
        count: u64,
        /// All together, in ns.
        sum: u64,
        /// The shortest, in ns; 0 if there is none.
        min: u64,
        /// The longest, in ns; 0 if there is none.
        max: u64,
        /// The longest duration of each bucket that is not empty, in ns, growing, and how
        /// many are in it.
        buckets: Vec<(u64, u64)>,
    }

    /// Somebody connected to a stream.
    ClientInfo "kebab-case" {
        /// Number of the connection.
        id: u64,
        /// What it calls itself.
        name: String,
        /// Its process.
        pid: i32,
        /// Its user.
        uid: u32,
        /// What it speaks: `native` or `vsl` (libvideostream's).
        protocol: String,
        /// `leased` or `notify`.
        mode: String,
        /// Frames it may hold at once.
        credits: u32,
        /// Frames it holds.
        held: u32,
        /// The most it has held.
        held_max: u32,
        /// Frames delivered to it.
        delivered: u64,
        /// Frames it did not get, by reason.
        skipped: HashMap<String, u64>,
        /// Leases taken back from it, by reason.
        revoked: HashMap<String, u64>,
        /// Its unlocks of frames that it did not hold.
        stray_unlocks: u64,
        /// Times that the host did not listen to it for a while: it sent too many messages.
        muted: u64,
        /// Since when, in ns of `CLOCK_MONOTONIC`.
        connected: u64,
        /// How long it held its frames.
        lease_hold: Distribution,
    }

    /// Somebody who is connected to a stream no more.
    DepartureInfo "kebab-case" {
        /// Number of the connection; 0 if it was refused at once.
        id: u64,
        /// What it called itself; empty if it never did.
        name: String,
        /// Its process.
        pid: i32,
        /// Its user.
        uid: u32,
        /// Why the daemon ended the connection; empty if the client did.
        reason: String,
        /// The reason in words.
        text: String,
        /// Frames delivered to it.
        delivered: u64,
        /// Frames it did not get, by reason.
        skipped: HashMap<String, u64>,
        /// Leases taken back from it, by reason.
        revoked: HashMap<String, u64>,
        /// Frames it held at the end.
        held: u32,
        /// Since when, in ns of `CLOCK_MONOTONIC`.
        connected: u64,
        /// Until when, in ns of `CLOCK_MONOTONIC`.
        left: u64,
        /// How often the same process has gone for the same reason.
        times: u64,
    }

    /// The properties of a device.
    DeviceInfo "PascalCase" {
        /// The name by which streams and commands know it.
        name: String,
        /// `camera`, `encoder`, `decoder` or `converter`.
        kind: String,
        /// Device node.
        node: String,
        /// What the driver calls the hardware.
        card: String,
        /// Name of the driver.
        driver: String,
        /// Where the driver says it is connected.
        bus: String,
        /// udev's `ID_PATH`; empty if unknown.
        path: String,
        /// The folder in sysfs of the hardware that it is a part of; devices of one unit share
        /// it. Empty if unknown.
        unit: String,
        /// Its link in `/dev/v4l/by-path`, without the folder; empty if it has none.
        by_path: String,
        /// Its link in `/dev/v4l/by-id`, without the folder; empty if it has none.
        by_id: String,
        /// Its serial number; empty if it has none.
        serial: String,
        /// Whether the driver speaks the multi-planar API.
        multiplanar: bool,
        /// Whether it is there.
        present: bool,
        /// Why it cannot be used, and what to do; empty if it can.
        problem: String,
        /// What it can deliver, or take.
        formats: Vec<DeviceFormat>,
    }

    /// A format of a device.
    DeviceFormat "kebab-case" {
        /// V4L2 fourcc.
        fourcc: String,
        /// The driver's description.
        description: String,
        /// Discrete sizes: width and height in pixels.
        sizes: Vec<(u32, u32)>,
        /// Minimum, maximum and step of the width, then of the height; zeros if the sizes
        /// are discrete.
        size_range: (u32, u32, u32, u32, u32, u32),
        /// Rates at the largest size: frames, in seconds.
        rates: Vec<(u32, u32)>,
        /// Each size (of a range the largest) with its rates, each as slowest and fastest:
        /// frames, in seconds, frames, in seconds.
        offers: Vec<(u32, u32, Vec<(u32, u32, u32, u32)>)>,
    }

    /// The properties of a recording.
    RecordingInfo "PascalCase" {
        /// Its name in the configuration; empty if it is not from there.
        name: String,
        /// Name of the stream.
        stream: String,
        /// How long before it was asked for it begins, in ns.
        pre: u64,
        /// `recording`, `finished` or `failed`.
        state: String,
        /// What went wrong; empty if nothing.
        error: String,
        /// What the file is called that is written; empty if nobody has said it.
        file: String,
        /// Files begun.
        segments: u64,
        /// Encoder and settings.
        encoding: Encoding,
        /// How far it is.
        progress: Progress,
    }

    /// What is kept of what has been encoded, for recordings that begin with it.
    Past "kebab-case" {
        /// From the first picture to the newest, in ns.
        duration: u64,
        /// Bytes that it takes.
        memory: u64,
        /// What is to be kept at least, in ns, as long as the memory suffices; 0 if nothing is.
        duration_wanted: u64,
        /// Bytes that it may take.
        memory_max: u64,
    }

    /// A snapshot that was taken.
    SnapshotInfo "kebab-case" {
        /// Name of the stream that showed it.
        stream: String,
        /// `jpeg`, `png` or `raw`.
        format: String,
        /// Its pixel format if it is raw, else the codec.
        fourcc: String,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Degrees by which it is still to be turned counter-clockwise to be upright.
        rotation: u32,
        /// Bytes written.
        bytes: u64,
        /// Serial of the frame in its stream.
        serial: u64,
        /// When it was taken, in ns of `CLOCK_MONOTONIC`.
        capture_time: u64,
        /// When it was taken, in ns since 1970, UTC.
        wall_time: u64,
    }

    /// The encoder in use and its effective settings.
    Encoding "kebab-case" {
        /// The codec: `h264`.
        codec: String,
        /// Name of the encoder.
        encoder: String,
        /// Its kind: `v4l2` or `software`.
        backend: String,
        /// Why it is this one; empty if it was the first choice.
        reason: String,
        /// How bits are spent: `vbr`, `cbr` or `quality`.
        rate_control: String,
        /// Bits per second aimed at; 0 if the quality is constant.
        bitrate: u64,
        /// Constant quality, from 1 to 100; 0 if it is not.
        quality: u32,
        /// Longest time between keyframes, in ns.
        keyframe_interval: u64,
        /// The same in frames.
        gop: u32,
        /// Whether pictures are read where they lie, without a copy.
        imports: bool,
        /// The profile; empty if it is none of those that can be asked for.
        profile: String,
        /// The level; empty if it is none of those that can be asked for.
        level: String,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    }

    /// How far a recording is.
    Progress "kebab-case" {
        /// Frames written.
        frames: u64,
        /// Frames that the encoder or the file were too slow for.
        dropped: u64,
        /// Duration in ns.
        duration: u64,
        /// Bytes written.
        bytes: u64,
    }

    /// A file of a recording that is complete.
    RecordedFile "kebab-case" {
        /// What it is called; empty if nobody has said it.
        file: String,
        /// When its first picture was taken, in ns since 1970, UTC.
        began: u64,
        /// Frames in it.
        frames: u64,
        /// Frames that the encoder or the file were too slow for while it was written.
        dropped: u64,
        /// Its duration in ns.
        duration: u64,
        /// Its size in bytes.
        bytes: u64,
        /// What is wrong with it; empty if nothing. It plays.
        error: String,
        /// Whether it is an ordinary MP4, not a fragmented one.
        progressive: bool,
    }

    /// How far a file has been played.
    PlaybackProgress "kebab-case" {
        /// Pictures published.
        frames: u64,
        /// Pictures that are missing, because they or others that they need are damaged.
        damaged: u64,
        /// Pictures that came too late to be shown.
        late: u64,
        /// Times that the file has begun anew.
        loops: u64,
        /// Where in the file it is, in ns.
        position: u64,
        /// How long the file is, in ns; 0 if it does not say.
        duration: u64,
    }

    /// What became of a file that was played.
    PlaybackEnd "kebab-case" {
        /// Why it is over: `end`, `stopped` or `failed`.
        reason: String,
        /// The same in words.
        text: String,
        /// Pictures published.
        frames: u64,
        /// Pictures that are missing, because they or others that they need are damaged.
        damaged: u64,
        /// Pictures that came too late to be shown.
        late: u64,
        /// Times that the file has begun anew.
        loops: u64,
        /// Where in the file it was, in ns.
        position: u64,
        /// How long the file is, in ns; 0 if it does not say.
        duration: u64,
    }

    /// What became of a recording.
    Summary "kebab-case" {
        /// `finished` or `failed`.
        state: String,
        /// Why it ended.
        reason: String,
        /// What went wrong; empty if nothing.
        error: String,
        /// Frames in its files.
        frames: u64,
        /// Frames that the encoder or the file were too slow for, or that the file did not take any more.
        dropped: u64,
        /// Duration in ns.
        duration: u64,
        /// Length of all files in bytes.
        bytes: u64,
        /// How many files there are.
        segments: u64,
        /// All of them are ordinary MP4s, not fragmented ones.
        progressive: bool,
    }
}

impl Distribution {
    /// The duration, in ns, that a fraction `q` of all (0.5: half of them) does not exceed:
    /// never too low, and at most an eighth too high. `None` if there is none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        vs_ipc::histogram::quantile(self.buckets.iter().copied(), self.max, q)
    }

    /// The mean in ns; `None` if there is none.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }
}

/// The interfaces of one object.
#[derive(Default, Deserialize, Type)]
#[zvariant(signature = "a{sa{sv}}")]
#[serde(default)]
pub(super) struct Interfaces {
    #[serde(rename = "org.videostream.VideoStream1.Stream", deserialize_with = "some")]
    pub(super) stream: Option<StreamInfo>,
    #[serde(rename = "org.videostream.VideoStream1.Device", deserialize_with = "some")]
    pub(super) device: Option<DeviceInfo>,
    #[serde(rename = "org.videostream.VideoStream1.Recording", deserialize_with = "some")]
    pub(super) recording: Option<RecordingInfo>,
}

fn some<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// All objects of the daemon at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Objects {
    /// The streams, by name.
    pub streams: Vec<StreamInfo>,
    /// The devices, by name.
    pub devices: Vec<DeviceInfo>,
    /// The recordings with their numbers, oldest first.
    pub recordings: Vec<(u64, RecordingInfo)>,
}

impl Objects {
    pub(super) fn new(objects: HashMap<OwnedObjectPath, Interfaces>) -> Self {
        let mut all = Self::default();
        for (path, interfaces) in objects {
            all.streams.extend(interfaces.stream);
            all.devices.extend(interfaces.device);
            if let (Some(number), Some(recording)) = (recording_number(&path), interfaces.recording) {
                all.recordings.push((number, recording));
            }
        }
        all.streams.sort_by(|a, b| natural(&a.name).cmp(&natural(&b.name)));
        all.devices.sort_by(|a, b| natural(&a.name).cmp(&natural(&b.name)));
        all.recordings.sort_by_key(|(number, _)| *number);
        all
    }
}

/// Sorts `cam10` behind `cam9`: text, then the number at its end.
fn natural(name: &str) -> (&str, u64, &str) {
    let text = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (text, name[text.len()..].parse().unwrap_or(0), name)
}

#[cfg(test)]
mod tests {
    use zbus::zvariant::serialized::Context;
    use zbus::zvariant::{LE, OwnedValue, Value, to_bytes};

    use super::*;

    fn value(value: impl Into<Value<'static>>) -> OwnedValue {
        value.into().try_into().unwrap()
    }

    fn dict<const N: usize>(entries: [(&str, OwnedValue); N]) -> HashMap<String, OwnedValue> {
        entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    #[test]
    fn objects_are_read_whatever_the_daemon_adds_or_leaves_out() {
        let client = dict([
            ("id", value(7u64)),
            ("held-max", value(3u32)),
            ("skipped", value(HashMap::from([("no-credit".to_owned(), 2u64)]))),
            ("revoked", value(HashMap::from([("withdrawn".to_owned(), 1u64)]))),
            ("of-the-future", value(vec![("a".to_owned(), 1u8)])),
        ]);
        let stream = dict([
            ("Name", value("cam10")),
            ("Format", value(dict([("fourcc", value("NV12")), ("rate", value((30u32, 1u32)))]))),
            ("Clients", value(vec![client])),
            ("OfTheFuture", value(dict([("x", value(1.5))]))),
        ]);
        let other = dict([("Name", value("cam9"))]);
        let recording = dict([("Stream", value("cam9")), ("Progress", value(dict([("frames", value(150u64))])))]);
        let at = |path: &str| OwnedObjectPath::try_from(path).unwrap();
        let interface =
            |name: &str, properties| HashMap::from([(format!("org.videostream.VideoStream1.{name}"), properties)]);
        let objects = HashMap::from([
            (at("/org/videostream/VideoStream1/stream/cam10"), interface("Stream", stream)),
            (at("/org/videostream/VideoStream1/stream/cam9"), interface("Stream", other)),
            (at("/org/videostream/VideoStream1/recording/3"), interface("Recording", recording)),
            (at("/org/videostream/VideoStream1/other"), interface("OfTheFuture", dict([("Y", value(2i16))]))),
        ]);

        let bytes = to_bytes(Context::new_dbus(LE, 0), &objects).unwrap();
        let all = Objects::new(bytes.deserialize().unwrap().0);

        let names: Vec<_> = all.streams.iter().map(|stream| stream.name.as_str()).collect();
        assert_eq!(names, ["cam9", "cam10"]);
        let stream = &all.streams[1];
        assert_eq!((stream.format.fourcc.as_str(), stream.format.rate), ("NV12", (30, 1)));
        assert_eq!(stream.state, "");
        let client = &stream.clients[0];
        assert_eq!(
            (client.id, client.held_max, client.skipped["no-credit"], client.revoked["withdrawn"]),
            (7, 3, 2, 1)
        );
        assert_eq!(all.recordings[0].0, 3);
        assert_eq!(all.recordings[0].1.progress.frames, 150);
    }

    #[test]
    fn a_property_is_read_like_a_whole_object() {
        let counters = value(dict([("published", value(9u64)), ("held", value(1u32))]));
        let counters = Counters::try_from(counters).unwrap();
        assert_eq!((counters.published, counters.held, counters.delivered), (9, 1, 0));
        assert!(Counters::try_from(value(9u64)).is_err());
    }
}
