// SPDX-License-Identifier: Apache-2.0
//! A camera's JPEG becomes a file that everybody reads (ISO/IEC 10918-1, annex B).
//!
//! Its bytes stay as they are. Many webcams leave the Huffman tables out, for in Motion JPEG they are always the same; a file
//! gets them back. How a camera is mounted is said by an Exif orientation.

use super::picture::Turn;

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const DHT: u8 = 0xc4;

/// The file; why there is none, if the camera's picture is not whole.
pub fn file(picture: &[u8], turn: Turn) -> Result<Vec<u8>, String> {
    let damaged = || "the camera's JPEG is damaged: try again".to_owned();
    let body = picture.strip_prefix(&[0xff, SOI]).ok_or_else(damaged)?;
    let head = Head::read(body).ok_or_else(damaged)?;
    // What follows the end is padding.
    let end = body.windows(2).rposition(|pair| pair == [0xff, EOI]).ok_or_else(damaged)?;
    let (segments, scan) = body.get(..end + 2).and_then(|body| body.split_at_checked(head.len)).ok_or_else(damaged)?;
    let mut file = vec![0xff, SOI];
    file.extend(orientation(turn).into_iter().flatten());
    file.extend_from_slice(segments);
    if !head.has_tables {
        file.extend(standard_tables());
    }
    file.extend_from_slice(scan);
    Ok(file)
}

/// What comes before the first scan.
struct Head {
    len: usize,
    has_tables: bool,
}

impl Head {
    /// `None` if no scan comes.
    fn read(body: &[u8]) -> Option<Self> {
        let mut head = Self { len: 0, has_tables: false };
        loop {
            let rest = body.get(head.len..)?;
            let &[0xff, marker, high, low, ..] = rest else { return None };
            match marker {
                // Any number of these may stand before a marker (B.1.1.2).
                0xff => head.len += 1,
                SOS => return Some(head),
                _ => {
                    head.has_tables |= marker == DHT;
                    head.len += 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
                }
            }
        }
    }
}

/// An APP1 segment that says how to turn the picture (Exif 2.3, tag 0x0112), if it is to be turned.
fn orientation(turn: Turn) -> Option<Vec<u8>> {
    let value = match turn {
        Turn::None => return None,
        // The numbers say where row 0 and column 0 are.
        Turn::Quarter => 8,
        Turn::Half => 3,
        Turn::ThreeQuarters => 6,
    };
    let mut segment = vec![0xff, 0xe1, 0, 34];
    segment.extend_from_slice(b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0");
    segment.extend_from_slice(&[value, 0, 0, 0, 0, 0, 0]);
    Some(segment)
}

/// Codes of each length, and their values, of DC and AC for luma and chroma (ITU-T T.81, K.3).
type Table = (u8, [u8; 16], &'static [u8]);

const DC: &[u8] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const TABLES: [Table; 4] = [
    (0x00, [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], DC),
    (0x10, [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d], AC_LUMA),
    (0x01, [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], DC),
    (0x11, [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77], AC_CHROMA),
];

/// Table K.5.
#[rustfmt::skip]
const AC_LUMA: &[u8] = &[
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
    0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72,
    0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37,
    0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
    0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3,
    0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
    0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

/// Table K.6.
#[rustfmt::skip]
const AC_CHROMA: &[u8] = &[
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
    0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1,
    0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36,
    0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
    0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a,
    0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a,
    0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba,
    0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
    0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

/// A DHT segment with all of them.
fn standard_tables() -> Vec<u8> {
    let mut segment = vec![0xff, DHT, 0, 0];
    for (class, lengths, values) in TABLES {
        segment.push(class);
        segment.extend_from_slice(&lengths);
        segment.extend_from_slice(values);
    }
    let len = (segment.len() - 2) as u16;
    segment[2..4].copy_from_slice(&len.to_be_bytes());
    segment
}

#[cfg(test)]
mod tests {
    use jpeg_encoder::{ColorType, Encoder};
    use proptest::prelude::*;

    use super::*;

    /// A JPEG with the standard tables.
    fn jpeg() -> Vec<u8> {
        let data: Vec<u8> = (0..64 * 64 * 3).map(|index| (index * 7 % 251) as u8).collect();
        let mut file = Vec::new();
        Encoder::new(&mut file, 80).encode(&data, 64, 64, ColorType::Rgb).unwrap();
        file
    }

    /// The same as a webcam sends it.
    fn without_tables(file: &[u8]) -> Vec<u8> {
        let (mut out, mut rest) = (file[..2].to_vec(), &file[2..]);
        while rest[1] != SOS {
            let (segment, others) = rest.split_at(2 + usize::from(u16::from_be_bytes([rest[2], rest[3]])));
            if segment[1] != DHT {
                out.extend_from_slice(segment);
            }
            rest = others;
        }
        [out, rest.to_vec()].concat()
    }

    #[test]
    fn a_whole_one_stays_as_it_is_and_padding_goes() {
        let whole = jpeg();
        assert_eq!(file(&whole, Turn::None).unwrap(), whole);
        assert_eq!(file(&[&whole[..], &[0; 100]].concat(), Turn::None).unwrap(), whole);
    }

    #[test]
    fn tables_that_a_webcam_leaves_out_come_back() {
        let whole = jpeg();
        let bare = without_tables(&whole);
        assert!(bare.len() < whole.len());
        let mended = file(&bare, Turn::None).unwrap();
        assert_eq!(without_tables(&mended), bare);
        // The encoder writes the standard ones, each in a segment of its own or all in one.
        let values = |file: &[u8]| TABLES.iter().all(|(_, _, values)| file.windows(values.len()).any(|w| w == *values));
        assert!(values(&whole) && values(&mended));
    }

    #[test]
    fn a_mounted_camera_says_so() {
        let turned = file(&jpeg(), Turn::Quarter).unwrap();
        assert_eq!(&turned[..4], &[0xff, SOI, 0xff, 0xe1]);
        let len = usize::from(u16::from_be_bytes([turned[4], turned[5]]));
        assert_eq!(&turned[4 + len..], &jpeg()[2..]);
        assert!(Head::read(&turned[2..]).unwrap().has_tables);
    }

    proptest! {
        #[test]
        fn damage_is_never_a_file_without_a_beginning_and_an_end(
            cut in 0..2000usize, at in 0..2000usize, with in any::<u8>(),
        ) {
            let mut damaged = jpeg();
            let at = at % damaged.len();
            damaged[at] = with;
            damaged.truncate(cut % (damaged.len() + 1));
            if let Ok(file) = file(&damaged, Turn::None) {
                prop_assert!(file.starts_with(&[0xff, SOI]) && file.ends_with(&[0xff, EOI]));
            }
        }
    }
}
