// SPDX-License-Identifier: Apache-2.0
//! Damaged files: an error or fewer frames, never a panic, never without end, never much memory.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::Cursor;

use proptest::prelude::*;
use proptest::sample::Index;
use support::{Succeed, ffmpeg};
use vs_mux::read::Movie;

/// Some files of one stream, small so that damage is likely to matter.
fn files() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let ways = [
        ("plain.mp4", "-c:v libx264 -bf 2 -g 5 -pix_fmt yuv420p"),
        ("faststart.mp4", "-c:v libx264 -bf 2 -g 5 -pix_fmt yuv420p -movflags faststart"),
        ("plain.mov", "-c:v libx264 -bf 2 -g 5 -pix_fmt yuv420p -movflags faststart"),
        ("fragmented.mp4", "-c:v libx264 -bf 2 -g 5 -pix_fmt yuv420p -movflags frag_keyframe+empty_moov"),
        ("h265.mp4", "-c:v libx265 -preset ultrafast -x265-params log-level=none -movflags faststart"),
        ("bare.h264", "-c:v libx264 -bf 2 -g 5 -pix_fmt yuv420p"),
        ("bare.h265", "-c:v libx265 -preset ultrafast -x265-params log-level=none"),
    ];
    let make = |(name, options): (&str, &str)| {
        let path = folder.path().join(name);
        let mut command = ffmpeg();
        command.args(["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=0.6", "-crf", "45"]);
        command.args(options.split_whitespace()).arg(&path).succeed();
        std::fs::read(path).unwrap()
    };
    ways.map(make).into()
}

/// Reads to the end, twice, whatever comes; how many frames there were.
fn read(file: &[u8]) -> usize {
    let Ok(mut movie) = Movie::open(Cursor::new(file)) else { return 0 };
    let mut counts = [0; 2];
    for count in &mut counts {
        let mut calls = 0;
        loop {
            calls += 1;
            assert!(calls <= file.len() + 1, "no end");
            match movie.next_unit() {
                Ok(Some(unit)) => {
                    // Parameter sets are said again for each keyframe.
                    assert!(unit.data.len() <= 4 * file.len() + 1024);
                    *count += 1;
                }
                Ok(None) => break,
                Err(error) if error.is_passing() => assert!(!error.to_string().is_empty()),
                Err(_) => break,
            }
        }
        movie.rewind();
    }
    assert_eq!(counts[0], counts[1]);
    let _ = movie.seek(300_000_000);
    let _ = movie.next_unit();
    counts[0]
}

#[test]
fn cut_at_many_lengths() {
    for file in files() {
        let whole = read(&file);
        assert_eq!(whole, 15);
        for length in (0..file.len()).step_by(13) {
            assert!(read(&file[..length]) <= whole);
        }
    }
}

/// One damage: bits in a byte, or a word that is a number or a size of some kind.
#[derive(Debug, Clone)]
enum Damage {
    Bits(Index, u8),
    Word(Index, u32),
}

fn damage() -> impl Strategy<Value = Damage> {
    let words =
        prop_oneof![Just(0), Just(1), Just(7), Just(8), Just(0x7fff_ffff), Just(u32::MAX), any::<u32>(), 0u32..5000];
    prop_oneof![
        3 => (any::<Index>(), 1u8..).prop_map(|(at, bits)| Damage::Bits(at, bits)),
        2 => (any::<Index>(), words).prop_map(|(at, word)| Damage::Word(at, word)),
    ]
}

/// Where the description lies, which is where damage is interesting: all but the frames.
fn description(file: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut at = 0;
    for (name, size) in support::boxes(file) {
        if name != "mdat" {
            places.extend(at..(at + size as usize).min(file.len()));
        }
        at += size as usize;
    }
    if places.is_empty() { (0..file.len()).collect() } else { places }
}

#[test]
fn damaged_at_random() {
    for file in files() {
        let places = if file.starts_with(&[0, 0, 0, 1]) { (0..file.len()).collect() } else { description(&file) };
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) };
        proptest!(config, |(damages in prop::collection::vec(damage(), 1..6), anywhere: bool)| {
            let mut damaged = file.clone();
            let place = |at: Index| if anywhere { at.index(file.len()) } else { places[at.index(places.len())] };
            for damage in damages {
                match damage {
                    Damage::Bits(at, bits) => damaged[place(at)] ^= bits,
                    Damage::Word(at, word) => {
                        let at = place(at) & !3;
                        let end = damaged.len().min(at + 4);
                        damaged[at..end].copy_from_slice(&word.to_be_bytes()[..end - at]);
                    }
                }
            }
            read(&damaged);
        });
    }
}
