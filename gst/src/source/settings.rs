// SPDX-License-Identifier: Apache-2.0
//! The properties of `vslsrc` that are set, and what they mean for its client.

use std::time::Duration;

use gstreamer::glib;
use vsclient::{Client, ClientBuilder, Mode};

/// How frames are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, glib::Enum)]
#[enum_type(name = "VslSrcMode")]
pub enum Delivery {
    /// Frames are leased, and go on without a copy.
    #[default]
    #[enum_value(name = "Frames are leased until their buffers are freed", nick = "leased")]
    Leased,
    /// Frames are copied when they are announced: the host need not wait for this reader.
    #[enum_value(name = "Frames are copied at once", nick = "notify")]
    Notify,
}

/// Which protocol the host speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, glib::Enum)]
#[enum_type(name = "VslSrcProtocol")]
pub enum Protocol {
    /// The host's first answer shows it.
    #[default]
    #[enum_value(name = "Whichever the host speaks", nick = "auto")]
    Auto,
    /// The stream protocol.
    #[enum_value(name = "That of videostreamd and vslsink", nick = "videostream")]
    Videostream,
    /// The ancestor's.
    #[enum_value(name = "That of libvideostream 2.x", nick = "vsl")]
    Vsl,
}

/// What was set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The socket, or empty.
    pub path: String,
    /// Name of a stream of the daemon, or empty.
    pub stream: String,
    /// Seconds without a frame after which it is an error; 0: never.
    pub timeout: u32,
    /// Whether a lost connection is made again.
    pub reconnect: bool,
    /// Whether buffers get a presentation time.
    pub pts: bool,
    /// Whether buffers get a decoding time.
    pub dts: bool,
    /// Which protocol the host speaks.
    pub protocol: Protocol,
    /// How frames are taken.
    pub mode: Delivery,
    /// Frames until the end of the stream; -1: no end.
    pub num_frames: i32,
    /// The lease to ask for, in ms; 0: the host's.
    pub lease: u32,
    /// Frames that the pipeline may hold; 0: what the host gives.
    pub credits: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            path: String::new(),
            stream: String::new(),
            timeout: 0,
            reconnect: true,
            pts: true,
            dts: false,
            protocol: Protocol::default(),
            mode: Delivery::default(),
            num_frames: -1,
            lease: 0,
            credits: 0,
        }
    }
}

impl Settings {
    /// The text that names the socket, as libvsclient reads it; `None` if nothing was said.
    pub fn target(&self) -> Option<&str> {
        [&self.path, &self.stream].into_iter().map(String::as_str).find(|text| !text.is_empty())
    }

    /// The client that was asked for.
    pub fn client(&self, target: &str, element: &str) -> ClientBuilder {
        let mode = match self.mode {
            Delivery::Leased => Mode::Leased,
            Delivery::Notify => Mode::Notify,
        };
        let name = format!("vslsrc {element}");
        let builder = Client::builder(target).mode(mode).name(name);
        let builder = builder.credits(u16::try_from(self.credits).unwrap_or(u16::MAX));
        let builder = if self.reconnect { builder } else { builder.no_reconnect() };
        match self.lease {
            0 => builder,
            ms => builder.lease(Duration::from_millis(ms.into())),
        }
    }
}
