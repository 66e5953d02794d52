// SPDX-License-Identifier: Apache-2.0
//! How frames are laid out.

use std::sync::Arc;

use pyo3::prelude::*;
use vsclient::{FourCc, Rate};

use crate::errors::bad_value;

/// See `_native.pyi`.
#[pyclass(frozen, eq, module = "vsclient")]
#[derive(PartialEq)]
pub(crate) struct Format(pub(crate) Arc<vsclient::Format>);

/// A rate as Python may say it.
#[derive(FromPyObject)]
pub(crate) enum AnyRate {
    Fraction(u32, u32),
    Frames(u32),
}

impl AnyRate {
    pub(crate) fn rate(self) -> PyResult<Rate> {
        match self {
            Self::Frames(fps) => Ok(Rate::fps(fps)),
            Self::Fraction(num, den) => Rate::new(num, den).ok_or_else(|| bad_value("a rate of frames in 0 seconds")),
        }
    }
}

/// A fourcc, or one of the names that people have for it.
pub(crate) fn fourcc(text: &str) -> PyResult<FourCc> {
    text.parse().map_err(bad_value)
}

#[pymethods]
impl Format {
    #[new]
    #[pyo3(signature = (fourcc, width, height, rate=None, *, largest=None))]
    fn new(fourcc: &str, width: u32, height: u32, rate: Option<AnyRate>, largest: Option<u32>) -> PyResult<Self> {
        let fourcc = self::fourcc(fourcc)?;
        let rate = rate.map_or(Ok(Rate::UNKNOWN), AnyRate::rate)?;
        let format = match largest {
            Some(largest) => vsclient::Format::coded(fourcc, width, height, rate, largest),
            None if fourcc.is_coded() => {
                return Err(bad_value(format!(
                    "{fourcc}: say with largest= how many bytes an access unit has at most"
                )));
            }
            None => vsclient::Format::packed(fourcc, width, height, rate),
        };
        Ok(Self(Arc::new(format.map_err(bad_value)?)))
    }

    #[getter]
    fn fourcc(&self) -> String {
        self.0.fourcc.to_string()
    }

    #[getter]
    fn width(&self) -> u32 {
        self.0.width
    }

    #[getter]
    fn height(&self) -> u32 {
        self.0.height
    }

    #[getter]
    fn rate(&self) -> (u32, u32) {
        (self.0.rate.num, self.0.rate.den)
    }

    #[getter]
    fn fps(&self) -> Option<f64> {
        self.0.rate.is_known().then(|| self.0.rate.as_f64())
    }

    #[getter]
    fn rotation(&self) -> u16 {
        self.0.rotation
    }

    #[getter]
    fn interlaced(&self) -> bool {
        self.0.field.is_interlaced()
    }

    #[getter]
    fn modifier(&self) -> u64 {
        self.0.modifier
    }

    /// V4L2's colour space, transfer function, encoding and quantization.
    #[getter]
    fn color(&self) -> (u8, u8, u8, u8) {
        let color = self.0.color;
        (color.colorspace, color.transfer, color.encoding, color.quantization)
    }

    #[getter]
    fn coded(&self) -> bool {
        self.0.is_coded()
    }

    /// Memory, offset, stride and size of each plane.
    #[getter]
    fn planes(&self) -> Vec<(u8, u32, u32, u32)> {
        self.0.planes.iter().map(|plane| (plane.memory, plane.offset, plane.stride, plane.size)).collect()
    }

    #[getter]
    fn parameter_sets(&self) -> &[u8] {
        &self.0.parameter_sets
    }

    fn __repr__(&self) -> String {
        let format = &self.0;
        format!("<vsclient.Format {} {}x{} at {}>", format.fourcc, format.width, format.height, format.rate)
    }
}
