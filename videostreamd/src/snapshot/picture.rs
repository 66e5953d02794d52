// SPDX-License-Identifier: Apache-2.0
//! A frame becomes what is written. It is given back to its stream as soon as its pixels are copied.

use vs_codec::{ConverterConfig, OnceError, SubmitError, convert_once};
use vs_frame::{Format, FourCc, Frame, FrameView};

use super::image::{self, Pixels};
use super::{Form, Options, SnapshotError, mjpeg};

/// What is to be written.
#[derive(Debug)]
pub struct Made {
    pub bytes: Vec<u8>,
    pub fourcc: FourCc,
    pub size: (u32, u32),
    /// Degrees that are left to turn it counter-clockwise.
    pub rotation: u16,
}

/// Makes of a frame what is asked for.
pub fn make(frame: Frame, options: &Options) -> Result<Made, SnapshotError> {
    options.check(frame.format()).map_err(SnapshotError::Refused)?;
    match options.form {
        Form::Jpeg if frame.format().is_coded() => passed_on(&frame),
        Form::Raw(fourcc) => raw(frame, fourcc, options.size),
        form => {
            let rotation = quarter_turn(frame.format().rotation);
            let grey = frame.format().fourcc == FourCc::GREY;
            let frame = converted(frame, Some(FourCc::RGB24), options.size, rotation.is_sideways())?;
            let pixels = pixels(&frame, grey)?;
            drop(frame);
            let pixels = pixels.turned(rotation);
            let size = (pixels.width, pixels.height);
            let bytes = match form {
                Form::Png => image::png(&pixels)?,
                _ => image::jpeg(&pixels, options.quality)?,
            };
            let fourcc = if form == Form::Png { FourCc(*b"PNG ") } else { FourCc::JPEG };
            Ok(Made { bytes, fourcc, size, rotation: 0 })
        }
    }
}

/// How often a picture is to be turned counter-clockwise by a right angle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    None,
    Quarter,
    Half,
    ThreeQuarters,
}

impl Turn {
    /// Whether width becomes height.
    fn is_sideways(self) -> bool {
        matches!(self, Self::Quarter | Self::ThreeQuarters)
    }
}

/// Pictures are turned by right angles; one that is mounted otherwise stays as it is.
pub fn quarter_turn(degrees: u16) -> Turn {
    match degrees {
        90 => Turn::Quarter,
        180 => Turn::Half,
        270 => Turn::ThreeQuarters,
        _ => Turn::None,
    }
}

/// A camera's own JPEG.
fn passed_on(frame: &Frame) -> Result<Made, SnapshotError> {
    let view = frame.map().map_err(unreadable)?;
    let &Format { fourcc, width, height, rotation, .. } = &**frame.format();
    let bytes = mjpeg::file(view.payload(), quarter_turn(rotation)).map_err(SnapshotError::Failed)?;
    Ok(Made { bytes, fourcc, size: (width, height), rotation: 0 })
}

/// Planes without padding, or a coded frame as it is.
fn raw(frame: Frame, fourcc: Option<FourCc>, size: Option<(u32, u32)>) -> Result<Made, SnapshotError> {
    let other = fourcc.filter(|fourcc| *fourcc != frame.format().fourcc);
    // Plain pixels are not turned: whoever takes them wants them as the camera gives them.
    let frame = if other.is_some() || size.is_some() { converted(frame, other, size, false)? } else { frame };
    let format = frame.format();
    let view = frame.map().map_err(unreadable)?;
    let bytes = if format.is_coded() { view.payload().to_vec() } else { planes(&view)? };
    Ok(Made { bytes, fourcc: format.fourcc, size: (format.width, format.height), rotation: format.rotation })
}

fn planes(view: &FrameView<'_>) -> Result<Vec<u8>, SnapshotError> {
    let mut bytes = Vec::new();
    for plane in 0..view.plane_count() {
        let plane = view.plane(plane).ok_or_else(incomplete)?;
        bytes.reserve_exact(plane.row_bytes * plane.rows);
        let before = bytes.len();
        plane.rows().for_each(|row| bytes.extend_from_slice(row));
        if bytes.len() - before != plane.row_bytes * plane.rows {
            return Err(incomplete());
        }
    }
    Ok(bytes)
}

/// The picture in another pixel format, or of the size that fits into `bound` as it is seen.
fn converted(
    frame: Frame,
    fourcc: Option<FourCc>,
    bound: Option<(u32, u32)>,
    sideways: bool,
) -> Result<Frame, SnapshotError> {
    let format = frame.format();
    let bound = bound.map(|(width, height)| if sideways { (height, width) } else { (width, height) });
    let size = bound.map(|bound| fit((format.width, format.height), bound));
    convert_once(&frame, &ConverterConfig { fourcc, size, pictures: 1 }).map_err(|error| match error {
        OnceError::Open(error) => SnapshotError::Refused(error.to_string()),
        OnceError::Submit(SubmitError::Incomplete) | OnceError::Lost => incomplete(),
        OnceError::Submit(error) => SnapshotError::Failed(error.to_string()),
        OnceError::Backend(error) => SnapshotError::Failed(error.to_string()),
    })
}

/// The largest size of the same shape that fits into `bound`; each side has a pixel at least.
fn fit((width, height): (u32, u32), bound: (u32, u32)) -> (u32, u32) {
    let [w, h, bw, bh] = [width, height, bound.0, bound.1].map(u64::from);
    let rounded = |numerator: u64, denominator: u64| (numerator + denominator / 2) / denominator.max(1);
    let (w, h) = if w * bh >= h * bw { (bw, rounded(h * bw, w)) } else { (rounded(w * bh, h), bh) };
    let side = |side: u64| u32::try_from(side).unwrap_or(u32::MAX).max(1);
    (side(w), side(h))
}

/// The pixels of a picture in RGB24, or the one of its channels that all are.
fn pixels(frame: &Frame, grey: bool) -> Result<Pixels, SnapshotError> {
    let view = frame.map().map_err(unreadable)?;
    let mut data = planes(&view)?;
    if grey {
        data = data.iter().step_by(3).copied().collect();
    }
    let (width, height) = (frame.format().width, frame.format().height);
    Ok(Pixels { width, height, data, bytes: if grey { 1 } else { 3 } })
}

fn unreadable(error: vs_frame::MapError) -> SnapshotError {
    SnapshotError::Failed(error.to_string())
}

fn incomplete() -> SnapshotError {
    SnapshotError::Failed("the picture is not all there".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pictures_fit_and_keep_their_shape() {
        assert_eq!(fit((1920, 1080), (640, 360)), (640, 360));
        assert_eq!(fit((640, 480), (1280, 720)), (960, 720));
        assert_eq!(fit((640, 480), (100, 1000)), (100, 75));
        assert_eq!(fit((16384, 1), (16, 16)), (16, 1));
    }

    proptest! {
        #[test]
        fn one_side_fits_exactly_and_none_is_longer(
            w in 1..=16384u32, h in 1..=16384u32, bw in 1..=16384u32, bh in 1..=16384u32,
        ) {
            let (fw, fh) = fit((w, h), (bw, bh));
            prop_assert!((1..=bw).contains(&fw) && (1..=bh).contains(&fh));
            prop_assert!(fw == bw || fh == bh);
            let shape = f64::from(w) / f64::from(h);
            prop_assert!((f64::from(fw) - f64::from(fh) * shape).abs() <= shape.max(1.0));
        }
    }
}
