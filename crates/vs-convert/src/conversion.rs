// SPDX-License-Identifier: Apache-2.0
//! Any picture as any other.
//!
//! What is YUV on one side becomes I420, is scaled as such, where the fewest bytes are, and then
//! becomes what is asked for. RGB stays RGB if that is wanted.

use std::ops::DerefMut;

use vs_frame::format::{FormatError, MODIFIER_LINEAR};
use vs_frame::{Colorimetry, Format, FourCc, FrameView};
use yuv::{YuvPlanarImage, YuvRange, YuvStandardMatrix};

use crate::fill::{self, makes, rows, slices};
use crate::rgb::{self, Channels, ToRgb};
use crate::scale::{Pixels, Scaler};
use crate::to_i420::{FORMATS, HD_HEIGHT, I420, Layout, ToI420};

/// Pixels of a picture at most: 7680 by 4320 and a little more. What is asked for is memory, and time.
pub const MAX_PIXELS: u64 = 1 << 25;

/// Why pictures of one kind cannot be made into another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    /// The rows are not plain.
    #[error("pictures with format modifier {modifier:#x} cannot be read here: only linear ones can")]
    Modifier {
        /// What they have.
        modifier: u64,
    },
    /// There is no way from one pixel format to the other.
    #[error("no {to} can be made of {from}: only of one of {known} another one", known = known())]
    Formats {
        /// What there is.
        from: FourCc,
        /// What is asked for.
        to: FourCc,
    },
    /// There is no such picture.
    #[error("no {to} of {width}x{height} can be made: {reason}")]
    Format {
        /// What is asked for.
        to: FourCc,
        /// Columns asked for.
        width: u32,
        /// Rows asked for.
        height: u32,
        /// What is wrong with it.
        reason: FormatError,
    },
    /// One of them is larger than anything sensible.
    #[error("neither {from_width}x{from_height} nor {width}x{height} may have more than {MAX_PIXELS} pixels")]
    TooLarge {
        /// Columns of what there is.
        from_width: u32,
        /// Rows of what there is.
        from_height: u32,
        /// Columns asked for.
        width: u32,
        /// Rows asked for.
        height: u32,
    },
}

fn known() -> String {
    FORMATS.iter().map(FourCc::to_string).collect::<Vec<_>>().join(", ")
}

/// A picture was not converted: not all its bytes are there, or it is not of the kind that was announced, or
/// there is too little room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the picture is not of the format that was announced, or its bytes or the room for it are not all there")]
pub struct Incomplete;

/// A way from pictures of one format to those of another, with memory that is used again and again.
///
/// Its pictures have the colorimetry of the source as far as their pixel format can; RGB is full-range.
#[derive(Debug)]
pub struct Conversion {
    input: Format,
    output: Format,
    way: Way,
    scaler: Scaler,
}

/// How one becomes the other.
#[derive(Debug)]
enum Way {
    /// They are the same.
    Copy,
    /// RGB of one kind to RGB of another.
    Rgb { from: Channels, to: Channels, scaled: Vec<u8> },
    /// By way of I420.
    Yuv { to_i420: Box<ToI420>, target: Target, scaled: [Vec<u8>; 3], tight: [Vec<u8>; 3] },
}

/// What I420 becomes.
#[derive(Clone, Copy, Debug)]
enum Target {
    Yuv,
    Rgb { convert: ToRgb, range: YuvRange, matrix: YuvStandardMatrix },
}

impl Conversion {
    /// From pictures of the format `input` to `to` of `size`, columns and rows; where either is `None`, it stays.
    /// The picture is stretched to the size.
    ///
    /// # Errors
    /// [`ConversionError`]: it cannot be done, and why.
    pub fn new(input: &Format, to: Option<FourCc>, size: Option<(u32, u32)>) -> Result<Self, ConversionError> {
        let (from, to) = (input.fourcc, to.unwrap_or(input.fourcc));
        let (width, height) = size.unwrap_or((input.width, input.height));
        if input.modifier != MODIFIER_LINEAR {
            return Err(ConversionError::Modifier { modifier: input.modifier });
        }
        let way = Way::new(input, to, (width, height)).ok_or(ConversionError::Formats { from, to })?;
        let format = Format::packed(to, width, height, input.rate).map_err(|reason| ConversionError::Format {
            to,
            width,
            height,
            reason,
        })?;
        let pixels = |width: u32, height: u32| u64::from(width) * u64::from(height);
        if pixels(width, height).max(pixels(input.width, input.height)) > MAX_PIXELS {
            let (from_width, from_height) = (input.width, input.height);
            return Err(ConversionError::TooLarge { from_width, from_height, width, height });
        }
        let color = way.output_color(input);
        let output = Format { field: input.field, rotation: input.rotation, color, ..format };
        Ok(Self { input: input.clone(), output, way, scaler: Scaler::default() })
    }

    /// What it takes.
    #[must_use]
    pub fn input(&self) -> &Format {
        &self.input
    }

    /// What it makes: rows without padding.
    #[must_use]
    pub fn output(&self) -> &Format {
        &self.output
    }

    /// Writes a picture into memories that are laid out as `layout` says, which is [`output`](Self::output) with
    /// whatever strides and offsets.
    ///
    /// # Errors
    /// [`Incomplete`]; the memories may have been written to.
    pub fn convert_into<M>(
        &mut self,
        view: &FrameView<'_>,
        memories: &mut [M],
        layout: &Format,
    ) -> Result<(), Incomplete>
    where
        M: DerefMut<Target = [u8]>,
    {
        self.write(view, &mut slices(memories), layout).ok_or(Incomplete)
    }

    /// Writes a picture into `out`, which becomes as long as it must be: the planes of [`output`](Self::output) one
    /// after the other.
    ///
    /// # Errors
    /// [`Incomplete`]; `out` holds nothing of use.
    pub fn convert(&mut self, view: &FrameView<'_>, out: &mut Vec<u8>) -> Result<(), Incomplete> {
        let output = self.output.clone();
        let sizes: Vec<usize> = (0..output.memories()).map(|index| output.memory_size(index) as usize).collect();
        out.resize(sizes.iter().sum(), 0);
        let mut rest = &mut out[..];
        let mut memories = Vec::with_capacity(sizes.len());
        for size in sizes {
            memories.push(rest.split_off_mut(..size).ok_or(Incomplete)?);
        }
        self.write(view, &mut memories, &output).ok_or(Incomplete)
    }

    fn write(&mut self, view: &FrameView<'_>, memories: &mut [&mut [u8]], output: &Format) -> Option<()> {
        let Self { way, scaler, input, output: made } = self;
        let key = |format: &Format| (format.fourcc, format.width, format.height, format.modifier);
        let format = view.format();
        if (key(format), key(output)) != (key(input), key(made)) {
            return None;
        }
        match way {
            Way::Copy => copy(view, memories, output),
            Way::Rgb { from, to, scaled } => rgb::convert(view, (*from, *to), scaler, scaled, memories, output),
            Way::Yuv { to_i420, target, scaled, tight } => {
                let whole = to_i420.convert(view)?;
                let fits = (format.width, format.height) == (output.width, output.height);
                let picture = if fits { whole } else { scale(&whole, format, scaler, scaled, output)? };
                target.write(&picture, tight, memories, output)
            }
        }
    }
}

impl Way {
    /// `None` if there is none.
    fn new(input: &Format, to: FourCc, size: (u32, u32)) -> Option<Self> {
        Layout::of(input.fourcc)?;
        if (input.fourcc, (input.width, input.height)) == (to, size) {
            return Some(Self::Copy);
        }
        if let (Some(from), Some(to)) = (Channels::of(input.fourcc), Channels::of(to)) {
            return Some(Self::Rgb { from, to, scaled: Vec::new() });
        }
        let to_i420 = Box::new(ToI420::new(input)?);
        let target = match Channels::of(to) {
            Some(channels) => {
                let color = to_i420.output_color().h273();
                let matrix = match color.matrix {
                    1 => YuvStandardMatrix::Bt709,
                    9 => YuvStandardMatrix::Bt2020,
                    // What players take a picture for that does not say.
                    2 if input.height >= HD_HEIGHT => YuvStandardMatrix::Bt709,
                    _ => YuvStandardMatrix::Bt601,
                };
                let range = if color.full_range { YuvRange::Full } else { YuvRange::Limited };
                Target::Rgb { convert: channels.to_rgb(), range, matrix }
            }
            None if makes(to) => Target::Yuv,
            None => return None,
        };
        Some(Self::Yuv { to_i420, target, scaled: Default::default(), tight: Default::default() })
    }

    fn output_color(&self, input: &Format) -> Colorimetry {
        match self {
            Self::Copy | Self::Rgb { .. } => input.color,
            Self::Yuv { to_i420, target: Target::Yuv, .. } => to_i420.output_color(),
            // RGB of the same primaries and transfer function, as far as they are known.
            Self::Yuv { .. } if input.color.colorspace == 0 => Colorimetry::SRGB,
            Self::Yuv { .. } => {
                let Colorimetry { encoding, quantization, .. } = Colorimetry::SRGB;
                Colorimetry { encoding, quantization, ..input.color }
            }
        }
    }
}

fn copy(view: &FrameView<'_>, memories: &mut [&mut [u8]], output: &Format) -> Option<()> {
    for plane in 0..output.planes.len() {
        let mut count = 0;
        for (row, from) in rows(memories, output, plane)?.zip(view.plane(plane)?.rows()) {
            row.copy_from_slice(from.get(..row.len())?);
            count += 1;
        }
        if count != output.plane_rows(plane) {
            return None;
        }
    }
    Some(())
}

/// I420 of the size of `output`.
fn scale<'a>(
    picture: &I420<'_>,
    input: &Format,
    scaler: &mut Scaler,
    [y, u, v]: &'a mut [Vec<u8>; 3],
    output: &Format,
) -> Option<I420<'a>> {
    let (width, height) = (f64::from(input.width), f64::from(input.height));
    let luma = Pixels { data: picture.y, stride: picture.y_stride, bytes: 1, width, height };
    scaler.scale(luma, y, (output.width, output.height), false)?;
    if output.fourcc != FourCc::GREY {
        let chroma_size = (output.width.div_ceil(2), output.height.div_ceil(2));
        for (from, to) in [(picture.u, &mut *u), (picture.v, &mut *v)] {
            let stride = picture.uv_stride;
            let chroma = Pixels { data: from, stride, bytes: 1, width: width / 2.0, height: height / 2.0 };
            scaler.scale(chroma, to, chroma_size, false)?;
        }
    }
    let (y_stride, uv_stride) = (output.width as usize, output.width.div_ceil(2) as usize);
    Some(I420 { y, u, v, y_stride, uv_stride })
}

impl Target {
    fn write(
        self,
        picture: &I420<'_>,
        tight: &mut [Vec<u8>; 3],
        memories: &mut [&mut [u8]],
        output: &Format,
    ) -> Option<()> {
        let Self::Rgb { convert, range, matrix } = self else { return fill::write(memories, output, picture) };
        let I420 { y, u, v, y_stride, uv_stride } = whole_rows(picture, output, tight)?;
        let &Format { width, height, .. } = output;
        let layout = output.planes.first()?;
        let image = YuvPlanarImage {
            y_plane: y,
            y_stride: u32::try_from(y_stride).ok()?,
            u_plane: u,
            u_stride: u32::try_from(uv_stride).ok()?,
            v_plane: v,
            v_stride: u32::try_from(uv_stride).ok()?,
            width,
            height,
        };
        let start = layout.offset as usize;
        let memory = memories.get_mut(usize::from(layout.memory))?;
        let target = memory.get_mut(start..start + layout.size as usize)?;
        convert(&image, target, layout.stride, range, matrix).ok()
    }
}

/// The same with planes whose last row is as long as the others: the library leaves out one that is
/// not.
fn whole_rows<'a>(picture: &I420<'a>, output: &Format, tight: &'a mut [Vec<u8>; 3]) -> Option<I420<'a>> {
    let &I420 { y, u, v, y_stride, uv_stride } = picture;
    let (width, height) = (output.width as usize, output.height as usize);
    let chroma = (width.div_ceil(2), height.div_ceil(2));
    if y.len() >= y_stride * height && u.len().min(v.len()) >= uv_stride * chroma.1 {
        return Some(I420 { y, u, v, y_stride, uv_stride });
    }
    let [tight_y, tight_u, tight_v] = tight;
    copy_tight(y, y_stride, (width, height), tight_y)?;
    copy_tight(u, uv_stride, chroma, tight_u)?;
    copy_tight(v, uv_stride, chroma, tight_v)?;
    Some(I420 { y: tight_y, u: tight_u, v: tight_v, y_stride: width, uv_stride: chroma.0 })
}

fn copy_tight(from: &[u8], stride: usize, (width, height): (usize, usize), to: &mut Vec<u8>) -> Option<()> {
    to.clear();
    for row in 0..height {
        to.extend_from_slice(from.get(row * stride..row * stride + width)?);
    }
    Some(())
}
