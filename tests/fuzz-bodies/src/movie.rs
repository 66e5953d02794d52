// SPDX-License-Identifier: Apache-2.0
//! A file that somebody wants to play.

use std::io::Cursor;

use vs_bitstream::is_keyframe;
use vs_mux::read::{Movie, Unit};

/// Any bytes are refused, or read the same way twice, and come to an end.
pub(crate) fn run(data: &[u8]) {
    let mut movie = match Movie::open(Cursor::new(data)) {
        Ok(movie) => movie,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let first = read(&mut movie, data.len());
    movie.rewind();
    assert!(first == read(&mut movie, data.len()));
    let middle = first.get(first.len() / 2).and_then(|unit| unit.times).map_or(0, |times| times.pts_ns);
    if movie.seek(middle).is_ok()
        && let Ok(Some(unit)) = movie.next_unit()
    {
        assert!(first.contains(&unit));
    }
}

/// All frames that can be read, of which there are at most as many as bytes.
fn read(movie: &mut Movie<Cursor<&[u8]>>, bytes: usize) -> Vec<Unit> {
    let mut units = Vec::new();
    for _ in 0..=bytes {
        match movie.next_unit() {
            Ok(Some(unit)) => {
                if let Some(codec) = movie.track().codec.bitstream() {
                    is_keyframe(codec, &unit.data);
                }
                assert!(unit.times.is_none_or(|times| times.dts_ns <= times.pts_ns));
                units.push(unit);
            }
            Ok(None) => return units,
            Err(error) if error.is_passing() => {}
            Err(_) => return units,
        }
    }
    panic!("more frames than bytes");
}
