// SPDX-License-Identifier: Apache-2.0
//! What the file says of its pictures, and the decoder does not know.

use std::sync::Arc;

use vs_frame::colorimetry::H273;
use vs_frame::{Colorimetry, Format, Frame, Rate};
use vs_mux::mp4::Rotation;
use vs_mux::read::Track;

use super::timeline::rate_of;

/// Completes formats. A decoder's pictures have one format until it changes, which is completed once.
#[derive(Debug)]
pub struct Describer {
    rate: Rate,
    rotation: u16,
    color: Colorimetry,
    /// What the decoder said last, and what was made of it.
    known: Option<(Arc<Format>, Arc<Format>)>,
}

impl Describer {
    /// With what the track says.
    pub fn new(track: &Track) -> Self {
        let color = track.colour.map(|colour| H273 {
            primaries: colour.primaries,
            transfer: colour.transfer,
            matrix: colour.matrix,
            full_range: colour.full_range,
        });
        Self {
            rate: track.frame_duration_ns.map_or(Rate::UNKNOWN, rate_of),
            rotation: match track.rotation {
                Rotation::None => 0,
                Rotation::Clockwise270 => 90,
                Rotation::Half => 180,
                Rotation::Clockwise90 => 270,
            },
            color: color.map(H273::colorimetry).unwrap_or_default(),
            known: None,
        }
    }

    /// Gives a frame the format with all that is known of it.
    pub fn describe(&mut self, frame: &mut Frame) {
        let given = frame.format();
        let known = self.known.take().filter(|(known, _)| Arc::ptr_eq(known, given));
        let (_, complete) = self.known.insert(match known {
            Some(known) => known,
            None => (Arc::clone(given), Arc::new(self.complete(given))),
        });
        // It is as good without, if it cannot be.
        let _ = frame.describe(complete);
    }

    fn complete(&self, given: &Format) -> Format {
        Format {
            rate: if self.rate.is_known() { self.rate } else { given.rate },
            rotation: self.rotation,
            color: over(self.color, given.color),
            ..given.clone()
        }
    }
}

/// What is said above, and where that is silent, below.
fn over(above: Colorimetry, below: Colorimetry) -> Colorimetry {
    let or = |above: u8, below: u8| if above == 0 { below } else { above };
    Colorimetry {
        colorspace: or(above.colorspace, below.colorspace),
        transfer: or(above.transfer, below.transfer),
        encoding: or(above.encoding, below.encoding),
        quantization: or(above.quantization, below.quantization),
    }
}
