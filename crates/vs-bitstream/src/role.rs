// SPDX-License-Identifier: Apache-2.0
//! What each NAL unit of a stream is to the access units (H.264 7.4.1.2.3, H.265 7.4.2.4.4).

use crate::{Codec, NalKind, h264};

/// What a codec needs to tell pictures apart.
#[derive(Debug)]
pub(crate) enum Pictures {
    H264(Box<h264::picture::Pictures>),
    H265,
}

/// What a NAL unit says about access units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Only ever the first of an access unit.
    Delimiter,
    /// Sent before the slices of the picture it belongs to.
    Prefix,
    /// A slice that begins a picture.
    FirstSlice,
    /// A slice of the same picture as the one before.
    Slice,
    /// Belongs to what came before.
    Rest,
}

impl Pictures {
    pub fn new(codec: Codec) -> Self {
        match codec {
            Codec::H264 => Self::H264(Box::default()),
            Codec::H265 => Self::H265,
        }
    }

    /// The role of the next NAL unit of the stream.
    pub fn role(&mut self, nal: &[u8]) -> Role {
        match self {
            Self::H264(pictures) => h264_role(pictures, nal),
            Self::H265 => h265_role(nal),
        }
    }
}

/// H.264 7.4.1.2.3.
fn h264_role(pictures: &mut h264::picture::Pictures, nal: &[u8]) -> Role {
    match NalKind::of(Codec::H264, nal) {
        NalKind::Delimiter => Role::Delimiter,
        NalKind::Sps => {
            pictures.take_sps(nal);
            Role::Prefix
        }
        NalKind::Pps => {
            pictures.take_pps(nal);
            Role::Prefix
        }
        NalKind::Sei | NalKind::Other(14..=18) => Role::Prefix,
        // Partitions B and C (3, 4) have no slice header.
        kind if kind.is_slice() && matches!(nal[0] & 0x1f, 1 | 2 | 5) => {
            if pictures.begins(nal) {
                Role::FirstSlice
            } else {
                Role::Slice
            }
        }
        _ => Role::Rest,
    }
}

/// H.265 7.4.2.4.4. What is of another layer never begins an access unit.
fn h265_role(nal: &[u8]) -> Role {
    const PREFIX_SEI: u8 = 39;
    let &[first, second, ref payload @ ..] = nal else { return Role::Rest };
    let layer = (first & 1) << 5 | second >> 3;
    match NalKind::of(Codec::H265, nal) {
        _ if layer > 0 => Role::Rest,
        NalKind::Delimiter => Role::Delimiter,
        NalKind::Vps | NalKind::Sps | NalKind::Pps | NalKind::Other(41..=44 | 48..=55) => Role::Prefix,
        NalKind::Sei if first >> 1 & 0x3f == PREFIX_SEI => Role::Prefix,
        // first_slice_segment_in_pic_flag
        kind if kind.is_slice() => match payload.first() {
            Some(byte) if byte & 0x80 != 0 => Role::FirstSlice,
            _ => Role::Slice,
        },
        _ => Role::Rest,
    }
}
