// SPDX-License-Identifier: Apache-2.0
//! The daemon's encoders and decoders.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Arc, Mutex};

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use vsclient::codec::{self, BufferError, SubmitError};
use vsclient::dbus::Bus;
use vsclient::{FrameFlags, FrameMeta, publish};

use crate::errors::{OrRaise, bad_value, closed};
use crate::format::{Format, fourcc};
use crate::frame::Frame;
use crate::publisher::{Said, copy_in};
use crate::slot::Buffer;
use crate::wait::{SLICE, duration, lock, sliced, timeout};

/// See `_native.pyi`.
#[pyclass(frozen, module = "vsclient")]
pub(crate) struct Encoder(Mutex<Option<codec::Encoder>>);

/// See `_native.pyi`.
#[pyclass(frozen, module = "vsclient")]
pub(crate) struct Decoder(Mutex<Option<codec::Decoder>>);

/// See `_native.pyi`.
#[pyclass(frozen, get_all, module = "vsclient")]
#[derive(Default)]
pub(crate) struct Output {
    kind: &'static str,
    tag: Option<u64>,
    frame: Option<Py<Frame>>,
    text: String,
}

impl Output {
    fn new(py: Python<'_>, output: codec::Output) -> PyResult<Self> {
        Ok(match output {
            codec::Output::Done(done) => {
                let frame = Py::new(py, Frame::plain(done.frame, done.tag))?;
                Self { kind: "done", tag: Some(done.tag), frame: Some(frame), text: String::new() }
            }
            codec::Output::Lost(lost) => Self { kind: "lost", tag: Some(lost.tag), text: lost.text, ..Self::default() },
            codec::Output::Drained => Self { kind: "drained", ..Self::default() },
            codec::Output::Adjusted(Ok(settings)) => {
                Self { kind: "adjusted", text: format!("{settings:?}"), ..Self::default() }
            }
            codec::Output::Adjusted(Err(text)) => Self { kind: "refused", text, ..Self::default() },
            other => Self { kind: "other", text: format!("{other:?}"), ..Self::default() },
        })
    }
}

#[pymethods]
impl Output {
    fn __repr__(&self) -> String {
        match self.tag {
            Some(tag) => format!("<vsclient.Output {} {tag}>", self.kind),
            None => format!("<vsclient.Output {} {}>", self.kind, self.text),
        }
    }
}

fn bus_of(bus: Option<&str>) -> PyResult<Option<Bus>> {
    bus.map(|bus| bus.parse().map_err(bad_value)).transpose()
}

/// What a wait of one slice came to; `None` if there was no room meanwhile.
fn submitted(result: Result<(), SubmitError>) -> PyResult<Option<()>> {
    match result {
        Err(SubmitError::Timeout) => Ok(None),
        result => result.or_raise().map(Some),
    }
}

fn in_time<T>(outcome: Option<T>) -> PyResult<T> {
    outcome.ok_or(SubmitError::Timeout).or_raise()
}

/// A frame of ours, if it is one; a program's own data are to be copied.
fn ready_frame(what: &Bound<'_, PyAny>, said: Said) -> PyResult<Result<publish::Frame, Said>> {
    if let Ok(frame) = what.cast::<Frame>() {
        return frame.get().pass_on().map(Ok);
    }
    match what.cast::<Buffer>() {
        Ok(buffer) => said.finish(buffer.get().take()?).map(Ok),
        Err(_) => Ok(Err(said)),
    }
}

impl Encoder {
    fn with<T: Send>(&self, py: Python<'_>, act: impl FnOnce(&mut codec::Encoder) -> T + Send) -> PyResult<T> {
        py.detach(|| lock(&self.0).as_mut().map(act)).ok_or_else(|| closed("encoder"))
    }

    fn take_buffer(&self, py: Python<'_>, seconds: Option<f64>) -> PyResult<Buffer> {
        let slot = sliced(py, timeout(seconds)?, |_| {
            let mut inner = lock(&self.0);
            match inner.as_mut().ok_or_else(|| closed("encoder"))?.buffer() {
                Err(BufferError::Exhausted(_)) => Ok(None),
                slot => slot.or_raise().map(Some),
            }
        })?;
        Buffer::new(in_time(slot)?)
    }
}

#[pymethods]
impl Encoder {
    #[new]
    #[pyo3(signature = (
        format, *, codec=None, bitrate=None, constant_bitrate=None, quality=None, keyframe_interval=None, profile=None,
        level=None, backend=None, bus=None,
    ))]
    #[allow(clippy::too_many_arguments, reason = "each is a keyword")]
    fn new(
        py: Python<'_>,
        format: &Bound<'_, Format>,
        codec: Option<&str>,
        bitrate: Option<u64>,
        constant_bitrate: Option<u64>,
        quality: Option<u32>,
        keyframe_interval: Option<f64>,
        profile: Option<String>,
        level: Option<String>,
        backend: Option<String>,
        bus: Option<&str>,
    ) -> PyResult<Self> {
        let mut builder = codec::Encoder::builder().timeout(Some(SLICE));
        macro_rules! said {
            ($($value:expr => $set:ident),*) => {$(if let Some(value) = $value { builder = builder.$set(value); })*};
        }
        let codec = codec.map(fourcc).transpose()?;
        let interval = keyframe_interval.map(|interval| duration("keyframe_interval", interval)).transpose()?;
        said!(codec => codec, bitrate => bitrate, constant_bitrate => constant_bitrate, quality => quality);
        said!(interval => keyframe_interval, profile => profile, level => level, backend => backend);
        said!(bus_of(bus)? => bus);
        let format = Arc::clone(&format.get().0);
        let encoder = py.detach(|| builder.open(&format)).or_raise()?;
        Ok(Self(Mutex::new(Some(encoder))))
    }

    #[pyo3(signature = (timeout=10.0))]
    fn buffer(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Buffer> {
        self.take_buffer(py, timeout)
    }

    #[pyo3(signature = (what, tag=0, *, pts=None, duration=None, timeout=10.0))]
    fn submit(
        &self,
        what: &Bound<'_, PyAny>,
        tag: u64,
        pts: Option<i64>,
        duration: Option<u64>,
        timeout: Option<f64>,
    ) -> PyResult<()> {
        let py = what.py();
        let said =
            Said { capture_ns: None, pts, dts: None, duration, sequence: 0, keyframe: false, gap: false, size: None };
        let frame = match ready_frame(what, said)? {
            Ok(frame) => frame,
            Err(said) => {
                let buffer = Bound::new(py, self.take_buffer(py, timeout)?)?;
                copy_in(what, &buffer)?;
                said.finish(buffer.get().take()?)?
            }
        };
        let done = sliced(py, self::timeout(timeout)?, |_| {
            submitted(lock(&self.0).as_mut().ok_or_else(|| closed("encoder"))?.submit(&frame, tag))
        })?;
        in_time(done)
    }

    #[pyo3(signature = (timeout=None))]
    fn receive(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Output>> {
        let output = sliced(py, self::timeout(timeout)?, |slice| {
            lock(&self.0).as_mut().ok_or_else(|| closed("encoder"))?.receive(Some(slice)).or_raise()
        })?;
        output.map(|output| Output::new(py, output)).transpose()
    }

    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, codec::Encoder::drain)?.or_raise()
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, codec::Encoder::flush)?.or_raise()
    }

    fn force_keyframe(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, codec::Encoder::force_keyframe)?.or_raise()
    }

    fn set_bitrate(&self, py: Python<'_>, bits: u64) -> PyResult<()> {
        self.with(py, |encoder| encoder.set_bitrate(bits))?.or_raise()
    }

    #[getter]
    fn name(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, |encoder| encoder.info().name.clone())
    }

    #[getter]
    fn inside(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |encoder| encoder.inside())
    }

    fn fileno(&self, py: Python<'_>) -> PyResult<RawFd> {
        self.with(py, |encoder| encoder.as_fd().as_raw_fd())
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| drop(lock(&self.0).take()));
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_args))]
    fn __exit__(&self, py: Python<'_>, _args: &Bound<'_, PyTuple>) {
        self.close(py);
    }
}

impl Decoder {
    fn with<T: Send>(&self, py: Python<'_>, act: impl FnOnce(&mut codec::Decoder) -> T + Send) -> PyResult<T> {
        py.detach(|| lock(&self.0).as_mut().map(act)).ok_or_else(|| closed("decoder"))
    }
}

#[pymethods]
impl Decoder {
    #[new]
    #[pyo3(signature = (codec="H264", *, size=None, formats=None, backend=None, bus=None))]
    fn new(
        py: Python<'_>,
        codec: &str,
        size: Option<(u32, u32)>,
        formats: Option<Vec<String>>,
        backend: Option<String>,
        bus: Option<&str>,
    ) -> PyResult<Self> {
        let mut builder = codec::Decoder::builder().timeout(Some(SLICE)).codec(fourcc(codec)?);
        if let Some((width, height)) = size {
            builder = builder.size(width, height);
        }
        if let Some(formats) = formats {
            let formats = formats.iter().map(|format| fourcc(format)).collect::<PyResult<Vec<_>>>()?;
            builder = builder.formats(&formats);
        }
        if let Some(backend) = backend {
            builder = builder.backend(backend);
        }
        if let Some(bus) = bus_of(bus)? {
            builder = builder.bus(bus);
        }
        let decoder = py.detach(|| builder.open()).or_raise()?;
        Ok(Self(Mutex::new(Some(decoder))))
    }

    #[pyo3(signature = (what, tag=0, *, pts=None, dts=None, duration=None, keyframe=false, timeout=10.0))]
    #[allow(clippy::too_many_arguments, reason = "each is a keyword")]
    fn submit(
        &self,
        what: &Bound<'_, PyAny>,
        tag: u64,
        pts: Option<i64>,
        dts: Option<i64>,
        duration: Option<u64>,
        keyframe: bool,
        timeout: Option<f64>,
    ) -> PyResult<()> {
        let py = what.py();
        let timeout = self::timeout(timeout)?;
        let done = if let Ok(frame) = what.cast::<Frame>() {
            let frame = frame.get().pass_on()?;
            sliced(py, timeout, |_| {
                submitted(lock(&self.0).as_mut().ok_or_else(|| closed("decoder"))?.submit(&frame, tag))
            })?
        } else {
            let unit = PyBuffer::<u8>::get(what)?.to_vec(py)?;
            let flags = if keyframe { FrameFlags::KEYFRAME } else { FrameFlags::empty() };
            let meta =
                FrameMeta { capture_ns: vsclient::monotonic_ns(), pts, dts, duration, flags, ..FrameMeta::default() };
            sliced(py, timeout, |_| {
                let mut inner = lock(&self.0);
                match inner.as_mut().ok_or_else(|| closed("decoder"))?.submit_unit(&unit, meta, tag) {
                    Err(SubmitError::Buffer(BufferError::Exhausted(_))) => Ok(None),
                    result => submitted(result),
                }
            })?
        };
        in_time(done)
    }

    #[pyo3(signature = (timeout=None))]
    fn receive(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Output>> {
        let output = sliced(py, self::timeout(timeout)?, |slice| {
            lock(&self.0).as_mut().ok_or_else(|| closed("decoder"))?.receive(Some(slice)).or_raise()
        })?;
        output.map(|output| Output::new(py, output)).transpose()
    }

    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, codec::Decoder::drain)?.or_raise()
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, codec::Decoder::flush)?.or_raise()
    }

    #[getter]
    fn name(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, |decoder| decoder.info().name.clone())
    }

    #[getter]
    fn inside(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |decoder| decoder.inside())
    }

    fn fileno(&self, py: Python<'_>) -> PyResult<RawFd> {
        self.with(py, |decoder| decoder.as_fd().as_raw_fd())
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| drop(lock(&self.0).take()));
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_args))]
    fn __exit__(&self, py: Python<'_>, _args: &Bound<'_, PyTuple>) {
        self.close(py);
    }
}
