// SPDX-License-Identifier: Apache-2.0
//! The publishing side.

use std::sync::Mutex;

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use vsclient::publish::{self, WriteSlot};
use vsclient::{FrameFlags, FrameMeta};

use crate::errors::{OrRaise, bad_value, closed};
use crate::format::Format;
use crate::frame::Frame;
use crate::slot::Buffer;
use crate::wait::lock;

/// See `_native.pyi`.
#[pyclass(frozen, module = "vsclient")]
pub(crate) struct Publisher {
    inner: Mutex<Option<publish::Publisher>>,
    path: String,
}

/// What the program says of a frame.
pub(crate) struct Said {
    pub(crate) capture_ns: Option<u64>,
    pub(crate) pts: Option<i64>,
    pub(crate) dts: Option<i64>,
    pub(crate) duration: Option<u64>,
    pub(crate) sequence: u32,
    pub(crate) keyframe: bool,
    pub(crate) gap: bool,
    /// Bytes of a coded frame.
    pub(crate) size: Option<u32>,
}

impl Said {
    /// The frame of a slot that is filled.
    pub(crate) fn finish(self, slot: WriteSlot) -> PyResult<publish::Frame> {
        let mut flags = FrameFlags::empty();
        flags.set(FrameFlags::KEYFRAME, self.keyframe);
        flags.set(FrameFlags::GAP, self.gap);
        let mut bytes_used = slot.format().picture_bytes();
        if let Some(size) = self.size {
            bytes_used[0] = size;
        }
        let meta = FrameMeta {
            sequence: self.sequence,
            capture_ns: self.capture_ns.unwrap_or_else(vsclient::monotonic_ns),
            pts: self.pts,
            dts: self.dts,
            duration: self.duration,
            bytes_used,
            flags,
        };
        slot.finish(meta).or_raise()
    }
}

/// Copies what Python has into a new buffer: bytes if the format is coded, else one array for
/// each plane, of exactly its shape. Returns how many bytes a coded frame has.
pub(crate) fn copy_in(what: &Bound<'_, PyAny>, buffer: &Bound<'_, Buffer>) -> PyResult<Option<u32>> {
    let py = what.py();
    if buffer.get().format().is_coded() {
        let bytes = PyBuffer::<u8>::get(what)?.to_vec(py)?;
        buffer.get().write(&bytes)?;
        let size = u32::try_from(bytes.len()).map_err(bad_value)?;
        return Ok(Some(size));
    }
    let arrays = Buffer::numpy(buffer, None)?;
    let numpy = py.import("numpy")?;
    match arrays.cast::<PyTuple>() {
        Ok(planes) => {
            let given = what.try_iter()?.collect::<PyResult<Vec<_>>>()?;
            if given.len() != planes.len() {
                return Err(bad_value(format!("{} planes are wanted, not {}", planes.len(), given.len())));
            }
            for (plane, given) in planes.iter().zip(given) {
                copy_plane(&numpy, &plane, &given)?;
            }
        }
        Err(_) => copy_plane(&numpy, &arrays, what)?,
    }
    Ok(None)
}

fn copy_plane(numpy: &Bound<'_, PyModule>, plane: &Bound<'_, PyAny>, given: &Bound<'_, PyAny>) -> PyResult<()> {
    let given = numpy.call_method1("asarray", (given,))?;
    let (wanted, shape) = (plane.getattr("shape")?, given.getattr("shape")?);
    // numpy would spread a smaller array over the plane.
    if !wanted.eq(&shape)? {
        return Err(bad_value(format!("the plane has the shape {wanted}, the array {shape}")));
    }
    numpy.call_method1("copyto", (plane, given, "no"))?;
    Ok(())
}

impl Publisher {
    /// Nothing that is done with a publisher waits for a client.
    fn with<T>(&self, act: impl FnOnce(&mut publish::Publisher) -> PyResult<T>) -> PyResult<T> {
        act(lock(&self.inner).as_mut().ok_or_else(|| closed("publisher"))?)
    }
}

#[pymethods]
impl Publisher {
    #[new]
    #[pyo3(signature = (stream, format, *, buffers=None, socket_dir=None))]
    fn new(
        py: Python<'_>,
        stream: &str,
        format: &Bound<'_, Format>,
        buffers: Option<usize>,
        socket_dir: Option<std::path::PathBuf>,
    ) -> PyResult<Self> {
        let mut builder = publish::Publisher::builder(stream).format(std::sync::Arc::clone(&format.get().0));
        if let Some(buffers) = buffers {
            builder = builder.buffers(buffers);
        }
        if let Some(dir) = socket_dir {
            builder = builder.socket_dir(dir);
        }
        let publisher = py.detach(|| builder.start()).or_raise()?;
        let path = publisher.path().to_string_lossy().into_owned();
        Ok(Self { inner: Mutex::new(Some(publisher)), path })
    }

    fn buffer(&self) -> PyResult<Buffer> {
        Buffer::new(self.with(|publisher| publisher.buffer().or_raise())?)
    }

    #[pyo3(signature = (
        what, *, capture_ns=None, pts=None, dts=None, duration=None, sequence=0, keyframe=false, gap=false, size=None,
    ))]
    #[allow(clippy::too_many_arguments, reason = "each is a keyword")]
    fn publish(
        &self,
        what: &Bound<'_, PyAny>,
        capture_ns: Option<u64>,
        pts: Option<i64>,
        dts: Option<i64>,
        duration: Option<u64>,
        sequence: u32,
        keyframe: bool,
        gap: bool,
        size: Option<u32>,
    ) -> PyResult<u64> {
        let mut said = Said { capture_ns, pts, dts, duration, sequence, keyframe, gap, size };
        let frame = if let Ok(frame) = what.cast::<Frame>() {
            frame.get().pass_on()?
        } else if let Ok(buffer) = what.cast::<Buffer>() {
            said.finish(buffer.get().take()?)?
        } else {
            let buffer = Bound::new(what.py(), self.buffer()?)?;
            said.size = copy_in(what, &buffer)?.or(said.size);
            said.finish(buffer.get().take()?)?
        };
        self.with(|publisher| publisher.publish(frame).or_raise())
    }

    fn set_format(&self, format: &Bound<'_, Format>) -> PyResult<()> {
        let format = std::sync::Arc::clone(&format.get().0);
        self.with(|publisher| publisher.set_format(format).map_err(crate::errors::failed))
    }

    #[getter]
    fn format(&self) -> PyResult<Option<Format>> {
        self.with(|publisher| Ok(publisher.format().map(|format| Format(std::sync::Arc::clone(format)))))
    }

    #[getter]
    fn path(&self) -> &str {
        &self.path
    }

    /// The names of those who are connected.
    #[getter]
    fn clients(&self) -> PyResult<Vec<String>> {
        let snapshot = self.with(|publisher| publisher.snapshot().or_raise())?;
        Ok(snapshot.clients.into_iter().map(|client| client.name).collect())
    }

    #[pyo3(signature = (reason="its program has ended it"))]
    fn close(&self, py: Python<'_>, reason: &str) {
        let publisher = lock(&self.inner).take();
        py.detach(|| publisher.map(|publisher| publisher.stop(reason)));
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_args))]
    fn __exit__(&self, py: Python<'_>, _args: &Bound<'_, PyTuple>) {
        self.close(py, "its program has ended it");
    }

    fn __repr__(&self) -> String {
        format!("<vsclient.Publisher at {}>", self.path)
    }
}
