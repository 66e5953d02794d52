// SPDX-License-Identifier: Apache-2.0
//! The picture that moves.
//!
//! Frames are taken as they come, and only the newest is kept: what is shown is never older than it must be, and no buffer of the stream
//! waits for a slow line. Painting and writing happen on another thread: a line that hangs does not keep the keys from being read.

use std::future::pending;
use std::time::{Duration, Instant};

use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use vsclient::{AsyncClient, Frame, monotonic_ns};

use super::show;
use super::source::Source;
use crate::interrupt::Interrupts;
use crate::terminal::{self, Screen, Wish};
use crate::top::layout::fit;
use crate::units;
use crate::watch::fit::Room;
use crate::watch::painter::{PaintError, Painter, Way};

/// How often the last line is brought up to date when no pictures come.
const STATUS: Duration = Duration::from_secs(1);

/// How long a picture that is being written is waited for in the end.
const LAST: Duration = Duration::from_millis(500);

/// What the painting thread gives back.
struct Painted {
    painter: Painter,
    result: Result<(), PaintError>,
    /// From its capture until it was on its way to the terminal, in ns.
    age: u64,
}

/// The picture, and what is said of it.
pub struct Live {
    client: AsyncClient,
    source: Source,
    way: Way,
    /// The size of a cell, where the window does not say.
    cell: (u32, u32),
    pace: Interval,
    /// There is none while it paints.
    painter: Option<Painter>,
    newest: Option<Frame>,
    /// The window has changed since the last picture.
    resized: bool,
    received: Rate,
    shown: Rate,
    age: Option<u64>,
    trouble: Option<String>,
}

impl Live {
    pub fn new(client: AsyncClient, painter: Painter, cell: (u32, u32), source: Source, fps: f64) -> Self {
        let mut pace = interval(Duration::from_secs_f64(1.0 / fps));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (way, painter) = (painter.way(), Some(painter));
        let (received, shown) = (Rate::new(), Rate::new());
        let (newest, age, trouble) = (None, None, None);
        Self { client, source, way, cell, pace, painter, newest, resized: false, received, shown, age, trouble }
    }

    /// Shows it until somebody has seen enough.
    pub async fn run(mut self, mut interrupts: Interrupts) -> anyhow::Result<()> {
        let mut screen = Screen::open()?;
        let mut painting = None;
        let ended = tokio::select! {
            ended = self.show(&mut screen, &mut painting) => ended,
            () = interrupts.next() => Ok(()),
        };
        // Nobody may write behind the screen's back when it goes.
        let stuck = match painting {
            Some(painting) => timeout(LAST, painting).await.is_err(),
            None => false,
        };
        if !stuck {
            // Who cannot be told has gone.
            let _ = terminal::put(Painter::leave(self.way).as_bytes());
        }
        drop(screen);
        ended
    }

    async fn show(&mut self, screen: &mut Screen, painting: &mut Option<JoinHandle<Painted>>) -> anyhow::Result<()> {
        let mut status = interval(STATUS);
        loop {
            tokio::select! {
                frame = self.client.next_frame() => {
                    let frame = frame?;
                    self.source.check(&frame)?;
                    self.received.count();
                    self.newest = Some(frame);
                }
                _ = self.pace.tick(), if self.painter.is_some() && self.newest.is_some() => {
                    if let (Some(painter), Some(frame)) = (self.painter.take(), self.newest.take()) {
                        *painting = Some(self.paint(painter, frame));
                    }
                }
                painted = done(painting), if painting.is_some() => {
                    *painting = None;
                    self.painted(painted?)?;
                }
                _ = status.tick(), if self.painter.is_some() => {
                    let (_, rows) = terminal::size();
                    terminal::at_once(self.last_line(rows).as_bytes())?;
                }
                wish = screen.next() => match wish {
                    Wish::End => return Ok(()),
                    Wish::Resized => self.resized = true,
                    Wish::Key(_) => {}
                },
            }
        }
    }

    fn paint(&mut self, mut painter: Painter, frame: Frame) -> JoinHandle<Painted> {
        if std::mem::take(&mut self.resized) {
            painter.forget();
        }
        let (room, rows): (Room, _) = (show::room(self.cell), terminal::size().1);
        let last_line = self.last_line(rows);
        tokio::task::spawn_blocking(move || {
            let captured = frame.meta().capture_ns;
            let text = painter.paint(&frame, room);
            // It is wanted elsewhere, and the line may be slow.
            drop(frame);
            let age = monotonic_ns().saturating_sub(captured);
            let result = text.and_then(|text| Ok(terminal::at_once((text + &last_line).as_bytes())?));
            Painted { painter, result, age }
        })
    }

    fn painted(&mut self, painted: Painted) -> anyhow::Result<()> {
        self.painter = Some(painted.painter);
        match painted.result {
            Ok(()) => {
                self.shown.count();
                self.age = Some(painted.age);
                self.trouble = None;
            }
            Err(PaintError::Io(error)) => return Err(error.into()),
            Err(error) => self.trouble = Some(error.to_string()),
        }
        Ok(())
    }

    /// What is said below the picture.
    fn last_line(&mut self, rows: usize) -> String {
        let mut parts = vec![self.source.name.clone()];
        if let Some(format) = self.client.format() {
            parts.push(format!("{} {}x{}", format.fourcc, format.width, format.height));
        }
        let status = self.client.state();
        if status.state.name() == "running" {
            let (received, shown) = (self.received.per_second(), self.shown.per_second());
            if let (Some(received), Some(shown)) = (received, shown) {
                parts.push(format!("{received:.1} fps, {shown:.1} shown"));
            }
            if let Some(age) = self.age {
                parts.push(format!("latency {}", units::microseconds(age as f64 / 1000.0)));
            }
        } else {
            parts.push(status.to_string());
        }
        parts.extend(self.trouble.clone());
        parts.push(self.way.name().to_owned());
        parts.push("q ends".to_owned());
        format!("\x1b[{rows};1H\x1b[0m\x1b[2K{}", fit(&parts.join("  "), terminal::size().0))
    }
}

/// Waits for the picture that is being painted, if there is one.
async fn done(painting: &mut Option<JoinHandle<Painted>>) -> Result<Painted, JoinError> {
    match painting {
        Some(painting) => painting.await,
        None => pending().await,
    }
}

/// How often something happens, over the last second or two.
struct Rate {
    since: Instant,
    count: u32,
    last: Option<f64>,
}

impl Rate {
    fn new() -> Self {
        Self { since: Instant::now(), count: 0, last: None }
    }

    fn count(&mut self) {
        self.count += 1;
    }

    fn per_second(&mut self) -> Option<f64> {
        let time = self.since.elapsed();
        if time >= STATUS {
            self.last = Some(f64::from(self.count) / time.as_secs_f64());
            (self.since, self.count) = (Instant::now(), 0);
        }
        self.last
    }
}
