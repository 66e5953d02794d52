// SPDX-License-Identifier: Apache-2.0
//! Pictures as the program wants them (feature `convert`): another pixel format, another size.
//!
//! ```no_run
//! use vsclient::convert::Converter;
//! use vsclient::{Client, FourCc};
//!
//! let mut to_model = Converter::new(FourCc::RGB24).size(224, 224);
//! for frame in Client::connect("cam0")?.frames() {
//!     let picture = to_model.convert(&frame?)?;
//!     println!("the first pixel is {:?}", &picture.data[..3]);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The work is done by this process's CPU, and the result is a copy, so that the frame can be dropped at once.
//! Whoever wants it done once for many programs, or by hardware, asks the daemon for a stream of that format
//! (`vsctl start-stream small --from cam0 --format RGB3 --size 224x224`).

use vs_convert::Conversion;
use vs_frame::{Format, FourCc, FrameView};
use vs_ipc::client::{MapError, ReceivedFrame};

pub use vs_convert::{ConversionError, FORMATS};

/// Why a frame was not converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// Frames like this one cannot be made into what is wanted.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// The frame may not be read any more, or could not be: what was read may be torn and is thrown away.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The publisher has announced more bytes than it sent.
    #[error("the frame is damaged: its bytes are not all there")]
    Incomplete,
}

/// A picture that belongs to the program: a copy, in plain rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// What the bytes mean. Rows have no padding; planes follow each other.
    pub format: Format,
    /// The bytes of all planes.
    pub data: Vec<u8>,
}

/// Makes pictures of whatever frames come.
///
/// It keeps memory from one picture to the next, and starts anew when the format of the frames changes.
#[derive(Debug)]
pub struct Converter {
    fourcc: FourCc,
    size: Option<(u32, u32)>,
    conversion: Option<Conversion>,
}

impl Converter {
    /// To pictures of this pixel format, one of [`FORMATS`], of the size that they have.
    #[must_use]
    pub fn new(fourcc: FourCc) -> Self {
        Self { fourcc, size: None, conversion: None }
    }

    /// To this size, columns and rows. Pictures are stretched to it; each pixel is a mean of all those that it stands
    /// for.
    #[must_use]
    pub fn size(self, width: u32, height: u32) -> Self {
        Self { size: Some((width, height)), conversion: None, ..self }
    }

    /// A picture made of a frame.
    ///
    /// # Errors
    /// [`ConvertError`].
    pub fn convert(&mut self, frame: &ReceivedFrame) -> Result<Picture, ConvertError> {
        let mut data = Vec::new();
        let format = self.convert_into(frame, &mut data)?.clone();
        Ok(Picture { format, data })
    }

    /// The same into memory that is used again and again. `data` becomes as long as it must be; returns what its bytes
    /// mean.
    ///
    /// # Errors
    /// [`ConvertError`]; `data` holds nothing of use.
    pub fn convert_into(&mut self, frame: &ReceivedFrame, data: &mut Vec<u8>) -> Result<&Format, ConvertError> {
        let map = frame.map()?;
        let done = self.convert_view(&map, data);
        // What ended in the middle may be torn, which explains more than any other error.
        map.finish().map_err(MapError::from)?;
        done?;
        self.conversion.as_ref().map(Conversion::output).ok_or(ConvertError::Incomplete)
    }

    fn convert_view(&mut self, view: &FrameView<'_>, data: &mut Vec<u8>) -> Result<(), ConvertError> {
        let fits = |conversion: &Conversion| conversion.input() == view.format();
        if !self.conversion.as_ref().is_some_and(fits) {
            self.conversion = None;
        }
        let conversion = match &mut self.conversion {
            Some(conversion) => conversion,
            empty => empty.insert(Conversion::new(view.format(), Some(self.fourcc), self.size)?),
        };
        conversion.convert(view, data).map_err(|_| ConvertError::Incomplete)
    }
}

#[cfg(feature = "image")]
impl Picture {
    /// As an image of the crate `image`, without a copy: RGB3, RGBA (`AB24`) and GREY can be one as they are; `None`
    /// for others.
    #[must_use]
    pub fn into_image(self) -> Option<image::DynamicImage> {
        use image::{GrayImage, RgbImage, RgbaImage};
        let Self { format: Format { fourcc, width, height, .. }, data } = self;
        match fourcc {
            FourCc::RGB24 => RgbImage::from_raw(width, height, data).map(Into::into),
            FourCc::RGBA32 => RgbaImage::from_raw(width, height, data).map(Into::into),
            FourCc::GREY => GrayImage::from_raw(width, height, data).map(Into::into),
            _ => None,
        }
    }
}
