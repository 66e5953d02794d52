// SPDX-License-Identifier: Apache-2.0
//! An MP4 becomes a bare stream.

use std::io::Write;
use std::ops::ControlFlow;

use vs_bitstream::nal_units;

use super::error::ConvertError;
use super::report::{Note, Progress, Report};
use super::source::Source;
use super::{Input, Options, Sets};
use crate::mp4::Rotation;
use crate::read::SetPlacement;
use crate::read::compose::has_key_slice;

/// Frames that differ more than this in their durations, in nanoseconds, are not evenly distributed: more than what
/// timescales of milliseconds round to.
const UNEVEN_NS: i64 = 2_000_000;

/// Writes the access units, with parameter sets where they are wanted.
pub(super) fn write(
    input: Input<'_>,
    out: &mut dyn Write,
    options: &Options,
    watch: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Report, ConvertError> {
    if options.rate.is_some() {
        return Err(ConvertError::RateOfStream);
    }
    let mut source = Source::open(input, options)?;
    let Some(track) = source.track().cloned() else { return Err(ConvertError::NothingToDo) };
    let placement = match options.sets {
        Sets::AsTheyAre if track.sets_in_band => SetPlacement::Once,
        Sets::Once => SetPlacement::Once,
        Sets::AsTheyAre | Sets::InBand => SetPlacement::Keyframes,
    };
    source.place_sets(placement);

    let (mut progress, mut skipped, mut hidden) = (Progress::default(), 0, 0);
    let mut durations = [i64::MAX, i64::MIN];
    while let Some(unit) = source.next()? {
        if progress.frames == 0 && !unit.keyframe && !has_key_slice(source.codec(), nal_units(&unit.data)) {
            skipped += 1;
            continue;
        }
        out.write_all(&unit.data).map_err(ConvertError::Output)?;
        hidden += u64::from(!unit.shown);
        // The last one's is a guess, and as good as the others'.
        if let Some(duration) = unit.times.map(|times| times.duration_ns).filter(|&duration| duration > 0) {
            durations = [durations[0].min(duration), durations[1].max(duration)];
        }
        progress.frames += 1;
        progress.written += unit.data.len() as u64;
        progress.read = source.read();
        if watch(&progress).is_break() {
            return Err(ConvertError::Interrupted { frames: progress.frames });
        }
    }
    if progress.frames == 0 {
        return Err(ConvertError::NoKeyframe { units: skipped });
    }
    out.flush().map_err(ConvertError::Output)?;

    let mut notes = Vec::new();
    let said = [
        (skipped > 0, Note::BeforeKeyframe(skipped)),
        (hidden > 0, Note::Hidden(hidden)),
        (durations[1].saturating_sub(durations[0]) > UNEVEN_NS, Note::TimesLost),
        (track.rotation != Rotation::None, Note::RotationLost),
    ];
    notes.extend(said.into_iter().filter(|(is, _)| *is).map(|(_, note)| note));
    source.notes(&mut notes);
    Ok(Report {
        codec: source.codec(),
        width: track.width,
        height: track.height,
        frames: progress.frames,
        duration_ns: None,
        bytes: progress.written,
        progressive: false,
        sets_in_band: true,
        notes,
    })
}
