// SPDX-License-Identifier: Apache-2.0
//! The pairs of elements that are compared.

use gstreamer as gst;

/// A sink and its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Videostream,
    Shm,
    UnixFd,
}

/// Pictures for which there is room in shmsink's memory: as many as vslsink has buffers, and one to fill.
const SHM_PICTURES: usize = 9;

impl Kind {
    pub const ALL: [Self; 3] = [Self::Videostream, Self::Shm, Self::UnixFd];

    pub fn name(self) -> &'static str {
        match self {
            Self::Videostream => "vsl",
            Self::Shm => "shm",
            Self::UnixFd => "unixfd",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether this GStreamer has it.
    pub fn is_there(self) -> bool {
        let [sink, source] = ["sink", "src"].map(|side| format!("{}{side}", self.name()));
        gst::ElementFactory::find(&sink).is_some() && gst::ElementFactory::find(&source).is_some()
    }

    /// The sink of a pipeline.
    pub fn sink(self, socket: &str, picture: usize) -> String {
        match self {
            Self::Videostream => format!("vslsink name=sink path={socket} sync=false"),
            Self::Shm => {
                let room = picture * SHM_PICTURES;
                format!("shmsink name=sink socket-path={socket} sync=false wait-for-connection=false shm-size={room}")
            }
            Self::UnixFd => format!("unixfdsink name=sink socket-path={socket} sync=false"),
        }
    }

    /// The source of one.
    pub fn source(self, socket: &str) -> String {
        match self {
            Self::Videostream => format!("vslsrc name=source path={socket}"),
            Self::Shm => format!("shmsrc name=source socket-path={socket} is-live=true"),
            Self::UnixFd => format!("unixfdsrc name=source socket-path={socket}"),
        }
    }
}
