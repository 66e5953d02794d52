// SPDX-License-Identifier: Apache-2.0
//! Names of the bus, and of streams and devices inside object paths.
//!
//! An element of an object path may only have letters, digits and `_` (D-Bus specification,
//! "Valid Object Paths"). A name's other bytes, `_` among them, are written as `_` and two
//! hexadecimal digits.

use std::fmt::Write as _;

use zbus::zvariant::{ObjectPath, OwnedObjectPath};

use super::CallError;

/// The daemon's name on the bus.
pub const SERVICE: &str = "org.videostream.VideoStream1";

/// Its root object: the manager, and the object manager.
pub const ROOT_PATH: &str = "/org/videostream/VideoStream1";

/// A name as an element of an object path; `_` for an empty one.
#[must_use]
pub fn escape(name: &str) -> String {
    if name.is_empty() {
        return "_".to_owned();
    }
    let mut element = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() {
            element.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(element, "_{byte:02x}");
        }
    }
    element
}

/// The name that an element of an object path stands for; `None` if [`escape`] never writes
/// such an element.
#[must_use]
pub fn unescape(element: &str) -> Option<String> {
    if element == "_" {
        return Some(String::new());
    }
    let mut name = Vec::with_capacity(element.len());
    let mut rest = element.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'_' {
            let digit = |digit: Option<u8>| char::from(digit?).to_digit(16);
            let byte = digit(rest.next())? * 16 + digit(rest.next())?;
            name.push(u8::try_from(byte).ok()?);
        } else {
            name.push(byte);
        }
    }
    let name = String::from_utf8(name).ok()?;
    (escape(&name) == element).then_some(name)
}

/// Path of the object of a stream.
#[must_use]
pub fn stream_path(name: &str) -> String {
    format!("{ROOT_PATH}/stream/{}", escape(name))
}

/// Path of the object of a device.
#[must_use]
pub fn device_path(name: &str) -> String {
    format!("{ROOT_PATH}/device/{}", escape(name))
}

/// Path of the object of a recording.
#[must_use]
pub fn recording_path(number: u64) -> String {
    format!("{ROOT_PATH}/recording/{number}")
}

/// The number of a recording, from the path of its object.
#[must_use]
pub fn recording_number(path: &ObjectPath<'_>) -> Option<u64> {
    path.strip_prefix(ROOT_PATH)?.strip_prefix("/recording/")?.parse().ok()
}

/// What [`escape`] writes is always valid; this only moves the impossible into an error.
pub(super) fn object_path(path: String) -> Result<OwnedObjectPath, CallError> {
    OwnedObjectPath::try_from(path).map_err(|error| CallError::Bus(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_elements() {
        assert_eq!(stream_path("cam0"), "/org/videostream/VideoStream1/stream/cam0");
        assert_eq!(escape("front-door_2"), "front_2ddoor_5f2");
        assert_eq!(escape("tür"), "t_c3_bcr");
        assert_eq!(escape(""), "_");
    }

    #[test]
    fn elements_become_names_again() {
        for name in ["cam0", "front-door_2", "tür", "", "_", "0", "a b/c"] {
            assert_eq!(unescape(&escape(name)).as_deref(), Some(name));
        }
        for never_written in ["_6", "_zz", "_61", "_2D", "a-b", "_c3"] {
            assert_eq!(unescape(never_written), None, "{never_written}");
        }
    }

    #[test]
    fn recordings_have_numbers() {
        let number = |path: &str| recording_number(&ObjectPath::try_from(path).unwrap());
        assert_eq!(number(&recording_path(12)), Some(12));
        assert_eq!(number(&stream_path("12")), None);
    }
}
