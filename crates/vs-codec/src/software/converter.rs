// SPDX-License-Identifier: Apache-2.0
//! Pictures to other pictures: of another pixel format, another size, or both.
//!
//! What is YUV on one side becomes I420, is scaled as such, where the fewest bytes are, and then
//! becomes what is asked for. RGB stays RGB if that is wanted.

use std::ops::DerefMut;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use vs_frame::format::MODIFIER_LINEAR;
use vs_frame::{Colorimetry, Format, FourCc, Frame, FrameView, WriteSlot};
use yuv::{YuvError, YuvPlanarImage, YuvRange, YuvStandardMatrix};

use super::fill::{self, fill, rows};
use super::openh264::I420;
use super::outbox::{NoSlot, Outbox};
use super::picture::{Converter as ToI420, HD_HEIGHT, INPUTS, Layout};
use super::scale::{Pixels, Scaler};
use crate::converter::{Converter, ConverterConfig, ConverterInfo};
use crate::input::check_input;
use crate::open::{BackendKind, OpenError};
use crate::session::{BackendError, FrameTag, Output, Picture, Session, SubmitError};

/// Pixels of a picture at most: 7680 by 4320 and a little more. What is asked for is memory, and time of a stream.
const MAX_PIXELS: u64 = 1 << 25;

/// Pictures that a caller may have in hand at most.
const MAX_PICTURES: usize = 32;

/// The converter.
pub(crate) struct SoftwareConverter {
    info: ConverterInfo,
    /// What it was opened for.
    input: Format,
    way: Way,
    scaler: Scaler,
    outbox: Outbox,
    draining: bool,
}

/// How one becomes the other.
enum Way {
    /// They are the same.
    Copy,
    /// RGB of one kind to RGB of another.
    Rgb { from: Channels, to: Channels, scaled: Vec<u8> },
    /// By way of I420.
    Yuv { to_i420: Box<ToI420>, target: Target, scaled: [Vec<u8>; 3], tight: [Vec<u8>; 3] },
}

/// What I420 becomes.
#[derive(Clone, Copy)]
enum Target {
    Yuv,
    Rgb { convert: ToRgb, range: YuvRange, matrix: YuvStandardMatrix },
}

type ToRgb = fn(&YuvPlanarImage<'_, u8>, &mut [u8], u32, YuvRange, YuvStandardMatrix) -> Result<(), YuvError>;

/// Where the bytes of a pixel are.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Channels {
    bytes: usize,
    red: usize,
    blue: usize,
    /// Whether the fourth says how opaque it is; else it says nothing.
    alpha: bool,
}

impl Channels {
    fn of(fourcc: FourCc) -> Option<Self> {
        let (bytes, red, alpha) = match fourcc {
            FourCc::RGB24 => (3, 0, false),
            FourCc::BGR24 => (3, 2, false),
            FourCc::RGBX32 => (4, 0, false),
            FourCc::BGRX32 => (4, 2, false),
            FourCc::RGBA32 => (4, 0, true),
            FourCc::BGRA32 => (4, 2, true),
            _ => return None,
        };
        Some(Self { bytes, red, blue: 2 - red, alpha })
    }

    fn to_rgb(self) -> ToRgb {
        match (self.bytes, self.red) {
            (3, 0) => yuv::yuv420_to_rgb,
            (3, _) => yuv::yuv420_to_bgr,
            (_, 0) => yuv::yuv420_to_rgba,
            _ => yuv::yuv420_to_bgra,
        }
    }
}

impl SoftwareConverter {
    pub(crate) fn open(input: &Format, config: &ConverterConfig) -> Result<Self, OpenError> {
        let to = config.fourcc.unwrap_or(input.fourcc);
        let (width, height) = config.size.unwrap_or((input.width, input.height));
        let refuse = |reason: String| OpenError::Conversion { reason };
        if input.modifier != MODIFIER_LINEAR {
            return Err(OpenError::Modifier { modifier: input.modifier });
        }
        let way = Way::new(input, to, (width, height)).ok_or_else(|| {
            let known = INPUTS.iter().map(FourCc::to_string).collect::<Vec<_>>().join(", ");
            refuse(format!("{to} of {}: it makes each of {known} into any other of them", input.fourcc))
        })?;
        let format = Format::packed(to, width, height, input.rate).map_err(|error| refuse(format!("that: {error}")))?;
        let pixels = |width: u32, height: u32| u64::from(width) * u64::from(height);
        if pixels(width, height).max(pixels(input.width, input.height)) > MAX_PIXELS {
            return Err(refuse(format!(
                "{width}x{height} of {}x{}: neither may have more than {MAX_PIXELS} pixels",
                input.width, input.height
            )));
        }
        let color = way.output_color(input);
        let format = Format { field: input.field, rotation: input.rotation, color, ..format };
        let name = "yuv and fast_image_resize".to_owned();
        let mut outbox = Outbox::new(name.clone())?;
        // One more is being filled.
        outbox.set_format(format.clone(), config.pictures.clamp(1, MAX_PICTURES) + 1)?;
        let output = outbox.format().map_or_else(|| Arc::new(format), Arc::clone);
        let info = ConverterInfo { backend: BackendKind::Software, name, reason: String::new(), output };
        Ok(Self { info, input: input.clone(), way, scaler: Scaler::default(), outbox, draining: false })
    }

    /// Says why it was taken.
    pub(crate) fn because(mut self, why: String) -> Self {
        self.info.reason = why;
        self
    }

    fn convert(&mut self, frame: &Frame, slot: &mut WriteSlot) -> Result<(), SubmitError> {
        let view = frame.map()?;
        let (format, output) = (frame.format(), Arc::clone(slot.format()));
        let Self { way, scaler, .. } = self;
        let done = slot.write(|memories| match way {
            Way::Copy => copy(&view, memories, &output),
            Way::Rgb { from, to, scaled } => rgb(&view, format, (*from, *to), scaler, scaled, memories, &output),
            Way::Yuv { to_i420, target, scaled, tight } => {
                let whole = to_i420.convert(&view, format)?;
                let fits = (format.width, format.height) == (output.width, output.height);
                let picture = if fits { whole } else { scale(&whole, format, scaler, scaled, &output)? };
                target.write(&picture, tight, memories, &output)
            }
        })?;
        done.ok_or(SubmitError::Incomplete)
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
            None if fill::makes(to) => Target::Yuv,
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

/// A memory of a buffer that is written to.
trait Memory: DerefMut<Target = [u8]> {}
impl<M: DerefMut<Target = [u8]>> Memory for M {}

fn copy<M: Memory>(view: &FrameView<'_>, memories: &mut [M], output: &Format) -> Option<()> {
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

fn rgb<M: Memory>(
    view: &FrameView<'_>,
    input: &Format,
    (from, to): (Channels, Channels),
    scaler: &mut Scaler,
    scaled: &mut Vec<u8>,
    memories: &mut [M],
    output: &Format,
) -> Option<()> {
    let plane = view.plane(0)?;
    let same_size = (input.width, input.height) == (output.width, output.height);
    let (pixels, stride) = if same_size {
        (plane.data, plane.stride)
    } else {
        let (width, height) = (f64::from(input.width), f64::from(input.height));
        let pixels = Pixels { data: plane.data, stride: plane.stride, bytes: from.bytes, width, height };
        scaler.scale(pixels, scaled, (output.width, output.height), from.alpha)?;
        (&scaled[..], output.width as usize * from.bytes)
    };
    for (index, row) in rows(memories, output, 0)?.enumerate() {
        let source = pixels.get(index * stride..)?.get(..output.width as usize * from.bytes)?;
        for (target, source) in row.chunks_exact_mut(to.bytes).zip(source.chunks_exact(from.bytes)) {
            target[to.red] = source[from.red];
            target[1] = source[1];
            target[to.blue] = source[from.blue];
            if to.bytes == 4 {
                target[3] = if from.alpha { source[3] } else { u8::MAX };
            }
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
    fn write<M: Memory>(
        self,
        picture: &I420<'_>,
        tight: &mut [Vec<u8>; 3],
        memories: &mut [M],
        output: &Format,
    ) -> Option<()> {
        let Self::Rgb { convert, range, matrix } = self else { return fill(memories, output, picture) };
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

impl Session for SoftwareConverter {
    fn as_poll_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.outbox.as_fd())
    }

    fn deadline(&self) -> Option<u64> {
        None
    }

    fn drain(&mut self) -> Result<(), BackendError> {
        if !self.draining {
            self.draining = true;
            self.outbox.push(Output::Drained);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BackendError> {
        self.outbox.clear();
        self.draining = false;
        Ok(())
    }
}

impl Converter for SoftwareConverter {
    fn info(&self) -> &ConverterInfo {
        &self.info
    }

    fn submit(&mut self, frame: &Frame, tag: FrameTag) -> Result<(), SubmitError> {
        if self.draining {
            return Err(SubmitError::Draining);
        }
        check_input(&self.input, frame.format())?;
        let mut slot = match self.outbox.slot() {
            Ok(Some(slot)) => slot,
            Ok(None) | Err(NoSlot::Full) => return Err(SubmitError::Full),
            Err(NoSlot::Memory(error)) => return Err(error.into()),
        };
        self.convert(frame, &mut slot)?;
        let picture = self.outbox.picture(slot, tag)?;
        self.outbox.push(Output::Done(picture));
        Ok(())
    }

    fn receive(&mut self) -> Result<Output<Picture>, BackendError> {
        let output = self.outbox.receive();
        if matches!(output, Output::Drained) {
            self.draining = false;
        }
        Ok(output)
    }
}
