// SPDX-License-Identifier: Apache-2.0
//! One plane of a frame, as everything that Python knows to take memory by: the buffer
//! protocol, `__array_interface__`, DLPack.

use std::ffi::c_int;
use std::sync::Arc;

use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

use crate::dlpack;
use crate::errors::{bad_value, closed};
use crate::layout::Layout;
use crate::reading::Source;

/// See `_native.pyi`.
#[pyclass(frozen, module = "vsclient")]
pub(crate) struct Plane {
    source: Arc<Source>,
    layout: Layout,
    index: usize,
}

impl Plane {
    /// Plane `index` of a format, in memory of `source`.
    pub(crate) fn new<'py>(
        py: Python<'py>,
        source: &Arc<Source>,
        format: &vsclient::Format,
        index: usize,
    ) -> PyResult<Bound<'py, Self>> {
        let layout = source.layout(py, format, index).ok_or_else(|| no_such_plane(format, index))?;
        Bound::new(py, Self { source: Arc::clone(source), layout, index })
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether an array of it may be written to.
    pub(crate) fn is_writable(&self) -> bool {
        matches!(&*self.source, Source::Written(_))
    }

    /// Another array begins. Each is ended by [`release`](Self::release).
    pub(crate) fn export(&self, py: Python<'_>) -> PyResult<()> {
        match &*self.source {
            Source::Written(buffer) if !buffer.bind(py).get().export() => Err(closed("buffer (it was published)")),
            _ => self.source.check_quickly(),
        }
    }

    /// An array ends.
    pub(crate) fn release(&self, py: Python<'_>) {
        if let Source::Written(buffer) = &*self.source {
            buffer.bind(py).get().release();
        }
    }
}

/// How many planes frames of a format have for Python. Those of a coded stream have one.
pub(crate) fn count(format: &vsclient::Format) -> usize {
    if format.is_coded() { 1 } else { format.planes.len() }
}

fn no_such_plane(format: &vsclient::Format, index: usize) -> PyErr {
    let count = count(format);
    pyo3::exceptions::PyIndexError::new_err(format!("{} has {count} planes: there is no plane {index}", format.fourcc))
}

/// All planes, as a tuple.
pub(crate) fn all<'py>(
    py: Python<'py>,
    source: &Arc<Source>,
    format: &vsclient::Format,
) -> PyResult<Bound<'py, PyTuple>> {
    let planes = (0..count(format)).map(|index| Plane::new(py, source, format, index));
    PyTuple::new(py, planes.collect::<PyResult<Vec<_>>>()?)
}

/// The array of one plane, or of all: a tuple if there are several.
pub(crate) fn arrays<'py>(
    py: Python<'py>,
    source: &Arc<Source>,
    format: &vsclient::Format,
    plane: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let one = |index| Plane::new(py, source, format, index).and_then(|plane| array_of(&plane));
    match (plane, count(format)) {
        (Some(index), _) => one(index),
        (None, 1) => one(0),
        (None, count) => Ok(PyTuple::new(py, (0..count).map(one).collect::<PyResult<Vec<_>>>()?)?.into_any()),
    }
}

/// The one plane that a whole frame is, for interfaces that have no word for several.
pub(crate) fn only<'py>(
    py: Python<'py>,
    source: &Arc<Source>,
    format: &vsclient::Format,
) -> PyResult<Bound<'py, Plane>> {
    match count(format) {
        1 => Plane::new(py, source, format, 0),
        count => Err(PyBufferError::new_err(format!(
            "a frame of {} has {count} planes, which are no single array: take frame.planes",
            format.fourcc
        ))),
    }
}

/// An array over a plane.
pub(crate) fn array_of<'py>(plane: &Bound<'py, Plane>) -> PyResult<Bound<'py, PyAny>> {
    static AS_ARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    AS_ARRAY.import(plane.py(), "numpy", "asarray")?.call1((plane,))
}

/// Fills in what the buffer protocol asks for. The plane becomes the owner of the view, which
/// is ended by `__releasebuffer__`.
///
/// # Safety
/// `view` is what `bf_getbuffer` was given.
pub(crate) unsafe fn fill(plane: Bound<'_, Plane>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
    let this = plane.get();
    let asks = |flag: c_int| flags & flag == flag;
    if asks(ffi::PyBUF_WRITABLE) && !this.is_writable() {
        return Err(PyBufferError::new_err("frames are read-only: copy what you want to change"));
    }
    let contiguous = this.layout.is_contiguous();
    // In Fortran's order there are none: the last index goes first.
    let fortran = asks(ffi::PyBUF_F_CONTIGUOUS) && !asks(ffi::PyBUF_ANY_CONTIGUOUS) && this.layout.dimensions() > 1;
    let wants_c = !asks(ffi::PyBUF_STRIDES) || asks(ffi::PyBUF_C_CONTIGUOUS) || asks(ffi::PyBUF_ANY_CONTIGUOUS);
    if fortran || (wants_c && !contiguous) {
        return Err(PyBufferError::new_err("the rows of this plane do not follow one another: ask for strides"));
    }
    this.export(plane.py())?;
    let layout = &this.layout;
    // SAFETY: `view` is to be filled in by this function. Shape and strides lie in the plane, a
    // frozen object that does not move and that `obj` keeps; so do the bytes, which its source
    // keeps mapped.
    unsafe {
        (*view).buf = layout.address() as *mut std::ffi::c_void;
        (*view).len = layout.len() as isize;
        (*view).readonly = c_int::from(!this.is_writable());
        (*view).itemsize = 1;
        (*view).format = if asks(ffi::PyBUF_FORMAT) { c"B".as_ptr().cast_mut() } else { std::ptr::null_mut() };
        (*view).ndim = if asks(ffi::PyBUF_ND) { layout.dimensions() } else { 1 };
        (*view).shape = if asks(ffi::PyBUF_ND) { layout.shape().as_ptr().cast_mut() } else { std::ptr::null_mut() };
        (*view).strides =
            if asks(ffi::PyBUF_STRIDES) { layout.strides().as_ptr().cast_mut() } else { std::ptr::null_mut() };
        (*view).suboffsets = std::ptr::null_mut();
        (*view).internal = std::ptr::null_mut();
        (*view).obj = plane.into_ptr();
    }
    Ok(())
}

#[pymethods]
impl Plane {
    #[getter]
    fn index(&self) -> usize {
        self.index
    }

    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.layout.shape())
    }

    #[getter]
    fn strides<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.layout.strides())
    }

    #[getter]
    fn nbytes(&self) -> usize {
        self.layout.len()
    }

    #[getter]
    fn readonly(&self) -> bool {
        !self.is_writable()
    }

    #[getter]
    fn valid(&self) -> bool {
        self.source.check_quickly().is_ok()
    }

    fn check(&self) -> PyResult<()> {
        self.source.check()
    }

    fn numpy<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        array_of(slf)
    }

    fn tobytes<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let view = pyo3::types::PyMemoryView::from(slf)?;
        let bytes = view.call_method0("tobytes")?;
        slf.get().source.check()?;
        Ok(bytes)
    }

    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        if self.is_writable() {
            // It has no word for the end of an array, and a buffer must know of it. An
            // AttributeError would make numpy wrap the object itself.
            return Err(PyBufferError::new_err(
                "buffers speak the buffer protocol only, and that until they are published",
            ));
        }
        self.source.check_quickly()?;
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        interface.set_item("typestr", "|u1")?;
        interface.set_item("shape", self.shape(py)?)?;
        interface.set_item("strides", self.strides(py)?)?;
        interface.set_item("data", (self.layout.address(), true))?;
        Ok(interface)
    }

    #[pyo3(signature = (*, stream=None, max_version=None, dl_device=None, copy=None))]
    fn __dlpack__<'py>(
        slf: &Bound<'py, Self>,
        stream: Option<Bound<'py, PyAny>>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<(i32, i32)>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if stream.is_some() {
            return Err(bad_value("memory of the CPU has no streams"));
        }
        if dl_device.is_some_and(|device| device != dlpack::CPU) || copy == Some(true) {
            return Err(PyBufferError::new_err("frames are handed over in the CPU's memory, without a copy"));
        }
        dlpack::export(slf, max_version)
    }

    fn __dlpack_device__(&self) -> (i32, i32) {
        dlpack::CPU
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        // SAFETY: Python passes on what it was given.
        unsafe { fill(slf, view, flags) }
    }

    unsafe fn __releasebuffer__(&self, py: Python<'_>, _view: *mut ffi::Py_buffer) {
        self.release(py);
    }

    fn __len__(&self) -> usize {
        self.layout.shape().first().map_or(0, |rows| *rows as usize)
    }

    fn __repr__(&self) -> String {
        format!("<vsclient.Plane {} of shape {:?}>", self.index, self.layout.shape())
    }
}
