// SPDX-License-Identifier: Apache-2.0
//! The thread of a file: it reads, takes the file apart and has it decoded.
//!
//! What it makes waits in a queue for the stream's thread. As long as the decoder has buffers it
//! works ahead; pictures that clients hold it cannot work with, and then it waits for them. A decoder
//! that fails is replaced, and the next one begins at the next keyframe; in between pictures are
//! missing. What is damaged is passed over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use tokio::sync::mpsc;
use vs_codec::{Backend, BackendKind, Decoder, DecoderConfig, FrameTag, Loss, Output, Picture, Priority, SubmitError};
use vs_frame::{FourCc, Frame};
use vs_mux::read::{Movie, Times, Track, TrackCodec, Unit};

use super::FilePlan;
use super::describe::Describer;
use super::reader::{self, Reader};
use super::refusal::Refusal;
use super::timeline::{Place, Timeline};
use crate::codecs::Readiness;
use crate::stream::ration::Ration;

/// Decoders that may fail one after the other without a picture in between: the best, its reopened
/// self, and software.
const MAX_FAILURES: u32 = 3;

/// Pixel formats from the most wanted to the least: what encoders and cameras have in common, so that
/// a stream is the same whoever decodes.
const FORMATS: [FourCc; 2] = [FourCc::NV12, FourCc::YUV420];

/// What the thread tells.
#[derive(Debug)]
pub enum News {
    /// A picture, in the order in which they are to be shown.
    Picture(Shown),
    /// So many are missing here, because they or others that they need are damaged.
    Damaged(u64),
    /// How long the file is, in ns.
    Duration(i64),
    /// The file is over, at this time; why there was no more of it, if it is cut off.
    End(i64, Option<String>),
    /// It cannot be played, or not any further.
    Refused(Refusal),
}

/// A picture to be shown.
#[derive(Debug)]
pub struct Shown {
    /// It.
    pub frame: Frame,
    /// When.
    pub place: Place,
    /// Which one it is, missing ones included.
    pub number: u64,
    /// It does not follow the one before it.
    pub gap: bool,
    /// How often the file had begun anew.
    pub loops: u64,
}

/// Starts the thread. It ends when nobody listens any more.
pub fn start(plan: &FilePlan) -> anyhow::Result<mpsc::Receiver<News>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the decoder's event loop")?;
    // The decoder has no more pictures than this: its buffers are the limit.
    let (news, receiver) = mpsc::channel(plan.buffers);
    let plan = plan.clone();
    std::thread::Builder::new()
        // The kernel keeps 15 characters.
        .name(format!("dec-{}", plan.stream))
        .spawn(move || {
            runtime.block_on(async {
                if let Err(Stop::Refused(refusal)) = play(&plan, &news).await {
                    let _ = news.send(News::Refused(refusal)).await;
                }
            });
        })
        .context("cannot start a thread for the decoder")?;
    Ok(receiver)
}

/// Why the thread ends before the file does.
enum Stop {
    /// Nobody listens any more.
    Alone,
    /// It cannot be played.
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

async fn play(plan: &FilePlan, news: &mpsc::Sender<News>) -> Result<(), Stop> {
    let mut movie = reader::open(&plan.spec.clip)?;
    let mut player = Player::new(plan, news, movie.track());
    player.tell(News::Duration(movie.track().duration_ns.unwrap_or(0))).await?;
    loop {
        let before = player.shown;
        let cut = player.run_through(&mut movie).await?;
        if player.shown == before {
            let why = cut.unwrap_or_else(|| "none of its pictures can be decoded".to_owned());
            return Err(Refusal::file(&plan.spec.clip, why).into());
        }
        if !plan.spec.looped {
            return player.tell(News::End(player.timeline.end(), cut)).await;
        }
        movie.rewind();
        player.timeline.turn();
        player.loops += 1;
        player.gap = true;
    }
}

/// The decoder, and what goes through it.
struct Player<'a> {
    plan: &'a FilePlan,
    news: &'a mpsc::Sender<News>,
    config: DecoderConfig,
    describer: Describer,
    timeline: Timeline,
    running: Option<Running>,
    /// An access unit that is not decoded yet.
    waiting: Option<(Arc<[u8]>, FrameTag)>,
    /// Access units so far; their tags' serials.
    units: u64,
    /// Access units whose pictures are not part of the presentation.
    hidden: BTreeSet<u64>,
    shown: u64,
    /// Pictures so far, missing ones included.
    number: u64,
    gap: bool,
    loops: u64,
    failures: u32,
    /// For what the file may make happen at any rate.
    ration: Ration,
}

struct Running {
    decoder: Box<dyn Decoder>,
    readiness: Readiness,
    /// Access units of which nothing has come out yet.
    inside: u64,
    /// It is being emptied, for the file is over.
    draining: bool,
    /// What it said when it failed.
    failed: Option<String>,
}

impl<'a> Player<'a> {
    fn new(plan: &'a FilePlan, news: &'a mpsc::Sender<News>, track: &Track) -> Self {
        let config = DecoderConfig {
            size: Some((u32::from(track.width), u32::from(track.height))).filter(|size| size.0 > 0 && size.1 > 0),
            parameter_sets: parameter_sets(track),
            formats: FORMATS.to_vec(),
            pictures: plan.buffers,
            ..DecoderConfig::new(codec(track.codec))
        };
        Self {
            plan,
            news,
            config,
            describer: Describer::new(track),
            timeline: Timeline::new(track),
            running: None,
            waiting: None,
            units: 0,
            hidden: BTreeSet::new(),
            shown: 0,
            number: 0,
            gap: false,
            loops: 0,
            failures: 0,
            ration: Ration::default(),
        }
    }

    async fn tell(&self, news: News) -> Result<(), Stop> {
        self.news.send(news).await.map_err(|_| Stop::Alone)
    }

    /// Plays the file to its end; why there was no more of it, if it is cut off.
    async fn run_through(&mut self, movie: &mut Movie<Reader>) -> Result<Option<String>, Stop> {
        let (mut over, mut cut) = (false, None);
        loop {
            if self.receive().await? {
                return Ok(cut);
            }
            if self.waiting.is_none() && !over {
                match movie.next_unit() {
                    Ok(Some(unit)) => self.take(unit).await?,
                    Ok(None) => {
                        over = true;
                        cut = movie.is_torn().then(|| "the file is cut off".to_owned());
                    }
                    Err(error) if error.is_passing() => self.miss(1).await?,
                    Err(error) => (over, cut) = (true, Some(error.to_string())),
                }
                if !over && self.waiting.is_none() {
                    continue;
                }
            }
            let failed = match self.submit_or_drain() {
                Ok(Step::On) => continue,
                Ok(Step::Wait) => None,
                Ok(Step::Done) => return Ok(cut),
                Ok(Step::Miss) => {
                    self.miss(1).await?;
                    continue;
                }
                Err(error) => Some(error),
            };
            if let Some(failure) = failed {
                self.replace(failure, movie).await?;
                continue;
            }
            let Some(running) = &self.running else { continue };
            tokio::select! {
                () = running.readiness.wait(running.decoder.deadline()) => {}
                () = self.news.closed() => return Err(Stop::Alone),
            }
        }
    }

    /// Takes an access unit in. One that cannot be the first for a decoder is missing, if there is none.
    async fn take(&mut self, unit: Unit) -> Result<(), Stop> {
        if self.running.is_none() && self.failures > 0 && !unit.keyframe {
            return self.miss(u64::from(unit.shown)).await;
        }
        let Times { pts_ns, duration_ns, .. } = unit.times.unwrap_or(Times { pts_ns: 0, dts_ns: 0, duration_ns: 0 });
        let tag = FrameTag { serial: self.units, pts_ns, duration_ns: u64::try_from(duration_ns).ok(), capture_ns: 0 };
        if !unit.shown {
            self.hidden.insert(self.units);
        }
        self.units += 1;
        self.waiting = Some((unit.data.into(), tag));
        Ok(())
    }

    /// Gives the decoder what it needs next.
    fn submit_or_drain(&mut self) -> Result<Step, Failure> {
        if let Some(failed) = self.running.as_mut().and_then(|running| running.failed.take()) {
            return Err(Failure::Session(failed));
        }
        let Some((unit, tag)) = self.waiting.take() else {
            let Some(running) = &mut self.running else { return Ok(Step::Done) };
            if !running.draining {
                running.draining = true;
                running.decoder.drain()?;
                return Ok(Step::On);
            }
            return Ok(Step::Wait);
        };
        let submitted = match &mut self.running {
            Some(running) => running.decoder.submit(&unit, tag),
            None => {
                let running = self.running.insert(Running::open(self.plan, &self.config, self.failures)?);
                running.decoder.submit(&unit, tag)
            }
        };
        match submitted {
            Ok(()) => {
                if let Some(running) = &mut self.running {
                    running.inside += 1;
                }
                Ok(Step::On)
            }
            Err(SubmitError::Full | SubmitError::Draining) => {
                self.waiting = Some((unit, tag));
                Ok(Step::Wait)
            }
            Err(SubmitError::Backend(error)) => Err(Failure::Session(error.to_string())),
            // Nothing that this decoder takes at all.
            Err(error) => {
                tracing::debug!(stream = self.plan.stream, %error, "an access unit cannot be decoded");
                self.hidden.remove(&tag.serial);
                Ok(Step::Miss)
            }
        }
    }

    /// Takes what the decoder has made; whether that was all there is.
    async fn receive(&mut self) -> Result<bool, Stop> {
        loop {
            let Some(running) = &mut self.running else { return Ok(false) };
            match running.decoder.receive() {
                Ok(Output::Done(picture)) => {
                    running.inside = running.inside.saturating_sub(1);
                    self.on_picture(picture).await?;
                }
                Ok(Output::Lost(tag, loss)) => {
                    running.inside = running.inside.saturating_sub(1);
                    self.on_loss(tag, &loss).await?;
                }
                Ok(Output::Pending) => return Ok(false),
                Ok(Output::Drained) => {
                    running.draining = false;
                    return Ok(true);
                }
                Err(error) => {
                    running.failed = Some(error.to_string());
                    return Ok(false);
                }
            }
        }
    }

    async fn on_picture(&mut self, picture: Picture) -> Result<(), Stop> {
        let Picture { mut frame, tag } = picture;
        self.failures = 0;
        if self.hidden.remove(&tag.serial) {
            // It counts as decoded.
            self.shown += 1;
            return Ok(());
        }
        self.describer.describe(&mut frame);
        let place = self.timeline.place(tag.pts_ns, tag.duration_ns);
        let (number, gap, loops) = (self.number, std::mem::take(&mut self.gap), self.loops);
        self.number += 1;
        self.shown += 1;
        self.tell(News::Picture(Shown { frame, place, number, gap, loops })).await
    }

    async fn on_loss(&mut self, tag: FrameTag, loss: &Loss) -> Result<(), Stop> {
        tracing::debug!(stream = self.plan.stream, unit = tag.serial, %loss, "no picture");
        if self.hidden.remove(&tag.serial) { Ok(()) } else { self.miss(1).await }
    }

    /// So many pictures are missing here.
    async fn miss(&mut self, count: u64) -> Result<(), Stop> {
        for _ in 0..count {
            self.timeline.lose();
        }
        self.number += count;
        self.gap |= count > 0;
        if count > 0 { self.tell(News::Damaged(count)).await } else { Ok(()) }
    }

    /// The decoder has failed, or there was none: another one takes over. If nothing has been shown
    /// yet it begins where this one began.
    async fn replace(&mut self, failure: Failure, movie: &mut Movie<Reader>) -> Result<(), Stop> {
        let (stream, clip) = (self.plan.stream.as_str(), &self.plan.spec.clip);
        let inside = self.running.take().map_or(0, |running| running.inside);
        self.failures += 1;
        let hopeless = self.shown == 0 && self.failures >= MAX_FAILURES;
        if hopeless || matches!(failure, Failure::None(_)) {
            return Err(Refusal::format(clip, failure).into());
        }
        if let Some(unlogged) = self.ration.take(Instant::now()) {
            let reason = failure.to_string();
            tracing::warn!(stream, reason, unlogged, "the decoder failed: another one takes over at the next keyframe");
        }
        let hidden = std::mem::take(&mut self.hidden).len() as u64;
        let waiting = u64::from(self.waiting.take().is_some());
        if self.shown == 0 {
            movie.rewind();
            self.timeline.restart();
            return Ok(());
        }
        self.miss((inside + waiting).saturating_sub(hidden)).await
    }
}

/// What came of giving the decoder something.
enum Step {
    /// There may be more to do at once.
    On,
    /// There is nothing to do before the decoder has done something.
    Wait,
    /// There is nothing in the decoder, and nothing left for it.
    Done,
    /// The access unit was none.
    Miss,
}

/// Why the decoder cannot go on.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// It says so.
    #[error("{0}")]
    Session(String),
    /// There is none.
    #[error(transparent)]
    None(#[from] vs_codec::OpenError),
}

impl From<vs_codec::BackendError> for Failure {
    fn from(error: vs_codec::BackendError) -> Self {
        Self::Session(error.to_string())
    }
}

impl Running {
    fn open(plan: &FilePlan, config: &DecoderConfig, failures: u32) -> Result<Self, Failure> {
        let last = failures + 1 >= MAX_FAILURES && plan.spec.backend == Backend::Auto;
        let backend = if last { Backend::Only(BackendKind::Software) } else { plan.spec.backend };
        let decoder = plan.codecs.decoder(config, backend, Priority::Owner)?;
        let readiness = Readiness::of(&*decoder).map_err(|error| Failure::Session(error.to_string()))?;
        Ok(Self { decoder, readiness, inside: 0, draining: false, failed: None })
    }
}

fn codec(codec: TrackCodec) -> FourCc {
    match codec {
        TrackCodec::H264 => FourCc::H264,
        TrackCodec::H265 => FourCc::HEVC,
        TrackCodec::Vp8 => FourCc::VP8,
        TrackCodec::Vp9 => FourCc::VP9,
    }
}

/// The parameter sets as Annex B.
fn parameter_sets(track: &Track) -> Arc<[u8]> {
    let sets = &track.parameter_sets;
    let nals = sets.vps.iter().chain(&sets.sps).chain(&sets.pps);
    nals.flat_map(|nal| [&[0, 0, 0, 1], &nal[..]].concat()).collect::<Vec<u8>>().into()
}
