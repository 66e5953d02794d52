// SPDX-License-Identifier: Apache-2.0
//! Waiting for what others change, for as long as a stream has the device open: an open device
//! may be kept from sleeping, so one that nobody uses is left alone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::{AbortHandle, spawn_blocking};
use vs_v4l2::{Controls, NodeError};

use super::DeviceControls;

/// How long to wait before looking again: a program that turns a control all the time costs
/// a look at all of them each time.
const PAUSE: Duration = Duration::from_millis(100);

/// What to wait for. Nothing else: a queue without buffers that is asked for data begins to read
/// by itself (the read() emulation of videobuf2), and is busy from then on. An interest in
/// errors is one in data, too, for tokio. A device that goes away is told as an event.
const EVENTS: Interest = Interest::PRIORITY;

/// Dropping it ends the watch.
#[derive(Debug)]
pub struct Watch(AbortHandle);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl DeviceControls {
    /// Begins to tell changes of a device. One that cannot be watched works without.
    pub fn watch(self: &Arc<Self>, node: &Path) -> Option<Watch> {
        let (controls, node) = (Arc::clone(self), node.to_owned());
        let task = self.runtime.as_ref()?.spawn(async move {
            let device = controls.device.clone();
            let looker = Arc::clone(&controls);
            let open = move || {
                let opened = Controls::open(&node)?;
                // In this order no change is missed between the two.
                opened.watch()?;
                looker.learn(&opened)?;
                Ok::<_, NodeError>(opened)
            };
            let watched = match spawn_blocking(open).await {
                Ok(Ok(opened)) => wait(controls, opened).await,
                Ok(Err(error)) => Err(error.into()),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = watched {
                tracing::debug!(device, error = format!("{error:#}"), "controls are not watched any more");
            }
        });
        Some(Watch(task.abort_handle()))
    }
}

async fn wait(device: Arc<DeviceControls>, opened: Controls) -> anyhow::Result<()> {
    let opened = Arc::new(opened);
    // SAFETY: the `Controls` keeps its descriptor until it is dropped, and the `AsyncFd` has a
    // share of it.
    let ready = unsafe { AsyncFd::register_with_interest(Shared(Arc::clone(&opened)), EVENTS) }
        .map_err(std::io::Error::from)?;
    loop {
        let mut guard = ready.ready(EVENTS).await?;
        guard.clear_ready();
        let (device, opened) = (Arc::clone(&device), Arc::clone(&opened));
        spawn_blocking(move || device.look(&opened)).await??;
        tokio::time::sleep(PAUSE).await;
    }
}

struct Shared(Arc<Controls>);

impl std::os::fd::AsRawFd for Shared {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        std::os::fd::AsFd::as_fd(&*self.0).as_raw_fd()
    }
}
