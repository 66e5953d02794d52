// SPDX-License-Identifier: Apache-2.0
//! Anything becomes an MP4.

use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use vs_bitstream::{Entry, NalKind, ParameterSets, PictureReader, PictureTime, nal_units};

use super::clock::{Clock, fine};
use super::display::{Display, Late, Placed};
use super::error::ConvertError;
use super::report::{Note, Progress, Report};
use super::source::Source;
use super::{Input, Options, Sets};
use crate::Codec;
use crate::mp4::{
    self, AccessUnit, DEFAULT_TIMESCALE, Mp4Writer, SampleContent, Sink, TrackConfig, WriteError, limits,
};
use crate::read::compose::{Picture, has_key_slice};
use crate::read::{SetPlacement, Unit};

/// Length of a fragment: how much is held back, and how often the file plays further if this process dies. A chunk
/// of the finished file, too.
const FRAGMENT: Duration = Duration::from_secs(1);
/// Attempts at most: one for the parameter sets, and as many as the order of pictures can surprise.
const ATTEMPTS: usize = 18;

type Watch<'a> = dyn FnMut(&Progress) -> ControlFlow<()> + 'a;

/// What is not known before the whole stream is.
#[derive(Debug, Clone, Copy)]
struct Plan {
    content: SampleContent,
    /// Places by which pictures are decoded before they are shown, at least.
    delay: u32,
    /// There can be another attempt.
    again: bool,
}

/// Why an attempt ended early.
enum Stop {
    /// Another plan is needed.
    Replan(Plan),
    Failed(ConvertError),
}

impl<E: Into<ConvertError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Converts to an MP4, at the second attempt if the first shows that it must be another.
pub(super) fn write(
    mut input: Input<'_>,
    sink: &mut dyn Sink,
    options: &Options,
    watch: &mut Watch<'_>,
) -> Result<Report, ConvertError> {
    let again = matches!(input, Input::File(_)) && sink.rewritable();
    let content = match options.sets {
        Sets::Once => SampleContent::Delimited,
        Sets::AsTheyAre if again => SampleContent::Delimited,
        Sets::AsTheyAre | Sets::InBand => SampleContent::Everything,
    };
    let mut plan = Plan { content, delay: 0, again };
    for _ in 0..ATTEMPTS {
        let input = match &mut input {
            Input::File(file) => Input::File(*file),
            Input::Pipe(pipe) => Input::Pipe(*pipe),
        };
        match attempt(input, sink, options, plan, watch) {
            Ok(report) => return Ok(report),
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Replan(_)) if !again => return Err(ConvertError::OutOfOrder),
            Err(Stop::Replan(better)) => plan = better,
        }
        sink.truncate(0).map_err(ConvertError::Output)?;
    }
    Err(ConvertError::OutOfOrder)
}

fn attempt(
    input: Input<'_>,
    sink: &mut dyn Sink,
    options: &Options,
    plan: Plan,
    watch: &mut Watch<'_>,
) -> Result<Report, Stop> {
    let mut source = Source::open(input, options)?;
    let placement = match source.track() {
        Some(track) if track.sets_in_band || options.sets == Sets::Once => SetPlacement::Once,
        _ => SetPlacement::Keyframes,
    };
    source.place_sets(placement);
    let mut file = OutFile::new(&source, sink, options, plan);
    if source.track().is_some() && options.rate.is_none() {
        copy(&mut source, &mut file, watch)?;
    } else {
        arrange(&mut source, &mut file, options, watch)?;
    }
    file.finish(&source)
}

/// Keeps the times that the input has.
fn copy(source: &mut Source<'_>, file: &mut OutFile<'_>, watch: &mut Watch<'_>) -> Result<(), Stop> {
    let mut skipped = 0;
    while let Some(Unit { data, times, mut keyframe, .. }) = source.next()? {
        let Some(times) = times else { continue };
        if file.writer.is_none() {
            keyframe |= has_key_slice(source.codec(), nal_units(&data));
            if !keyframe {
                skipped += 1;
                file.remember_sets(&data);
                continue;
            }
            file.begin(track_timescale(source), 0)?;
        }
        let (pts_ns, dts_ns, duration_ns) = (times.pts_ns, times.dts_ns, times.duration_ns);
        file.put(&Placed { data, keyframe, pts_ns, dts_ns, duration_ns })?;
        file.watch(source, watch)?;
    }
    file.skipped = skipped;
    Ok(())
}

/// The input's timescale, or a multiple of it, if a file can have it.
fn track_timescale(source: &Source<'_>) -> NonZeroU32 {
    let scale = source.track().and_then(|track| track.timescale).unwrap_or(DEFAULT_TIMESCALE);
    let usable = |scale: &NonZeroU32| (limits::MIN_TIMESCALE..=limits::MAX_TIMESCALE).contains(&scale.get());
    let finer = if scale.get() < limits::MIN_TIMESCALE { fine(scale.get()) } else { Some(scale) };
    finer.filter(usable).or(NonZeroU32::new(limits::MAX_TIMESCALE)).unwrap_or(DEFAULT_TIMESCALE)
}

/// Gives pictures the times of a clock.
fn arrange(
    source: &mut Source<'_>,
    file: &mut OutFile<'_>,
    options: &Options,
    watch: &mut Watch<'_>,
) -> Result<(), Stop> {
    let mut reader = PictureReader::new(source.codec());
    let mut display = Display::new(Clock::new(options.rate), file.plan.delay, !file.plan.again);
    let mut last: Option<Gathered> = None;
    while let Some(unit) = source.next()? {
        let picture = match (reader.read(&unit.data), &last) {
            (Ok(Some(picture)), _) => picture,
            // What nobody can read is shown behind the picture before.
            (Ok(None) | Err(_), Some(last)) => {
                file.unordered += 1;
                let order = last.picture.order.saturating_add(1);
                PictureTime { entry: Entry::None, begins_sequence: false, order, field: None, ..last.picture }
            }
            (Ok(None) | Err(_), None) => {
                file.skipped += 1;
                file.remember_sets(&unit.data);
                continue;
            }
        };
        match &mut last {
            None if picture.entry == Entry::None => {
                file.skipped += 1;
                file.remember_sets(&unit.data);
                continue;
            }
            None => {
                if let Entry::Recovery(frames) = picture.entry {
                    file.notes.push(Note::Recovery(frames));
                }
                last = Some(Gathered { picture, data: unit.data, keyframe: true });
                continue;
            }
            Some(first) if first.is_completed_by(&picture) => {
                first.complete(&picture, &unit.data);
                continue;
            }
            Some(_) => {}
        }
        let keyframe = matches!(picture.entry, Entry::Key | Entry::Recovery(0));
        if let Some(done) = last.replace(Gathered { picture, data: unit.data, keyframe }) {
            display.push(done.picture, done.data, done.keyframe)?;
            file.put_placed(&mut display)?;
            file.watch(source, watch)?;
        }
    }
    if let Some(done) = last {
        display.push(done.picture, done.data, done.keyframe)?;
        display.end()?;
        file.put_placed(&mut display)?;
    }
    file.leading = display.leading;
    file.unordered += display.disordered;
    Ok(())
}

/// A picture, or the fields of one so far.
struct Gathered {
    picture: PictureTime,
    data: Vec<u8>,
    keyframe: bool,
}

impl Gathered {
    fn is_completed_by(&self, next: &PictureTime) -> bool {
        self.picture.field.zip(next.field).is_some_and(|(first, second)| first.is_completed_by(second))
    }

    /// A sample holds both fields of a frame.
    fn complete(&mut self, second: &PictureTime, data: &[u8]) {
        self.data.extend_from_slice(data);
        self.picture.ticks += second.ticks;
        self.picture.order = self.picture.order.min(second.order);
        self.picture.field = None;
    }
}

/// The MP4 as it grows.
struct OutFile<'a> {
    codec: Codec,
    plan: Plan,
    wanted_sets: Sets,
    strict: bool,
    track: TrackConfig,
    sink: Option<&'a mut dyn Sink>,
    writer: Option<Mp4Writer<&'a mut dyn Sink>>,
    /// Those in force before the first picture, then those of the file's description.
    sets: ParameterSets,
    frames: u64,
    skipped: u64,
    leading: u64,
    unordered: u64,
    notes: Vec<Note>,
}

impl<'a> OutFile<'a> {
    fn new(source: &Source<'_>, sink: &'a mut dyn Sink, options: &Options, plan: Plan) -> Self {
        let codec = source.codec();
        let mut track = TrackConfig::new(codec);
        track.content = plan.content;
        track.rotation = source.rotation();
        track.colour = source.track().and_then(|track| track.colour);
        Self {
            codec,
            plan,
            wanted_sets: options.sets,
            strict: options.sets == Sets::AsTheyAre && plan.content == SampleContent::Delimited,
            track,
            sink: Some(sink),
            writer: None,
            sets: ParameterSets::default(),
            frames: 0,
            skipped: 0,
            leading: 0,
            unordered: 0,
            notes: Vec::new(),
        }
    }

    /// Takes note of the parameter sets of a picture that is left out.
    fn remember_sets(&mut self, data: &[u8]) {
        if let Ok(sets) = ParameterSets::gather(self.codec, data) {
            self.sets.supersede(sets);
        }
    }

    /// Begins the file: `origin_ns` is its time 0.
    fn begin(&mut self, timescale: NonZeroU32, origin_ns: i64) -> Result<(), Stop> {
        let Some(sink) = self.sink.take() else { return Ok(()) };
        self.track.timescale = timescale;
        self.track.parameter_sets = self.sets.format(self.codec).is_ok().then(|| self.sets.clone());
        let options = mp4::Options {
            fragment: FRAGMENT,
            sync: None,
            origin_ns: Some(origin_ns),
            creation_time: Some(SystemTime::now()),
        };
        self.writer = Some(Mp4Writer::new(sink, self.track.clone(), options).map_err(ConvertError::from)?);
        Ok(())
    }

    fn put_placed(&mut self, display: &mut Display) -> Result<(), Stop> {
        loop {
            let placed = match display.pop() {
                Ok(Some(placed)) => placed,
                Ok(None) => return Ok(()),
                Err(Late(delay)) => return Err(Stop::Replan(Plan { delay, ..self.plan })),
            };
            if self.writer.is_none() {
                self.begin(display.clock().timescale(), display.begins_ns.unwrap_or(placed.pts_ns))?;
            }
            self.put(&placed)?;
        }
    }

    fn put(&mut self, placed: &Placed) -> Result<(), Stop> {
        if self.frames == 0 {
            self.remember_sets(&placed.data);
        }
        if self.strict && !self.comes_back(placed) {
            return Err(Stop::Replan(Plan { content: SampleContent::Everything, ..self.plan }));
        }
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let written = writer.write(&AccessUnit {
            data: &placed.data,
            pts_ns: placed.pts_ns,
            dts_ns: placed.dts_ns,
            duration_ns: (placed.duration_ns > 0).then_some(placed.duration_ns),
            keyframe: placed.keyframe,
        });
        let frame = self.frames;
        self.frames += 1;
        written.map_err(|reason| match reason {
            WriteError::Io(failure) => ConvertError::Output(failure.source),
            reason => ConvertError::Frame { frame, reason },
        })?;
        Ok(())
    }

    /// Whether the way back makes the same of a picture whose parameter sets are taken out.
    fn comes_back(&mut self, placed: &Placed) -> bool {
        let all = nal_units(&placed.data);
        let kept = all.clone().filter(|nal| !NalKind::of(self.codec, nal).is_parameter_set());
        let begins = placed.keyframe || has_key_slice(self.codec, kept.clone());
        Picture::new(self.codec, kept, begins, &mut self.sets).into_nals().eq(all)
    }

    fn watch(&self, source: &Source<'_>, watch: &mut Watch<'_>) -> Result<(), ConvertError> {
        let written = self.writer.as_ref().map_or(0, |writer| writer.stats().bytes);
        match watch(&Progress { frames: self.frames, read: source.read(), written }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ConvertError::Interrupted { frames: self.frames }),
        }
    }

    fn finish(mut self, source: &Source<'_>) -> Result<Report, Stop> {
        let Some(writer) = self.writer.take() else {
            return Err(ConvertError::NoKeyframe { units: self.skipped }.into());
        };
        let summary = writer.finish().map_err(ConvertError::from)?;
        let format = self.sets.format(self.codec).ok();
        let sets_in_band = self.plan.content == SampleContent::Everything;
        let mut notes = std::mem::take(&mut self.notes);
        let counted = [
            (self.skipped, Note::BeforeKeyframe(self.skipped)),
            (self.leading, Note::Leading(self.leading)),
            (self.unordered, Note::Unordered(self.unordered)),
        ];
        notes.extend(counted.into_iter().filter(|(count, _)| *count > 0).map(|(_, note)| note));
        source.notes(&mut notes);
        if sets_in_band && self.wanted_sets == Sets::AsTheyAre {
            notes.push(Note::SetsInBand);
        }
        if !summary.progressive {
            notes.push(Note::Fragmented);
        }
        Ok(Report {
            codec: self.codec,
            width: format.map_or(0, |format| format.width),
            height: format.map_or(0, |format| format.height),
            frames: summary.frames,
            duration_ns: Some(summary.duration_ns),
            bytes: summary.bytes,
            progressive: summary.progressive,
            sets_in_band,
            notes,
        })
    }
}
