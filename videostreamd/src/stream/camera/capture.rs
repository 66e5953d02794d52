// SPDX-License-Identifier: Apache-2.0
//! A V4L2 camera that is open.
//!
//! Whatever readers hold, the driver has [`SOURCE_FLOOR`] buffers when a frame has been handed
//! out: it gets spare ones for those that are away, within the bound. Where the bound is
//! reached, the frame that was just taken goes back instead of being published.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use anyhow::Context;
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};
use vs_frame::Format;
use vs_v4l2::{Camera, CaptureError, CaptureRequest, Captured, Errno, StartError};

use super::CameraPlan;
use crate::controls::Watch;
use crate::devices::Presence;
use crate::stream::source::{BufferCounts, Counts, Event};
use crate::stream::spec::{SOURCE_FLOOR, check_picture, frames_for_clients};

/// What wakes us up: frames, what the device says beside them, and errors, which need not look
/// like a frame.
const INTEREST: Interest = Interest::READABLE.add(Interest::PRIORITY).add(Interest::ERROR);

/// Why no frame comes.
#[derive(Debug)]
pub enum Interruption {
    /// The driver says so.
    Error(CaptureError),
    /// What comes in has another form: the camera must be opened anew.
    SourceChanged,
}

/// See the module.
#[derive(Debug)]
pub struct Capture {
    camera: Camera,
    /// A second descriptor of the same open file: the camera keeps its own.
    ready: AsyncFd<OwnedFd>,
    /// Tells what others change of its controls.
    _watch: Option<Watch>,
    no_buffer: u64,
    /// The driver has been seen to since the last frame.
    topped_up: bool,
    /// Buffers on which clients' budget is reckoned.
    budgeted: usize,
    /// The most spares that there have been since there were none.
    spares_high: u32,
    /// Spares that could not be had, since one could.
    refused: u64,
}

impl Capture {
    /// Must be called on the stream's runtime.
    pub fn open(presence: &Presence, plan: &CameraPlan) -> anyhow::Result<Self> {
        let node = &presence.node;
        let CameraPlan { shape, buffers, spares, vsl, .. } = *plan;
        let request = CaptureRequest {
            fourcc: shape.fourcc,
            size: shape.size,
            rate: shape.rate,
            buffers: u32::try_from(buffers).unwrap_or(u32::MAX),
            spares: u32::try_from(spares).unwrap_or(u32::MAX),
            floor: SOURCE_FLOOR as u32,
            // Clients of libvideostream map for writing or not at all.
            writable: vsl,
            bus: presence.bus.clone(),
        };
        let mut camera = Camera::open(node, &request)?;
        if vsl {
            check_picture(camera.format())?;
        }
        // After the format, which can change their ranges; before the first frame.
        plan.controls.restore(&camera);
        camera.start()?;
        let fd = camera.as_fd().try_clone_to_owned().context("cannot duplicate the camera's descriptor")?;
        // SAFETY: an `OwnedFd` names the same open descriptor until it is dropped, and the
        // `AsyncFd` owns it.
        let ready = unsafe { AsyncFd::register_with_interest(fd, INTEREST) }
            .map_err(std::io::Error::from)
            .context("cannot watch the camera")?;
        let budgeted = camera.max_buffers() as usize;
        let watch = plan.controls.watch(node);
        Ok(Self { camera, ready, _watch: watch, no_buffer: 0, topped_up: false, budgeted, spares_high: 0, refused: 0 })
    }

    /// STREAMOFF and STREAMON. What readers hold stays theirs.
    pub fn restart(&mut self) -> Result<(), StartError> {
        self.camera.stop();
        self.topped_up = false;
        self.camera.start()
    }

    /// Frames are missing before the next one.
    pub fn note_gap(&mut self) {
        self.camera.note_gap();
    }

    pub fn format(&self) -> &Arc<Format> {
        self.camera.format()
    }

    pub fn adjustments(&self) -> Vec<String> {
        self.camera.adjustments().iter().map(ToString::to_string).collect()
    }

    /// The most that there can be. What the driver gave need not be what it was asked for.
    pub fn max_buffers(&self) -> usize {
        self.budgeted
    }

    pub fn buffers(&self) -> BufferCounts {
        let stats = self.camera.stats();
        BufferCounts { all: stats.buffers, spares: stats.spares, max: self.camera.max_buffers() }
    }

    /// Gives back spares that nobody has needed since the last call. Returns whether there are
    /// any that clients are to forget.
    pub fn trim(&mut self) -> bool {
        let gave_back = self.camera.gives_back();
        let renamed = self.camera.trim();
        if gave_back && !self.camera.gives_back() {
            let camera = self.camera.devnode().display();
            tracing::warn!(%camera, "the driver refuses to take buffers out: spares stay until the stream stops");
        }
        if self.camera.stats().spares == 0 && self.spares_high > 0 {
            let (camera, most) = (self.camera.devnode().display(), std::mem::take(&mut self.spares_high));
            tracing::info!(%camera, most, "readers hold fewer frames: all spare buffers are given back");
        }
        renamed > 0
    }

    /// Gives the driver buffers for those that readers hold. What changes is logged when it
    /// begins and when it ends.
    fn top_up(&mut self) {
        let grown = self.camera.top_up();
        let (camera, stats) = (self.camera.devnode().display(), self.camera.stats());
        match grown {
            Ok(true) => {
                if self.spares_high == 0 && stats.spares > 0 {
                    let (buffers, until_closed) = (stats.buffers, !self.camera.gives_back());
                    tracing::info!(%camera, buffers, until_closed, "readers hold many frames: spare buffers are added");
                }
                self.spares_high = self.spares_high.max(stats.spares);
                if self.refused > 0 {
                    let refused = std::mem::take(&mut self.refused);
                    tracing::info!(%camera, refused, "spare buffers can be had again");
                }
            }
            Ok(false) => {}
            Err(error) => {
                if self.refused == 0 {
                    tracing::warn!(%camera, %error, "no spare buffers: clients may hold fewer frames");
                }
                self.refused += 1;
            }
        }
    }

    pub fn counts(&self) -> Counts {
        let stats = self.camera.stats();
        Counts {
            captured: stats.frames,
            corrupt: stats.corrupt,
            lost: stats.lost,
            no_buffer: self.no_buffer,
            refusals: stats.qbuf_errors,
            ..Counts::default()
        }
    }

    /// Waits for a frame. Safe to cancel: nothing is taken before it returns.
    pub async fn next(&mut self) -> Result<Event, Interruption> {
        if !self.topped_up {
            self.topped_up = true;
            self.top_up();
        }
        let max = self.camera.max_buffers() as usize;
        if max != self.budgeted {
            self.budgeted = max;
            return Ok(Event::Budget { frames: frames_for_clients(max) });
        }
        loop {
            let mut guard = self.ready.ready(INTEREST).await.map_err(|error| unwatched(&self.camera, &error))?;
            if guard.ready().is_priority() {
                let events = self.camera.events()?;
                guard.clear_ready_matching(Ready::PRIORITY);
                if events.iter().any(|event| matches!(event, vs_v4l2::Event::SourceChange { .. })) {
                    return Err(Interruption::SourceChanged);
                }
            }
            let captured = self.camera.dequeue()?;
            self.topped_up = captured.is_none() && self.topped_up;
            match captured {
                Some(Captured::Frame(_)) if (self.camera.queued() as usize) < SOURCE_FLOOR - 1 => {
                    // The driver must not run dry because of readers: this one goes back.
                    self.no_buffer += 1;
                    return Ok(Event::NoBuffer(None));
                }
                Some(Captured::Frame(frame)) => return Ok(Event::Frame(frame)),
                Some(Captured::Corrupt { .. }) => return Ok(Event::Corrupt),
                None => guard.clear_ready(),
            }
        }
    }
}

impl From<CaptureError> for Interruption {
    fn from(error: CaptureError) -> Self {
        Self::Error(error)
    }
}

/// The runtime does not watch the camera any more.
fn unwatched(camera: &Camera, error: &std::io::Error) -> Interruption {
    let (devnode, source) = (camera.devnode().to_owned(), Errno::from_io_error(error).unwrap_or(Errno::IO));
    Interruption::Error(CaptureError::Other { devnode, source })
}
