// SPDX-License-Identifier: Apache-2.0
//! The library's decoder, made safe.
//!
//! It is told after each access unit that this was all, so that it decodes it at once. It would then
//! keep pictures of Main and High back to reorder them, by a guess; getting at them at the end of the
//! stream (`FlushFrame`) uses its buffers up, for it forgets to count them as free. Pictures of
//! Baseline come out as they are decoded. So it is told that they are of Baseline: where the profile
//! decides how the parameter set is to be read on, of Scalable Baseline (ITU-T H.264, 7.3.2.1.1). It
//! decodes the tools of the other profiles all the same.
//!
//! Its concealment of errors is off, so that what is damaged does not come out at all. B-frames it
//! decodes nearly, but not exactly as the standard says (direct prediction); the others exactly.

use std::ptr;

use openh264_sys2 as sys;
use openh264_sys2::source::APILoader as library;
use vs_convert::I420;

use super::openh264::name;
use crate::session::BackendError;

/// A decoder object. `decoder` is never null, initialised, and used by one thread at a time.
#[derive(Debug)]
pub(super) struct Openh264Decoder {
    decoder: *mut sys::ISVCDecoder,
}

// SAFETY: as for the encoder: an object may move to another thread as long as only one uses it,
// and every use goes through `&mut self`.
unsafe impl Send for Openh264Decoder {}

impl Drop for Openh264Decoder {
    fn drop(&mut self) {
        // SAFETY: made by `WelsCreateDecoder`, destroyed only here. Destroying uninitialises.
        unsafe { library::WelsDestroyDecoder(self.decoder) };
    }
}

/// The access unit is damaged, or refers to what is missing: `DECODING_STATE` of `codec_app_def.h`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Damaged(pub(super) i32);

/// Gives the address of a method of the decoder object, or returns.
macro_rules! method {
    ($self:expr, $method:ident) => {{
        // SAFETY: the object is alive as long as `self`; its first word points to its table of
        // methods.
        unsafe { (**$self.decoder).$method }.ok_or_else(|| failed(stringify!($method), "the library lacks it"))
    }};
}

impl Openh264Decoder {
    pub(super) fn open() -> Result<Self, BackendError> {
        let mut decoder = ptr::null_mut();
        // SAFETY: the library writes the new object's address there.
        let answer = unsafe { library::WelsCreateDecoder(&raw mut decoder) };
        if answer != 0 || decoder.is_null() {
            return Err(failed("WelsCreateDecoder", format!("it gave no decoder (error {answer})")));
        }
        let this = Self { decoder };
        let mut quiet = sys::WELS_LOG_QUIET;
        let set_option = method!(this, SetOption)?;
        // SAFETY: this option is a number, read within the call.
        unsafe { set_option(this.decoder, sys::DECODER_OPTION_TRACE_LEVEL, (&raw mut quiet).cast()) };
        let parameters = sys::SDecodingParam {
            eEcActiveIdc: sys::ERROR_CON_DISABLE,
            sVideoProperty: sys::SVideoProperty {
                eVideoBsType: sys::VIDEO_BITSTREAM_AVC,
                ..sys::SVideoProperty::default()
            },
            ..sys::SDecodingParam::default()
        };
        let initialize = method!(this, Initialize)?;
        // SAFETY: the parameters are read within the call.
        match unsafe { initialize(this.decoder, &raw const parameters) } {
            0 => Ok(this),
            answer => Err(failed("Initialize", format!("error {answer}"))),
        }
    }

    /// Decodes an access unit and shows `each` picture that was in it, which should be one.
    pub(super) fn decode(&mut self, unit: &[u8], mut each: impl FnMut(&Decoded<'_>)) -> Result<(), Damaged> {
        const UNKNOWN: Damaged = Damaged(-1);
        let len = i32::try_from(unit.len()).map_err(|_| UNKNOWN)?;
        let decode = method!(self, DecodeFrame2).map_err(|_| UNKNOWN)?;
        let mut state = 0;
        // The second call says that the first one had everything.
        for (bytes, len) in [(unit.as_ptr(), len), (ptr::null(), 0)] {
            let (mut planes, mut info) = ([ptr::null_mut(); 3], new_info());
            // SAFETY: it reads `len` bytes, and writes to the array and the structure.
            state |= unsafe { decode(self.decoder, bytes, len, planes.as_mut_ptr(), &raw mut info) };
            self.show(&info, &mut each);
        }
        if state == 0 { Ok(()) } else { Err(Damaged(state)) }
    }

    /// Lends a picture out if there is one.
    fn show(&mut self, info: &sys::SBufferInfo, each: &mut impl FnMut(&Decoded<'_>)) {
        if info.iBufferStatus != 1 || info.pDst.iter().any(|plane| plane.is_null()) {
            return;
        }
        // SAFETY: the union has this member only.
        let buffer = unsafe { info.UsrData.sSystemBuffer };
        let number = |value: i32| usize::try_from(value).unwrap_or(0);
        let (width, height) = (number(buffer.iWidth), number(buffer.iHeight));
        let [y_stride, uv_stride] = buffer.iStride.map(number);
        if width == 0 || height == 0 || y_stride < width || uv_stride < width.div_ceil(2) {
            return;
        }
        let plane = |index: usize, stride: usize, width: usize, height: usize| {
            // SAFETY: the library's planes have that many rows of `stride` bytes, of which the last
            // has at least `width`, and stay as they are until the next call of the object, which
            // `&mut self` keeps from happening.
            unsafe { std::slice::from_raw_parts(info.pDst[index], stride * (height - 1) + width) }
        };
        let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));
        let planes = I420 {
            y: plane(0, y_stride, width, height),
            u: plane(1, uv_stride, chroma_width, chroma_height),
            v: plane(2, uv_stride, chroma_width, chroma_height),
            y_stride,
            uv_stride,
        };
        each(&Decoded { planes, width, height });
    }
}

/// Makes the library show the pictures of a sequence parameter set as they are decoded. `nal` is the
/// whole NAL unit.
pub(super) fn disguise(nal: &mut [u8]) {
    const BASELINE: u8 = 66;
    const MAIN: u8 = 77;
    const SCALABLE_BASELINE: u8 = 83;
    const HIGH: u8 = 100;
    if let Some(profile) = nal.get_mut(1) {
        *profile = match *profile {
            MAIN => BASELINE,
            HIGH => SCALABLE_BASELINE,
            other => other,
        };
    }
}

/// A picture, cropped.
pub(super) struct Decoded<'a> {
    pub planes: I420<'a>,
    pub width: usize,
    pub height: usize,
}

fn new_info() -> sys::SBufferInfo {
    sys::SBufferInfo::default()
}

fn failed(call: &'static str, reason: impl Into<String>) -> BackendError {
    BackendError { session: name(), call, reason: reason.into() }
}
