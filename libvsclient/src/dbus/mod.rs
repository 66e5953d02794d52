// SPDX-License-Identifier: Apache-2.0
//! The daemon's control plane: what can be asked and ordered over D-Bus.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use vsclient::dbus::{self, Bus, StartOptions};
//!
//! let daemon = dbus::connect(&Bus::from_env()?).await?;
//! daemon.manager().await?.start_stream("cam0", &StartOptions::default()).await?;
//! for stream in daemon.objects().await?.streams {
//!     println!("{} is {}", stream.name, stream.state);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Frames never travel here. [`connect`] gives a [`Daemon`], which finds the objects; the
//! proxies ([`ManagerProxy`], [`StreamProxy`], [`DeviceProxy`], [`ControlsProxy`], [`RecordingProxy`],
//! [`PlaybackProxy`]) have the
//! methods and properties of the interfaces as the XML in `dbus/` describes them, with
//! change signals where the daemon sends such. [`Daemon::objects`] takes a picture of
//! everything in one call, [`changes`] tells what happens to it.
//!
//! Dictionaries (`a{sv}`) are structs here. A key that an older daemon does not send has
//! its default value, one that a newer daemon adds is passed over: neither is an error.

mod bus;
mod changes;
mod codec;
mod controls;
mod daemon;
mod dict;
mod error;
mod names;
mod objects;
mod options;
mod proxy;

pub use bus::{BUS_VARIABLE, Bus, ParseBusError};
pub use changes::{Change, Changes, Object, changes};
pub use codec::{CodecSessionInfo, DecoderInfo, DecoderOptions, EncoderInfo, EncoderOptions};
pub use controls::{ControlInfo, ControlValue};
pub use daemon::{Daemon, connect, connect_running};
pub use error::{CallError, ConnectError};
pub use names::{ROOT_PATH, SERVICE, device_path, escape, recording_number, recording_path, stream_path, unescape};
pub use objects::{
    ClientInfo, Counters, DepartureInfo, DeviceFormat, DeviceInfo, Distribution, Encoding, FindingInfo, ManagerInfo,
    Objects, Past, PlaneInfo, PlaybackEnd, PlaybackProgress, PolicyInfo, Progress, RecordedFile, RecordingInfo,
    ReloadInfo, SnapshotInfo, StreamFormat, StreamInfo, Summary,
};
pub use options::{
    AddFileOptions, CodingOptions, ControlOptions, NoOptions, PlayOptions, RecordOptions, SnapshotOptions,
    StartOptions, StopOptions,
};
pub use proxy::{ControlsProxy, DeviceProxy, ManagerProxy, PlaybackProxy, RecordingProxy, StreamProxy};
