// SPDX-License-Identifier: Apache-2.0
//! What is wanted of a camera, and how its answer differs.

use std::fmt;

use vs_frame::{FourCc, Rate};

use super::layout::shown_size;
use crate::formats::same_rate;

/// Buffers of a camera unless asked otherwise: two that the driver needs to keep going, and
/// six for readers, as many as libvideostream's users know.
pub const DEFAULT_BUFFERS: u32 = 8;

/// Fewer would stop the camera whenever one frame is being read.
pub const MIN_BUFFERS: u32 = 2;

/// The kernel's bound for one queue (`VIDEO_MAX_FRAME`).
pub const MAX_BUFFERS: u32 = v4l2r::bindings::VIDEO_MAX_FRAME;

/// The rate to aim at when none is asked for. Left alone, a driver runs at whatever the last
/// program wanted, or at a default as low as 5 frames per second.
pub const DEFAULT_RATE: Rate = Rate::fps(30);

/// What is wanted of a camera. What is left open the driver decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CaptureRequest {
    /// Pixel format or codec; `None` takes the most useful one that is offered.
    pub fourcc: Option<FourCc>,
    /// Width and height in pixels; `None` keeps what is set.
    pub size: Option<(u32, u32)>,
    /// Frame rate; `None` aims at [`DEFAULT_RATE`].
    pub rate: Option<Rate>,
    /// Buffers, [`MIN_BUFFERS`] to [`MAX_BUFFERS`]; values outside are taken as the bound.
    pub buffers: u32,
    /// Buffers beyond those, for as long as readers hold many; with `buffers` no more than
    /// [`MAX_BUFFERS`].
    pub spares: u32,
    /// Buffers that the driver shall have while readers hold others. It gets a spare one when
    /// it has fewer ([`Camera::top_up`](super::Camera::top_up)).
    pub floor: u32,
    /// Whether each memory gets a second descriptor that can be written through
    /// ([`Memory::writable`](vs_frame::Memory::writable)), for readers that map no other way.
    /// Whoever is given it can change the pictures that everybody sees.
    pub writable: bool,
    /// Where the device sits, in its driver's words ([`Function::bus`](crate::Function::bus)): one that
    /// sits elsewhere is left alone. A node's number can have gone to another device since it was
    /// looked up.
    pub bus: Option<String>,
}

impl CaptureRequest {
    /// The same within the bounds.
    pub(super) fn within_bounds(&self) -> Self {
        let buffers = self.buffers.clamp(MIN_BUFFERS, MAX_BUFFERS);
        Self { buffers, spares: self.spares.min(MAX_BUFFERS - buffers), ..self.clone() }
    }
}

impl Default for CaptureRequest {
    fn default() -> Self {
        Self {
            fourcc: None,
            size: None,
            rate: None,
            buffers: DEFAULT_BUFFERS,
            spares: 0,
            floor: MIN_BUFFERS,
            writable: false,
            bus: None,
        }
    }
}

/// One way in which a driver's answer differs from what was asked. What was left open is
/// never in here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Adjustment {
    /// Another pixel format, although the wanted one is in the driver's list.
    Format {
        /// What was asked for.
        wanted: FourCc,
        /// What the driver set.
        got: FourCc,
    },
    /// Another picture size.
    Size {
        /// Width and height that were asked for.
        wanted: (u32, u32),
        /// Width and height that the driver set.
        got: (u32, u32),
    },
    /// Another frame rate; [`Rate::UNKNOWN`] if the driver has no say in it.
    Rate {
        /// What was asked for.
        wanted: Rate,
        /// What the driver set.
        got: Rate,
    },
    /// Another number of buffers.
    Buffers {
        /// What was asked for.
        wanted: u32,
        /// What the driver allocated.
        got: u32,
    },
    /// Fewer spares.
    Spares {
        /// What was asked for.
        wanted: u32,
        /// What the driver can add while it streams.
        got: u32,
    },
}

impl fmt::Display for Adjustment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format { wanted, got } => write!(f, "format {got} instead of {wanted}"),
            Self::Size { wanted, got } => write!(f, "size {} instead of {}", shown_size(*got), shown_size(*wanted)),
            Self::Rate { wanted, got } if !got.is_known() => {
                write!(f, "a frame rate that the driver does not tell instead of {wanted}/s")
            }
            Self::Rate { wanted, got } => write!(f, "{got} frames/s instead of {wanted}"),
            Self::Buffers { wanted, got } => write!(f, "{got} buffers instead of {wanted}"),
            Self::Spares { wanted, got: 0 } => {
                write!(f, "no spares instead of {wanted}, for its driver cannot add buffers")
            }
            Self::Spares { wanted, got } => write!(f, "{got} spares instead of {wanted}"),
        }
    }
}

/// What a driver made of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    pub(super) fourcc: FourCc,
    pub(super) size: (u32, u32),
    pub(super) rate: Rate,
    pub(super) buffers: u32,
    pub(super) spares: u32,
}

/// Compares a request with its answer.
pub(super) fn adjustments(request: &CaptureRequest, answer: &Answer) -> Vec<Adjustment> {
    let format = request.fourcc.filter(|wanted| *wanted != answer.fourcc);
    let size = request.size.filter(|wanted| *wanted != answer.size);
    let rate = request.rate.filter(|wanted| !same_rate(*wanted, answer.rate));
    let buffers = Some(request.buffers).filter(|wanted| *wanted != answer.buffers);
    let spares = Some(request.spares).filter(|wanted| *wanted != answer.spares);
    [
        format.map(|wanted| Adjustment::Format { wanted, got: answer.fourcc }),
        size.map(|wanted| Adjustment::Size { wanted, got: answer.size }),
        rate.map(|wanted| Adjustment::Rate { wanted, got: answer.rate }),
        buffers.map(|wanted| Adjustment::Buffers { wanted, got: answer.buffers }),
        spares.map(|wanted| Adjustment::Spares { wanted, got: answer.spares }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: Answer =
        Answer { fourcc: FourCc::YUYV, size: (640, 480), rate: Rate::fps(25), buffers: 4, spares: 0 };

    #[test]
    fn what_was_left_open_is_never_adjusted() {
        let request = CaptureRequest { buffers: 4, ..CaptureRequest::default() };
        assert_eq!(adjustments(&request, &ANSWER), []);
    }

    #[test]
    fn spares_fit_into_the_kernels_bound() {
        let request = CaptureRequest { buffers: 30, spares: 20, ..CaptureRequest::default() };
        assert_eq!(request.within_bounds().spares, 2);
    }

    #[test]
    fn every_difference_is_said() {
        let request = CaptureRequest {
            fourcc: Some(FourCc::NV12),
            size: Some((800, 600)),
            rate: Some(Rate::fps(30)),
            buffers: 8,
            spares: 4,
            ..CaptureRequest::default()
        };
        let said: Vec<_> = adjustments(&request, &ANSWER).iter().map(ToString::to_string).collect();
        let expected = [
            "format YUYV instead of NV12",
            "size 640x480 instead of 800x600",
            "25 frames/s instead of 30",
            "4 buffers instead of 8",
            "no spares instead of 4, for its driver cannot add buffers",
        ];
        assert_eq!(said, expected);
    }
}
