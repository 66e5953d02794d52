// SPDX-License-Identifier: Apache-2.0
//! The part of the Python package `vsclient` that is not Python: the Rust library, wrapped
//! thinly. What the classes are for is said in `vsclient/_native.pyi`.
//!
//! Two rules hold everywhere. **Whoever waits lets Python go on**: no call keeps the
//! interpreter's lock while it waits for another process, and each looks for signals every
//! `SLICE` of time (`wait.rs`), so that Ctrl-C ends it. **No array can dangle**: every array
//! lies over a `Plane`, which owns what keeps the memory mapped, and with it the lease
//! (`reading.rs`).

mod client;
mod codec;
mod daemon;
mod dlpack;
mod errors;
mod event;
mod format;
mod frame;
mod layout;
mod plane;
mod publisher;
mod reading;
mod slot;
mod statistics;
mod wait;

/// The module as Python sees it.
#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use crate::client::{Client, Session};
    #[pymodule_export]
    use crate::codec::{Decoder, Encoder, Output};
    #[pymodule_export]
    use crate::daemon::{Daemon, Recording};
    #[pymodule_export]
    use crate::event::Event;
    #[pymodule_export]
    use crate::format::Format;
    #[pymodule_export]
    use crate::frame::{Frame, Map};
    #[pymodule_export]
    use crate::plane::Plane;
    #[pymodule_export]
    use crate::publisher::Publisher;
    #[pymodule_export]
    use crate::slot::Buffer;
    #[pymodule_export]
    use crate::statistics::{Counters, Latency};

    /// The clock of all times of frames, in ns: that of `time.monotonic_ns()`.
    #[pyo3::pyfunction]
    fn monotonic_ns() -> u64 {
        vsclient::monotonic_ns()
    }
}
