// SPDX-License-Identifier: Apache-2.0
//! A buffer that the program fills and then publishes.
//!
//! Once it is published its bytes must not change: others read them. So it can be published
//! only when no array that could write to it is left, as a `bytearray` can be resized only then.

use std::sync::{Arc, Mutex};

use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use vsclient::publish::WriteSlot;

use crate::errors::{closed, failed};
use crate::format::Format;
use crate::layout::Layout;
use crate::plane::{self, Plane};
use crate::reading::Source;
use crate::wait::lock;

/// See `_native.pyi`.
#[pyclass(frozen, module = "vsclient")]
pub(crate) struct Buffer {
    state: Mutex<State>,
    format: Arc<vsclient::Format>,
    layouts: Vec<Layout>,
}

struct State {
    slot: Option<WriteSlot>,
    /// Views that are alive.
    exports: usize,
}

impl Buffer {
    pub(crate) fn new(mut slot: WriteSlot) -> PyResult<Self> {
        let format = Arc::clone(slot.format());
        // The mappings are the slot's and stay where they are while it is alive. They are
        // ordinary memory, which needs no synchronisation.
        let layouts = slot.write(|memories| layouts(&format, memories)).map_err(failed)?;
        Ok(Self { state: Mutex::new(State { slot: Some(slot), exports: 0 }), format, layouts })
    }

    pub(crate) fn layout(&self, index: usize) -> Option<Layout> {
        self.layouts.get(index).copied()
    }

    pub(crate) fn format(&self) -> &Arc<vsclient::Format> {
        &self.format
    }

    /// Counts a view; `false` if it was published already.
    pub(crate) fn export(&self) -> bool {
        let mut state = lock(&self.state);
        state.exports += usize::from(state.slot.is_some());
        state.slot.is_some()
    }

    /// Counts a view no more.
    pub(crate) fn release(&self) {
        let mut state = lock(&self.state);
        state.exports = state.exports.saturating_sub(1);
    }

    /// Takes the slot, to make a frame of it.
    pub(crate) fn take(&self) -> PyResult<WriteSlot> {
        let mut state = lock(&self.state);
        if state.exports > 0 {
            return Err(PyBufferError::new_err(format!(
                "{} arrays could still write to this buffer: delete them before it is published",
                state.exports
            )));
        }
        state.slot.take().ok_or_else(|| closed("buffer (it was published)"))
    }

    /// Writes a coded frame's payload to its beginning.
    pub(crate) fn write(&self, payload: &[u8]) -> PyResult<()> {
        let mut state = lock(&self.state);
        let slot = state.slot.as_mut().ok_or_else(|| closed("buffer (it was published)"))?;
        let written = slot.write(|memories| {
            let room = memories.first_mut().and_then(|memory| memory.get_mut(..payload.len()));
            room.map(|room| room.copy_from_slice(payload)).is_some()
        });
        if written.map_err(failed)? {
            return Ok(());
        }
        Err(crate::errors::bad_value(format!("{} bytes are more than the format's largest", payload.len())))
    }
}

fn layouts(format: &vsclient::Format, memories: &[impl std::ops::Deref<Target = [u8]>]) -> Vec<Layout> {
    let data = format.planes.iter().map(|plane| {
        let start = plane.offset as usize;
        memories.get(usize::from(plane.memory)).and_then(|memory| memory.get(start..start + plane.size as usize))
    });
    let layout = |(index, data): (usize, Option<&[u8]>)| {
        let plane = format.planes.get(index)?;
        let view = vsclient::PlaneView {
            data: data?,
            stride: plane.stride as usize,
            row_bytes: format.plane_row_bytes(index) as usize,
            rows: format.plane_rows(index) as usize,
        };
        Some(if format.is_coded() { Layout::bytes(view.data) } else { Layout::plane(format, index, &view) })
    };
    data.enumerate().map_while(layout).collect()
}

fn source(slf: &Bound<'_, Buffer>) -> Arc<Source> {
    Arc::new(Source::Written(slf.clone().unbind()))
}

#[pymethods]
impl Buffer {
    #[getter(format)]
    fn python_format(&self) -> Format {
        Format(Arc::clone(&self.format))
    }

    #[getter]
    fn published(&self) -> bool {
        lock(&self.state).slot.is_none()
    }

    #[getter]
    fn planes<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        plane::all(slf.py(), &source(slf), &slf.get().format)
    }

    fn plane<'py>(slf: &Bound<'py, Self>, index: usize) -> PyResult<Bound<'py, Plane>> {
        Plane::new(slf.py(), &source(slf), &slf.get().format, index)
    }

    #[pyo3(signature = (plane=None))]
    pub(crate) fn numpy<'py>(slf: &Bound<'py, Self>, plane: Option<usize>) -> PyResult<Bound<'py, PyAny>> {
        plane::arrays(slf.py(), &source(slf), &slf.get().format, plane)
    }

    fn __repr__(&self) -> String {
        let format = &self.format;
        format!("<vsclient.Buffer {} {}x{}>", format.fourcc, format.width, format.height)
    }
}
