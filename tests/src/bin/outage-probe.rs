// SPDX-License-Identifier: Apache-2.0
//! What a client sees of a camera that is hurt, while another camera is well.
//!
//! `outage-probe SICK [--beside WELL] < TROUBLES`, both names of streams; `VIDEOSTREAM_BUS` and
//! `VIDEOSTREAM_DIR` say where they are.
//!
//! Each line of TROUBLES is a word and a shell command:
//!
//! * `hurt COMMAND`: the stream is interrupted by it, and goes on by itself
//! * `ride COMMAND`: it goes on without an interruption, for as long as a while takes
//! * `waiting COMMAND`, `failed COMMAND`: it comes to this state, and gives no frame in it
//! * `running COMMAND`: it gives frames again
//! * `rest COMMAND`: it is left alone until the daemon takes it for healthy
//!
//! For each the probe prints a line: what was done, what state came of it, how long frames took
//! to come from there on (ms from the command), which counters grew. It fails if the client is
//! disconnected, if a frame is older than the trouble that it follows or does not say that
//! some are missing, or if the camera beside it loses more frames than the machine is to blame for.

use std::io::stdin;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use system_tests::losses::{Place, Watch};
use vsclient::dbus::{Bus, StreamProxy, connect};
use vsclient::{Client, Event, Frame, FrameFlags, StreamState, monotonic_ns};

/// The longest that a command may take to have its effect: the longest pause between attempts,
/// several times, in an emulated machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long a stream is watched that nothing shall happen to, and how long it is left alone.
/// Longer than a camera must deliver before the daemon takes it for healthy.
const WHILE: Duration = Duration::from_secs(3);

/// How often a client looks whether it shall end.
const PAUSE: Duration = Duration::from_millis(100);

/// A client that closes frames at once needs no more.
const CREDITS: u16 = 4;

/// The daemon's counters of a camera and its repairs, in the order in which they are told.
const COUNTERS: [&str; 7] = ["outages", "stalls", "refusals", "restarts", "reopens", "corrupt", "lost"];

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (sick, well) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [sick] => (sick, None),
        [sick, "--beside", well] => (sick, Some(well.to_owned())),
        _ => {
            eprintln!("usage: outage-probe SICK [--beside WELL] < TROUBLES");
            return ExitCode::from(2);
        }
    };
    match probe(sick, well) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn probe(sick: &str, well: Option<String>) -> Result<()> {
    let witness = well.map(Witness::start);
    let mut patient = Patient::meet(sick)?;
    for line in stdin().lines() {
        let line = line?;
        let (what, command) = line.split_once(' ').ok_or_else(|| format!("not a trouble: '{line}'"))?;
        let told = patient.suffer(what, command).map_err(|error| format!("{line}: {error}"))?;
        println!("{what:<8} {told} | {command}");
    }
    let counters = patient.client.counters();
    println!("{sick}: {} frames received, {} source gaps", counters.received, counters.source_gaps);
    witness.map_or(Ok(()), Witness::end)
}

/// The client of the camera that is hurt.
struct Patient {
    client: Client,
    counters: Counters,
    /// Of the newest frame.
    serial: u64,
    /// When the last command began, in ns of `CLOCK_MONOTONIC`.
    began_ns: u64,
    /// From an interruption until a frame comes.
    interrupted: bool,
    /// The states that it went through since the command.
    states: Vec<String>,
}

impl Patient {
    fn meet(stream: &str) -> Result<Self> {
        let client = Client::builder(stream).credits(CREDITS).no_reconnect().name("patient").connect()?;
        let counters = Counters::of(stream)?;
        let mut patient = Self { client, counters, serial: 0, began_ns: 0, interrupted: false, states: Vec::new() };
        patient.until(PATIENCE, |_, frame| frame.is_some())?;
        Ok(patient)
    }

    /// Does one line of the troubles; returns what there is to tell.
    fn suffer(&mut self, what: &str, command: &str) -> Result<String> {
        let before = self.counters.read()?;
        self.states.clear();
        let began = Instant::now();
        self.began_ns = monotonic_ns();
        let done = Command::new("sh").args(["-c", command]).status()?;
        if !done.success() {
            return Err(format!("the command ended with {done}").into());
        }
        match what {
            "hurt" => {
                self.until(PATIENCE, |patient, _| patient.interrupted)?;
                self.until(PATIENCE, |_, frame| frame.is_some())?;
            }
            "running" => self.until(PATIENCE, |patient, frame| frame.is_some_and(|at_ns| at_ns > patient.began_ns))?,
            "waiting" | "failed" => {
                self.until(PATIENCE, |patient, _| patient.client.state().state.name() == what)?;
            }
            "ride" | "rest" => {
                let until = Instant::now() + WHILE;
                self.until(PATIENCE, |_, frame| frame.is_some() && Instant::now() >= until)?;
                if what == "ride" && !self.states.is_empty() {
                    return Err(format!("the stream was interrupted: {}", self.states.join(", ")).into());
                }
            }
            _ => return Err("nobody knows this trouble".into()),
        }
        let took = began.elapsed();
        let grown = before.growth(&self.counters.read()?);
        Ok(format!("{:>6} ms  {:<60} {grown}", took.as_millis(), self.states.join(", ")))
    }

    /// Takes what comes until it is enough; of a frame it is told when it was captured.
    fn until(&mut self, patience: Duration, enough: impl Fn(&Self, Option<u64>) -> bool) -> Result<()> {
        let until = Instant::now() + patience;
        if enough(self, None) {
            return Ok(());
        }
        while Instant::now() < until {
            let captured_ns = match self.client.next_event(PAUSE)? {
                Some(Event::Frame(frame)) => Some(self.look_at(&frame)?),
                Some(Event::State(status)) => {
                    if status.state != StreamState::Running {
                        self.interrupted = true;
                    }
                    self.states.push(match status.reason.split(':').next() {
                        Some(reason) if !reason.is_empty() => format!("{} ({reason})", status.state),
                        _ => status.state.to_string(),
                    });
                    None
                }
                Some(Event::Format(format)) => {
                    self.states.push(format!("{} {}x{}", format.fourcc, format.width, format.height));
                    None
                }
                _ => None,
            };
            if enough(self, captured_ns) {
                return Ok(());
            }
        }
        Err(format!("nothing of this in {} s; the stream was {}", patience.as_secs(), self.states.join(", ")).into())
    }

    /// Returns when the frame was captured.
    fn look_at(&mut self, frame: &Frame) -> Result<u64> {
        let captured_ns = frame.meta().capture_ns;
        if frame.serial() <= self.serial {
            return Err(format!("serial {} after {}", frame.serial(), self.serial).into());
        }
        let skipped = frame.serial() - std::mem::replace(&mut self.serial, frame.serial()) > 1;
        if std::mem::take(&mut self.interrupted) {
            let state = self.client.state();
            if state.state != StreamState::Running {
                return Err(format!("frame {} came while the stream was {state}", frame.serial()).into());
            }
            if captured_ns < self.began_ns {
                return Err(format!("frame {} is older than the trouble before it", frame.serial()).into());
            }
            // Where the frame that says so did not reach this client, the serials say it.
            if !skipped && !frame.meta().flags.contains(FrameFlags::GAP) {
                return Err(format!("frame {} does not say that some are missing before it", frame.serial()).into());
            }
        }
        Ok(captured_ns)
    }
}

/// What the daemon counts of the stream.
struct Counters {
    runtime: tokio::runtime::Runtime,
    stream: StreamProxy<'static>,
}

/// As [`COUNTERS`] has them.
struct Reading([u64; COUNTERS.len()]);

impl Counters {
    fn of(stream: &str) -> Result<Self> {
        // One thread in the background: the bus must be listened to meanwhile.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let stream = runtime.block_on(async {
            let daemon = connect(&Bus::from_env()?).await?;
            Ok::<_, Box<dyn std::error::Error>>(daemon.stream(stream).await?)
        })?;
        Ok(Self { runtime, stream })
    }

    fn read(&self) -> Result<Reading> {
        let source = self.runtime.block_on(self.stream.counters())?.source;
        Ok(Reading(COUNTERS.map(|name| source.get(name).copied().unwrap_or(0))))
    }
}

impl Reading {
    fn growth(&self, later: &Self) -> String {
        let grown = COUNTERS.iter().zip(self.0.iter().zip(&later.0));
        let grown = grown.filter(|(_, (before, now))| now > before);
        grown.map(|(name, (before, now))| format!("{name} +{}", now - before)).collect::<Vec<_>>().join(", ")
    }
}

/// The client of the camera beside it.
struct Witness {
    enough: Arc<AtomicBool>,
    thread: JoinHandle<std::result::Result<(), String>>,
}

impl Witness {
    fn start(stream: String) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&enough);
        let thread = std::thread::spawn(move || watch(&stream, &ended).map_err(|error| format!("{stream}: {error}")));
        Self { enough, thread }
    }

    fn end(self) -> Result<()> {
        self.enough.store(true, Ordering::Relaxed);
        Ok(self.thread.join().map_err(|_| "the witness died")??)
    }
}

fn watch(stream: &str, ended: &AtomicBool) -> Result<()> {
    let mut client = Client::builder(stream).credits(CREDITS).no_reconnect().name("witness").connect()?;
    let first = client.next_frame(PATIENCE)?.ok_or("no frame came")?;
    let interval = first.format().rate.interval_ns().ok_or("the camera does not tell its rate")?;
    let (mut last, mut missing, mut seen) = (Place::of(&first), 0, 0u64);
    drop(first);
    let machine = Watch::start(Duration::from_nanos(interval));
    while !ended.load(Ordering::Relaxed) {
        match client.next_event(PAUSE)? {
            Some(Event::Frame(frame)) => {
                missing += last.follow(Place::of(&frame));
                seen += 1;
            }
            Some(Event::State(status)) if status.state != StreamState::Running => {
                return Err(format!("it was {status}").into());
            }
            _ => {}
        }
    }
    let (excused, lost) = (machine.end(), client.counters().lost);
    println!(
        "{stream}, beside it: {seen} frames received, {lost} skipped; {missing} lost by its driver, which had no time for {excused}"
    );
    if missing > excused {
        return Err(format!("{missing} frames are missing, and the machine is to blame for {excused} only").into());
    }
    Ok(())
}
