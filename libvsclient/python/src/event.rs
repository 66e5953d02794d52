// SPDX-License-Identifier: Apache-2.0
//! What happens to a client.

use pyo3::prelude::*;

use crate::client::Client;
use crate::format::Format;
use crate::frame::Frame;

/// See `_native.pyi`. What the kind of event has nothing to say about is `None`.
#[pyclass(frozen, get_all, module = "vsclient")]
#[derive(Default)]
pub(crate) struct Event {
    kind: &'static str,
    frame: Option<Py<Frame>>,
    format: Option<Py<Format>>,
    state: Option<&'static str>,
    text: String,
    serial: Option<u64>,
    reason: Option<&'static str>,
    deadline_ns: Option<u64>,
    retry_in: Option<f64>,
    epoch_changed: Option<bool>,
}

impl Event {
    pub(crate) fn new(client: &Bound<'_, Client>, event: vsclient::Event) -> PyResult<Self> {
        let py = client.py();
        use vsclient::Event as E;
        Ok(match event {
            E::Connected { session, epoch_changed } => {
                Self { kind: "connected", text: session.stream, epoch_changed: Some(epoch_changed), ..Self::default() }
            }
            E::State(status) => {
                Self { kind: "state", state: Some(status.state.name()), text: status.reason, ..Self::default() }
            }
            E::Format(format) => Self { kind: "format", format: Some(Py::new(py, Format(format))?), ..Self::default() },
            E::Frame(frame) => {
                let serial = Some(frame.serial());
                Self {
                    kind: "frame",
                    serial,
                    frame: Some(Py::new(py, Frame::received(frame, client))?),
                    ..Self::default()
                }
            }
            E::Revoked { serial, reason } => {
                Self { kind: "revoked", serial: Some(serial), reason: Some(reason.name()), ..Self::default() }
            }
            E::Locked(reply) => Self {
                kind: "locked",
                serial: Some(reply.serial),
                deadline_ns: reply.result.ok(),
                reason: reply.result.err().map(|status| status.name()),
                ..Self::default()
            },
            E::Disconnected { cause, retry_in } => Self {
                kind: "disconnected",
                text: cause.to_string(),
                retry_in: Some(retry_in.as_secs_f64()),
                ..Self::default()
            },
            E::RetryFailed { cause, retry_in } => Self {
                kind: "retry-failed",
                text: cause.to_string(),
                retry_in: Some(retry_in.as_secs_f64()),
                ..Self::default()
            },
            other => Self { kind: "other", text: format!("{other:?}"), ..Self::default() },
        })
    }
}

#[pymethods]
impl Event {
    fn __repr__(&self) -> String {
        let detail = self.state.or(self.reason).unwrap_or(&self.text);
        match self.serial {
            Some(serial) => format!("<vsclient.Event {} {serial} {detail}>", self.kind),
            None => format!("<vsclient.Event {} {detail}>", self.kind),
        }
    }
}
