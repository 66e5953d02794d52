// SPDX-License-Identifier: Apache-2.0
//! Whether a picture is one that a session was opened for.

use vs_frame::Format;
use vs_frame::format::MODIFIER_LINEAR;

use crate::session::SubmitError;

/// Strides may change from frame to frame; what the pixels are may not.
pub(crate) fn check_input(expected: &Format, got: &Format) -> Result<(), SubmitError> {
    let key = |format: &Format| (format.fourcc, format.width, format.height, format.modifier);
    if key(expected) == key(got) {
        return Ok(());
    }
    let describe = |format: &Format| {
        let (fourcc, width, height, modifier) = key(format);
        let layout = if modifier == MODIFIER_LINEAR { String::new() } else { format!(" (modifier {modifier:#x})") };
        format!("{fourcc} {width}x{height}{layout}")
    };
    Err(SubmitError::Format { expected: describe(expected), got: describe(got) })
}
