// SPDX-License-Identifier: Apache-2.0
//! GStreamer's caps and this project's formats, in both directions.
//!
//! Caps say less than a format: strides and offsets come with each buffer (`GstVideoMeta`). Where a
//! format says what caps cannot (fields that come one by one, rotation), the pictures pass as they lie.

use gstreamer as gst;
use gstreamer_video as gst_video;
use gstreamer_video::{VideoFormat, VideoInfo};

use vs_frame::format::MAX_DIMENSION;
use vsclient::publish::FrameFlags;
use vsclient::{Format, FourCc, PlaneLayout, Planes, Rate};

/// Pixel formats that both know.
const RAW: [(VideoFormat, FourCc); 16] = [
    (VideoFormat::Nv12, FourCc::NV12),
    (VideoFormat::Nv21, FourCc::NV21),
    (VideoFormat::Nv16, FourCc::NV16),
    (VideoFormat::I420, FourCc::YUV420),
    (VideoFormat::Yv12, FourCc::YVU420),
    (VideoFormat::Yuy2, FourCc::YUYV),
    (VideoFormat::Uyvy, FourCc::UYVY),
    (VideoFormat::Yvyu, FourCc::YVYU),
    (VideoFormat::Vyuy, FourCc::VYUY),
    (VideoFormat::Rgb, FourCc::RGB24),
    (VideoFormat::Bgr, FourCc::BGR24),
    (VideoFormat::Bgrx, FourCc::BGRX32),
    (VideoFormat::Bgra, FourCc::BGRA32),
    (VideoFormat::Rgbx, FourCc::RGBX32),
    (VideoFormat::Rgba, FourCc::RGBA32),
    (VideoFormat::Gray8, FourCc::GREY),
];

/// Formats of V4L2 whose planes lie in memories of their own, which is the buffer's matter for GStreamer.
const SEPARATE: [(VideoFormat, FourCc); 2] = [(VideoFormat::Nv12, FourCc::NV12M), (VideoFormat::I420, FourCc::YUV420M)];

/// Codecs that both know, and whether their access units are an Annex B byte stream.
const CODED: [(&str, FourCc, bool); 6] = [
    ("video/x-h264", FourCc::H264, true),
    ("video/x-h265", FourCc::HEVC, true),
    ("video/x-vp8", FourCc::VP8, false),
    ("video/x-vp9", FourCc::VP9, false),
    ("image/jpeg", FourCc::MJPEG, false),
    ("image/jpeg", FourCc::JPEG, false),
];

/// The largest access unit, beyond that of a picture without any compression: headers and parameter sets.
const UNIT_EXTRA: u32 = 64 << 10;

// enum v4l2_field
const INTERLACED: u8 = 4;
const INTERLACED_TB: u8 = 8;
const INTERLACED_BT: u8 = 9;

/// Why caps are no format, or a format has no caps.
#[derive(Debug, thiserror::Error)]
pub enum CapsError {
    /// Neither pixels nor a codec that both know.
    #[error(
        "{0} cannot be published: use a raw format such as NV12, or H.264 or H.265 from a parser (h264parse, h265parse)"
    )]
    Kind(String),
    /// Fields come one by one.
    #[error("pictures of single fields cannot be published: put a deinterlacer in front")]
    Fields,
    /// Caps of a codec that say no size.
    #[error("the caps do not say how large the pictures are: put a parser (h264parse, h265parse) in front")]
    NoSize,
    /// Pictures of an impossible size.
    #[error(transparent)]
    Size(#[from] vs_frame::FormatError),
    /// GStreamer has no name for it.
    #[error("GStreamer has no caps for {0}")]
    Unknown(FourCc),
}

/// What caps describe.
#[derive(Debug, Clone)]
pub enum Media {
    /// Pictures.
    Raw(VideoInfo),
    /// Access units.
    Coded(Format),
}

/// All caps that an element takes or gives.
pub fn template() -> gst::Caps {
    let raw = || gst_video::VideoCapsBuilder::new().format_list(RAW.map(|(format, _)| format));
    let mut caps = raw().build();
    {
        let caps = caps.make_mut();
        caps.append(raw().features(["memory:DMABuf"]).build());
        for (index, (name, _, annex_b)) in CODED.iter().enumerate() {
            if CODED[..index].iter().any(|(other, ..)| other == name) {
                continue;
            }
            let coded = gst::Structure::builder(*name)
                .field("width", gst::IntRange::new(1, MAX_DIMENSION as i32))
                .field("height", gst::IntRange::new(1, MAX_DIMENSION as i32));
            caps.append_structure(match annex_b {
                true => coded.field("stream-format", "byte-stream").field("alignment", "au").build(),
                false => coded.build(),
            });
        }
    }
    caps
}

impl Media {
    /// What the caps of a pad describe.
    ///
    /// # Errors
    /// [`CapsError`].
    pub fn of(caps: &gst::CapsRef) -> Result<Self, CapsError> {
        let structure = caps.structure(0).ok_or_else(|| CapsError::Kind(caps.to_string()))?;
        if let Some((_, fourcc, _)) = CODED.iter().find(|(name, ..)| *name == structure.name().as_str()) {
            return coded(structure, *fourcc).map(Self::Coded);
        }
        let info = VideoInfo::from_caps(caps).map_err(|_| CapsError::Kind(caps.to_string()))?;
        if !RAW.iter().any(|(format, _)| *format == info.format()) {
            return Err(CapsError::Kind(caps.to_string()));
        }
        match info.interlace_mode() {
            gst_video::VideoInterlaceMode::Alternate | gst_video::VideoInterlaceMode::Fields => Err(CapsError::Fields),
            _ => Ok(Self::Raw(info)),
        }
    }

    /// The format of frames that lie without padding, as those that were copied do.
    ///
    /// # Errors
    /// [`CapsError::Size`].
    pub fn packed(&self) -> Result<Format, CapsError> {
        match self {
            Self::Raw(info) => raw(info),
            Self::Coded(format) => Ok(format.clone()),
        }
    }

    /// The format of frames whose planes lie like this.
    ///
    /// # Errors
    /// [`CapsError::Size`].
    pub fn laid_out(&self, layouts: &[PlaneLayout]) -> Result<Format, CapsError> {
        let mut format = self.packed()?;
        if let Some(planes) = Planes::new(layouts) {
            format.planes = planes;
        }
        Ok(format)
    }
}

fn raw(info: &VideoInfo) -> Result<Format, CapsError> {
    let fourcc = RAW.iter().find(|(format, _)| *format == info.format()).map(|(_, fourcc)| *fourcc);
    let fourcc = fourcc.ok_or_else(|| CapsError::Kind(info.format().to_string()))?;
    let mut format = Format::packed(fourcc, info.width(), info.height(), rate(info.fps()))?;
    // Of red, green and blue there is no matrix, and GStreamer says so by one that V4L2 has no number for.
    if !info.is_rgb() {
        let color = info.colorimetry();
        format.color = vs_frame::colorimetry::H273 {
            primaries: code(color.primaries().to_iso()),
            transfer: code(color.transfer().to_iso()),
            matrix: code(color.matrix().to_iso()),
            full_range: color.range() == gst_video::VideoColorRange::Range0_255,
        }
        .colorimetry();
    }
    format.field = match (info.interlace_mode(), info.field_order()) {
        (gst_video::VideoInterlaceMode::Progressive, _) => vs_frame::Field::PROGRESSIVE,
        (_, gst_video::VideoFieldOrder::TopFieldFirst) => vs_frame::Field(INTERLACED_TB),
        (_, gst_video::VideoFieldOrder::BottomFieldFirst) => vs_frame::Field(INTERLACED_BT),
        _ => vs_frame::Field(INTERLACED),
    };
    Ok(format)
}

fn coded(structure: &gst::StructureRef, fourcc: FourCc) -> Result<Format, CapsError> {
    let side = |name| structure.get::<i32>(name).ok().and_then(|side| u32::try_from(side).ok());
    let (Some(width), Some(height)) = (side("width"), side("height")) else { return Err(CapsError::NoSize) };
    let fps = structure.get::<gst::Fraction>("framerate").unwrap_or_else(|_| gst::Fraction::new(0, 1));
    // As much as the picture has without any compression, which no encoder exceeds.
    let largest = width.saturating_mul(height).saturating_mul(3).saturating_add(UNIT_EXTRA);
    Ok(Format::coded(fourcc, width, height, rate(fps), largest)?)
}

fn rate(fps: gst::Fraction) -> Rate {
    let (num, den) = (u32::try_from(fps.numer()).unwrap_or(0), u32::try_from(fps.denom()).unwrap_or(1));
    Rate::new(num, den).filter(|rate| rate.is_known()).unwrap_or(Rate::UNKNOWN)
}

/// The rate of frames of which each lasts so many ns; unknown if that is no usual one.
pub fn rate_of(duration_ns: u64) -> Rate {
    let guessed = gst_video::guess_framerate(gst::ClockTime::from_nseconds(duration_ns));
    guessed.map_or(Rate::UNKNOWN, rate)
}

/// A code point, all of which are bytes; 2 is "unspecified".
fn code(iso: u32) -> u8 {
    u8::try_from(iso).unwrap_or(2)
}

/// Size, colours and so on of pictures, as GStreamer has them, with the tightest layout.
///
/// # Errors
/// [`CapsError::Unknown`].
pub fn info_of(format: &Format) -> Result<VideoInfo, CapsError> {
    let unknown = || CapsError::Unknown(format.fourcc);
    let names = RAW.iter().chain(&SEPARATE);
    let name = names.clone().find(|(_, fourcc)| *fourcc == format.fourcc).map(|(name, _)| *name).ok_or_else(unknown)?;
    let fps = match (i32::try_from(format.rate.num), i32::try_from(format.rate.den)) {
        (Ok(num), Ok(den)) if den > 0 => gst::Fraction::new(num, den),
        _ => gst::Fraction::new(0, 1),
    };
    let color = format.color.h273();
    let range = match color.full_range {
        true => gst_video::VideoColorRange::Range0_255,
        false => gst_video::VideoColorRange::Range16_235,
    };
    let color = gst_video::VideoColorimetry::new(
        range,
        gst_video::VideoColorMatrix::from_iso(color.matrix.into()),
        gst_video::VideoTransferFunction::from_iso(color.transfer.into()),
        gst_video::VideoColorPrimaries::from_iso(color.primaries.into()),
    );
    let builder = VideoInfo::builder(name, format.width, format.height).fps(fps).colorimetry(&color);
    let builder = match format.field.0 {
        INTERLACED | INTERLACED_TB | INTERLACED_BT => {
            builder.interlace_mode(gst_video::VideoInterlaceMode::Interleaved)
        }
        _ => builder.interlace_mode(gst_video::VideoInterlaceMode::Progressive),
    };
    let builder = match format.field.0 {
        INTERLACED_TB => builder.field_order(gst_video::VideoFieldOrder::TopFieldFirst),
        INTERLACED_BT => builder.field_order(gst_video::VideoFieldOrder::BottomFieldFirst),
        _ => builder,
    };
    builder.build().map_err(|_| unknown())
}

/// The caps of a format's frames.
///
/// # Errors
/// [`CapsError::Unknown`].
pub fn caps_of(format: &Format) -> Result<gst::Caps, CapsError> {
    if !format.is_coded() {
        return info_of(format)?.to_caps().map_err(|_| CapsError::Unknown(format.fourcc));
    }
    let known = CODED.iter().find(|(_, fourcc, _)| *fourcc == format.fourcc);
    let (name, _, annex_b) = known.ok_or(CapsError::Unknown(format.fourcc))?;
    let mut caps = gst::Caps::builder(*name).field("width", format.width as i32).field("height", format.height as i32);
    if let (true, Ok(num), Ok(den)) =
        (format.rate.is_known(), i32::try_from(format.rate.num), i32::try_from(format.rate.den))
    {
        caps = caps.field("framerate", gst::Fraction::new(num, den));
    }
    if *annex_b {
        caps = caps.field("stream-format", "byte-stream").field("alignment", "au");
    }
    Ok(caps.build())
}

/// What a buffer of access units says of its own.
pub fn flags_of(buffer: &gst::BufferRef, coded: bool) -> FrameFlags {
    let mut flags = FrameFlags::empty();
    flags.set(FrameFlags::KEYFRAME, coded && !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT));
    flags.set(FrameFlags::GAP, buffer.flags().contains(gst::BufferFlags::DISCONT));
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_come_back() {
        gst::init().unwrap();
        for (_, fourcc) in RAW {
            let mut format = Format::packed(fourcc, 321, 241, Rate { num: 30000, den: 1001 }).unwrap();
            format.color = if fourcc == FourCc::NV12 { vsclient::Colorimetry::BT709 } else { format.color };
            let caps = caps_of(&format).unwrap();
            let Media::Raw(info) = Media::of(&caps).unwrap() else { panic!("{caps}") };
            let back = raw(&info).unwrap();
            assert_eq!(back.color.h273(), format.color.h273(), "{caps}");
            assert_eq!(Format { color: format.color, ..back }, format, "{caps}");
            assert!(template().can_intersect(&caps), "{caps}");
        }
    }

    #[test]
    fn access_units_come_back() {
        gst::init().unwrap();
        for (_, fourcc, _) in CODED.iter().filter(|(_, fourcc, _)| *fourcc != FourCc::JPEG) {
            let format = Format::coded(*fourcc, 640, 480, Rate::fps(25), 640 * 480 * 3 + UNIT_EXTRA).unwrap();
            let caps = caps_of(&format).unwrap();
            let Media::Coded(back) = Media::of(&caps).unwrap() else { panic!("{caps}") };
            assert_eq!(back, format);
            assert!(template().can_intersect(&caps), "{caps}");
        }
    }

    #[test]
    fn what_cannot_be_published_is_said() {
        gst::init().unwrap();
        let of = |caps: &str| Media::of(&caps.parse::<gst::Caps>().unwrap()).unwrap_err().to_string();
        assert!(of("audio/x-raw").contains("cannot be published"));
        assert!(of("video/x-raw,format=v210,width=64,height=48").contains("NV12"));
        assert!(of("video/x-h264,stream-format=byte-stream,alignment=au").contains("h264parse"));
        let fields = "video/x-raw(format:Interlaced),format=NV12,width=64,height=48,interlace-mode=alternate";
        assert!(of(fields).contains("deinterlacer"));
    }
}
