// SPDX-License-Identifier: Apache-2.0
//! What can be set on an encoder (kernel doc, "Codec Control Reference").

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use v4l2r::bindings as v4l2;
use vs_frame::FourCc;

use crate::sys::{self, Attempt, RawValue};

/// A setting of an encoder. Values are the kernel's; each is brought into the device's range
/// before it is set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EncoderControl {
    /// How the bitrate is spent: 0 variable, 1 constant, 2 constant quality.
    RateMode,
    /// Whether the driver controls the rate at all: 1 or 0.
    RateControl,
    /// Bits per second.
    Bitrate,
    /// Bits per second at most, where the rate is variable.
    PeakBitrate,
    /// Quality from 1 to 100, where that is constant.
    Quality,
    /// Pictures from one keyframe to the next.
    Gop,
    /// B-frames between two others.
    BFrames,
    /// Profile, as the codec's menu counts them (`V4L2_MPEG_VIDEO_H264_PROFILE_…`).
    Profile,
    /// Level, as the codec's menu counts them.
    Level,
    /// Quantiser of keyframes.
    KeyQp,
    /// Quantiser of predicted frames.
    PredictedQp,
    /// 1: parameter sets come with the first frame; 0: by themselves.
    HeaderMode,
    /// 1: parameter sets come with every keyframe.
    RepeatHeaders,
    /// The next picture becomes a keyframe. The value does not matter. See
    /// [`Input::as_keyframe`](super::Input::as_keyframe).
    ForceKeyframe,
}

/// What became of a setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EffectiveControl {
    /// The setting.
    pub control: EncoderControl,
    /// What was asked for.
    pub wanted: i64,
    /// What the device works with; `None` if it has no such setting, or cannot change it.
    pub got: Option<i64>,
}

/// Set before anything else: a stream that can be joined at any keyframe.
pub(super) const JOINABLE: [(EncoderControl, i64); 2] =
    [(EncoderControl::HeaderMode, 1), (EncoderControl::RepeatHeaders, 1)];

impl EncoderControl {
    /// The kernel's number for it; `None` if the codec has no such control.
    fn id(self, coded: FourCc) -> Option<u32> {
        let by_codec = |h264, hevc, vp8, vp9, fwht| match coded {
            FourCc::H264 => h264,
            FourCc::HEVC => hevc,
            FourCc::VP8 => vp8,
            FourCc::VP9 => vp9,
            FourCc::FWHT => fwht,
            _ => None,
        };
        match self {
            Self::RateMode => Some(v4l2::V4L2_CID_MPEG_VIDEO_BITRATE_MODE),
            Self::RateControl => Some(v4l2::V4L2_CID_MPEG_VIDEO_FRAME_RC_ENABLE),
            Self::Bitrate => Some(v4l2::V4L2_CID_MPEG_VIDEO_BITRATE),
            Self::PeakBitrate => Some(v4l2::V4L2_CID_MPEG_VIDEO_BITRATE_PEAK),
            Self::Quality => Some(v4l2::V4L2_CID_MPEG_VIDEO_CONSTANT_QUALITY),
            Self::Gop => Some(v4l2::V4L2_CID_MPEG_VIDEO_GOP_SIZE),
            Self::BFrames => Some(v4l2::V4L2_CID_MPEG_VIDEO_B_FRAMES),
            Self::Profile => by_codec(
                Some(v4l2::V4L2_CID_MPEG_VIDEO_H264_PROFILE),
                Some(v4l2::V4L2_CID_MPEG_VIDEO_HEVC_PROFILE),
                Some(v4l2::V4L2_CID_MPEG_VIDEO_VP8_PROFILE),
                Some(v4l2::V4L2_CID_MPEG_VIDEO_VP9_PROFILE),
                None,
            ),
            Self::Level => by_codec(
                Some(v4l2::V4L2_CID_MPEG_VIDEO_H264_LEVEL),
                Some(v4l2::V4L2_CID_MPEG_VIDEO_HEVC_LEVEL),
                None,
                Some(v4l2::V4L2_CID_MPEG_VIDEO_VP9_LEVEL),
                None,
            ),
            Self::KeyQp => by_codec(
                Some(v4l2::V4L2_CID_MPEG_VIDEO_H264_I_FRAME_QP),
                Some(v4l2::V4L2_CID_MPEG_VIDEO_HEVC_I_FRAME_QP),
                Some(v4l2::V4L2_CID_MPEG_VIDEO_VPX_I_FRAME_QP),
                Some(v4l2::V4L2_CID_MPEG_VIDEO_VPX_I_FRAME_QP),
                Some(v4l2::V4L2_CID_FWHT_I_FRAME_QP),
            ),
            Self::PredictedQp => by_codec(
                Some(v4l2::V4L2_CID_MPEG_VIDEO_H264_P_FRAME_QP),
                Some(v4l2::V4L2_CID_MPEG_VIDEO_HEVC_P_FRAME_QP),
                Some(v4l2::V4L2_CID_MPEG_VIDEO_VPX_P_FRAME_QP),
                Some(v4l2::V4L2_CID_MPEG_VIDEO_VPX_P_FRAME_QP),
                Some(v4l2::V4L2_CID_FWHT_P_FRAME_QP),
            ),
            Self::HeaderMode => Some(v4l2::V4L2_CID_MPEG_VIDEO_HEADER_MODE),
            Self::RepeatHeaders => Some(v4l2::V4L2_CID_MPEG_VIDEO_PREPEND_SPSPPS_TO_IDR),
            Self::ForceKeyframe => Some(v4l2::V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME),
        }
    }
}

/// What the device says of a control; `None` if it has none such.
fn find(fd: BorrowedFd<'_>, coded: FourCc, control: EncoderControl) -> Result<Option<sys::RawControl>, Errno> {
    let Some(id) = control.id(coded) else { return Ok(None) };
    let usable = |found: &sys::RawControl| found.flags & v4l2::V4L2_CTRL_FLAG_DISABLED == 0;
    Ok(sys::query_control(fd, id)?.filter(usable))
}

/// Whether the device has a control.
pub(super) fn has(fd: BorrowedFd<'_>, coded: FourCc, control: EncoderControl) -> bool {
    find(fd, coded, control).is_ok_and(|found| found.is_some())
}

/// What the device works with now; `None` if it has no such control, or it has no value.
pub(super) fn get(fd: BorrowedFd<'_>, coded: FourCc, control: EncoderControl) -> Option<i64> {
    find(fd, coded, control).ok().flatten().and_then(|found| read(fd, found.id).ok())
}

/// Sets a control, as near to `wanted` as the device can; `None` if it has no such control. What
/// it does not let be changed stays.
pub(super) fn set(fd: BorrowedFd<'_>, coded: FourCc, setting: (EncoderControl, i64)) -> Result<Option<i64>, Errno> {
    match change(fd, coded, setting) {
        // A menu may have gaps, and a driver may know its own mind: what holds is what it says.
        Err(Errno::INVAL | Errno::RANGE | Errno::BUSY | Errno::ACCESS) => Ok(get(fd, coded, setting.0)),
        changed => changed,
    }
}

/// As [`set`], but a driver that does not let it be changed is an error.
pub(super) fn change(
    fd: BorrowedFd<'_>,
    coded: FourCc,
    (control, wanted): (EncoderControl, i64),
) -> Result<Option<i64>, Errno> {
    let Some(found) = find(fd, coded, control)? else { return Ok(None) };
    let id = found.id;
    if found.kind == v4l2::v4l2_ctrl_type_V4L2_CTRL_TYPE_BUTTON {
        return write(fd, id, 0).map(|()| Some(wanted));
    }
    let Ok(value) = i32::try_from(nearest(wanted, found.min, found.max, found.step)) else { return Ok(None) };
    if found.flags & v4l2::V4L2_CTRL_FLAG_READ_ONLY != 0 {
        return read(fd, id).map(Some);
    }
    write(fd, id, value)?;
    Ok(Some(read(fd, id).unwrap_or(i64::from(value))))
}

/// The value of a control of up to 32 bits.
pub(super) fn read(fd: BorrowedFd<'_>, id: u32) -> Result<i64, Errno> {
    match sys::get_control(fd, id, &RawValue::Small(0))? {
        RawValue::Small(value) => Ok(i64::from(value)),
        RawValue::Large(value) => Ok(value),
        RawValue::Text(..) => Err(Errno::INVAL),
    }
}

fn write(fd: BorrowedFd<'_>, id: u32, value: i32) -> Result<(), Errno> {
    sys::set_controls(fd, Attempt::Set, &[(id, RawValue::Small(value))]).map_err(|refusal| refusal.errno)
}

/// The value within the range, on its steps, that is nearest to `wanted` from below.
fn nearest(wanted: i64, min: i64, max: i64, step: u64) -> i64 {
    let clamped = wanted.clamp(min, max.max(min));
    let step = i64::try_from(step.max(1)).unwrap_or(i64::MAX);
    clamped - clamped.saturating_sub(min) % step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_brought_into_range_and_onto_steps() {
        assert_eq!(nearest(5_000_000, 100, 1_000_000, 1), 1_000_000);
        assert_eq!(nearest(-3, 1, 16, 1), 1);
        assert_eq!(nearest(17, 1, 31, 5), 16);
        assert_eq!(nearest(7, 0, 10, 0), 7);
        assert_eq!(nearest(7, 5, 3, 1), 5);
    }

    #[test]
    fn a_control_that_a_codec_does_not_have_is_none() {
        assert_eq!(EncoderControl::Profile.id(FourCc::FWHT), None);
        assert_eq!(EncoderControl::KeyQp.id(FourCc::FWHT), Some(v4l2::V4L2_CID_FWHT_I_FRAME_QP));
    }
}
