// SPDX-License-Identifier: Apache-2.0
//! A client of one stream.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use vsclient::{ClientBuilder, Mode};

use crate::errors::{OrRaise, bad_type, bad_value, closed, failed};
use crate::event::Event;
use crate::format::Format;
use crate::frame::{Frame, Handle};
use crate::statistics::{Counters, Latency};
use crate::wait::{duration, lock, sliced, timeout};

/// See `_native.pyi`.
///
/// The lock is never waited for with the interpreter's lock held: who waits for a frame has it
/// for a slice at a time.
#[pyclass(frozen, weakref, module = "vsclient")]
pub(crate) struct Client {
    inner: Mutex<Option<vsclient::Client>>,
    /// Set before the client is taken away, so that a thread that waits does not begin anew.
    closed: AtomicBool,
    path: String,
}

impl Client {
    /// Does something with the client, without the interpreter's lock.
    fn with<T: Send>(&self, py: Python<'_>, act: impl FnOnce(&mut vsclient::Client) -> T + Send) -> PyResult<T> {
        py.detach(|| lock(&self.inner).as_mut().map(act)).ok_or_else(|| closed("client"))
    }

    /// Waits with the client, a slice at a time.
    fn wait<T: Send>(
        &self,
        py: Python<'_>,
        timeout: Option<Duration>,
        mut attempt: impl FnMut(&mut vsclient::Client, Duration) -> Result<Option<T>, vsclient::ReceiveError> + Send,
    ) -> PyResult<Option<T>> {
        sliced(py, timeout, |slice| {
            if self.closed.load(Ordering::Acquire) {
                return Err(closed("client"));
            }
            let mut inner = lock(&self.inner);
            attempt(inner.as_mut().ok_or_else(|| closed("client"))?, slice).or_raise()
        })
    }
}

fn mode_of(name: &str) -> PyResult<Mode> {
    match name {
        "leased" => Ok(Mode::Leased),
        "notify" => Ok(Mode::Notify),
        other => Err(bad_value(format!("'{other}' is no mode: there are leased and notify"))),
    }
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (
        stream, *, mode="leased", credits=0, lease=None, name=None, socket_dir=None, timeout=None, reconnect=true,
        wait=false,
    ))]
    #[allow(clippy::too_many_arguments, reason = "each is a keyword")]
    fn new(
        py: Python<'_>,
        stream: &str,
        mode: &str,
        credits: u16,
        lease: Option<f64>,
        name: Option<String>,
        socket_dir: Option<std::path::PathBuf>,
        timeout: Option<f64>,
        reconnect: bool,
        wait: bool,
    ) -> PyResult<Self> {
        let mut builder: ClientBuilder = vsclient::Client::builder(stream).mode(mode_of(mode)?).credits(credits);
        if let Some(lease) = lease {
            builder = builder.lease(duration("lease", lease)?);
        }
        if let Some(name) = name {
            builder = builder.name(name);
        }
        if let Some(dir) = socket_dir {
            builder = builder.socket_dir(dir);
        }
        if let Some(timeout) = timeout {
            builder = builder.timeout(duration("timeout", timeout)?);
        }
        if !reconnect {
            builder = builder.no_reconnect();
        }
        let client = if wait {
            builder.connect_or_wait().map_err(bad_value)?
        } else {
            py.detach(|| builder.connect()).or_raise()?
        };
        let path = client.path().to_string_lossy().into_owned();
        Ok(Self { inner: Mutex::new(Some(client)), closed: AtomicBool::new(false), path })
    }

    #[pyo3(signature = (timeout=None))]
    fn next(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<Option<Frame>> {
        let frame = slf.get().wait(slf.py(), self::timeout(timeout)?, |client, slice| client.next_frame(slice))?;
        Ok(frame.map(|frame| Frame::received(frame, slf)))
    }

    #[pyo3(signature = (timeout=None))]
    fn newest(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<Option<Frame>> {
        let frame = slf.get().wait(slf.py(), self::timeout(timeout)?, |client, slice| client.newest(slice))?;
        Ok(frame.map(|frame| Frame::received(frame, slf)))
    }

    #[pyo3(signature = (timeout=None))]
    fn next_event(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<Option<Event>> {
        let event = slf.get().wait(slf.py(), self::timeout(timeout)?, |client, slice| client.next_event(slice))?;
        event.map(|event| Event::new(slf, event)).transpose()
    }

    #[pyo3(signature = (frame, lease=None, *, timeout=1.0))]
    fn lock(&self, py: Python<'_>, frame: &Bound<'_, Frame>, lease: Option<f64>, timeout: f64) -> PyResult<()> {
        let lease = lease.map(|lease| duration("lease", lease)).transpose()?;
        let timeout = duration("timeout", timeout)?;
        let Handle::Received(frame, _) = frame.get().handle()? else {
            return Err(bad_type("a frame of a codec session has no lease: it is yours until it is released"));
        };
        self.with(py, |client| client.lock(&frame, lease, timeout))?.or_raise()
    }

    fn fileno(&self, py: Python<'_>) -> PyResult<RawFd> {
        let fd = self.with(py, |client| client.socket().map(|socket| socket.as_raw_fd()))?;
        fd.ok_or_else(|| failed("there is no connection at present: call next_event() when retry_in has passed"))
    }

    #[getter]
    fn retry_in(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        let due = self.with(py, |client| client.retry_at())?;
        Ok(due.map(|due| due.saturating_duration_since(Instant::now()).as_secs_f64()))
    }

    fn reconnect_if_due(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |client| client.reconnect_if_due())?.or_raise()
    }

    #[getter]
    fn has_backlog(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(py, |client| client.has_backlog())
    }

    #[getter]
    fn connected(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(py, |client| client.is_connected())
    }

    #[getter]
    fn state(&self, py: Python<'_>) -> PyResult<(&'static str, String)> {
        self.with(py, |client| (client.state().state.name(), client.state().reason.clone()))
    }

    #[getter]
    fn format(&self, py: Python<'_>) -> PyResult<Option<Format>> {
        Ok(self.with(py, |client| client.format().map(Arc::clone))?.map(Format))
    }

    #[getter]
    fn session(&self, py: Python<'_>) -> PyResult<Option<Session>> {
        Ok(self.with(py, |client| client.session().cloned())?.map(Session::from))
    }

    #[getter]
    fn counters(&self, py: Python<'_>) -> PyResult<Counters> {
        self.with(py, |client| client.counters()).map(Counters::from)
    }

    #[getter]
    fn latency(&self, py: Python<'_>) -> PyResult<Latency> {
        self.with(py, |client| client.latency().clone()).map(Latency)
    }

    #[getter]
    fn path(&self) -> &str {
        &self.path
    }

    #[getter]
    fn closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn close(&self, py: Python<'_>) {
        self.closed.store(true, Ordering::Release);
        py.detach(|| drop(lock(&self.inner).take()));
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// A client that was closed has no more frames; one that an error has ended raises it.
    fn __next__(slf: &Bound<'_, Self>) -> PyResult<Option<Frame>> {
        match slf.get().wait(slf.py(), None, |client, slice| client.next_frame(slice)) {
            Err(_) if slf.get().closed() => Ok(None),
            frame => Ok(frame?.map(|frame| Frame::received(frame, slf))),
        }
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_args))]
    fn __exit__(&self, py: Python<'_>, _args: &Bound<'_, PyTuple>) {
        self.close(py);
    }

    fn __repr__(&self) -> String {
        format!("<vsclient.Client of {}>", self.path)
    }
}

/// See `_native.pyi`.
#[pyclass(frozen, get_all, module = "vsclient")]
pub(crate) struct Session {
    client: u64,
    epoch: u64,
    mode: &'static str,
    credits: u16,
    lease: f64,
    lease_max: f64,
    lifespan: f64,
    stream: String,
}

impl From<vsclient::Session> for Session {
    fn from(session: vsclient::Session) -> Self {
        Self {
            client: session.client,
            epoch: session.epoch,
            mode: session.mode.name(),
            credits: session.credits,
            lease: session.lease.as_secs_f64(),
            lease_max: session.lease_max.as_secs_f64(),
            lifespan: session.lifespan.as_secs_f64(),
            stream: session.stream,
        }
    }
}
