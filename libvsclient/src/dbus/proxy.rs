// SPDX-License-Identifier: Apache-2.0
//! The interfaces, as the XML in `dbus/` has them. What is said there is not repeated here.

use std::collections::HashMap;

use zbus::proxy;
use zbus::zvariant::{Fd, OwnedFd, OwnedObjectPath, OwnedValue, Value};

use super::codec::{CodecSessionInfo, DecoderInfo, DecoderOptions, EncoderInfo, EncoderOptions};
use super::options::{
    AddFileOptions, ControlOptions, NoOptions, PlayOptions, RecordOptions, SnapshotOptions, StartOptions, StopOptions,
};
use super::{
    ClientInfo, ControlInfo, Counters, DepartureInfo, DeviceFormat, Encoding, FindingInfo, Past, PlaybackEnd,
    PlaybackProgress, PolicyInfo, Progress, RecordedFile, ReloadInfo, SnapshotInfo, StreamFormat, Summary,
};

/// The daemon as a whole.
#[proxy(
    interface = "org.videostream.VideoStream1.Manager",
    default_service = "org.videostream.VideoStream1",
    default_path = "/org/videostream/VideoStream1",
    gen_blocking = false
)]
pub trait Manager {
    /// Starts a stream, which then runs until it is stopped, used or not; one that is not started
    /// runs while it is used. Answers when the first frame can come, with the stream's object.
    fn start_stream(&self, name: &str, options: &StartOptions) -> zbus::Result<OwnedObjectPath>;

    /// Stops a stream: nobody can use it before it is started again. Answers when its recordings
    /// are finished and its clients told.
    fn stop_stream(&self, name: &str, options: &StopOptions) -> zbus::Result<()>;

    /// Records a stream that is running or idle into a file opened for reading and writing, and
    /// answers when recording has begun, with the recording's object.
    fn record(&self, stream: &str, file: Fd<'_>, options: &RecordOptions) -> zbus::Result<OwnedObjectPath>;

    /// Starts a recording of the configuration, which then runs until it is stopped; its object when it has begun.
    fn start_recording(&self, name: &str, options: &NoOptions) -> zbus::Result<OwnedObjectPath>;

    /// Ends a recording of the configuration until it is started. Answers when its file is complete.
    fn stop_recording(&self, name: &str, options: &NoOptions) -> zbus::Result<()>;

    /// The recordings of the configuration, running or not.
    #[zbus(property(emits_changed_signal = "false"))]
    fn policies(&self) -> zbus::Result<Vec<PolicyInfo>>;

    /// Opens an encoder for the caller; its socket, and what was opened. `codec::Encoder` (feature
    /// `codec`) is what one uses it with.
    fn open_encoder(&self, options: &EncoderOptions) -> zbus::Result<(OwnedFd, EncoderInfo)>;

    /// Opens a decoder for the caller; its socket, and what was opened. `codec::Decoder` (feature
    /// `codec`) is what one uses it with.
    fn open_decoder(&self, options: &DecoderOptions) -> zbus::Result<(OwnedFd, DecoderInfo)>;

    /// Plays a file that is open for reading as a stream, and answers when its first picture can be
    /// decoded, with the stream's object.
    fn play(&self, file: Fd<'_>, options: &PlayOptions) -> zbus::Result<OwnedObjectPath>;

    /// Takes a picture of a stream into a regular file or a pipe that is open for writing, and answers when it is
    /// written.
    fn snapshot(&self, stream: &str, file: Fd<'_>, options: &SnapshotOptions) -> zbus::Result<SnapshotInfo>;

    /// All counters and histograms in Prometheus' text format, version 0.0.4.
    fn metrics(&self) -> zbus::Result<String>;

    /// What this machine can do and what is missing, as the daemon sees it.
    fn inspect(&self, options: &NoOptions) -> zbus::Result<Vec<FindingInfo>>;

    /// The configuration that counts: the path of its file, and the text that was in it.
    fn configuration(&self, options: &NoOptions) -> zbus::Result<(String, String)>;

    /// Reads the configuration anew and does what differs. If anything in it is wrong, nothing changes.
    fn reload(&self, options: &NoOptions) -> zbus::Result<ReloadInfo>;

    /// The encoders and decoders that are open.
    #[zbus(property(emits_changed_signal = "false"))]
    fn codec_sessions(&self) -> zbus::Result<Vec<CodecSessionInfo>>;

    /// Version of the daemon.
    #[zbus(property)]
    fn version(&self) -> zbus::Result<String>;

    /// Directory of the streams' sockets.
    #[zbus(property)]
    fn socket_directory(&self) -> zbus::Result<String>;

    /// Changes at every start of the daemon.
    #[zbus(property)]
    fn epoch(&self) -> zbus::Result<u64>;
}

/// A stream.
#[proxy(
    interface = "org.videostream.VideoStream1.Stream",
    default_service = "org.videostream.VideoStream1",
    gen_blocking = false
)]
pub trait Stream {
    /// Its name, and that of its socket.
    #[zbus(property)]
    fn name(&self) -> zbus::Result<String>;

    /// `stopped`, `idle` (its source is opened for the first user), `waiting`, `running` or `failed`.
    #[zbus(property)]
    fn state(&self) -> zbus::Result<String>;

    /// Why it is in that state; empty if there is nothing to say.
    #[zbus(property)]
    fn state_text(&self) -> zbus::Result<String>;

    /// What fills it: `pattern`, `camera`, `ipc`, `coded`, `converted` or `file`.
    #[zbus(property)]
    fn source_kind(&self) -> zbus::Result<String>;

    /// Object of the device that fills it; `/` if none does, or it is absent.
    #[zbus(property)]
    fn device(&self) -> zbus::Result<OwnedObjectPath>;

    /// Name of the stream that it is made from; empty if it is made from none.
    #[zbus(property)]
    fn from(&self) -> zbus::Result<String>;

    /// Path of its socket; empty while it is stopped.
    #[zbus(property)]
    fn socket(&self) -> zbus::Result<String>;

    /// Path of its socket for clients of libvideostream 2.x.
    #[zbus(property)]
    fn vsl_socket(&self) -> zbus::Result<String>;

    /// Format of its frames; default before the first start.
    #[zbus(property)]
    fn format(&self) -> zbus::Result<StreamFormat>;

    /// The encoder that makes its frames.
    #[zbus(property)]
    fn encoding(&self) -> zbus::Result<Encoding>;

    /// What is kept of what has been encoded.
    #[zbus(property(emits_changed_signal = "false"))]
    fn past(&self) -> zbus::Result<Past>;

    /// Asks for a keyframe soon.
    fn request_keyframe(&self) -> zbus::Result<()>;

    /// In which ways the device's answer differs from what was asked.
    #[zbus(property)]
    fn adjustments(&self) -> zbus::Result<Vec<String>>;

    /// Counters since the start.
    #[zbus(property(emits_changed_signal = "false"))]
    fn counters(&self) -> zbus::Result<Counters>;

    /// Those connected.
    #[zbus(property(emits_changed_signal = "false"))]
    fn clients(&self) -> zbus::Result<Vec<ClientInfo>>;

    /// Those who went last.
    #[zbus(property(emits_changed_signal = "false"))]
    fn departures(&self) -> zbus::Result<Vec<DepartureInfo>>;
}

/// A file that is played.
#[proxy(
    interface = "org.videostream.VideoStream1.Playback",
    default_service = "org.videostream.VideoStream1",
    gen_blocking = false
)]
pub trait Playback {
    /// Answers when it is over, for whatever reason.
    fn wait(&self) -> zbus::Result<PlaybackEnd>;

    /// How far it is.
    #[zbus(property(emits_changed_signal = "false"))]
    fn progress(&self) -> zbus::Result<PlaybackProgress>;
}

/// A device.
#[proxy(
    interface = "org.videostream.VideoStream1.Device",
    default_service = "org.videostream.VideoStream1",
    gen_blocking = false
)]
pub trait Device {
    /// The name by which streams and commands know it.
    #[zbus(property)]
    fn name(&self) -> zbus::Result<String>;

    /// `camera`, `encoder`, `decoder` or `converter`.
    #[zbus(property)]
    fn kind(&self) -> zbus::Result<String>;

    /// Device node.
    #[zbus(property)]
    fn node(&self) -> zbus::Result<String>;

    /// What the driver calls the hardware.
    #[zbus(property)]
    fn card(&self) -> zbus::Result<String>;

    /// Name of the driver.
    #[zbus(property)]
    fn driver(&self) -> zbus::Result<String>;

    /// Where the driver says it is connected.
    #[zbus(property)]
    fn bus(&self) -> zbus::Result<String>;

    /// udev's `ID_PATH`; empty if unknown.
    #[zbus(property, name = "Path")]
    fn id_path(&self) -> zbus::Result<String>;

    /// Whether the driver speaks the multi-planar API.
    #[zbus(property)]
    fn multiplanar(&self) -> zbus::Result<bool>;

    /// Whether it is there.
    #[zbus(property)]
    fn present(&self) -> zbus::Result<bool>;

    /// Why it cannot be used, and what to do; empty if it can.
    #[zbus(property)]
    fn problem(&self) -> zbus::Result<String>;

    /// What it can deliver, or take.
    #[zbus(property)]
    fn formats(&self) -> zbus::Result<Vec<DeviceFormat>>;
}

/// What can be adjusted at a device.
#[proxy(
    interface = "org.videostream.VideoStream1.Controls",
    default_service = "org.videostream.VideoStream1",
    gen_blocking = false
)]
pub trait Controls {
    /// All controls with their values.
    fn list_controls(&self, options: &NoOptions) -> zbus::Result<Vec<ControlInfo>>;

    /// Values of these controls, or of all.
    fn get_controls(&self, names: &[&str], options: &NoOptions) -> zbus::Result<HashMap<String, OwnedValue>>;

    /// Sets several controls, all or nothing, and answers with the values as they are then.
    fn set_controls(
        &self,
        values: &HashMap<&str, Value<'_>>,
        options: &ControlOptions,
    ) -> zbus::Result<HashMap<String, OwnedValue>>;

    /// Gives these controls, or all, their defaults, and forgets what they were set to. Answers
    /// with those that the driver refused.
    fn reset_controls(&self, names: &[&str], options: &NoOptions) -> zbus::Result<HashMap<String, String>>;

    /// A control has changed, whoever did it.
    #[zbus(signal)]
    fn control_changed(&self, name: String, control: ControlInfo) -> zbus::Result<()>;
}

/// A stream being written to a file.
#[proxy(
    interface = "org.videostream.VideoStream1.Recording",
    default_service = "org.videostream.VideoStream1",
    gen_blocking = false
)]
pub trait Recording {
    /// Ends the recording, and answers when the file is complete.
    fn stop(&self) -> zbus::Result<Summary>;

    /// Answers when the recording has ended, for whatever reason.
    fn wait(&self) -> zbus::Result<Summary>;

    /// Passes the file that the recording goes on in when a segment is over, or the stream's format changes: an empty
    /// one, open for reading and writing. At most two may wait.
    fn add_file(&self, file: Fd<'_>, options: &AddFileOptions) -> zbus::Result<()>;

    /// The `number`th file, counted from 1, is complete. Each has been told of when [`stop`](Self::stop) and
    /// [`wait`](Self::wait) answer.
    #[zbus(signal)]
    fn file_finished(&self, number: u64, file: RecordedFile) -> zbus::Result<()>;

    /// Its name in the configuration; empty if it is not from there.
    #[zbus(property(emits_changed_signal = "const"))]
    fn name(&self) -> zbus::Result<String>;

    /// Name of the stream.
    #[zbus(property(emits_changed_signal = "const"))]
    fn stream(&self) -> zbus::Result<String>;

    /// How long before it was asked for it begins, in ns.
    #[zbus(property(emits_changed_signal = "const"))]
    fn pre(&self) -> zbus::Result<u64>;

    /// What the file is called that is written; empty if nobody has said it.
    #[zbus(property)]
    fn file(&self) -> zbus::Result<String>;

    /// Files begun.
    #[zbus(property)]
    fn segments(&self) -> zbus::Result<u64>;

    /// `recording`, `finished` or `failed`.
    #[zbus(property)]
    fn state(&self) -> zbus::Result<String>;

    /// What went wrong; empty if nothing.
    #[zbus(property)]
    fn error(&self) -> zbus::Result<String>;

    /// Encoder and effective settings.
    #[zbus(property)]
    fn encoding(&self) -> zbus::Result<Encoding>;

    /// How far it is.
    #[zbus(property(emits_changed_signal = "false"))]
    fn progress(&self) -> zbus::Result<Progress>;
}
