// SPDX-License-Identifier: Apache-2.0
//! What fills a stream. The thread awaits [`Source::next`] and publishes what comes.

use std::path::PathBuf;
use std::sync::Arc;

use vs_frame::{CpuMemory, Format, Frame, MemoryKind};

use super::camera::CameraSource;
use super::pattern::PatternSource;
use super::spec::Shape;

/// What to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Paint a pattern.
    Pattern {
        /// What its frames shall be.
        shape: Shape,
        /// Where it is painted.
        memory: CpuMemory,
        /// Buffers to keep.
        buffers: usize,
        /// Buffers beyond those, while readers hold many.
        spares: usize,
    },
    /// Capture from a camera.
    Camera {
        /// Its node.
        node: PathBuf,
        /// What its frames shall be.
        shape: Shape,
        /// Buffers to ask the driver for.
        buffers: usize,
        /// Whether clients of libvideostream shall be able to read them.
        vsl: bool,
    },
}

/// What came of waiting for a frame.
#[derive(Debug)]
pub enum Event {
    /// Here it is.
    Frame(Frame),
    /// There was one, but no buffer could be spared for it.
    NoBuffer,
    /// The driver delivered a damaged picture; it is not published.
    Corrupt,
}

/// What a source has counted since it was opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Frames taken from the device, or painted.
    pub captured: u64,
    /// Frames that the driver flagged as damaged.
    pub corrupt: u64,
    /// Frames that the device lost, by its own count.
    pub lost: u64,
    /// Frames for which no buffer could be spared.
    pub no_buffer: u64,
}

/// An open source.
#[derive(Debug)]
pub enum Source {
    /// The test pattern.
    Pattern(PatternSource),
    /// A V4L2 camera.
    Camera(CameraSource),
}

impl Source {
    /// Opens and starts what the plan says. Must be called on the stream's runtime.
    pub fn open(plan: &Plan) -> anyhow::Result<Self> {
        match plan {
            Plan::Pattern { shape, memory, buffers, spares } => {
                PatternSource::open(*shape, memory.clone(), *buffers, *spares).map(Self::Pattern)
            }
            Plan::Camera { node, shape, buffers, vsl } => {
                CameraSource::open(node, *shape, *buffers, *vsl).map(Self::Camera)
            }
        }
    }

    /// Waits for a frame, which will get the serial `serial`. Safe to cancel.
    ///
    /// # Errors
    /// The source is finished; the message says why and what to do.
    pub async fn next(&mut self, serial: u64) -> anyhow::Result<Event> {
        match self {
            Self::Pattern(pattern) => pattern.next(serial).await,
            Self::Camera(camera) => camera.next().await,
        }
    }

    /// The format of its frames.
    pub fn format(&self) -> &Arc<Format> {
        match self {
            Self::Pattern(pattern) => pattern.format(),
            Self::Camera(camera) => camera.format(),
        }
    }

    /// The kind of memory that its frames lie in.
    pub fn memory(&self) -> MemoryKind {
        match self {
            Self::Pattern(pattern) => pattern.memory(),
            Self::Camera(_) => MemoryKind::DmaBuf,
        }
    }

    /// In which ways the device's answer differs from what was asked.
    pub fn adjustments(&self) -> Vec<String> {
        match self {
            Self::Pattern(_) => Vec::new(),
            Self::Camera(camera) => camera.adjustments(),
        }
    }

    /// The most buffers that it can have at once.
    pub fn buffers(&self) -> usize {
        match self {
            Self::Pattern(pattern) => pattern.buffers(),
            Self::Camera(camera) => camera.buffers(),
        }
    }

    /// Gives back memory that nobody has needed since the last call. Returns whether any went.
    pub fn trim(&self) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.trim(),
            Self::Camera(_) => false,
        }
    }

    /// What it has counted.
    pub fn counts(&self) -> Counts {
        match self {
            Self::Pattern(pattern) => pattern.counts(),
            Self::Camera(camera) => camera.counts(),
        }
    }
}
