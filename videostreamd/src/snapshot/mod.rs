// SPDX-License-Identifier: Apache-2.0
//! Snapshots: one picture of a stream, as a JPEG, a PNG or plain pixels, into a file that the caller has opened.
//!
//! A stream gives its newest picture, and does nothing more for it; the work is done on threads of their own, which
//! yield to those of streams. [`limits`] says how many of them there may be, and for whom.
//!
//! * [`picture`]: a frame becomes pixels, upright and of the size that was asked for, or stays what it is
//! * [`image`]: pixels become a file; [`mjpeg`]: a camera's JPEG becomes one
//! * [`target`]: how the bytes get where they belong, whoever does not read them

mod image;
mod limits;
mod mjpeg;
mod options;
mod picture;
mod target;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use tokio::sync::{oneshot, watch};
use vs_frame::clock::monotonic_ns;
use vs_frame::{Format, FourCc};
use vs_ipc::wire::StreamState;

use self::limits::{Admitted, Place};
use crate::stream::consumer::Feed;
use crate::stream::handle::HandleError;
use crate::stream::onlooker::{Onlooker, taken_ns};
use crate::stream::{StreamHandle, StreamStatus};

pub use self::limits::Limits;
pub use self::options::{DEFAULT_SETTLE, DEFAULT_TIMEOUT, Form, MAX_TIMEOUT, Options};
pub use self::target::{Target, TargetError};

/// How much less than others the threads that work for snapshots count where processors are scarce (`nice(2)`): nobody
/// may flood a camera's stream with them.
const NICE: i32 = 5;

/// How long a camera that cannot be opened may take until it can: another program may be about to close it.
const FAILURE_GRACE: Duration = Duration::from_secs(2);

/// How much later than the thread that writes it is given up here, for the thread knows better why it was late.
const ANSWER_GRACE: Duration = Duration::from_millis(100);

/// Where the picture comes from.
#[derive(Debug)]
pub struct Scene {
    /// Name of the stream that shows it.
    pub name: String,
    /// That stream.
    pub stream: Arc<StreamHandle>,
    /// What it is doing.
    pub status: watch::Receiver<StreamStatus>,
    /// The stream whose source may have to settle, if that is another one.
    pub origin: Option<Arc<StreamHandle>>,
    /// How long after its first picture that source is at its best.
    pub settle: Duration,
}

/// What was taken.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Name of the stream that showed it.
    pub stream: String,
    /// What it was made into.
    pub form: Form,
    /// Pixel format of plain pixels; else the codec.
    pub fourcc: FourCc,
    /// Width and height in pixels, as it was written.
    pub size: (u32, u32),
    /// Degrees by which it is still to be turned counter-clockwise.
    pub rotation: u16,
    /// Bytes written.
    pub bytes: u64,
    /// Serial of the frame in its stream.
    pub serial: u64,
    /// When it was taken, in ns of `CLOCK_MONOTONIC`.
    pub taken_ns: u64,
    /// When it was taken, by the wall clock of now, in ns since 1970.
    pub wall_ns: u64,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Others are first.
    #[error("{0}")]
    Busy(String),
    /// Nothing is shown.
    #[error("{0}")]
    NoPicture(String),
    /// Not of this stream, or not like this.
    #[error("{0}")]
    Refused(String),
    /// The file.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Something failed on the way.
    #[error("cannot take a snapshot: {0}")]
    Failed(String),
}

impl From<HandleError> for SnapshotError {
    fn from(error: HandleError) -> Self {
        match error {
            HandleError::Stopped => Self::NoPicture(error.to_string()),
            HandleError::Hangs => Self::Failed(error.to_string()),
        }
    }
}

/// What is being waited for.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Source,
    Settling,
    Turn,
    Work,
}

/// Takes a picture, and answers when it is written.
///
/// # Errors
/// [`SnapshotError`]; the file may hold a part of it then.
pub async fn take(scene: Scene, options: Options, target: Target, place: Place) -> Result<Taken, SnapshotError> {
    let deadline = Instant::now() + options.timeout;
    let stage = watch::Sender::new(Stage::Source);
    let mut status = scene.status.clone();
    let taking = attempt(&scene, &options, (target, place), deadline, &stage);
    let taking = tokio::time::timeout_at((deadline + ANSWER_GRACE).into(), taking);
    tokio::select! {
        taken = taking => taken.unwrap_or_else(|_| Err(late(&scene, &options, *stage.borrow()))),
        text = fails(&mut status) => Err(SnapshotError::NoPicture(text)),
    }
}

async fn attempt(
    scene: &Scene,
    options: &Options,
    (target, place): (Target, Place),
    deadline: Instant,
    stage: &watch::Sender<Stage>,
) -> Result<Taken, SnapshotError> {
    let mut stream = Onlooker::of(&scene.stream).await?;
    let mut origin = match &scene.origin {
        Some(origin) => Some(Onlooker::of(origin).await?),
        None => None,
    };
    let settle_ns = u64::try_from(scene.settle.as_nanos()).unwrap_or(u64::MAX);
    loop {
        stage.send_replace(Stage::Source);
        let since_ns = origin.as_mut().unwrap_or(&mut stream).since().await?;
        stage.send_replace(Stage::Settling);
        let not_before_ns = since_ns.saturating_add(settle_ns);
        // Only a picture that is there is worth a turn, or whoever waits for a camera would keep others waiting.
        let glimpse = stream.picture_since(not_before_ns).await?;
        options.check(&glimpse.format).map_err(SnapshotError::Refused)?;
        stage.send_replace(Stage::Turn);
        let admitted = place.admit(cost(&glimpse.format, options)).await;
        if let Some(feed) = stream.look(not_before_ns, glimpse.patience()).await? {
            stage.send_replace(Stage::Work);
            let job = Job { stream: scene.name.clone(), options: *options, target, feed, deadline };
            return job.start(admitted, place).await;
        }
    }
}

/// Waits until the stream has failed for longer than it may; why.
async fn fails(status: &mut watch::Receiver<StreamStatus>) -> String {
    loop {
        let failed = |status: &StreamStatus| status.state == StreamState::Failed;
        let Ok(text) = status.wait_for(failed).await.map(|status| status.text.clone()) else {
            // The stream has gone, which the onlooker is told as well.
            return std::future::pending().await;
        };
        let better = status.wait_for(|status| status.state != StreamState::Failed);
        if tokio::time::timeout(FAILURE_GRACE, better).await.is_err() {
            return text;
        }
    }
}

/// What to say when the time is over.
fn late(scene: &Scene, options: &Options, stage: Stage) -> SnapshotError {
    let (name, seconds) = (&scene.name, options.timeout.as_secs_f64());
    let text = &scene.status.borrow().text;
    let why = if text.is_empty() { String::new() } else { format!(": {text}") };
    match stage {
        Stage::Source => SnapshotError::NoPicture(format!("no picture of '{name}' came within {seconds} s{why}")),
        Stage::Settling => SnapshotError::NoPicture(format!(
            "'{name}' had no fresh picture that came after it had settled, within {seconds} s{why}: allow more time, or a \
             shorter settle time"
        )),
        Stage::Turn => SnapshotError::Busy(format!(
            "so many snapshots are being taken that this one had no turn within {seconds} s: take fewer at once"
        )),
        Stage::Work => SnapshotError::Failed(format!(
            "it was not written within {seconds} s: nobody reads what is written, or the storage hangs"
        )),
    }
}

/// Bytes of memory that a snapshot takes at most, roughly: the pixels, the same converted, and turned, or coded.
fn cost(format: &Format, options: &Options) -> u64 {
    const COPIES: u64 = 3;
    let pixels = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
    let made = options.size.map_or(0, pixels).max(pixels((format.width, format.height)));
    made.saturating_mul(3 * COPIES)
}

/// A picture on its way into a file.
struct Job {
    stream: String,
    options: Options,
    target: Target,
    feed: Feed,
    deadline: Instant,
}

impl Job {
    /// Does it on a thread of its own, which keeps its place as long as it takes: also if nobody waits any more.
    async fn start(self, admitted: Admitted, place: Place) -> Result<Taken, SnapshotError> {
        let (reply, answer) = oneshot::channel();
        let work = move || {
            // Without that right, all threads are equal.
            let _ = rustix::process::setpriority_process(None, NICE);
            let taken = self.run(admitted);
            drop(place);
            let _ = reply.send(taken);
        };
        let started = std::thread::Builder::new().name("snapshot".to_owned()).spawn(work);
        started.context("no thread").map_err(|error| SnapshotError::Failed(format!("{error:#}")))?;
        answer.await.unwrap_or_else(|_| Err(SnapshotError::Failed("the thread that does it has crashed".to_owned())))
    }

    fn run(self, mut admitted: Admitted) -> Result<Taken, SnapshotError> {
        let Self { stream, options, target, feed: Feed { serial, frame }, deadline } = self;
        let now_ns = monotonic_ns();
        let taken_ns = taken_ns(&frame, now_ns);
        let age = Duration::from_nanos(now_ns.saturating_sub(taken_ns));
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().saturating_sub(age);
        let made = picture::make(frame, &options)?;
        admitted.worked();
        target.write(&made.bytes, deadline)?;
        tracing::debug!(stream, serial, form = %options.form, bytes = made.bytes.len(), "snapshot taken");
        Ok(Taken {
            stream,
            form: options.form,
            fourcc: made.fourcc,
            size: made.size,
            rotation: made.rotation,
            bytes: made.bytes.len() as u64,
            serial,
            taken_ns,
            wall_ns: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX),
        })
    }
}
