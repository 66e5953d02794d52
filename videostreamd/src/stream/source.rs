// SPDX-License-Identifier: Apache-2.0
//! What fills a stream. The thread awaits [`Source::next`] and publishes what comes.

use std::sync::Arc;

use vs_codec::Effective;
use vs_frame::{BufferId, CpuMemory, Format, Frame, MemoryError, MemoryKind};
use vs_ipc::wire::StreamState;

use super::camera::{CameraPlan, CameraSource};
use super::coded::{CodedPlan, CodedSource};
use super::consumer::Readers;
use super::converted::{ConvertedPlan, ConvertedSource};
use super::file::{FilePlan, FileSource};
use super::ipc::{IpcSource, Subscription};
use super::pattern::PatternSource;
use super::spec::{Shape, frames_for_clients};

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
    Camera(CameraPlan),
    /// Take what another host publishes.
    Ipc(Subscription),
    /// Encode another stream.
    Coded(CodedPlan),
    /// Convert another stream's pictures.
    Converted(ConvertedPlan),
    /// Play a file.
    File(FilePlan),
}

/// What came of waiting for a frame.
#[derive(Debug)]
pub enum Event {
    /// Here it is.
    Frame(Frame),
    /// There was one, but no buffer could be spared for it; why none could be added, if that failed.
    NoBuffer(Option<MemoryError>),
    /// The driver delivered a damaged picture; it is not published.
    Corrupt,
    /// Here is a frame that another host has lent.
    Lent {
        /// The frame.
        frame: Frame,
        /// Until when it may be read, in ns of `CLOCK_MONOTONIC`.
        until_ns: u64,
    },
    /// Another host has taken back what it had lent.
    Withdrawn(Withdrawn),
    /// The device was opened anew: its format and its buffers are others.
    Opened,
    /// The encoder is another one, or does something else.
    Encoder,
    /// The source itself says what the stream is doing.
    State(StreamState, String),
    /// No frame comes any more; when its readers are done with the last, it says so in its state.
    Ending,
    /// The source has learnt how many frames clients may hold.
    Budget {
        /// Frames that all of them together may hold.
        frames: usize,
    },
}

/// Which frames were taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawn {
    /// Those in this buffer.
    Buffer(BufferId),
    /// All of them.
    All,
}

/// What a source has counted since the stream was started, or got another form.
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
    /// Times that the device stood still.
    pub stalls: u64,
    /// Times that its driver refused a buffer; it is offered again.
    pub refusals: u64,
    /// Times that it was stopped and started to repair it.
    pub restarts: u64,
    /// Times that it was closed and opened to repair it.
    pub reopens: u64,
    /// Times that frames stayed away: it was unplugged, stood still or failed.
    pub outages: u64,
}

impl Counts {
    /// The sum of both.
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            captured: self.captured + other.captured,
            corrupt: self.corrupt + other.corrupt,
            lost: self.lost + other.lost,
            no_buffer: self.no_buffer + other.no_buffer,
            stalls: self.stalls + other.stalls,
            refusals: self.refusals + other.refusals,
            restarts: self.restarts + other.restarts,
            reopens: self.reopens + other.reopens,
            outages: self.outages + other.outages,
        }
    }

    /// What became of frames, by name.
    pub fn outcomes(&self) -> [(&'static str, u64); 4] {
        [("captured", self.captured), ("corrupt", self.corrupt), ("lost", self.lost), ("no-buffer", self.no_buffer)]
    }

    /// What became of the device, by name.
    pub fn repairs(&self) -> [(&'static str, u64); 5] {
        let Self { outages, stalls, refusals, restarts, reopens, .. } = *self;
        [("outages", outages), ("stalls", stalls), ("refusals", refusals), ("restarts", restarts), ("reopens", reopens)]
    }
}

/// Buffers that a source has. None are its own if another host has them.
#[derive(Debug, Clone, Copy, Default)]
pub struct BufferCounts {
    /// Those there are.
    pub all: u32,
    /// Those of them that are there only because readers hold many.
    pub spares: u32,
    /// As many as there can be.
    pub max: u32,
}

/// An open source.
#[derive(Debug)]
pub enum Source {
    /// The test pattern.
    Pattern(Box<PatternSource>),
    /// A V4L2 camera.
    Camera(Box<CameraSource>),
    /// Another host's stream.
    Ipc(Box<IpcSource>),
    /// Another stream, encoded.
    Coded(Box<CodedSource>),
    /// Another stream, converted.
    Converted(Box<ConvertedSource>),
    /// A file.
    File(Box<FileSource>),
}

impl Source {
    /// Opens and starts what the plan says. Must be called on the stream's runtime.
    ///
    /// # Errors
    /// What is wrong. A camera that cannot be opened is none for a `patient` source, which tries
    /// again until it can. Trouble that is `known` is not logged again.
    pub fn open(plan: &Plan, patient: bool, known: Option<&str>) -> anyhow::Result<Self> {
        match plan {
            Plan::Pattern { shape, memory, buffers, spares } => {
                PatternSource::open(*shape, memory.clone(), *buffers, *spares)
                    .map(|pattern| Self::Pattern(Box::new(pattern)))
            }
            Plan::Camera(plan) => {
                CameraSource::open(plan.clone(), patient, known).map(|camera| Self::Camera(Box::new(camera)))
            }
            Plan::Ipc(subscription) => Ok(Self::Ipc(Box::new(IpcSource::new(subscription.clone())))),
            Plan::Coded(plan) => Ok(Self::Coded(Box::new(CodedSource::new(plan.clone())))),
            Plan::Converted(plan) => Ok(Self::Converted(Box::new(ConvertedSource::new(plan.clone())))),
            Plan::File(plan) => FileSource::new(plan.clone()).map(|file| Self::File(Box::new(file))),
        }
    }

    /// Whether nothing more comes, and it waits until nobody holds a frame.
    pub fn is_ending(&self) -> bool {
        matches!(self, Self::File(file) if file.is_ending())
    }

    /// Whether it waits until all who look have room for its next frame.
    pub fn waits_for_clients(&self) -> bool {
        matches!(self, Self::File(file) if file.waits_for_clients())
    }

    /// Waits for a frame, which will get the serial `serial`; one that
    /// [waits for clients](Self::waits_for_clients) also for its `readers`. Safe to cancel.
    ///
    /// # Errors
    /// The source is finished; the message says why and what to do.
    pub async fn next(&mut self, serial: u64, readers: Readers<'_>) -> anyhow::Result<Event> {
        match self {
            Self::Pattern(pattern) => pattern.next(serial).await,
            Self::Camera(camera) => Ok(camera.next().await),
            Self::Ipc(ipc) => Ok(ipc.next().await),
            Self::Coded(coded) => coded.next().await,
            Self::Converted(converted) => Ok(converted.next().await),
            Self::File(file) => file.next(readers).await,
        }
    }

    /// What a stream is doing whose source has just been opened.
    pub fn state(&self) -> (StreamState, &str) {
        match self {
            Self::Pattern(_) => (StreamState::Running, ""),
            Self::Camera(camera) => camera.state(),
            Self::Ipc(ipc) => ipc.state(),
            Self::Coded(coded) => coded.state(),
            Self::Converted(converted) => converted.state(),
            Self::File(file) => file.state(),
        }
    }

    /// The format of its frames and the kind of memory that they lie in, if that is known
    /// before the first one.
    pub fn format(&self) -> Option<(&Arc<Format>, MemoryKind)> {
        match self {
            Self::Pattern(pattern) => Some((pattern.format(), pattern.memory())),
            Self::Camera(camera) => Some((camera.format()?, MemoryKind::DmaBuf)),
            Self::Ipc(_) => None,
            Self::Coded(coded) => coded.format(),
            Self::Converted(converted) => converted.format(),
            Self::File(file) => file.format(),
        }
    }

    /// The encoder that makes its frames, if one does and it is known.
    pub fn encoder(&self) -> Option<&Arc<Effective>> {
        match self {
            Self::Coded(coded) => coded.encoder(),
            Self::Pattern(_) | Self::Camera(_) | Self::Ipc(_) | Self::Converted(_) | Self::File(_) => None,
        }
    }

    /// What keeps a camera from delivering, if it has been logged.
    pub fn outage(&self) -> Option<String> {
        match self {
            Self::Camera(camera) => camera.outage(),
            Self::Pattern(_) | Self::Ipc(_) | Self::Coded(_) | Self::Converted(_) | Self::File(_) => None,
        }
    }

    /// In which ways the answer of device or encoder differs from what was asked.
    pub fn adjustments(&self) -> Vec<String> {
        match self {
            Self::Pattern(_) | Self::Ipc(_) | Self::Converted(_) | Self::File(_) => Vec::new(),
            Self::Camera(camera) => camera.adjustments(),
            Self::Coded(coded) => coded.adjustments(),
        }
    }

    /// Frames that clients may hold of those that it can have at once.
    pub fn frames_for_clients(&self) -> usize {
        match self {
            Self::Pattern(pattern) => frames_for_clients(pattern.max_buffers()),
            Self::Camera(camera) => camera.frames_for_clients(),
            Self::Ipc(ipc) => ipc.frames_for_clients(),
            Self::Coded(coded) => coded.frames_for_clients(),
            Self::Converted(converted) => converted.frames_for_clients(),
            Self::File(file) => file.frames_for_clients(),
        }
    }

    /// Gives back memory that nobody has needed since the last call. Returns whether clients
    /// are to forget any.
    pub fn trim(&mut self) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.trim(),
            Self::Camera(camera) => camera.trim(),
            Self::Ipc(_) | Self::Converted(_) | Self::File(_) => false,
            Self::Coded(coded) => coded.trim(),
        }
    }

    /// Its buffers.
    pub fn buffers(&self) -> BufferCounts {
        match self {
            Self::Pattern(pattern) => pattern.buffers(),
            Self::Camera(camera) => camera.buffers(),
            Self::Ipc(_) => BufferCounts::default(),
            Self::Coded(coded) => coded.buffers(),
            Self::Converted(converted) => converted.buffers(),
            Self::File(file) => file.buffers(),
        }
    }

    /// What it has counted.
    pub fn counts(&self) -> Counts {
        match self {
            Self::Pattern(pattern) => pattern.counts(),
            Self::Camera(camera) => camera.counts(),
            Self::Ipc(ipc) => ipc.counts(),
            Self::Coded(coded) => coded.counts(),
            Self::Converted(converted) => converted.counts(),
            Self::File(file) => file.counts(),
        }
    }
}
