// SPDX-License-Identifier: Apache-2.0
//! What a file is, by its first bytes.

use std::io::{Read, Seek};

use super::source::Source;
use crate::mp4::IoFailure;

/// The beginnings of files that are of another kind.
const OTHER_KINDS: [(usize, &[u8], &str); 8] = [
    (0, &[0x1a, 0x45, 0xdf, 0xa3], "Matroska or WebM"),
    (8, b"AVI ", "AVI"),
    (0, b"FLV", "Flash video"),
    (0, b"DKIF", "IVF"),
    (0, b"OggS", "Ogg"),
    (0, &[0, 0, 1, 0xba], "an MPEG program stream"),
    (188, &[0x47], "an MPEG transport stream"),
    (0, b"\x89PNG", "a PNG picture"),
];
/// What an MP4 or QuickTime file begins with.
const FIRST_BOXES: [&[u8; 4]; 12] =
    [b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"pnot", b"moof", b"sidx", b"uuid", b"emsg"];

/// What a file begins like.
pub(crate) enum Kind {
    /// Like MP4 or QuickTime.
    Boxed,
    /// Like something else, which may have a name.
    Other(Option<&'static str>),
}

pub(super) fn recognise<F: Read + Seek>(source: &mut Source<F>) -> Result<Kind, IoFailure> {
    let mut head = [0; 192];
    let length = source.read_some(0, &mut head)?;
    Ok(Kind::of(&head[..length]))
}

impl Kind {
    /// The kind of a file that begins with `head`.
    pub fn of(head: &[u8]) -> Self {
        if head.is_empty() {
            return Self::Other(Some("nothing at all"));
        }
        if head.get(4..8).is_some_and(|kind| FIRST_BOXES.iter().any(|known| *known == kind)) {
            return Self::Boxed;
        }
        let other = OTHER_KINDS.iter().find(|(at, mark, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(mark)));
        Self::Other(other.map(|(_, _, name)| *name))
    }
}
