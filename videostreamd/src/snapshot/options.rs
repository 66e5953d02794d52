// SPDX-License-Identifier: Apache-2.0
//! What is asked of a snapshot, and whether a stream can give it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use vs_codec::Quality;
use vs_frame::{Format, FourCc};

/// What cameras need to find their exposure and white balance after they were opened. Webcams take a third of a second to one;
/// a snapshot that comes a moment later is worth more than one that is dark.
pub const DEFAULT_SETTLE: Duration = Duration::from_millis(500);

/// Longer than it takes to open a camera, let it settle, and wait for a turn.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// What waits holds a place, and keeps a camera open; nobody needs minutes for a picture.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(120);

/// What a picture becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// JFIF.
    #[default]
    Jpeg,
    /// PNG, 8 bit RGB or grey.
    Png,
    /// Planes without padding, one after the other: of the stream's own format, or of another.
    Raw(Option<FourCc>),
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Raw(_) => "raw",
        })
    }
}

impl FromStr for Form {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "jpeg" => Ok(Self::Jpeg),
            "png" => Ok(Self::Png),
            "raw" => Ok(Self::Raw(None)),
            _ => {
                let fourcc = text.parse::<FourCc>().ok().filter(|fourcc| fourcc.pixel_info().is_some());
                fourcc.map(|fourcc| Self::Raw(Some(fourcc))).ok_or_else(|| {
                    format!(
                        "'{text}' is no form of a snapshot: there are jpeg, png, raw, and pixel formats such as NV12"
                    )
                })
            }
        }
    }
}

/// How a picture is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What it becomes.
    pub form: Form,
    /// Width and height into which it is to fit, in pixels, as it is seen; `None` leaves it as it is.
    pub size: Option<(u32, u32)>,
    /// Of a JPEG.
    pub quality: Option<Quality>,
    /// How long after its first picture the source is ready; `None` leaves it to the kind of source.
    pub settle: Option<Duration>,
    /// How long it may take in all.
    pub timeout: Duration,
}

impl Options {
    /// Says why no such picture can be made of frames of this format.
    pub fn check(&self, format: &Format) -> Result<(), String> {
        let fourcc = format.fourcc;
        match (fourcc, self.form) {
            (FourCc::MJPEG | FourCc::JPEG, Form::Raw(None)) if self.size.is_none() => Ok(()),
            (FourCc::MJPEG | FourCc::JPEG, Form::Jpeg) if self.size.is_none() && self.quality.is_none() => Ok(()),
            (FourCc::MJPEG | FourCc::JPEG, _) => Err(format!(
                "its pictures are JPEGs ({fourcc}), which are passed on as they are: leave out size, quality and any format but \
                 jpeg, or start the stream with another pixel format"
            )),
            _ if fourcc.is_coded() => Err(format!(
                "its frames are coded ({fourcc}): take the snapshot of the stream that shows the pictures themselves"
            )),
            (_, Form::Raw(None)) if self.size.is_none() => Ok(()),
            _ if fourcc.pixel_info().is_none() => Err(format!(
                "pixels in {fourcc} cannot be converted: take format raw without a size, or start the stream with another \
                 pixel format"
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use vs_frame::Rate;

    use super::*;

    fn options(form: Form) -> Options {
        Options { form, size: None, quality: None, settle: None, timeout: DEFAULT_TIMEOUT }
    }

    #[test]
    fn forms_are_read_as_written() {
        for (text, form) in [
            ("jpeg", Form::Jpeg),
            ("png", Form::Png),
            ("raw", Form::Raw(None)),
            ("i420", Form::Raw(Some(FourCc::YUV420))),
        ] {
            assert_eq!(text.parse(), Ok(form));
        }
        for wrong in ["", "gif", "H264", "MJPG", "Y16 "] {
            assert!(wrong.parse::<Form>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_is_said_before_it_is_tried() {
        let coded = |fourcc| Format::coded(fourcc, 64, 48, Rate::fps(30), 1000).unwrap();
        let raw = Format::packed(FourCc::NV12, 64, 48, Rate::fps(30)).unwrap();
        let opaque = Format { fourcc: FourCc(*b"pgAA"), ..raw.clone() };
        let (jpeg, plain) = (options(Form::Jpeg), options(Form::Raw(None)));
        assert!(jpeg.check(&raw).is_ok() && plain.check(&raw).is_ok() && plain.check(&opaque).is_ok());
        assert!(jpeg.check(&opaque).unwrap_err().contains("pgAA"));
        assert!(jpeg.check(&coded(FourCc::H264)).unwrap_err().contains("H264"));
        assert!(plain.check(&coded(FourCc::FWHT)).unwrap_err().contains("FWHT"));
        let mjpeg = coded(FourCc::MJPEG);
        assert!(jpeg.check(&mjpeg).is_ok() && plain.check(&mjpeg).is_ok());
        assert!(options(Form::Png).check(&mjpeg).is_err());
        assert!(Options { size: Some((8, 8)), ..jpeg }.check(&mjpeg).is_err());
        assert!(Options { quality: Quality::new(1), ..jpeg }.check(&mjpeg).is_err());
    }
}
