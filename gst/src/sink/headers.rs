// SPDX-License-Identifier: Apache-2.0
//! Parameter sets of the access units that come, so that FORMAT has them.
//!
//! A reader that comes late would have to wait for a keyframe that brings them, and some encoders bring them once.

use std::sync::Arc;

use gstreamer as gst;
use vs_bitstream::{Codec, ParameterSets};
use vsclient::{Format, FourCc};

/// What stands before each NAL unit, and at the beginning of a byte stream (H.264 and H.265, annex B).
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Those that are known.
#[derive(Debug, Default)]
pub struct Headers {
    /// `None` for a codec without parameter sets.
    codec: Option<Codec>,
    sets: ParameterSets,
    /// The format with them.
    format: Option<Arc<Format>>,
}

impl Headers {
    /// With what the caps carry: a byte stream's `codec_data` is one, too.
    pub fn of(caps: &gst::CapsRef, fourcc: FourCc) -> Self {
        let codec = match fourcc {
            FourCc::H264 => Some(Codec::H264),
            FourCc::HEVC => Some(Codec::H265),
            _ => None,
        };
        let mut headers = Self { codec, ..Self::default() };
        let data = caps.structure(0).and_then(|structure| structure.get::<gst::Buffer>("codec_data").ok());
        if let Some(data) = data.as_ref().and_then(|data| data.map_readable().ok())
            && (data.starts_with(&START_CODE) || data.starts_with(&START_CODE[1..]))
        {
            headers.learn(&data);
        }
        headers
    }

    /// The format of an access unit: what is known of the stream, and the parameter sets that it may bring itself.
    /// Only `keyframe`s bring any, once there are some.
    pub fn format(&mut self, plain: &Arc<Format>, unit: &[u8], keyframe: bool) -> Arc<Format> {
        if keyframe || self.sets.is_empty() {
            self.learn(unit);
        }
        let format = self.format.get_or_insert_with(|| {
            let all = self.sets.vps.iter().chain(&self.sets.sps).chain(&self.sets.pps);
            let parameter_sets = all.flat_map(|nal| START_CODE.iter().chain(nal)).copied().collect();
            Arc::new(Format { parameter_sets, ..(**plain).clone() })
        });
        Arc::clone(format)
    }

    fn learn(&mut self, bytes: &[u8]) {
        let Some(codec) = self.codec else { return };
        // Sets that no file could hold are left to the access units.
        let Ok(found) = ParameterSets::gather(codec, bytes) else { return };
        let mut sets = self.sets.clone();
        sets.supersede(found);
        if sets != self.sets {
            (self.sets, self.format) = (sets, None);
        }
    }
}
