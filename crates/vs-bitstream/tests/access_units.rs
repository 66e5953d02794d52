// SPDX-License-Identifier: Apache-2.0
//! Access units: whatever the pieces in which a stream comes, the pictures are the same.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use vs_bitstream::{AccessUnitTooLarge, AccessUnits, Codec, NalKind, nal_units};

/// Main profile, 160×120, frame_num and pic_order_cnt_lsb of 4 bits: as the slices below are written.
const SPS: [u8; 9] = [0x67, 77, 0, 11, 0b1111_0010, 0b0001_0100, 0b0000_1010, 0b0100_0110, 0b0000_0000];
/// pic_parameter_set_id 0, seq_parameter_set_id 0.
const PPS: [u8; 2] = [0x68, 0b1100_1000];

/// All access units of a stream that comes in pieces of these sizes, over and over.
fn split(codec: Codec, stream: &[u8], sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut units = AccessUnits::new(codec);
    let mut found = Vec::new();
    let mut sizes = sizes.iter().cycle();
    let mut rest = stream;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
        rest = behind;
        units.push(piece);
        while let Some(unit) = units.next_unit().unwrap() {
            found.push(unit.to_vec());
        }
    }
    units.end();
    while let Some(unit) = units.next_unit().unwrap() {
        found.push(unit.to_vec());
    }
    found
}

fn stream(units: &[&[u8]]) -> Vec<u8> {
    units.iter().flat_map(|unit| [&[0, 0, 0, 1], *unit].concat()).collect()
}

/// A slice of H.264 in the parameter sets above: ue(first_mb) ue(slice_type 0) ue(pps 0) u(4) frame_num
/// u(4) lsb. `first` is 0 or 1.
fn slice(header: u8, first: u8, frame_num: u8, lsb: u8) -> Vec<u8> {
    let (code, length) = if first == 0 { (0b1u32, 1) } else { (0b010, 3) };
    let fields = code << 10 | 0b11 << 8 | u32::from(frame_num & 15) << 4 | u32::from(lsb & 15);
    let bits = (fields << (32 - length - 10) | 0x8_0000 >> length).to_be_bytes();
    [&[header][..], &bits].concat()
}

fn counted(codec: Codec, nals: &[&[u8]]) -> Vec<usize> {
    split(codec, &stream(nals), &[7]).iter().map(|unit| nal_units(unit).count()).collect()
}

#[test]
fn slices_of_one_picture_stay_together() {
    let [a0, a1] = [slice(0x41, 0, 1, 2), slice(0x41, 1, 1, 2)];
    let [b0, b1] = [slice(0x41, 0, 2, 4), slice(0x41, 1, 2, 4)];
    assert_eq!(counted(Codec::H264, &[&SPS, &PPS, &a0, &a1, &b0, &b1]), [4, 2]);
    // The first slice of the second picture is lost: frame_num and order differ all the same.
    assert_eq!(counted(Codec::H264, &[&SPS, &PPS, &a0, &a1, &b1]), [4, 1]);
    // Two pictures that differ in the order alone, the second no reference.
    let [c, d] = [slice(0x01, 1, 3, 2), slice(0x01, 1, 3, 4)];
    assert_eq!(counted(Codec::H264, &[&SPS, &PPS, &a0, &c, &d]), [3, 1, 1]);
    // Encoders of nothing but alike pictures: the first macroblock tells.
    assert_eq!(counted(Codec::H264, &[&SPS, &PPS, &a0, &a0, &a1, &a0]), [3, 2, 1]);
    // Without parameter sets it is all there is.
    assert_eq!(counted(Codec::H264, &[&a0, &a1, &b1, &b0]), [3, 1]);
}

#[test]
fn what_is_sent_before_a_picture_belongs_to_it() {
    let [a, b] = [slice(0x41, 0, 1, 2), slice(0x41, 0, 2, 4)];
    let (delimiter, sei, filler, end) = (&[9, 0xf0][..], &[6, 5, 1, 9, 0x80][..], &[12, 0xff, 0x80][..], &[10][..]);
    assert_eq!(counted(Codec::H264, &[delimiter, &SPS, &PPS, sei, &a, filler, sei, &b]), [6, 2]);
    assert_eq!(counted(Codec::H264, &[&SPS, &PPS, &a, end, delimiter, delimiter, &b]), [4, 3]);
    // A parameter set between two slices of a picture splits nothing; one at the end stays.
    let second = slice(0x41, 1, 1, 2);
    assert_eq!(counted(Codec::H264, &[&SPS, &PPS, &a, &PPS, &second, sei]), [6]);
}

#[test]
fn pictures_of_h265() {
    let [vps, sps, pps] = [[0x40, 1, 9], [0x42, 1, 9], [0x44, 1, 9]];
    let (first, more, other_layer) = ([0x02, 1, 0x80], [0x02, 1, 0x40], [0x02, 9, 0x80]);
    let (prefix_sei, suffix_sei, delimiter) = ([0x4e, 1, 5], [0x50, 1, 5], [0x46, 1, 0x50]);
    let nals: &[&[u8]] = &[&vps, &sps, &pps, &first, &more, &other_layer, &suffix_sei, &prefix_sei, &first, &first];
    assert_eq!(counted(Codec::H265, nals), [7, 2, 1]);
    assert_eq!(counted(Codec::H265, &[&delimiter, &first, &delimiter, &first, &more]), [2, 3]);
}

/// Zeros between two start codes are filling (B.1.1: trailing_zero_8bits), and no slice of type 0.
#[test]
fn zeros_are_no_picture() {
    let (set, picture) = ([0x40, 1, 9], [0x02, 1, 0x80]);
    assert_eq!(counted(Codec::H265, &[&set, &[0; 3], &set, &picture, &[0; 50]]), [3]);
    assert_eq!(counted(Codec::H265, &[&[0; 2], &picture, &picture]), [1, 1]);
}

#[test]
fn what_stands_before_the_stream_is_left_out() {
    let rubbish = [&[1, 2, 3, 0, 0, 4][..], &stream(&[&slice(0x41, 0, 1, 1)])].concat();
    for size in 1..rubbish.len() {
        assert_eq!(split(Codec::H264, &rubbish, &[size]), [&rubbish[6..]]);
    }
    assert!(split(Codec::H264, &[5; 5000], &[100]).is_empty());
}

#[test]
fn memory_is_bounded() {
    let mut units = AccessUnits::with_limit(Codec::H264, 10_000);
    units.push(&[0, 0, 1, 0x41]);
    let refused = (0..1000).find_map(|_| {
        units.push(&[0x55; 100]);
        units.next_unit().err()
    });
    assert_eq!(refused, Some(AccessUnitTooLarge { limit: 10_000 }));
    // It goes on with what comes then.
    units.push(&stream(&[&slice(0x41, 0, 1, 1)]));
    units.end();
    assert!(units.next_unit().unwrap().is_some());
}

/// NAL units of all kinds, damaged ones among them.
fn nals() -> impl Strategy<Value = Vec<u8>> {
    let nal = prop_oneof![
        Just(SPS.to_vec()),
        Just(PPS.to_vec()),
        (0u8..2, 0u8..4, 0u8..4).prop_map(|(first, number, lsb)| slice(0x41, first, number, lsb)),
        prop::collection::vec(any::<u8>(), 0..12),
    ];
    let zeros = prop::collection::vec((nal, 2usize..5), 0..20);
    zeros
        .prop_map(|nals| nals.into_iter().flat_map(|(nal, zeros)| [&vec![0; zeros], &[1][..], &nal].concat()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn pieces_make_no_difference(stream in nals(), sizes in prop::collection::vec(1usize..40, 1..8), h265: bool) {
        let codec = if h265 { Codec::H265 } else { Codec::H264 };
        let whole = split(codec, &stream, &[usize::MAX]);
        prop_assert_eq!(&split(codec, &stream, &sizes), &whole);
        prop_assert_eq!(&split(codec, &stream, &[1]), &whole);
        prop_assert!(whole.iter().all(|unit| !unit.is_empty()));
        // Only what follows the last picture has none.
        let is_slice = |nal| NalKind::of(codec, nal).is_slice();
        prop_assert!(whole.iter().rev().skip(1).all(|unit| nal_units(unit).any(is_slice)));
        // Nothing is lost but zeros before the first start code.
        let together = whole.concat();
        prop_assert!(stream.ends_with(&together));
        prop_assert!(stream[..stream.len() - together.len()].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn any_bytes_can_be_split(bytes in prop::collection::vec(0u8..8, 0..300), size in 1usize..50, h265: bool) {
        split(if h265 { Codec::H265 } else { Codec::H264 }, &bytes, &[size]);
    }
}
