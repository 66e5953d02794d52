// SPDX-License-Identifier: Apache-2.0
//! Comparing frames with the test pattern that they claim to be.

use std::sync::Arc;

use vs_pattern::{CheckError, Pattern, PatternError};
use vsclient::{Format, Frame, MapError};

use crate::report::receive::Verified;

/// Checks frame after frame.
#[derive(Default)]
pub struct Verifier {
    pattern: Option<(Arc<Format>, Result<Pattern, PatternError>)>,
    /// Serial in the last good picture.
    last: Option<u64>,
    pub found: Verified,
}

impl Verifier {
    /// Serials begin anew.
    pub fn restart(&mut self) {
        self.last = None;
    }

    /// Checks a frame.
    pub fn check(&mut self, frame: &Frame) {
        let pattern = match self.pattern(frame.format()) {
            Ok(pattern) => pattern,
            Err(error) => {
                let text = error.to_string();
                return self.bad(|found| &mut found.unreadable, frame, text);
            }
        };
        match frame.read(|view| pattern.check(view)) {
            Ok(Ok(stamp)) if self.last.is_some_and(|last| stamp.serial <= last) => {
                let text = format!("the picture is that of frame {}, which came before", stamp.serial);
                self.bad(|found| &mut found.stale, frame, text);
            }
            Ok(Ok(stamp)) => {
                self.last = Some(stamp.serial);
                self.found.good += 1;
            }
            Ok(Err(error @ CheckError::Torn { .. })) => {
                self.bad(|found| &mut found.torn, frame, error.to_string());
            }
            Ok(Err(error @ CheckError::Read(_))) => self.bad(|found| &mut found.unreadable, frame, error.to_string()),
            Err(MapError::Ended(_)) => self.found.ended += 1,
            Err(error @ MapError::Memory(_)) => self.bad(|found| &mut found.unreadable, frame, error.to_string()),
        }
    }

    fn bad(&mut self, counter: impl FnOnce(&mut Verified) -> &mut u64, frame: &Frame, text: String) {
        *counter(&mut self.found) += 1;
        self.found.first_error.get_or_insert_with(|| format!("frame {}: {text}", frame.serial()));
    }

    /// The pattern in the frame's format, made once for each format.
    fn pattern(&mut self, format: &Arc<Format>) -> &Result<Pattern, PatternError> {
        let known = self.pattern.take().filter(|(known, _)| Arc::ptr_eq(known, format));
        let (_, pattern) = self.pattern.insert(known.unwrap_or_else(|| (format.clone(), Pattern::new(format))));
        pattern
    }
}
