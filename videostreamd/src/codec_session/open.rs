// SPDX-License-Identifier: Apache-2.0
//! Which codec a session gets. Sessions ask anew whenever one has failed: by then the hardware may
//! have gone, or come.

use vs_codec::{Backend, Decoder, DecoderConfig, Encoder, EncoderConfig, OpenError, Priority};
use vs_frame::Format;

use crate::codecs::Codecs;

/// Why no codec was opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenFailure {
    /// There is none for that: ask for something else.
    #[error("{0}")]
    Unsupported(String),
    /// There is one, and others have it.
    #[error("{0}")]
    Taken(String),
    /// There is one, and it does not work.
    #[error("{0}")]
    Failed(String),
}

impl From<OpenError> for OpenFailure {
    fn from(error: OpenError) -> Self {
        let text = error.to_string();
        match remedy(&error) {
            Remedy::Other => Self::Unsupported(text),
            Remedy::Wait => Self::Taken(text),
            Remedy::Repair => Self::Failed(text),
        }
    }
}

/// What whoever asked can do, the best of it last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Remedy {
    /// Ask for something else.
    Other,
    /// Have it repaired.
    Repair,
    /// Try again later.
    Wait,
}

fn remedy(error: &OpenError) -> Remedy {
    match error {
        OpenError::Taken => Remedy::Wait,
        OpenError::Device(_) | OpenError::Backend(_) => Remedy::Repair,
        // Of several who were asked one may have been able to.
        OpenError::Nobody { refusals, .. } => {
            refusals.iter().map(|refusal| remedy(&refusal.why)).max().unwrap_or(Remedy::Other)
        }
        _ => Remedy::Other,
    }
}

/// Opens an encoder.
pub(super) fn encoder(
    codecs: &Codecs,
    input: &Format,
    config: &EncoderConfig,
    backend: Backend,
) -> Result<Box<dyn Encoder>, OpenFailure> {
    Ok(codecs.encoder(input, config, backend, Priority::Guest)?)
}

/// Opens a decoder.
pub(super) fn decoder(
    codecs: &Codecs,
    config: &DecoderConfig,
    backend: Backend,
) -> Result<Box<dyn Decoder>, OpenFailure> {
    Ok(codecs.decoder(config, backend, Priority::Guest)?)
}

#[cfg(test)]
mod tests {
    use vs_codec::open::Refusal;
    use vs_frame::FourCc;

    use super::*;

    #[test]
    fn the_best_remedy_counts() {
        let nobody = |errors: &[OpenError]| {
            let refusals = errors.iter().map(|why| Refusal { who: "enc0".to_owned(), why: why.clone() }).collect();
            OpenFailure::from(OpenError::Nobody { wish: "encodes".to_owned(), refusals })
        };
        let (codec, device) = (OpenError::Codec { codec: FourCc::H264 }, OpenError::Device("no".to_owned()));
        assert!(matches!(nobody(&[]), OpenFailure::Unsupported(_)));
        assert!(matches!(nobody(&[codec.clone(), device.clone()]), OpenFailure::Failed(_)));
        assert!(matches!(nobody(&[OpenError::Taken, device, codec]), OpenFailure::Taken(_)));
    }
}
