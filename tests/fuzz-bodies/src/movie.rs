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
    let (first, whole) = read(&mut movie, data.len());
    movie.rewind();
    assert!(first == read(&mut movie, data.len()).0);
    let middle = first.get(first.len() / 2).and_then(|unit| unit.times).map_or(0, |times| times.pts_ns);
    if movie.seek(middle).is_ok()
        && let Ok(Some(unit)) = movie.next_unit()
    {
        // Behind what cannot be read there may be more than was read, and parameter sets that were passed over.
        assert!(!whole || first.iter().any(|read| same_picture(read, &unit)));
    }
}

/// The same frame, whichever parameter sets have been put in: those that files put among the frames where they must
/// not be are not known to whoever seeks.
fn same_picture(one: &Unit, other: &Unit) -> bool {
    let same_end = one.data.last() == other.data.last();
    one.times == other.times && one.keyframe == other.keyframe && one.shown == other.shown && same_end
}

/// All frames that can be read, of which there are at most as many as bytes, and whether that is all without a fault.
fn read(movie: &mut Movie<Cursor<&[u8]>>, bytes: usize) -> (Vec<Unit>, bool) {
    let (mut units, mut whole) = (Vec::new(), true);
    for _ in 0..=bytes {
        match movie.next_unit() {
            Ok(Some(unit)) => {
                if let Some(codec) = movie.track().codec.bitstream() {
                    is_keyframe(codec, &unit.data);
                }
                assert!(unit.times.is_none_or(|times| times.dts_ns <= times.pts_ns));
                units.push(unit);
            }
            Ok(None) => return (units, whole),
            Err(error) if error.is_passing() => whole = false,
            Err(_) => return (units, false),
        }
    }
    panic!("more frames than bytes");
}
