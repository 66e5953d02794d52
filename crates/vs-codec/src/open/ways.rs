// SPDX-License-Identifier: Apache-2.0
//! The ways to get something done, tried in turn.

use vs_v4l2::{FormatDesc, FrameSize};

use super::error::say;
use super::{Choice, OpenError, Refusal};
use crate::hardware::{Device, Ticket};

/// Who software is called.
pub(super) const SOFTWARE: &str = "software";

/// How a way is gone: told why the others before it were not.
type Open<'a, T> = Box<dyn FnOnce(String) -> Result<T, OpenError> + 'a>;

/// One way to get a `T`.
pub(super) struct Way<'a, T> {
    who: &'a str,
    open: Open<'a, T>,
}

impl<'a, T> Way<'a, T> {
    pub(super) fn new(who: &'a str, open: impl FnOnce(String) -> Result<T, OpenError> + 'a) -> Self {
        Self { who, open: Box::new(open) }
    }
}

/// Goes the first way that is open.
pub(super) fn first<'a, T>(
    ways: impl IntoIterator<Item = Way<'a, T>>,
    wish: impl FnOnce() -> String,
    none: OpenError,
) -> Result<T, OpenError> {
    let mut refusals: Vec<Refusal> = Vec::new();
    for Way { who, open } in ways {
        match open(say(&refusals)) {
            Ok(opened) => return Ok(opened),
            Err(why) => {
                tracing::debug!(who, %why, "passed over");
                refusals.push(Refusal { who: who.to_owned(), why });
            }
        }
    }
    match refusals.pop() {
        None => Err(none),
        // Nobody else was there to be asked.
        Some(Refusal { who, why }) if refusals.is_empty() && who == SOFTWARE => Err(why),
        Some(last) => {
            refusals.push(last);
            Err(OpenError::Nobody { wish: wish(), refusals })
        }
    }
}

/// A place at a device.
pub(super) fn enter(device: &Device, choice: &Choice<'_>) -> Result<Ticket, OpenError> {
    device.sessions.enter(choice.priority).ok_or(OpenError::Taken)
}

/// Refuses what is larger than a device says that it can do. Smaller or uneven sizes are for its
/// driver to judge: many pad them.
pub(super) fn check_size(format: Option<&FormatDesc>, (width, height): (u32, u32)) -> Result<(), OpenError> {
    let largest = |size: &FrameSize| match size {
        FrameSize::Discrete { size, .. } => *size,
        FrameSize::Stepwise { max, .. } => *max,
    };
    let sizes = format.map_or(&[][..], |format| &format.sizes);
    let fits = |size: &FrameSize| largest(size).0 >= width && largest(size).1 >= height;
    if sizes.is_empty() || sizes.iter().any(fits) {
        return Ok(());
    }
    let (max_width, max_height) = sizes.iter().map(largest).max().unwrap_or_default();
    Err(OpenError::Size { width, height, limits: format!("it does at most {max_width}x{max_height}") })
}

#[cfg(test)]
mod tests {
    use vs_frame::FourCc;
    use vs_v4l2::FormatFlags;

    use super::*;

    const NONE: OpenError = OpenError::NoDevice { codec: FourCc::H264 };

    fn refuses<'a>(who: &'a str, why: &OpenError) -> Way<'a, String> {
        let why = why.clone();
        Way::new(who, move |_| Err(why))
    }

    fn wish() -> String {
        "encodes".to_owned()
    }

    #[test]
    fn the_first_that_can_says_why_the_others_did_not() {
        let opens = || Way::new("enc2", Ok);
        assert_eq!(first([opens(), refuses("enc0", &OpenError::Taken)], wish, NONE), Ok(String::new()));
        let device = OpenError::Device("it hangs".to_owned());
        let ways = [refuses("enc0", &OpenError::Taken), refuses("enc1", &device), opens()];
        assert_eq!(first(ways, wish, NONE).unwrap(), "enc0: all of its sessions are in use; enc1: it hangs");
    }

    #[test]
    fn nobody_names_each_refusal() {
        assert_eq!(first([], wish, NONE), Err::<String, _>(NONE));
        let codec = OpenError::Codec { codec: FourCc::VP8 };
        assert_eq!(first([refuses(SOFTWARE, &codec)], wish, NONE), Err(codec.clone()));
        let error = first([refuses("enc0", &OpenError::Taken), refuses(SOFTWARE, &codec)], wish, NONE).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("nobody here encodes: enc0: all of its sessions are in use; software: "), "{text}");
    }

    #[test]
    fn only_what_is_too_large_is_refused_beforehand() {
        let sizes = vec![FrameSize::Stepwise { min: (640, 360), max: (4096, 2160), step: (8, 8), rates: vec![] }];
        let desc =
            FormatDesc { fourcc: FourCc::FWHT, description: String::new(), flags: FormatFlags::COMPRESSED, sizes };
        assert_eq!(check_size(Some(&desc), (650, 366)), Ok(()));
        assert_eq!(check_size(Some(&desc), (320, 240)), Ok(()));
        assert_eq!(check_size(None, (9999, 9999)), Ok(()));
        let error = check_size(Some(&desc), (4096, 4096)).unwrap_err().to_string();
        assert_eq!(error, "pictures of 4096x4096 are not possible: it does at most 4096x2160");
    }
}
