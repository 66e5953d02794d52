// SPDX-License-Identifier: Apache-2.0
//! A V4L2 camera as a source.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use vs_frame::Format;
use vs_v4l2::{Camera, CaptureRequest, Captured};

use super::source::{Counts, Event};
use super::spec::{SOURCE_FLOOR, Shape, check_picture};

/// See the module.
#[derive(Debug)]
pub struct CameraSource {
    camera: Camera,
    /// A second descriptor of the same open file: the camera keeps its own.
    ready: AsyncFd<OwnedFd>,
    no_buffer: u64,
}

impl CameraSource {
    /// Must be called on the stream's runtime.
    pub fn open(node: &Path, shape: Shape, buffers: usize, vsl: bool) -> anyhow::Result<Self> {
        let request = CaptureRequest {
            fourcc: shape.fourcc,
            size: shape.size,
            rate: shape.rate,
            buffers: u32::try_from(buffers).unwrap_or(u32::MAX),
            // Clients of libvideostream map for writing or not at all.
            writable: vsl,
        };
        let mut camera = Camera::open(node, &request)?;
        if vsl {
            check_picture(camera.format())?;
        }
        camera.start()?;
        let fd = camera.as_fd().try_clone_to_owned().context("cannot duplicate the camera's descriptor")?;
        // SAFETY: an `OwnedFd` names the same open descriptor until it is dropped, and the
        // `AsyncFd` owns it.
        let ready = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }
            .map_err(std::io::Error::from)
            .context("cannot watch the camera")?;
        Ok(Self { camera, ready, no_buffer: 0 })
    }

    pub fn format(&self) -> &Arc<Format> {
        self.camera.format()
    }

    pub fn adjustments(&self) -> Vec<String> {
        self.camera.adjustments().iter().map(ToString::to_string).collect()
    }

    /// What the driver gave, which need not be what it was asked for.
    pub fn buffers(&self) -> usize {
        self.camera.stats().buffers as usize
    }

    pub fn counts(&self) -> Counts {
        let stats = self.camera.stats();
        Counts { captured: stats.frames, corrupt: stats.corrupt, lost: stats.lost, no_buffer: self.no_buffer }
    }

    /// Waits for a frame. Safe to cancel: nothing is taken before it returns.
    pub async fn next(&mut self) -> anyhow::Result<Event> {
        loop {
            let mut guard = self.ready.readable().await?;
            match self.camera.dequeue()? {
                Some(Captured::Frame(_)) if (self.camera.queued() as usize) < SOURCE_FLOOR - 1 => {
                    // The driver must not run dry because of readers: this one goes back.
                    self.no_buffer += 1;
                    return Ok(Event::NoBuffer);
                }
                Some(Captured::Frame(frame)) => return Ok(Event::Frame(frame)),
                Some(Captured::Corrupt { .. }) => return Ok(Event::Corrupt),
                None => guard.clear_ready(),
            }
        }
    }
}
