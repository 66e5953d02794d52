// SPDX-License-Identifier: Apache-2.0
//! `vsctl convert`

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::time::{MissedTickBehavior, interval};
use vs_mux::Codec as MuxCodec;
use vs_mux::convert::{self, ConvertError, Input, Options, Output as Target, Progress, Report as Outcome};
use vs_mux::mp4::{FileSink, WriteError};
use vsclient::Rate;

use super::record::output_file::OutputFile;
use crate::exit::{Incomplete, NotFound, Usage};
use crate::interrupt::Interrupts;
use crate::live::{Live, REFRESH};
use crate::output::{Output, Report as _};
use crate::report::convert::Converted;
use crate::{units, values};

/// How often a pipe that brings nothing is left for a look at whether Ctrl-C was pressed.
const PATIENCE: Duration = Duration::from_millis(200);
/// Bytes of a bare stream that are written at a time.
const BUFFER_BYTES: usize = 1 << 20;

/// Convert a video file without touching its pictures
///
/// Bare H.264 and H.265 streams become MP4, MP4 (also fragmented, or cut off) becomes a bare stream, and any MP4 an ordinary one.
/// Nothing is decoded: there and back, each picture consists of the same NAL units. No daemon is needed.
///
/// A bare stream that does not say how many frames it has in a second needs --rate. Sound and other tracks are left
/// out, and what else cannot be carried is said.
///
/// Ctrl-C ends it and removes what has been written. What comes through a pipe ends there, and the file is kept. Ctrl-C a second time
/// waits for nothing.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl convert clip.h264 clip.mp4                    at the stream's own rate
  vsctl convert clip.h265 clip.mp4 --rate 30000/1001  at this one
  vsctl convert clip.mp4 clip.h264                    the stream, with its parameter sets
  vsctl convert torn.mp4 whole.mp4                    what is whole in a recording that was cut off
  camera | vsctl convert - clip.mp4 --rate 25         until the pipe ends, or Ctrl-C
  vsctl convert clip.mp4 - --format annexb | player   into a pipe; an MP4 there is fragmented

Endings: .mp4 .m4v .mov, .h264 .264 .avc, .h265 .265 .hevc")]
pub struct Convert {
    /// File to convert; `-` is standard input
    #[arg(value_name = "IN")]
    input: PathBuf,

    /// File to write; `-` is standard output
    #[arg(value_name = "OUT")]
    output: PathBuf,

    /// Frames per second, in place of those the input says: 25, 29.97, 30000/1001
    #[arg(short, long, short_alias = 'F', alias = "fps", value_name = "FPS", value_parser = values::rate)]
    rate: Option<Rate>,

    /// What to write [default: by the ending of OUT]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,

    /// Codec of a bare stream [default: recognised]
    #[arg(long, value_name = "CODEC")]
    codec: Option<Codec>,

    /// Parameter sets: as-is (where they stand), once (MP4: apart, avc1 or hvc1; stream: at its beginning),
    /// in-band (MP4: avc3 or hev1; stream: at each keyframe)
    #[arg(long, value_name = "WHERE", default_value = "as-is")]
    sets: Sets,

    /// Overwrite OUT; until all is written, the old one stays
    #[arg(long)]
    force: bool,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// MP4: avc1 or hvc1
    Mp4,
    /// A bare stream: Annex B of H.264 or H.265
    #[value(alias = "annex-b", alias = "raw")]
    Annexb,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    #[value(alias = "avc")]
    H264,
    #[value(alias = "hevc")]
    H265,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum Sets {
    AsIs,
    Once,
    InBand,
}

impl Convert {
    pub async fn run(self, output: &Output) -> anyhow::Result<()> {
        let to_pipe = is_dash(&self.output);
        let named = self.output.extension().and_then(|ending| meaning_of(&ending.to_string_lossy()));
        let format = self.format.or(named.map(|(format, _)| format)).ok_or_else(|| self.what_format())?;
        if to_pipe && output.is_json() {
            return Err(Usage("--json and the output cannot both go to standard output".to_owned()).into());
        }
        let options = self.options(format, named.and_then(|(_, codec)| codec));
        let source = Source::open(&self.input)?;
        let total = source.length();
        let mut interrupts = Interrupts::new()?;
        let shared = Arc::new(Shared::default());
        let (target, kept) = if to_pipe {
            (File::from(io::stdout().as_fd().try_clone_to_owned()?), None)
        } else {
            let file = OutputFile::open(&self.output, self.force)?;
            (file.file.try_clone().context("cannot open the output twice")?, Some(file))
        };

        let work = Work { source, target, format, options, shared: shared.clone() };
        let mut work = tokio::task::spawn_blocking(move || work.run());
        let live = match total {
            Some(total) => Live::bar(total, output.progress()),
            None => Live::line(output.progress()),
        };
        let mut ticks = interval(REFRESH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let outcome = loop {
            tokio::select! {
                done = &mut work => break done.context("the conversion crashed")?,
                () = interrupts.next() => {
                    // A second time: it waits for somebody who does not read, or write.
                    if shared.cancelled.swap(true, Ordering::Relaxed) {
                        break Err(ConvertError::Interrupted { frames: shared.frames.load(Ordering::Relaxed) });
                    }
                }
                _ = ticks.tick(), if live.is_visible() => live.show(shared.read.load(Ordering::Relaxed), shared.text()),
            }
        };
        drop(live);
        self.end(outcome, kept, format, output)
    }

    fn end(
        self,
        outcome: Result<Outcome, ConvertError>,
        kept: Option<OutputFile>,
        format: Format,
        output: &Output,
    ) -> anyhow::Result<()> {
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                let removed = kept.is_some();
                if let Some(file) = kept {
                    file.discard();
                }
                return Err(self.explain(error, removed));
            }
        };
        let to_pipe = kept.is_none();
        if let Some(mut file) = kept {
            file.keep()?;
        }
        for note in &outcome.notes {
            output.note(&note.to_string());
        }
        let format = match format {
            Format::Mp4 => "mp4",
            Format::Annexb => "annexb",
        };
        let report = Converted::new(shown(&self.input), shown(&self.output), format, outcome);
        if to_pipe {
            output.note(report.text(output).trim_end());
            return Ok(());
        }
        output.done(&report)
    }

    fn options(&self, format: Format, named: Option<MuxCodec>) -> Options {
        let codec = self.codec.map(|codec| match codec {
            Codec::H264 => MuxCodec::H264,
            Codec::H265 => MuxCodec::H265,
        });
        let sets = match self.sets {
            Sets::AsIs => convert::Sets::AsTheyAre,
            Sets::Once => convert::Sets::Once,
            Sets::InBand => convert::Sets::InBand,
        };
        let rate = self.rate.and_then(|rate| convert::Rate::new(rate.num, rate.den));
        // What a stream is called, it should be.
        let codec = codec.or(named.filter(|_| format == Format::Annexb));
        Options { rate, codec, sets }
    }

    fn what_format(&self) -> anyhow::Error {
        let name = shown(&self.output);
        Usage(format!("what is {name} to be? Say --format mp4 or --format annexb")).into()
    }

    fn explain(&self, error: ConvertError, removed: bool) -> anyhow::Error {
        let input = shown(&self.input);
        match error {
            ConvertError::NoTiming | ConvertError::ImplausibleTiming { .. } => {
                anyhow!("cannot convert {input}: {error} with --rate, such as --rate 25")
            }
            ConvertError::RateOfStream => Usage(format!("{error}: leave out --rate")).into(),
            ConvertError::Interrupted { frames } if removed => {
                Incomplete(format!("interrupted after {}; the output is removed", units::count(frames, "frame"))).into()
            }
            ConvertError::Interrupted { .. } => Incomplete(error.to_string()).into(),
            // Whoever reads our output has enough.
            ConvertError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe && !removed => error.into(),
            ConvertError::Frame { reason: WriteError::ParameterSetsChanged, .. } => {
                anyhow!(
                    "cannot convert {input}: the stream's parameter sets change: leave them among the frames with --sets in-band"
                )
            }
            error => anyhow::Error::from(error).context(format!("cannot convert {input}")),
        }
    }
}

/// What goes on, and whether it shall.
#[derive(Default)]
struct Shared {
    cancelled: AtomicBool,
    read: AtomicU64,
    frames: AtomicU64,
    written: AtomicU64,
}

impl Shared {
    fn text(&self) -> String {
        let frames = units::count(self.frames.load(Ordering::Relaxed), "frame");
        format!("{frames}  {}", units::bytes(self.written.load(Ordering::Relaxed)))
    }
}

/// The conversion, on a thread that may block.
struct Work {
    source: Source,
    target: File,
    format: Format,
    options: Options,
    shared: Arc<Shared>,
}

impl Work {
    fn run(self) -> Result<Outcome, ConvertError> {
        let Self { source, target, format, options, shared } = self;
        let ends_early = matches!(source, Source::File(..));
        let mut watch = |progress: &Progress| {
            shared.read.store(progress.read, Ordering::Relaxed);
            shared.frames.store(progress.frames, Ordering::Relaxed);
            shared.written.store(progress.written, Ordering::Relaxed);
            // A pipe ends by itself then.
            let cancelled = ends_early && shared.cancelled.load(Ordering::Relaxed);
            if cancelled { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let read = |target: Target<'_>| match source {
            Source::File(mut file, _) => convert::convert(Input::File(&mut file), target, &options, &mut watch),
            Source::Pipe(file) => {
                let mut pipe = Patient { file, shared: shared.clone() };
                convert::convert(Input::Pipe(&mut pipe), target, &options, &mut watch)
            }
        };
        match format {
            Format::Mp4 => {
                let because = |error| ConvertError::Output(io::Error::other(error));
                let mut sink = FileSink::new(target).map_err(because)?;
                read(Target::Mp4(&mut sink))
            }
            Format::Annexb => {
                let mut out = BufWriter::with_capacity(BUFFER_BYTES, target);
                let outcome = read(Target::AnnexB(&mut out))?;
                out.flush().map_err(ConvertError::Output)?;
                Ok(outcome)
            }
        }
    }
}

/// The file that is converted.
#[derive(Debug)]
enum Source {
    /// With its length.
    File(File, u64),
    Pipe(File),
}

impl Source {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = shown(path);
        let mut file = if is_dash(path) {
            File::from(io::stdin().as_fd().try_clone_to_owned()?)
        } else {
            File::open(path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => NotFound(format!("there is no file {shown}")).into(),
                _ => anyhow!("cannot open {shown}: {error}"),
            })?
        };
        let kind = file.metadata().with_context(|| format!("cannot inspect {shown}"))?;
        if kind.is_dir() {
            bail!("cannot convert {shown}: it is a directory");
        }
        // What was read of it before us does not count.
        if kind.is_file() && file.seek(SeekFrom::Start(0)).is_ok() {
            return Ok(Self::File(file, kind.len()));
        }
        Ok(Self::Pipe(file))
    }

    fn length(&self) -> Option<u64> {
        match self {
            Self::File(_, length) => Some(*length),
            Self::Pipe(_) => None,
        }
    }
}

/// A pipe that ends when it does, or with Ctrl-C.
struct Patient {
    file: File,
    shared: Arc<Shared>,
}

impl Read for Patient {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let patience = Timespec { tv_sec: 0, tv_nsec: PATIENCE.subsec_nanos().into() };
        loop {
            if self.shared.cancelled.load(Ordering::Relaxed) {
                return Ok(0);
            }
            let ready = poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&patience))?;
            if ready > 0 {
                return self.file.read(bytes);
            }
        }
    }
}

fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// What a file with this ending is, and of which codec.
fn meaning_of(ending: &str) -> Option<(Format, Option<MuxCodec>)> {
    match ending.to_ascii_lowercase().as_str() {
        "mp4" | "m4v" | "mov" => Some((Format::Mp4, None)),
        "h264" | "264" | "avc" => Some((Format::Annexb, Some(MuxCodec::H264))),
        "h265" | "265" | "hevc" => Some((Format::Annexb, Some(MuxCodec::H265))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings() {
        assert_eq!(meaning_of("MP4"), Some((Format::Mp4, None)));
        assert_eq!(meaning_of("264"), Some((Format::Annexb, Some(MuxCodec::H264))));
        assert_eq!(meaning_of("hevc"), Some((Format::Annexb, Some(MuxCodec::H265))));
        assert_eq!(meaning_of("mkv"), None);
    }

    #[test]
    fn a_file_that_is_not_there_is_not_found() {
        let error = Source::open(Path::new("/nonexistent/clip.h264")).unwrap_err();
        assert!(error.is::<NotFound>(), "{error}");
        assert!(Source::open(Path::new("/")).unwrap_err().to_string().contains("directory"));
    }
}
