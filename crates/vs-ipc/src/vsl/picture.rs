// SPDX-License-Identifier: Apache-2.0
//! Which formats an event can tell of.
//!
//! It has room for one stride and one descriptor, and nothing that says where the second
//! plane is. So a picture can be told if all of it lies in one memory, plane behind plane as
//! V4L2 lays out its contiguous formats, and if its format is one of the ancestor's.
//!
//! The codes: YUV under V4L2's, but for I420 (V4L2's `YU12`), which the ancestor has from
//! GStreamer. RGB with 24 bit under V4L2's `RGB3` and `BGR3`; with 32 bit by the order of
//! their bytes in memory (`RGBA`, `BGRA`, `RGBx`, `BGRx`), which V4L2 calls otherwise.

use rustix::param::page_size;
use vs_frame::format::MODIFIER_LINEAR;
use vs_frame::{Colorimetry, Field, Format, FormatError, FourCc, Frame, PlaneLayout, Planes, Rate};

use super::wire::Event;

/// V4L2's code, and what stands in an event for it.
const CODES: &[(FourCc, [u8; 4])] = &[
    (FourCc::NV12, *b"NV12"),
    (FourCc::NV21, *b"NV21"),
    (FourCc::NV16, *b"NV16"),
    (FourCc::YVU420, *b"YV12"),
    (FourCc::YUV420, *b"I420"),
    (FourCc::YUYV, *b"YUYV"),
    (FourCc::UYVY, *b"UYVY"),
    (FourCc::YVYU, *b"YVYU"),
    (FourCc::VYUY, *b"VYUY"),
    (FourCc::RGB24, *b"RGB3"),
    (FourCc::BGR24, *b"BGR3"),
    (FourCc::RGBA32, *b"RGBA"),
    (FourCc::BGRA32, *b"BGRA"),
    (FourCc::RGBX32, *b"RGBx"),
    (FourCc::BGRX32, *b"BGRx"),
];

/// Read, never written: GStreamer's name for YUYV, V4L2's for I420, and the spelling of the
/// ancestor's own tables.
const READ_ALSO: &[(FourCc, [u8; 4])] =
    &[(FourCc::YUYV, *b"YUY2"), (FourCc::YUV420, *b"YU12"), (FourCc::RGBX32, *b"RGBX"), (FourCc::BGRX32, *b"BGRX")];

/// Why a frame cannot be told to clients of libvideostream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untellable {
    /// The ancestor has no such format.
    #[error(
        "{0} is no format of libvideostream: choose NV12, I420, YV12, YUYV, UYVY, RGB3, BGR3, RGBA, BGRA, RGBx or BGRx"
    )]
    Fourcc(FourCc),
    /// More than one memory.
    #[error(
        "a {fourcc} picture lies in {memories} memories, and libvideostream can tell of one only: choose NV12 or I420"
    )]
    Memories {
        /// The format.
        fourcc: FourCc,
        /// How many.
        memories: usize,
    },
    /// Planes that do not follow each other, a start within a page, or tiles.
    #[error(
        "the planes of this {0} picture lie where libvideostream does not look for them: choose a format with one plane, such as YUYV"
    )]
    Layout(FourCc),
    /// The memory cannot be mapped as the ancestor's clients do.
    #[error("its memory is read-only, and clients of libvideostream map frames for writing: the source must allow it")]
    ReadOnly,
}

/// What an event says of the picture in its buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Picture {
    /// The ancestor's code.
    pub fourcc: u32,
    /// Pixels.
    pub width: i32,
    /// Pixels.
    pub height: i32,
    /// Bytes from row to row of the first plane.
    pub stride: i32,
    /// Where the first plane begins, in bytes.
    pub offset: u64,
    /// Bytes from there to the end of the last plane.
    pub size: u64,
}

impl Picture {
    /// How an event tells of pictures of this format.
    ///
    /// # Errors
    /// [`Untellable`], of which [`ReadOnly`](Untellable::ReadOnly) is for frames.
    pub fn of(format: &Format) -> Result<Self, Untellable> {
        let (fourcc, memories) = (format.fourcc, format.memories());
        if memories > 1 {
            return Err(Untellable::Memories { fourcc, memories });
        }
        let (_, code) = CODES.iter().find(|(known, _)| *known == fourcc).ok_or(Untellable::Fourcc(fourcc))?;
        let elsewhere = Untellable::Layout(fourcc);
        let first = format.planes.first().copied().unwrap_or_default();
        let expected = Format::contiguous_planes(fourcc, format.width, format.height, first.stride);
        let expected = expected.map_err(|_| elsewhere.clone())?;
        let follows = |(actual, expected): (&PlaneLayout, &PlaneLayout)| {
            actual.stride == expected.stride && actual.offset.checked_sub(first.offset) == Some(expected.offset)
        };
        let regular = format.planes.len() == expected.len() && format.planes.iter().zip(expected.iter()).all(follows);
        let offset = u64::from(first.offset);
        if !regular || !offset.is_multiple_of(page_size() as u64) || format.modifier != MODIFIER_LINEAR {
            return Err(elsewhere);
        }
        let signed = |value: u32| i32::try_from(value).map_err(|_| elsewhere.clone());
        Ok(Self {
            fourcc: FourCc(*code).to_u32(),
            width: signed(format.width)?,
            height: signed(format.height)?,
            stride: signed(first.stride)?,
            offset,
            size: format.memory_size(0) - offset,
        })
    }

    /// As [`of`](Self::of), for a frame that exists.
    ///
    /// # Errors
    /// [`Untellable`].
    pub fn of_frame(frame: &Frame) -> Result<Self, Untellable> {
        let picture = Self::of(frame.format())?;
        let memory = frame.buffer().memories().first();
        memory.and_then(|memory| memory.writable()).map(|_| picture).ok_or(Untellable::ReadOnly)
    }

    /// What an event says. Nothing of it has been checked.
    #[must_use]
    pub fn said_by(event: &Event) -> Self {
        Self {
            fourcc: event.fourcc.get(),
            width: event.width.get(),
            height: event.height.get(),
            stride: event.stride.get(),
            offset: event.offset.get(),
            size: event.size.get(),
        }
    }

    /// The format of such pictures, in a memory of `len` bytes. Rate and colours are not
    /// told, and left unknown.
    ///
    /// The ancestor's own way of counting a stride is whole pictures divided by rows: 3/2 of
    /// the width for NV12. Such a stride is taken for rows without padding.
    ///
    /// # Errors
    /// [`PictureError`].
    pub fn format(&self, len: u64) -> Result<Format, PictureError> {
        let code = FourCc::from_u32(self.fourcc);
        let known = CODES.iter().chain(READ_ALSO).find(|(_, known)| *known == code.0);
        let (fourcc, _) = *known.ok_or(PictureError::Fourcc(code))?;
        let size = (u32::try_from(self.width).unwrap_or(0), u32::try_from(self.height).unwrap_or(0));
        let (width, height) = size;
        let packed = Format::packed(fourcc, width, height, Rate::UNKNOWN)?;
        let outside = PictureError::Outside { offset: self.offset, size: self.size, len };
        let end = self.offset.checked_add(self.size).filter(|end| *end <= len).ok_or(outside.clone())?;
        let stride = u32::try_from(self.stride).unwrap_or(u32::MAX);
        let planes = match stride {
            0 => packed.planes,
            stride if stride == width + width / 2 && packed.planes.len() > 1 && self.size == packed.memory_size(0) => {
                packed.planes
            }
            stride => Format::contiguous_planes(fourcc, width, height, stride)?,
        };
        let offset = u32::try_from(self.offset).map_err(|_| outside.clone())?;
        let place = |plane: &PlaneLayout| {
            let offset = plane.offset.checked_add(offset)?;
            // The padding of the last row may be missing.
            let room = u32::try_from(end.checked_sub(u64::from(offset))?).unwrap_or(u32::MAX);
            Some(PlaneLayout { offset, size: plane.size.min(room), ..*plane })
        };
        let layouts: Option<Vec<PlaneLayout>> = planes.iter().map(place).collect();
        let planes = layouts.and_then(|layouts| Planes::new(&layouts)).ok_or(outside)?;
        let format = Format { planes, field: Field::PROGRESSIVE, color: Colorimetry::default(), ..packed };
        format.check(&[len])?;
        Ok(format)
    }
}

/// Why what an event says is no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// A code that nobody knows.
    #[error("pictures in {0} are not known here")]
    Fourcc(FourCc),
    /// Size or stride impossible, or a plane that does not fit.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Outside of its memory.
    #[error("a picture of {size} bytes at {offset} does not fit into the {len} bytes behind its descriptor")]
    Outside {
        /// Where it is said to begin, in bytes.
        offset: u64,
        /// How many bytes it is said to have.
        size: u64,
        /// How many there are.
        len: u64,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(fourcc: FourCc) -> Format {
        Format::packed(fourcc, 64, 16, Rate::UNKNOWN).unwrap()
    }

    #[test]
    fn every_format_of_the_ancestor_can_be_told_and_understood() {
        for (fourcc, code) in CODES {
            let format = Format { color: Colorimetry::default(), ..packed(*fourcc) };
            let picture = Picture::of(&format).unwrap();
            assert_eq!(picture.fourcc.to_le_bytes(), *code);
            assert_eq!((picture.offset, picture.size), (0, format.memory_size(0)));
            assert_eq!(picture.format(format.memory_size(0)), Ok(format));
        }
    }

    #[test]
    fn what_cannot_be_told_is_refused_with_a_remedy() {
        let refused = |format: &Format| Picture::of(format).unwrap_err().to_string();
        assert!(refused(&packed(FourCc::NV12M)).contains("2 memories"));
        assert!(refused(&packed(FourCc::GREY)).contains("no format of libvideostream"));
        let mut apart = packed(FourCc::NV12);
        let mut planes = apart.planes.to_vec();
        planes[1].offset += 64;
        apart.planes = Planes::new(&planes).unwrap();
        assert!(refused(&apart).contains("does not look"));
        let mut within = packed(FourCc::YUYV);
        within.planes = Planes::new(&[PlaneLayout { offset: 128, ..within.planes[0] }]).unwrap();
        assert!(refused(&within).contains("does not look"));
        within.planes = Planes::new(&[PlaneLayout { offset: 65536, ..within.planes[0] }]).unwrap();
        assert_eq!(Picture::of(&within).map(|picture| (picture.offset, picture.size)), Ok((65536, 64 * 16 * 2)));
    }

    #[test]
    fn other_spellings_and_the_ancestors_own_strides_are_understood() {
        let nv12 = Picture::of(&packed(FourCc::NV12)).unwrap();
        let strange = Picture { stride: 96, ..nv12 }.format(4096).unwrap();
        assert_eq!(strange.planes, packed(FourCc::NV12).planes);
        assert_eq!(Picture { stride: 0, ..nv12 }.format(4096).unwrap().planes, packed(FourCc::NV12).planes);
        let padded = Picture { stride: 80, size: 80 * 24 - 16, ..nv12 }.format(4096).unwrap();
        assert_eq!((padded.planes[1].offset, padded.planes[1].size), (80 * 16, 80 * 8 - 16));
        let yuy2 = Picture { fourcc: FourCc(*b"YUY2").to_u32(), ..Picture::of(&packed(FourCc::YUYV)).unwrap() };
        assert_eq!(yuy2.format(4096).unwrap().fourcc, FourCc::YUYV);
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_refused_or_fits(
            row in 0..CODES.len() + READ_ALSO.len() + 1,
            width in prop_oneof![0..200i32, any::<i32>()], height in prop_oneof![0..200i32, any::<i32>()],
            stride in prop_oneof![0..800i32, any::<i32>()],
            offset in prop_oneof![Just(0u64), any::<u64>()], size in prop_oneof![0..100_000u64, any::<u64>()],
            len in prop_oneof![0..100_000u64, any::<u64>()],
        ) {
            let code = CODES.iter().chain(READ_ALSO).nth(row).map_or(*b"????", |(_, code)| *code);
            let picture = Picture { fourcc: FourCc(code).to_u32(), width, height, stride, offset, size };
            if let Ok(format) = picture.format(len) {
                prop_assert_eq!(format.check(&[len]), Ok(()));
                prop_assert!(format.memory_size(0) <= len);
            }
        }
    }
}
