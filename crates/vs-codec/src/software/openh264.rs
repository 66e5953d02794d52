// SPDX-License-Identifier: Apache-2.0
//! The library, made safe: one encoder object, its options, and the bytes it gives.
//!
//! What openh264 does is said by `codec_api.h` and `codec_app_def.h`; where these are silent,
//! by its source (2.7).

use std::num::{NonZeroU8, NonZeroU32};
use std::ptr;
use std::sync::Arc;

use openh264_sys2 as sys;
use openh264_sys2::source::APILoader as library;
use vs_convert::I420;
use vs_frame::{Colorimetry, Rate};

use super::{failed, to_c_int};
use crate::bitrate::Bitrate;
use crate::config::{ASSUMED_FPS, Level, Profile, RateControl};
use crate::session::BackendError;

/// `EncodeFrame` refuses less.
const MIN_DIMENSION: u32 = 16;

/// `MAX_MBS_PER_FRAME`: what level 5.2 allows.
pub(super) const MAX_MACROBLOCKS: u32 = 36864;

/// ITU-T H.264, A.3.1: the square of a side may not exceed eight times that.
pub(super) const MAX_DIMENSION: u32 = 543 * 16;

/// `MAX_FRAME_RATE`: rate control reckons with no more. Faster pictures get a target that is
/// smaller in proportion, so that the seconds come out right.
const MAX_FPS: f64 = 60.0;

/// The most that level 5.2 allows: 240000 times 1200 bit/s (ITU-T H.264, table A-1).
pub(super) const MAX_BITRATE: Bitrate = Bitrate::from_bits(288_000_000);

/// `MAX_THREADS_NUM`.
const MAX_THREADS: u8 = 4;

/// How far (in percent) the bits of a frame may stray from their share: freely, or as
/// little as the library's own default.
const VARY_VBR: i32 = 100;
const VARY_CBR: i32 = 10;

/// QP of the best and the worst constant quality: below 10, nobody sees a difference; above
/// 42 (`MAX_LOW_BR_QP`, where its own rate control ends), pictures fall apart and save nothing.
const BEST_QP: i32 = 10;
const WORST_QP: i32 = 42;

/// What an encoder is opened with. All of it can be done, but for what
/// [`Openh264::open`] refuses.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Settings {
    /// Even.
    pub width: u32,
    /// Even.
    pub height: u32,
    pub rate: Rate,
    pub color: Colorimetry,
    pub rate_control: RateControl,
    pub keyframe_interval: NonZeroU32,
    pub profile: Option<Profile>,
    pub level: Option<Level>,
    pub threads: NonZeroU8,
}

/// One coded picture.
pub(super) struct Coded {
    pub data: Arc<[u8]>,
    pub keyframe: bool,
}

/// Says why a picture of this size cannot be encoded.
pub(super) fn check_size(width: u32, height: u32) -> Result<(), String> {
    let sides = MIN_DIMENSION..=MAX_DIMENSION;
    let macroblocks = width.div_ceil(16).saturating_mul(height.div_ceil(16));
    if sides.contains(&width) && sides.contains(&height) && macroblocks <= MAX_MACROBLOCKS {
        return Ok(());
    }
    let pixels = f64::from(MAX_MACROBLOCKS * 256) / 1e6;
    Err(format!(
        "H.264 software takes sides of {MIN_DIMENSION} to {MAX_DIMENSION} pixels, and {pixels:.1} megapixels in all \
         (4096x2304)"
    ))
}

/// The library's name and version.
pub(super) fn name() -> String {
    let mut version = sys::OpenH264Version::default();
    // SAFETY: the library fills in the structure it is given.
    unsafe { library::WelsGetCodecVersionEx(&raw mut version) };
    format!("openh264 {}.{}.{}", version.uMajor, version.uMinor, version.uRevision)
}

/// Profile and level as the sequence parameter set says them (ITU-T H.264, 7.3.2.1.1).
pub(super) fn profile_and_level(parameter_sets: &[u8]) -> (Option<Profile>, Option<Level>) {
    const SPS: u8 = 7;
    let sps = parameter_sets.windows(3).position(|code| code == [0, 0, 1]).map(|at| &parameter_sets[at + 3..]);
    let Some(&[header, profile, _, level, ..]) = sps.filter(|sps| sps[..].len() >= 4) else { return (None, None) };
    if header & 0x1f != SPS {
        return (None, None);
    }
    let profile = match profile {
        66 => Some(Profile::Baseline),
        77 => Some(Profile::Main),
        100 => Some(Profile::High),
        _ => None,
    };
    (profile, Level::from_idc(level))
}

/// An encoder object. `encoder` is never null, initialised, and used by one thread at a time.
#[derive(Debug)]
pub(super) struct Openh264 {
    encoder: *mut sys::ISVCEncoder,
    width: u32,
    height: u32,
    threads: u8,
    parameter_sets: Arc<[u8]>,
}

// SAFETY: the library keeps nothing in thread-local storage; an object may move to another
// thread as long as only one uses it, and every use goes through `&mut self`.
unsafe impl Send for Openh264 {}

impl Drop for Openh264 {
    fn drop(&mut self) {
        // SAFETY: made by `WelsCreateSVCEncoder`, destroyed only here. Destroying
        // uninitialises.
        unsafe { library::WelsDestroySVCEncoder(self.encoder) };
    }
}

/// Calls a method of the encoder object and turns its answer into a result.
macro_rules! call {
    ($self:expr, $method:ident $(, $argument:expr)*) => {{
        let encoder = $self.encoder;
        // SAFETY: the object is alive as long as `self`; its first word points to its table of
        // methods.
        match unsafe { (**encoder).$method } {
            // SAFETY: the arguments are what this method of `codec_api.h` wants; what they
            // point to outlives the call.
            Some(method) => check(stringify!($method), unsafe { method(encoder $(, $argument)*) }),
            None => Err(failed(stringify!($method), "the library lacks it")),
        }
    }};
}

fn check(call: &'static str, answer: i32) -> Result<(), BackendError> {
    // `CM_RETURN` of `codec_app_def.h`.
    let reason = match answer {
        0 => return Ok(()),
        1 => "it does not accept these settings",
        3 => "it has no memory left, or the coded picture was larger than it expected",
        4 => "it was not initialised, or has failed before",
        5 => "it does not accept this picture",
        _ => return Err(failed(call, format!("error {answer}"))),
    };
    Err(failed(call, reason))
}

impl Openh264 {
    pub(super) fn open(settings: &Settings) -> Result<Self, BackendError> {
        let threads = settings.threads.get().min(MAX_THREADS);
        // Some pictures cannot be cut into slices for several threads, and it refuses a level
        // that is too low for the bitrate where it would have found a higher one by itself.
        let compromises = [(threads, settings.level), (1, settings.level), (threads, None)];
        let opened = compromises
            .into_iter()
            .find_map(|(threads, level)| Self::open_with(&Settings { level, ..*settings }, threads).ok());
        opened.map_or_else(|| Self::open_with(&Settings { level: None, ..*settings }, 1), Ok)
    }

    fn open_with(settings: &Settings, threads: u8) -> Result<Self, BackendError> {
        let mut encoder = ptr::null_mut();
        // SAFETY: the library writes the new object's address there.
        check("WelsCreateSVCEncoder", unsafe { library::WelsCreateSVCEncoder(&raw mut encoder) })?;
        if encoder.is_null() {
            return Err(failed("WelsCreateSVCEncoder", "it gave no encoder"));
        }
        let &Settings { width, height, .. } = settings;
        let mut this = Self { encoder, width, height, threads: 1, parameter_sets: Arc::from([]) };
        // It would write to standard error.
        this.set_option("ENCODER_OPTION_TRACE_LEVEL", sys::ENCODER_OPTION_TRACE_LEVEL, sys::WELS_LOG_QUIET)?;
        let mut parameters = sys::SEncParamExt::default();
        call!(this, GetDefaultParams, &raw mut parameters)?;
        fill_in(&mut parameters, settings, threads);
        call!(this, InitializeExt, &raw const parameters)?;
        let vary = if matches!(settings.rate_control, RateControl::Cbr(_)) { VARY_CBR } else { VARY_VBR };
        this.set_option("ENCODER_OPTION_BITS_VARY_PERCENTAGE", sys::ENCODER_OPTION_BITS_VARY_PERCENTAGE, vary)?;
        call!(this, GetOption, sys::ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, (&raw mut parameters).cast())?;
        this.threads = working_threads(&parameters);
        let mut info = Box::<sys::SFrameBSInfo>::default();
        call!(this, EncodeParameterSets, &raw mut *info)?;
        this.parameter_sets = Arc::from(collect(&info));
        Ok(this)
    }

    pub(super) fn parameter_sets(&self) -> &Arc<[u8]> {
        &self.parameter_sets
    }

    pub(super) fn threads(&self) -> u8 {
        self.threads
    }

    /// Encodes a picture of the size that the encoder was opened with.
    pub(super) fn encode(&mut self, picture: &I420<'_>, time_ms: i64) -> Result<Coded, BackendError> {
        if !picture.covers(self.width as usize, self.height as usize) {
            return Err(failed("EncodeFrame", "the picture is smaller than it was said to be"));
        }
        let source = sys::SSourcePicture {
            iColorFormat: sys::videoFormatI420,
            // Strides of a plane that lies in memory and has been checked above.
            iStride: [picture.y_stride as i32, picture.uv_stride as i32, picture.uv_stride as i32, 0],
            // The library reads from them only, in spite of their type.
            pData: [
                picture.y.as_ptr().cast_mut(),
                picture.u.as_ptr().cast_mut(),
                picture.v.as_ptr().cast_mut(),
                ptr::null_mut(),
            ],
            iPicWidth: self.width as i32,
            iPicHeight: self.height as i32,
            uiTimeStamp: time_ms,
            ..sys::SSourcePicture::default()
        };
        let mut info = Box::<sys::SFrameBSInfo>::default();
        call!(self, EncodeFrame, &raw const source, &raw mut *info)?;
        let data = collect(&info);
        if data.is_empty() {
            return Err(failed("EncodeFrame", "it left the picture out"));
        }
        Ok(Coded { data: Arc::from(data), keyframe: info.eFrameType == sys::videoFrameTypeIDR })
    }

    /// Makes the next picture a keyframe.
    pub(super) fn force_keyframe(&mut self) {
        // It fails only for an encoder that has failed before, which the next picture will say.
        let _ = call!(self, ForceIntraFrame, true);
    }

    pub(super) fn set_bitrate(&mut self, bitrate: Bitrate, rate: Rate) -> Result<(), BackendError> {
        let mut info = sys::SBitrateInfo { iLayer: sys::SPATIAL_LAYER_ALL, iBitrate: target_bits(bitrate, rate) };
        call!(self, SetOption, sys::ENCODER_OPTION_BITRATE, (&raw mut info).cast())
    }

    pub(super) fn set_keyframe_interval(&mut self, frames: NonZeroU32) -> Result<(), BackendError> {
        self.set_option("ENCODER_OPTION_IDR_INTERVAL", sys::ENCODER_OPTION_IDR_INTERVAL, to_c_int(frames))
    }

    /// Sets an option whose value is an `int`.
    fn set_option(
        &mut self,
        name: &'static str,
        option: sys::ENCODER_OPTION,
        mut value: i32,
    ) -> Result<(), BackendError> {
        call!(self, SetOption, option, (&raw mut value).cast())
            .map_err(|error: BackendError| BackendError { call: name, ..error })
    }
}

/// The NAL units of all layers, with their start codes.
fn collect(info: &sys::SFrameBSInfo) -> Vec<u8> {
    let mut data = Vec::new();
    for layer in info.sLayerInfo.iter().take(info.iLayerNum.max(0) as usize) {
        // SAFETY: after a successful call, a layer has `iNalCount` lengths, and that many
        // bytes lie one after another from `pBsBuf` on, until the encoder is called again.
        let bytes = unsafe {
            let lengths = std::slice::from_raw_parts(layer.pNalLengthInByte, layer.iNalCount.max(0) as usize);
            let total: usize = lengths.iter().map(|length| (*length).max(0) as usize).sum();
            std::slice::from_raw_parts(layer.pBsBuf, total)
        };
        data.extend_from_slice(bytes);
    }
    data
}

/// Threads that have something to do: each works on slices of its own.
fn working_threads(parameters: &sys::SEncParamExt) -> u8 {
    let slices = parameters.sSpatialLayers[0].sSliceArgument.uiSliceNum;
    let threads = u32::from(parameters.iMultipleThreadIdc).min(slices);
    u8::try_from(threads).unwrap_or(MAX_THREADS).max(1)
}

fn frames_per_second(rate: Rate) -> f64 {
    if rate.is_known() { rate.as_f64() } else { f64::from(ASSUMED_FPS) }
}

/// The target that makes the library reach `bitrate` at this frame rate.
fn target_bits(bitrate: Bitrate, rate: Rate) -> i32 {
    let bits = f64::from(bitrate.bits()) * (MAX_FPS / frames_per_second(rate)).min(1.0);
    // It refuses less than one bit per frame.
    bits.max(MAX_FPS) as i32
}

fn fill_in(parameters: &mut sys::SEncParamExt, settings: &Settings, threads: u8) {
    let fps = frames_per_second(settings.rate).clamp(1.0, MAX_FPS) as f32;
    let (width, height) = (settings.width as i32, settings.height as i32);
    parameters.iUsageType = sys::CAMERA_VIDEO_REAL_TIME;
    parameters.iPicWidth = width;
    parameters.iPicHeight = height;
    parameters.fMaxFrameRate = fps;
    parameters.iComplexityMode = sys::LOW_COMPLEXITY;
    parameters.uiIntraPeriod = settings.keyframe_interval.get();
    parameters.eSpsPpsIdStrategy = sys::CONSTANT_ID;
    parameters.iMultipleThreadIdc = u16::from(threads);
    // Every picture that goes in must come out.
    parameters.bEnableFrameSkip = false;
    // These cost time, and a scene change would add keyframes that nobody asked for.
    parameters.bEnableSceneChangeDetect = false;
    parameters.bEnableBackgroundDetection = false;
    parameters.bEnableAdaptiveQuant = false;
    parameters.bEnableDenoise = false;

    let layer = &mut parameters.sSpatialLayers[0];
    layer.iVideoWidth = width;
    layer.iVideoHeight = height;
    layer.fFrameRate = fps;
    layer.sSliceArgument.uiSliceMode = if threads > 1 { sys::SM_FIXEDSLCNUM_SLICE } else { sys::SM_SINGLE_SLICE };
    layer.sSliceArgument.uiSliceNum = u32::from(threads);
    let cabac = matches!(settings.profile, Some(Profile::Main | Profile::High));
    layer.uiProfileIdc = match settings.profile {
        None | Some(Profile::Baseline) => sys::PRO_BASELINE,
        Some(Profile::Main) => sys::PRO_MAIN,
        Some(Profile::High) => sys::PRO_HIGH,
    };
    layer.uiLevelIdc = settings.level.map_or(sys::LEVEL_UNKNOWN, |level| i32::from(level.idc()));

    let color = settings.color.h273();
    layer.bVideoSignalTypePresent = true;
    layer.uiVideoFormat = sys::VF_UNDEF as u8;
    layer.bFullRange = color.full_range;
    layer.bColorDescriptionPresent = true;
    layer.uiColorPrimaries = color.primaries;
    layer.uiTransferCharacteristics = color.transfer;
    layer.uiColorMatrix = color.matrix;

    parameters.iEntropyCodingModeFlag = i32::from(cabac);
    match settings.rate_control {
        RateControl::Vbr(bitrate) | RateControl::Cbr(bitrate) => {
            parameters.iRCMode = sys::RC_BITRATE_MODE;
            parameters.iTargetBitrate = target_bits(bitrate, settings.rate);
            parameters.sSpatialLayers[0].iSpatialBitrate = parameters.iTargetBitrate;
        }
        RateControl::Quality(quality) => {
            let steps = i32::from(quality.get()) - 1;
            parameters.iRCMode = sys::RC_OFF_MODE;
            parameters.sSpatialLayers[0].iDLayerQp = WORST_QP - steps * (WORST_QP - BEST_QP) / 99;
        }
    }
}
