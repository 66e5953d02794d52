// SPDX-License-Identifier: Apache-2.0
//! How frames are laid out. The library makes every `vs_format`, also those that programs fill in, so
//! that it may grow.

use std::ffi::c_int;
use std::sync::Arc;

use vsclient::{Colorimetry, Format, FourCc, PlaneLayout, Planes, Rate};

use crate::argument::{object, object_mut, place};
use crate::error::{Failure, Outcome, VS_OK, call, vs_error};

/// The most planes, and the most memories, that a frame can have.
pub const VS_MAX_PLANES: usize = 4;

/// Where one plane lies in a frame's memories.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct vs_plane_layout {
    /// Index of the memory in which it lies; see `vs_frame_memory()`.
    pub memory: u32,
    /// Bytes from the start of that memory to the first row.
    pub offset: u32,
    /// Bytes from one row to the next; 0 for coded data.
    pub stride: u32,
    /// Bytes from the first row to the end of the last, padding included.
    pub size: u32,
}

/// What all frames of a stream have in common until its format changes. Only the library makes one:
/// use pointers, for it may grow at its end.
#[repr(C)]
pub struct vs_format {
    /// V4L2's fourcc of the pixel format or codec: `VS_FOURCC_NV12`, `VS_FOURCC_H264`...
    pub fourcc: u32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Nominal frame rate: so many frames...
    pub rate_num: u32,
    /// ...in so many seconds. `rate_num` is 0 if it is unknown.
    pub rate_den: u32,
    /// Interlacing, as `enum v4l2_field`; 1 is progressive.
    pub field: u32,
    /// Degrees by which the picture is to be turned counter-clockwise to be upright.
    pub rotation: u32,
    /// How many of `planes` there are: 1 to `VS_MAX_PLANES`. A coded format has one, as large as the
    /// largest access unit.
    pub plane_count: u32,
    /// Where the planes lie.
    pub planes: [vs_plane_layout; VS_MAX_PLANES],
    /// DRM format modifier; 0 is linear.
    pub modifier: u64,
    /// `enum v4l2_colorspace`.
    pub colorspace: u32,
    /// `enum v4l2_xfer_func`.
    pub transfer: u32,
    /// `enum v4l2_ycbcr_encoding`.
    pub encoding: u32,
    /// `enum v4l2_quantization`: 1 full range, 2 limited range.
    pub quantization: u32,
    /// Parameter sets of a coded stream (Annex B for H.264 and H.265); NULL if there are none.
    pub parameter_sets: *const u8,
    /// Bytes of `parameter_sets`.
    pub parameter_sets_size: usize,
    /// Whether a frame is an access unit rather than a picture.
    pub coded: bool,
}

/// A format of the library, as both languages see it.
pub(crate) struct SharedFormat {
    seen: vs_format,
    format: Arc<Format>,
}

// SAFETY: the pointer in it is into the format beside it, which nobody changes.
unsafe impl Send for SharedFormat {}
// SAFETY: as above.
unsafe impl Sync for SharedFormat {}

impl SharedFormat {
    pub(crate) fn new(format: &Arc<Format>) -> Arc<Self> {
        Arc::new(Self { seen: describe(format), format: Arc::clone(format) })
    }

    pub(crate) fn as_ptr(&self) -> *const vs_format {
        &raw const self.seen
    }
}

/// The last format: thousands of frames share one.
#[derive(Default)]
pub(crate) struct FormatCache(Option<Arc<SharedFormat>>);

impl FormatCache {
    pub(crate) fn get(&mut self, format: &Arc<Format>) -> Arc<SharedFormat> {
        match &self.0 {
            Some(shared) if Arc::ptr_eq(&shared.format, format) => Arc::clone(shared),
            _ => Arc::clone(self.0.insert(SharedFormat::new(format))),
        }
    }
}

fn describe(format: &Format) -> vs_format {
    let mut planes = [vs_plane_layout::default(); VS_MAX_PLANES];
    for (seen, plane) in planes.iter_mut().zip(format.planes.iter()) {
        let PlaneLayout { memory, offset, stride, size } = *plane;
        *seen = vs_plane_layout { memory: memory.into(), offset, stride, size };
    }
    let sets = &format.parameter_sets;
    vs_format {
        fourcc: format.fourcc.to_u32(),
        width: format.width,
        height: format.height,
        rate_num: format.rate.num,
        rate_den: format.rate.den,
        field: format.field.0.into(),
        rotation: format.rotation.into(),
        plane_count: format.planes.len() as u32,
        planes,
        modifier: format.modifier,
        colorspace: format.color.colorspace.into(),
        transfer: format.color.transfer.into(),
        encoding: format.color.encoding.into(),
        quantization: format.color.quantization.into(),
        parameter_sets: if sets.is_empty() { std::ptr::null() } else { sets.as_ptr() },
        parameter_sets_size: sets.len(),
        coded: format.is_coded(),
    }
}

/// What a program has filled in.
///
/// # Safety
/// It is NULL, or a format of this library whose parameter sets are there.
pub(crate) unsafe fn read(pointer: *const vs_format) -> Outcome<Arc<Format>> {
    // SAFETY: as the caller says.
    let seen = unsafe { object(pointer, "format") }?;
    let small = |value: u32, what: &str| {
        u8::try_from(value).map_err(|_| Failure::new(vs_error::Format, format!("{value} is no {what}")))
    };
    let mut layouts = [PlaneLayout::default(); VS_MAX_PLANES];
    for (layout, plane) in layouts.iter_mut().zip(&seen.planes) {
        let vs_plane_layout { offset, stride, size, .. } = *plane;
        *layout = PlaneLayout { memory: small(plane.memory, "index of a memory")?, offset, stride, size };
    }
    let planes = layouts.get(..seen.plane_count as usize).and_then(Planes::new);
    let planes = planes.ok_or_else(|| Failure::new(vs_error::Format, "a format has 1 to 4 planes"))?;
    let parameter_sets = if seen.parameter_sets.is_null() {
        Arc::from([])
    } else {
        // SAFETY: as the caller says.
        Arc::from(unsafe { std::slice::from_raw_parts(seen.parameter_sets, seen.parameter_sets_size) })
    };
    let format = Format {
        fourcc: FourCc::from_u32(seen.fourcc),
        width: seen.width,
        height: seen.height,
        rate: rate(seen.rate_num, seen.rate_den)?,
        field: vs_frame::format::Field(small(seen.field, "field")?),
        rotation: seen.rotation.try_into().map_err(|_| Failure::new(vs_error::Format, "no such rotation"))?,
        modifier: seen.modifier,
        color: Colorimetry {
            colorspace: small(seen.colorspace, "colorspace")?,
            transfer: small(seen.transfer, "transfer function")?,
            encoding: small(seen.encoding, "encoding")?,
            quantization: small(seen.quantization, "quantization")?,
        },
        planes,
        parameter_sets,
    };
    let lens: Vec<u64> = (0..format.memories()).map(|memory| format.memory_size(memory)).collect();
    format.check(&lens)?;
    Ok(Arc::new(format))
}

fn rate(num: u32, den: u32) -> Outcome<Rate> {
    if num == 0 {
        return Ok(Rate::UNKNOWN);
    }
    Rate::new(num, den).ok_or_else(|| Failure::new(vs_error::Format, "a rate of so many frames in 0 seconds"))
}

/// Makes a format for frames of the program's own: rows without padding, planes back to back, in the
/// usual colours. The program may change its fields, and frees it with `vs_format_free()`.
///
/// `rate_num` frames come in `rate_den` seconds; 0 in 1 if that is not known.
///
/// Errors: `VS_ERROR_FORMAT` if the size is out of range or the layout of `fourcc` is not known. Any
/// thread may call it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_format_new(
    fourcc: u32,
    width: u32,
    height: u32,
    rate_num: u32,
    rate_den: u32,
    format: *mut *mut vs_format,
) -> c_int {
    call(|| {
        // SAFETY: the header wants room for a pointer.
        let place = unsafe { place(format, "format") }?;
        let format = Format::packed(FourCc::from_u32(fourcc), width, height, rate(rate_num, rate_den)?)?;
        *place = Box::into_raw(Box::new(describe(&format)));
        Ok(VS_OK)
    })
}

/// Makes a format for access units of the program's own, of which none has more than `largest` bytes. Say the
/// parameter sets, if they are known, in its fields; they are copied when the format is used. Otherwise as
/// `vs_format_new()`.
///
/// Errors: `VS_ERROR_FORMAT` if `fourcc` is not that of a codec, or the size is out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_format_new_coded(
    fourcc: u32,
    width: u32,
    height: u32,
    rate_num: u32,
    rate_den: u32,
    largest: u32,
    format: *mut *mut vs_format,
) -> c_int {
    call(|| {
        // SAFETY: the header wants room for a pointer.
        let place = unsafe { place(format, "format") }?;
        let rate = rate(rate_num, rate_den)?;
        let format = Format::coded(FourCc::from_u32(fourcc), width, height, rate, largest)?;
        *place = Box::into_raw(Box::new(describe(&format)));
        Ok(VS_OK)
    })
}

/// Says that rows of the first plane are `stride` bytes apart; the other planes follow, as V4L2's
/// drivers place them in one memory.
///
/// Errors: `VS_ERROR_FORMAT` if that is too little, or the format's layout is not known. One thread at
/// a time may use a format that it changes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_format_set_stride(format: *mut vs_format, stride: u32) -> c_int {
    call(|| {
        // SAFETY: the header wants a format that nobody else uses.
        let seen = unsafe { object_mut(format, "format") }?;
        let planes = Format::contiguous_planes(FourCc::from_u32(seen.fourcc), seen.width, seen.height, stride)?;
        for (seen, plane) in seen.planes.iter_mut().zip(planes.iter()) {
            let PlaneLayout { memory, offset, stride, size } = *plane;
            *seen = vs_plane_layout { memory: memory.into(), offset, stride, size };
        }
        seen.plane_count = planes.len() as u32;
        Ok(VS_OK)
    })
}

/// Frees a format that `vs_format_new()` or `vs_format_new_coded()` has made, and no other. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_format_free(format: *mut vs_format) {
    if !format.is_null() {
        // SAFETY: it is a box that `vs_format_new` gave away. The parameter sets, if any, are the program's.
        drop(unsafe { Box::from_raw(format) });
    }
}
