// SPDX-License-Identifier: Apache-2.0
//! The control plane. Answers cross into Python as JSON, which `vsclient/daemon.py` makes
//! objects of: they are small and rare.

use std::future::Future;
use std::os::fd::{BorrowedFd, RawFd};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pyo3::prelude::*;
use tokio::runtime::Runtime;
use vsclient::dbus::{
    self, Bus, CallError, CodingOptions, NoOptions, RecordOptions, SnapshotOptions, StartOptions, StopOptions,
    recording_number,
};

use crate::errors::{OrRaise, ToPython, bad_value, failed};
use crate::wait::{lock, nanoseconds, sliced, timeout};

/// See `daemon.py`.
#[pyclass(frozen, module = "vsclient._native")]
pub(crate) struct Daemon(Arc<Shared>);

/// The connection, and the runtime that it lives on: that of whichever thread waits.
struct Shared {
    daemon: dbus::Daemon,
    runtime: Mutex<Runtime>,
}

impl Shared {
    /// Waits for an answer; `None` if it does not come in time.
    fn within<T: Send, E: ToPython + Send>(
        &self,
        py: Python<'_>,
        limit: Option<Duration>,
        future: impl Future<Output = Result<T, E>> + Send,
    ) -> PyResult<Option<T>> {
        let mut future = pin!(future);
        sliced(py, limit, |slice| {
            let runtime = lock(&self.runtime);
            // Time is the runtime's own: it must be entered before it is asked for.
            match runtime.block_on(async { tokio::time::timeout(slice, future.as_mut()).await }) {
                Ok(answer) => answer.or_raise().map(Some),
                Err(_) => Ok(None),
            }
        })
    }

    /// Waits for an answer. Whatever a method has to do, it answers when that is done.
    fn ask<T: Send, E: ToPython + Send>(
        &self,
        py: Python<'_>,
        future: impl Future<Output = Result<T, E>> + Send,
    ) -> PyResult<T> {
        self.within(py, None, future)?.ok_or_else(|| failed("no answer"))
    }
}

fn json(value: &impl serde::Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(failed)
}

/// A file that Python has opened, for as long as it keeps it open, which is until the call returns.
fn file(fd: RawFd) -> PyResult<std::os::fd::OwnedFd> {
    if fd < 0 {
        return Err(bad_value(format!("{fd} is no file descriptor")));
    }
    // SAFETY: it is borrowed for the copying only; a number that is not open makes that fail.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    borrowed.try_clone_to_owned().map_err(failed)
}

/// How to encode, from keywords that `daemon.py` passes on as they are.
#[derive(FromPyObject, Default)]
#[pyo3(from_item_all)]
struct Coding {
    codec: Option<String>,
    bitrate: Option<u64>,
    rate_control: Option<String>,
    quality: Option<u32>,
    keyframe_interval: Option<f64>,
    profile: Option<String>,
    level: Option<String>,
    backend: Option<String>,
}

impl Coding {
    fn options(self) -> PyResult<CodingOptions> {
        Ok(CodingOptions {
            codec: self.codec,
            bitrate: self.bitrate,
            rate_control: self.rate_control,
            quality: self.quality,
            keyframe_interval: nanoseconds("keyframe_interval", self.keyframe_interval)?,
            profile: self.profile,
            level: self.level,
            backend: self.backend,
            ..CodingOptions::default()
        })
    }
}

#[pymethods]
impl Daemon {
    #[new]
    #[pyo3(signature = (bus=None))]
    fn new(py: Python<'_>, bus: Option<&str>) -> PyResult<Self> {
        let bus: Bus = match bus {
            Some(bus) => bus.parse().map_err(bad_value)?,
            None => Bus::from_env().map_err(bad_value)?,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let daemon = py.detach(|| runtime.block_on(dbus::connect(&bus)).or_raise())?;
        Ok(Self(Arc::new(Shared { daemon, runtime: Mutex::new(runtime) })))
    }

    fn info(&self, py: Python<'_>) -> PyResult<String> {
        json(&self.0.ask(py, self.0.daemon.info())?)
    }

    fn streams(&self, py: Python<'_>) -> PyResult<String> {
        json(&self.0.ask(py, self.0.daemon.objects())?.streams)
    }

    fn devices(&self, py: Python<'_>) -> PyResult<String> {
        json(&self.0.ask(py, self.0.daemon.objects())?.devices)
    }

    fn recordings(&self, py: Python<'_>) -> PyResult<String> {
        json(&self.0.ask(py, self.0.daemon.objects())?.recordings)
    }

    fn inspect(&self, py: Python<'_>) -> PyResult<String> {
        let daemon = &self.0.daemon;
        let findings = self
            .0
            .ask(py, async { Ok::<_, CallError>(daemon.manager().await?.inspect(&NoOptions::default()).await?) })?;
        json(&findings)
    }

    fn metrics(&self, py: Python<'_>) -> PyResult<String> {
        let daemon = &self.0.daemon;
        self.0.ask(py, async { Ok::<_, CallError>(daemon.manager().await?.metrics().await?) })
    }

    #[pyo3(signature = (name, format, size, rate, source, coding))]
    #[allow(clippy::too_many_arguments, reason = "daemon.py passes its keywords on")]
    fn start_stream(
        &self,
        py: Python<'_>,
        name: &str,
        format: Option<String>,
        size: Option<(u32, u32)>,
        rate: Option<(u32, u32)>,
        source: Option<String>,
        coding: Coding,
    ) -> PyResult<()> {
        let options = StartOptions { format, size, rate, from: source, coding: coding.options()?, pre: None };
        let daemon = &self.0.daemon;
        self.0.ask(py, async { Ok::<_, CallError>(daemon.manager().await?.start_stream(name, &options).await?) })?;
        Ok(())
    }

    fn stop_stream(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        let daemon = &self.0.daemon;
        self.0.ask(py, async {
            Ok::<_, CallError>(daemon.manager().await?.stop_stream(name, &StopOptions::default()).await?)
        })
    }

    fn request_keyframe(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        let daemon = &self.0.daemon;
        self.0.ask(py, async { Ok::<_, CallError>(daemon.stream(name).await?.request_keyframe().await?) })
    }

    #[pyo3(signature = (stream, fd, title, duration, frames, pre, detach, coding))]
    #[allow(clippy::too_many_arguments, reason = "daemon.py passes its keywords on")]
    fn record(
        &self,
        py: Python<'_>,
        stream: &str,
        fd: RawFd,
        title: Option<String>,
        duration: Option<f64>,
        frames: Option<u64>,
        pre: Option<f64>,
        detach: bool,
        coding: Coding,
    ) -> PyResult<Recording> {
        let file = file(fd)?;
        let options = RecordOptions {
            duration: nanoseconds("duration", duration)?,
            frames,
            pre: nanoseconds("pre", pre)?,
            title,
            coding: coding.options()?,
            detach: detach.then_some(true),
            ..RecordOptions::default()
        };
        let daemon = &self.0.daemon;
        let path = self.0.ask(py, async {
            Ok::<_, CallError>(daemon.manager().await?.record(stream, (&file).into(), &options).await?)
        })?;
        let number = recording_number(&path).ok_or_else(|| failed(format!("{path} is no recording")))?;
        Ok(Recording { shared: Arc::clone(&self.0), number })
    }

    #[pyo3(signature = (stream, fd, format, size, quality, settle, timeout))]
    #[allow(clippy::too_many_arguments, reason = "daemon.py passes its keywords on")]
    fn snapshot(
        &self,
        py: Python<'_>,
        stream: &str,
        fd: RawFd,
        format: Option<String>,
        size: Option<(u32, u32)>,
        quality: Option<u32>,
        settle: Option<f64>,
        timeout: Option<f64>,
    ) -> PyResult<String> {
        let file = file(fd)?;
        let options = SnapshotOptions {
            format,
            size,
            quality,
            settle: nanoseconds("settle", settle)?,
            timeout: nanoseconds("timeout", timeout)?,
        };
        let daemon = &self.0.daemon;
        let taken = self.0.ask(py, async {
            Ok::<_, CallError>(daemon.manager().await?.snapshot(stream, (&file).into(), &options).await?)
        })?;
        json(&taken)
    }
}

/// See `daemon.py`.
#[pyclass(frozen, module = "vsclient._native")]
pub(crate) struct Recording {
    shared: Arc<Shared>,
    #[pyo3(get)]
    number: u64,
}

#[pymethods]
impl Recording {
    fn stop(&self, py: Python<'_>) -> PyResult<String> {
        let (daemon, number) = (&self.shared.daemon, self.number);
        let summary =
            self.shared.ask(py, async { Ok::<_, CallError>(daemon.recording(number).await?.stop().await?) })?;
        json(&summary)
    }

    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<String>> {
        let (daemon, number) = (&self.shared.daemon, self.number);
        let future = async { Ok::<_, CallError>(daemon.recording(number).await?.wait().await?) };
        let summary = self.shared.within(py, self::timeout(timeout)?, future)?;
        summary.as_ref().map(json).transpose()
    }

    fn progress(&self, py: Python<'_>) -> PyResult<String> {
        let (daemon, number) = (&self.shared.daemon, self.number);
        let progress =
            self.shared.ask(py, async { Ok::<_, CallError>(daemon.recording(number).await?.progress().await?) })?;
        json(&progress)
    }
}
