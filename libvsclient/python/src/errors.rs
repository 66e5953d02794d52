// SPDX-License-Identifier: Apache-2.0
//! From the library's errors to the exceptions of `vsclient/_errors.py`.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use vsclient::{ConnectError, Ended, LockError, MapError, ReceiveError, codec, dbus, publish};

mod python {
    pyo3::import_exception!(vsclient._errors, CallError);
    pyo3::import_exception!(vsclient._errors, CodecError);
    pyo3::import_exception!(vsclient._errors, ConnectError);
    pyo3::import_exception!(vsclient._errors, Disconnected);
    pyo3::import_exception!(vsclient._errors, Error);
    pyo3::import_exception!(vsclient._errors, Expired);
    pyo3::import_exception!(vsclient._errors, LockError);
    pyo3::import_exception!(vsclient._errors, PublishError);
    pyo3::import_exception!(vsclient._errors, ReceiveError);
    pyo3::import_exception!(vsclient._errors, Revoked);
}

/// A library error that has an exception of its own.
pub(crate) trait ToPython: Sized {
    fn to_python(self) -> PyErr;
}

/// `?` for results of the library.
pub(crate) trait OrRaise<T> {
    fn or_raise(self) -> PyResult<T>;
}

impl<T, E: ToPython> OrRaise<T> for Result<T, E> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(ToPython::to_python)
    }
}

macro_rules! exceptions {
    ($($error:ty => $exception:ident,)*) => {$(
        impl ToPython for $error {
            fn to_python(self) -> PyErr {
                python::$exception::new_err(self.to_string())
            }
        }
    )*};
}

exceptions! {
    ConnectError => ConnectError,
    ReceiveError => ReceiveError,
    LockError => LockError,
    vsclient::PassOnError => Revoked,
    publish::StartError => PublishError,
    publish::PublishError => PublishError,
    publish::BufferError => PublishError,
    publish::FrameError => PublishError,
    dbus::ConnectError => ConnectError,
    codec::OpenError => CodecError,
    codec::SubmitError => CodecError,
    codec::ReceiveError => CodecError,
    codec::RequestError => CodecError,
    codec::BufferError => CodecError,
}

impl ToPython for Ended {
    fn to_python(self) -> PyErr {
        let text = self.to_string();
        match self {
            Self::Revoked => python::Revoked::new_err(text),
            Self::Expired => python::Expired::new_err(text),
            Self::Disconnected => python::Disconnected::new_err(text),
        }
    }
}

impl ToPython for MapError {
    fn to_python(self) -> PyErr {
        match self {
            Self::Ended(ended) => ended.to_python(),
            Self::Memory(error) => failed(error),
        }
    }
}

impl ToPython for dbus::CallError {
    /// The name of the error is the second argument: programs branch on it.
    fn to_python(self) -> PyErr {
        python::CallError::new_err((self.to_string(), self.name()))
    }
}

/// For what should not happen and has no exception of its own.
pub(crate) fn failed(error: impl std::fmt::Display) -> PyErr {
    python::Error::new_err(error.to_string())
}

/// An argument that cannot be.
pub(crate) fn bad_value(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// An argument of a type that cannot be.
pub(crate) fn bad_type(text: &'static str) -> PyErr {
    PyTypeError::new_err(text)
}

/// Something that was closed or given back, in the words of Python's files.
pub(crate) fn closed(what: &str) -> PyErr {
    PyValueError::new_err(format!("this {what} is closed"))
}
