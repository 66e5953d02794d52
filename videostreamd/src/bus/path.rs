// SPDX-License-Identifier: Apache-2.0
//! Object paths. Bytes of a name that a path cannot hold become `_xx`, as systemd writes them.

use std::fmt::Write;

use zbus::zvariant::OwnedObjectPath;

pub(super) const ROOT: &str = "/org/videostream/VideoStream1";

pub(super) fn device(name: &str) -> zbus::Result<OwnedObjectPath> {
    below("device", name)
}

pub(super) fn stream(name: &str) -> zbus::Result<OwnedObjectPath> {
    below("stream", name)
}

pub(super) fn recording(number: u64) -> zbus::Result<OwnedObjectPath> {
    below("recording", &number.to_string())
}

fn below(kind: &str, name: &str) -> zbus::Result<OwnedObjectPath> {
    Ok(OwnedObjectPath::try_from(format!("{ROOT}/{kind}/{}", escape(name)))?)
}

fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(escaped, "_{byte:02x}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_apart() {
        assert_eq!(stream("cam0-h264").unwrap().as_str(), "/org/videostream/VideoStream1/stream/cam0_2dh264");
        assert_ne!(escape("a_b"), escape("a-b"));
        assert_ne!(escape("a_2db"), escape("a-b"));
    }
}
