// SPDX-License-Identifier: Apache-2.0
//! DLPack, by which frameworks take tensors from one another: `dlpack.h` of version 1.
//!
//! Only the versioned form can say that memory is read-only. A consumer that knows only the
//! older one would write to what the kernel does not let it write to, and be killed; it is
//! refused instead.

use std::ffi::{c_char, c_int, c_void};

use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::plane::Plane;

/// `(kDLCPU, 0)`.
pub(crate) const CPU: (i32, i32) = (1, 0);

/// The version of the structures below.
const VERSION: Version = Version { major: 1, minor: 0 };

/// `kDLUInt` with 8 bits, one lane.
const BYTE: DataType = DataType { code: 1, bits: 8, lanes: 1 };

/// `DLPACK_FLAG_BITMASK_READ_ONLY`.
const READ_ONLY: u64 = 1;

/// Name of a capsule that nobody has taken yet.
const NAME: &std::ffi::CStr = c"dltensor_versioned";

#[repr(C)]
struct Version {
    major: u32,
    minor: u32,
}

#[repr(C)]
struct DataType {
    code: u8,
    bits: u8,
    lanes: u16,
}

#[repr(C)]
struct Tensor {
    data: *mut c_void,
    device: (i32, i32),
    dimensions: i32,
    data_type: DataType,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

#[repr(C)]
struct Managed {
    version: Version,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Managed)>,
    flags: u64,
    tensor: Tensor,
}

/// What a tensor needs for as long as it is: the plane, and numbers to point at.
struct Held {
    managed: Managed,
    plane: Option<Py<Plane>>,
    shape: Vec<i64>,
    strides: Vec<i64>,
}

/// A capsule with the plane in it.
pub(crate) fn export<'py>(plane: &Bound<'py, Plane>, max_version: Option<(u32, u32)>) -> PyResult<Bound<'py, PyAny>> {
    let this = plane.get();
    if max_version.is_none_or(|(major, _)| major < VERSION.major) {
        return Err(PyBufferError::new_err(
            "the consumer speaks DLPack before version 1, which cannot say that memory is read-only: \
             give it a copy (frame.copy())",
        ));
    }
    this.export(plane.py())?;
    let layout = this.layout();
    let numbers = |numbers: &[isize]| numbers.iter().map(|number| *number as i64).collect::<Vec<_>>();
    let mut held = Box::new(Held {
        managed: Managed {
            version: VERSION,
            context: std::ptr::null_mut(),
            deleter: Some(delete),
            flags: if this.is_writable() { 0 } else { READ_ONLY },
            tensor: Tensor {
                data: layout.address() as *mut c_void,
                device: CPU,
                dimensions: layout.dimensions(),
                data_type: BYTE,
                shape: std::ptr::null_mut(),
                strides: std::ptr::null_mut(),
                byte_offset: 0,
            },
        },
        plane: Some(plane.clone().unbind()),
        shape: numbers(layout.shape()),
        strides: numbers(layout.strides()),
    });
    held.managed.tensor.shape = held.shape.as_mut_ptr();
    held.managed.tensor.strides = held.strides.as_mut_ptr();
    let held = Box::into_raw(held);
    // SAFETY: `held` is alive until its deleter is called, by the consumer or by the capsule's
    // destructor; `context` leads the deleter back to it.
    unsafe {
        let managed = &raw mut (*held).managed;
        (*managed).context = held.cast();
        let capsule = ffi::PyCapsule_New(managed.cast(), NAME.as_ptr(), Some(destroy));
        if capsule.is_null() {
            delete(managed);
        }
        Bound::from_owned_ptr_or_err(plane.py(), capsule)
    }
}

/// Called by whoever has taken the tensor, on any thread, when it is done with it.
unsafe extern "C" fn delete(managed: *mut Managed) {
    // SAFETY: `context` is the box that `export` has made, and the deleter is called once.
    let mut held = unsafe { Box::from_raw((*managed).context.cast::<Held>()) };
    let plane = held.plane.take();
    // After the interpreter's end nobody is left to tell, and the memory goes with the process.
    let told = Python::try_attach(|py| {
        if let Some(plane) = &plane {
            plane.get().release(py);
        }
    });
    if told.is_none() {
        std::mem::forget(plane);
    }
}

/// The end of a capsule: a tensor that nobody has taken goes with it. Who takes one renames it.
unsafe extern "C" fn destroy(capsule: *mut ffi::PyObject) {
    // SAFETY: Python calls this with the capsule that `export` has made, holding the
    // interpreter's lock.
    unsafe {
        let valid: c_int = ffi::PyCapsule_IsValid(capsule, NAME.as_ptr() as *const c_char);
        if valid == 1 {
            let managed = ffi::PyCapsule_GetPointer(capsule, NAME.as_ptr()).cast::<Managed>();
            if !managed.is_null() {
                delete(managed);
            }
        }
    }
}
