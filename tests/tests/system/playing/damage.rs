// SPDX-License-Identifier: Apache-2.0
//! Files that are broken: what is whole is shown, and nobody is hurt.

use std::path::Path;

use system_tests::Rig;
use system_tests::vsctl::Outcome;

use super::clips::{pictures, x264};
use super::{connect, play, receive_all};

/// Broken streams in all, and how many of them lie in one file.
const VARIANTS: u64 = 10_000;
const BATCH: u64 = 2_500;

/// A small generator of numbers that look random (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

fn cut(file: &Path, name: &str, bytes: usize) -> std::path::PathBuf {
    let whole = std::fs::read(file).unwrap();
    let path = file.with_file_name(name);
    std::fs::write(&path, &whole[..bytes]).unwrap();
    path
}

#[test]
fn what_is_damaged_is_passed_over_and_counted() {
    let rig = Rig::start("");
    let file = x264(&rig, "clip.mp4", "320x240", 60, "-bf 0 -g 10 -movflags +faststart");
    let mut bytes = std::fs::read(&file).unwrap();
    let whole = pictures(&file, (320, 240));
    let middle = bytes.len() / 2;
    bytes[middle..middle + 2000].fill(0xff);
    std::fs::write(&file, bytes).unwrap();
    let mut vsctl = play(&rig, &file, &[]);
    let (got, _) = receive_all(&mut connect(&rig));
    let answer = Outcome::of(&mut vsctl).good().json();
    let damaged = answer["damaged"].as_u64().unwrap() as usize;
    assert!((1..30).contains(&damaged), "{answer:#}");
    assert_eq!(got.len() + damaged, 60);
    let jumps = got.windows(2).filter(|pair| pair[1].sequence > pair[0].sequence + 1);
    assert!(jumps.clone().count() > 0 && jumps.clone().all(|pair| pair[1].gap), "no gap is seen");
    let right = got.iter().filter(|got| got.picture == whole[got.sequence as usize]).count();
    assert!(right + 2 >= got.len(), "{right} of {} pictures are right", got.len());
}

#[test]
fn a_file_that_ends_too_early_is_played_as_far_as_it_goes() {
    let rig = Rig::start("");
    let file = x264(&rig, "clip.mp4", "320x240", 60, "-bf 0 -g 10 -movflags +faststart");
    let length = std::fs::metadata(&file).unwrap().len() as usize;
    let mut vsctl = play(&rig, &cut(&file, "cut.mp4", length * 2 / 3), &[]);
    let (got, why) = receive_all(&mut connect(&rig));
    assert!((10..59).contains(&got.len()), "{} frames", got.len());
    assert!(why.contains("the end of cut.mp4") && why.contains("cut off"), "{why}");
    assert_eq!(Outcome::of(&mut vsctl).good().json()["reason"], "end");

    let fragments = x264(&rig, "f.mp4", "320x240", 60, "-bf 0 -g 10 -movflags +frag_keyframe+empty_moov");
    let length = std::fs::metadata(&fragments).unwrap().len() as usize;
    let mut vsctl = play(&rig, &cut(&fragments, "g.mp4", length * 2 / 3), &[]);
    let (got, why) = receive_all(&mut connect(&rig));
    assert!((10..59).contains(&got.len()) && why.contains("cut off"), "{} frames, {why}", got.len());
    let _ = Outcome::of(&mut vsctl).good();
}

#[test]
fn a_file_that_shrinks_while_it_is_played_ends() {
    let rig = Rig::start("");
    let file = x264(&rig, "clip.mp4", "320x240", 200, "-bf 0 -g 10 -movflags +faststart");
    let mut vsctl = play(&rig, &file, &[]);
    let mut client = connect(&rig);
    let _ = system_tests::client::next(&mut client);
    std::fs::File::options().write(true).open(&file).unwrap().set_len(4000).unwrap();
    let (got, why) = receive_all(&mut client);
    assert!(got.len() < 199 && why.contains("the end of clip.mp4"), "{} frames, {why}", got.len());
    let _ = Outcome::of(&mut vsctl).good();
}

#[test]
fn ten_thousand_broken_streams_do_no_harm() {
    let rig = Rig::start("");
    let small = x264(&rig, "small.h264", "64x48", 4, "-profile:v high -bf 1 -preset ultrafast");
    let whole = std::fs::read(small).unwrap();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut shown, mut damaged) = (0, 0);
    for batch in 0..VARIANTS / BATCH {
        let mut all = whole.clone();
        for _ in 0..BATCH {
            let mut broken = whole.clone();
            for _ in 0..=dice.below(8) {
                let bit = dice.below(broken.len() * 8);
                broken[bit / 8] ^= 1 << (bit % 8);
            }
            all.extend(broken);
        }
        // What comes after all that is as good as ever.
        all.extend(&whole);
        let file = rig.path(&format!("broken{batch}.h264"));
        std::fs::write(&file, all).unwrap();
        let mut vsctl = play(&rig, &file, &[]);
        let (got, why) = receive_all(&mut connect(&rig));
        let answer = Outcome::of(&mut vsctl).good().json();
        assert_eq!(answer["reason"], "end", "{why}");
        // From its keyframe on; what the decoder makes of others may differ in detail.
        let (first, last) = (&got[0], &got[got.len() - 4]);
        assert!(last.picture == first.picture, "it does not recover");
        shown += got.len();
        damaged += answer["damaged"].as_u64().unwrap();
    }
    assert!(shown > 5000 && damaged > 5000, "{shown} shown, {damaged} damaged");
}
