// SPDX-License-Identifier: Apache-2.0
//! The loop that receives.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use vsclient::{Client, Event, Frame, ReceiveError, Session, SkipReason, monotonic_ns};

use super::tally::Tally;
use super::verify::Verifier;
use crate::live::{Live, REFRESH};
use crate::report::receive::Received;
use crate::units;

/// How long to wait at a stretch: limits and Ctrl-C are looked after that often when no
/// frames come.
const TICK: Duration = Duration::from_millis(100);

/// When to end.
pub struct Limits {
    pub frames: Option<u64>,
    pub duration: Option<Duration>,
    /// The longest time without a frame.
    pub timeout: Duration,
}

/// Why it ended.
pub enum End {
    Frames,
    Duration,
    Interrupted,
    /// No frame for so long, while the stream was like that.
    Timeout(Duration, String),
    Disconnected(ReceiveError),
}

impl End {
    /// The name in JSON.
    fn name(&self) -> &'static str {
        match self {
            Self::Frames => "frames",
            Self::Duration => "duration",
            Self::Interrupted => "interrupted",
            Self::Timeout(..) => "timeout",
            Self::Disconnected(_) => "disconnected",
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frames => f.write_str("all that were asked for"),
            Self::Duration => f.write_str("the time is over"),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Timeout(time, status) => write!(f, "none came for {time:?} (stream: {status})"),
            Self::Disconnected(error) => error.fmt(f),
        }
    }
}

/// Receives from one stream.
pub struct Receiver {
    client: Client,
    session: Option<Session>,
    limits: Limits,
    stop: Arc<AtomicBool>,
    tally: Tally,
    verifier: Option<Verifier>,
    live: Live,
    shown: Instant,
}

impl Receiver {
    /// `stop` is looked at now and then; `visible` allows a live line.
    pub fn new(
        client: Client,
        limits: Limits,
        stop: Arc<AtomicBool>,
        verify: bool,
        visible: bool,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            session: client.session().cloned(),
            client,
            limits,
            stop,
            tally: Tally::new(monotonic_ns())?,
            verifier: verify.then(Verifier::default),
            live: Live::line(visible),
            shown: Instant::now(),
        })
    }

    /// Receives until the end.
    pub fn run(mut self) -> anyhow::Result<(Received, End)> {
        let start = Instant::now();
        let mut last_frame = start;
        let end = loop {
            match self.client.next_event(TICK) {
                Ok(Some(Event::Frame(frame))) => {
                    last_frame = Instant::now();
                    self.take(&frame);
                }
                Ok(Some(Event::Connected { session, epoch_changed })) => self.connected(session, epoch_changed),
                Ok(_) => {}
                Err(error) => break End::Disconnected(error),
            }
            let now = Instant::now();
            if let Some(end) = self.limit(now - start, now - last_frame) {
                break end;
            }
            if self.live.is_visible() && now - self.shown >= REFRESH {
                self.shown = now;
                self.live.show(self.tally.frames, self.line());
            }
        };
        Ok((self.report(&end), end))
    }

    fn limit(&self, elapsed: Duration, without_frame: Duration) -> Option<End> {
        if self.limits.frames.is_some_and(|limit| self.tally.frames >= limit) {
            Some(End::Frames)
        } else if self.limits.duration.is_some_and(|limit| elapsed >= limit) {
            Some(End::Duration)
        } else if self.stop.load(Ordering::Relaxed) {
            Some(End::Interrupted)
        } else if without_frame >= self.limits.timeout {
            Some(End::Timeout(self.limits.timeout, self.client.state().to_string()))
        } else {
            None
        }
    }

    fn connected(&mut self, session: Session, epoch_changed: bool) {
        // The first connection was made before the tally began.
        if self.tally.frames > 0 {
            self.tally.reconnected(monotonic_ns());
        }
        if let Some(verifier) = &mut self.verifier
            && epoch_changed
        {
            verifier.restart();
        }
        self.session = Some(session);
    }

    fn take(&mut self, frame: &Frame) {
        self.tally.add(frame);
        if let Some(verifier) = &mut self.verifier {
            verifier.check(frame);
        }
    }

    /// How it goes, in one line.
    fn line(&self) -> String {
        let counters = self.client.counters();
        let mut parts = vec![units::count(self.tally.frames, "frame")];
        if let Some(rates) = self.tally.rates() {
            parts.push(format!("{:.2} fps", rates.fps));
            parts.push(units::bitrate(rates.bits_per_s));
        }
        if let Some(latency) = self.tally.latencies.summary() {
            parts.push(format!("latency p50 {:.0} p99 {:.0} µs", latency.p50, latency.p99));
        }
        parts.push(format!("lost {}", counters.lost));
        if let Some(verifier) = &self.verifier {
            parts.push(format!("wrong {}", verifier.found.bad()));
        }
        if !self.client.is_connected() {
            parts.push("connection lost, trying again".to_owned());
        }
        parts.join("  ")
    }

    fn report(&self, end: &End) -> Received {
        let (counters, rates) = (self.client.counters(), self.tally.rates());
        let skipped = SkipReason::ALL.iter().map(|reason| (reason.name().to_owned(), counters.skipped(*reason)));
        let session = self.session.as_ref();
        let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
        let in_time = matches!(end, End::Frames | End::Duration | End::Interrupted);
        Received {
            stream: session.map(|session| session.stream.clone()).unwrap_or_default(),
            socket: self.client.path().display().to_string(),
            mode: session.map_or("", |session| session.mode.name()),
            credits: session.map_or(0, |session| u32::from(session.credits)),
            lease_ns: session.map_or(0, |session| u64::try_from(session.lease.as_nanos()).unwrap_or(u64::MAX)),
            format: self.client.format().map(|format| (&**format).into()),
            frames: self.tally.frames,
            bytes: self.tally.bytes,
            duration_ns: self.tally.duration_ns(),
            fps: rates.map(|rates| rounded(rates.fps)),
            mbit_per_s: rates.map(|rates| rounded(rates.bits_per_s / 1e6)),
            latency_us: self.tally.latencies.summary(),
            lost: counters.lost,
            skipped: skipped.collect::<BTreeMap<_, _>>(),
            source_gaps: counters.source_gaps,
            revoked: counters.revoked,
            connections: counters.connections,
            verify: self.verifier.as_ref().map(|verifier| verifier.found.clone()),
            ended: end.name(),
            complete: self.limits.frames.map_or(in_time, |asked| self.tally.frames >= asked),
        }
    }
}
