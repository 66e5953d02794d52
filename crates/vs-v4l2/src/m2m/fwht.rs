// SPDX-License-Identifier: Apache-2.0
//! Keyframes of the kernel's test codec, which its driver does not flag.

/// The eight bytes that begin each access unit (`FWHT_MAGIC1` and `FWHT_MAGIC2` of vicodec).
const MAGIC: [u8; 8] = [0x4f, 0x4f, 0x4f, 0x4f, 0xff, 0xff, 0xff, 0xff];

/// Where its flags lie, a big-endian number of 32 bits, after version, width and height.
const FLAGS: std::ops::Range<usize> = 20..24;

/// Whether decoding can start with an access unit (`V4L2_FWHT_FL_I_FRAME`).
pub(super) fn is_keyframe(unit: &[u8]) -> bool {
    let flags = unit.get(FLAGS).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    unit.starts_with(&MAGIC) && flags.is_some_and(|flags| flags & v4l2r::bindings::V4L2_FWHT_FL_I_FRAME as u32 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_decides() {
        let mut unit = MAGIC.to_vec();
        unit.extend([0, 0, 0, 3, 0, 0, 2, 128, 0, 0, 1, 104, 0, 10, 4, 0]);
        assert!(is_keyframe(&unit));
        assert!(!is_keyframe(&unit[..23]));
        unit[22] = 0;
        assert!(!is_keyframe(&unit));
    }
}
