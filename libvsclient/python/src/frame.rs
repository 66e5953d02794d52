// SPDX-License-Identifier: Apache-2.0
//! A frame in Python's hands, and the reading of one that is checked at its end.

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Arc, Mutex};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use vsclient::{FrameFlags, FrameMeta, publish};

use crate::client::Client;
use crate::errors::{OrRaise, closed};
use crate::format::Format;
use crate::plane::{self, Plane};
use crate::reading::Source;
use crate::wait::lock;

/// Where a frame comes from.
#[derive(Clone)]
pub(crate) enum Handle {
    /// From a stream: it is leased, and that may end. The client stays connected for it.
    Received(vsclient::Frame, Arc<Py<Client>>),
    /// From a codec session: it is the program's until it is dropped.
    Plain(publish::Frame),
}

impl Handle {
    fn read(self) -> PyResult<Arc<Source>> {
        match self {
            Self::Received(frame, client) => Source::received(frame, client),
            Self::Plain(frame) => Source::plain(frame),
        }
    }

    fn check(&self) -> PyResult<()> {
        match self {
            Self::Received(frame, _) => frame.check_read().or_raise(),
            Self::Plain(_) => Ok(()),
        }
    }

    fn memories(&self) -> &[vsclient::Memory] {
        match self {
            Self::Received(frame, _) => frame.memories(),
            Self::Plain(frame) => frame.buffer().memories(),
        }
    }
}

/// See `_native.pyi`. What is known of the frame can be asked after it was released, too.
#[pyclass(frozen, weakref, module = "vsclient")]
pub(crate) struct Frame {
    handle: Mutex<Option<Handle>>,
    format: Arc<vsclient::Format>,
    meta: FrameMeta,
    serial: u64,
    publish_ns: u64,
    received_ns: u64,
    skipped: u64,
}

impl Frame {
    pub(crate) fn received(frame: vsclient::Frame, client: &Bound<'_, Client>) -> Self {
        Self {
            format: Arc::clone(frame.format()),
            meta: *frame.meta(),
            serial: frame.serial(),
            publish_ns: frame.publish_ns(),
            received_ns: frame.received_ns(),
            skipped: frame.skipped().total(),
            handle: Mutex::new(Some(Handle::Received(frame, Arc::new(client.clone().unbind())))),
        }
    }

    /// A frame of a codec session, whose number there is the tag.
    pub(crate) fn plain(frame: publish::Frame, tag: u64) -> Self {
        Self {
            format: Arc::clone(frame.format()),
            meta: *frame.meta(),
            serial: tag,
            publish_ns: 0,
            received_ns: vsclient::monotonic_ns(),
            skipped: 0,
            handle: Mutex::new(Some(Handle::Plain(frame))),
        }
    }

    /// The frame itself, if it was not released.
    pub(crate) fn handle(&self) -> PyResult<Handle> {
        lock(&self.handle).clone().ok_or_else(|| closed("frame (it was released)"))
    }

    /// The frame for others than this program.
    pub(crate) fn pass_on(&self) -> PyResult<publish::Frame> {
        match self.handle()? {
            Handle::Received(frame, _) => frame.pass_on().or_raise(),
            Handle::Plain(frame) => Ok(frame),
        }
    }

    fn read(&self) -> PyResult<Arc<Source>> {
        self.handle()?.read()
    }
}

#[pymethods]
impl Frame {
    #[getter]
    fn serial(&self) -> u64 {
        self.serial
    }

    #[getter]
    fn sequence(&self) -> u32 {
        self.meta.sequence
    }

    #[getter]
    fn capture_ns(&self) -> u64 {
        self.meta.capture_ns
    }

    #[getter]
    fn publish_ns(&self) -> u64 {
        self.publish_ns
    }

    #[getter]
    fn received_ns(&self) -> u64 {
        self.received_ns
    }

    #[getter]
    fn pts(&self) -> Option<i64> {
        self.meta.pts
    }

    #[getter]
    fn dts(&self) -> Option<i64> {
        self.meta.dts
    }

    #[getter]
    fn duration(&self) -> Option<u64> {
        self.meta.duration
    }

    #[getter]
    fn flags(&self) -> u32 {
        self.meta.flags.bits()
    }

    #[getter]
    fn keyframe(&self) -> bool {
        self.meta.flags.contains(FrameFlags::KEYFRAME)
    }

    #[getter]
    fn gap(&self) -> bool {
        self.meta.flags.contains(FrameFlags::GAP)
    }

    #[getter]
    fn skipped(&self) -> u64 {
        self.skipped
    }

    #[getter]
    fn format(&self) -> Format {
        Format(Arc::clone(&self.format))
    }

    #[getter]
    fn fourcc(&self) -> String {
        self.format.fourcc.to_string()
    }

    #[getter]
    fn width(&self) -> u32 {
        self.format.width
    }

    #[getter]
    fn height(&self) -> u32 {
        self.format.height
    }

    #[getter]
    fn deadline_ns(&self) -> PyResult<Option<u64>> {
        Ok(match self.handle()? {
            Handle::Received(frame, _) => Some(frame.deadline_ns()),
            Handle::Plain(_) => None,
        })
    }

    #[getter]
    fn leased(&self) -> bool {
        match &*lock(&self.handle) {
            Some(Handle::Received(frame, _)) => frame.is_leased(),
            Some(Handle::Plain(_)) => true,
            None => false,
        }
    }

    #[getter]
    fn released(&self) -> bool {
        lock(&self.handle).is_none()
    }

    #[getter]
    fn valid(&self) -> bool {
        match &*lock(&self.handle) {
            Some(Handle::Received(frame, _)) => frame.check().is_ok(),
            Some(Handle::Plain(_)) => true,
            None => false,
        }
    }

    fn check(&self) -> PyResult<()> {
        self.handle()?.check()
    }

    #[getter]
    fn fds(&self) -> PyResult<Vec<RawFd>> {
        Ok(self.handle()?.memories().iter().map(|memory| memory.as_fd().as_raw_fd()).collect())
    }

    #[getter]
    fn planes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        plane::all(py, &self.read()?, &self.format)
    }

    fn plane<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, Plane>> {
        Plane::new(py, &self.read()?, &self.format, index)
    }

    #[pyo3(signature = (plane=None))]
    fn numpy<'py>(&self, py: Python<'py>, plane: Option<usize>) -> PyResult<Bound<'py, PyAny>> {
        plane::arrays(py, &self.read()?, &self.format, plane)
    }

    #[pyo3(signature = (plane=None))]
    fn copy<'py>(&self, py: Python<'py>, plane: Option<usize>) -> PyResult<Bound<'py, PyAny>> {
        let source = self.read()?;
        let copy = |array: Bound<'py, PyAny>| array.call_method0("copy");
        let arrays = plane::arrays(py, &source, &self.format, plane)?;
        let copied = match arrays.cast::<PyTuple>() {
            Ok(several) => PyTuple::new(py, several.iter().map(copy).collect::<PyResult<Vec<_>>>()?)?.into_any(),
            Err(_) => copy(arrays)?,
        };
        source.check()?;
        Ok(copied)
    }

    fn map(&self) -> PyResult<Map> {
        Ok(Map { source: Mutex::new(Some(self.read()?)), format: Arc::clone(&self.format) })
    }

    fn release(&self) {
        *lock(&self.handle) = None;
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_args))]
    fn __exit__(&self, _args: &Bound<'_, PyTuple>) {
        self.release();
    }

    /// What numpy turns to when the buffer protocol has failed, whose error it hides. There is no
    /// `__array_interface__`, for an array made by that would keep the frame, which can be
    /// released, and not the plane.
    #[pyo3(signature = (*args, **options))]
    fn __array__<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let plane = plane::only(py, &self.read()?, &self.format)?;
        plane::array_of(&plane)?.call_method("__array__", args, options)
    }

    #[pyo3(signature = (**options))]
    fn __dlpack__<'py>(&self, py: Python<'py>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
        plane::only(py, &self.read()?, &self.format)?.call_method("__dlpack__", (), options)
    }

    fn __dlpack_device__(&self) -> (i32, i32) {
        crate::dlpack::CPU
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let this = slf.get();
        let plane = plane::only(slf.py(), &this.read()?, &this.format)?;
        // SAFETY: Python passes on what it was given. The plane is the owner of the view, not
        // the frame, so that the view outlives a release of the frame.
        unsafe { plane::fill(plane, view, flags) }
    }

    fn __repr__(&self) -> String {
        let format = &self.format;
        format!("<vsclient.Frame {} {} {}x{}>", self.serial, format.fourcc, format.width, format.height)
    }
}

/// See `_native.pyi`.
#[pyclass(frozen, module = "vsclient")]
pub(crate) struct Map {
    source: Mutex<Option<Arc<Source>>>,
    format: Arc<vsclient::Format>,
}

impl Map {
    fn source(&self) -> PyResult<Arc<Source>> {
        let source = lock(&self.source).clone().ok_or_else(|| closed("map"))?;
        source.check_quickly()?;
        Ok(source)
    }
}

#[pymethods]
impl Map {
    #[getter]
    fn planes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        plane::all(py, &self.source()?, &self.format)
    }

    fn plane<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, Plane>> {
        Plane::new(py, &self.source()?, &self.format, index)
    }

    #[pyo3(signature = (plane=None))]
    fn numpy<'py>(&self, py: Python<'py>, plane: Option<usize>) -> PyResult<Bound<'py, PyAny>> {
        plane::arrays(py, &self.source()?, &self.format, plane)
    }

    /// Ends it, and says whether what was read was whole.
    fn finish(&self) -> PyResult<()> {
        let source = lock(&self.source).take().ok_or_else(|| closed("map"))?;
        source.check()
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// An exception that is on its way already is not hidden behind another one.
    fn __exit__(
        &self,
        kind: Option<Bound<'_, PyAny>>,
        _error: Option<Bound<'_, PyAny>>,
        _traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let source = lock(&self.source).take();
        match (source, kind) {
            (Some(source), None) => source.check(),
            _ => Ok(()),
        }
    }
}
