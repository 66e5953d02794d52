// SPDX-License-Identifier: Apache-2.0
//! Clients that hold everything they may against a camera that must not notice.
//!
//! `hoard-probe SOCKET HOARDERS FRAMES [--keep]`
//!
//! An honest client takes a frame; then the hoarders come, one after the other, and keep
//! whatever they get for as long as FRAMES frames take; then they leave. A stream uses up one
//! serial for each frame that it gets from its driver, published or not, so between any two
//! frames of the honest client the driver's count must have grown by as much as the serials
//! did: where it grew by more, the driver had no buffer.
//!
//! An emulated machine stands still when its host is busy, and its camera counts on. So the
//! probe watches whether it is woken in time, excuses as many frames as fit into the time
//! for which nothing ran, and otherwise tries again some times.
//!
//! With `--keep` nobody closes the descriptors that were sent, as nobody can be made to. The
//! probe says so and has them, of every buffer that it saw, until its input ends.

use std::io::{Read, stdin};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use system_tests::losses::{Place, Watch};
use vsclient::{Client, Frame};

/// Longer than any pause of a camera in an emulated machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often an idle client looks whether it shall end.
const PAUSE: Duration = Duration::from_millis(100);

/// Longer than any probe: no hoarder gives a frame back because its time is over.
const LEASE: Duration = Duration::from_secs(3600);

/// More than any host grants.
const CREDITS: u16 = 16;

const ATTEMPTS: usize = 4;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
    let (Some(socket), Some(hoarders), Some(frames)) =
        (arguments.next(), number(arguments.next()), number(arguments.next()))
    else {
        eprintln!("usage: hoard-probe SOCKET HOARDERS FRAMES [--keep]");
        return ExitCode::from(2);
    };
    let keep = arguments.next().is_some_and(|option| option == "--keep");
    match probe(&socket, hoarders, frames, keep) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn probe(socket: &str, hoarders: u64, frames: u64, keep: bool) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let run = run(socket, hoarders, frames)?;
        println!(
            "{} hoarded, {} of {} frames seen, {} missing, {} excused",
            run.hoarded, run.seen, run.span, run.missing, run.excused
        );
        if run.hoarded == 0 {
            return Err("the hoarders got nothing: this proves nothing".into());
        }
        if run.missing <= run.excused {
            if keep {
                println!("kept");
                stdin().read_to_end(&mut Vec::new())?;
            }
            return Ok(());
        }
    }
    Err("the driver had no buffer for some frames, each time".into())
}

/// What the honest client saw.
#[derive(Default)]
struct Run {
    /// Frames that hoarders held in the end.
    hoarded: usize,
    /// One of each frame that anybody got.
    descriptors: Vec<OwnedFd>,
    /// Frames that it got while they were there.
    seen: u64,
    /// Frames of the stream from the first to the last that it got.
    span: u64,
    /// Frames of the driver in between that the stream never had.
    missing: u64,
    /// As many can be missing because the machine stood still.
    excused: u64,
}

fn run(socket: &str, hoarders: u64, frames: u64) -> Result<Run> {
    let mut honest = Client::builder(socket).credits(2).name("honest").connect()?;
    let first = next(&mut honest)?;
    let interval = first.format().rate.interval_ns().ok_or("the camera does not tell its rate")?;
    let mut last = Place::of(&first);
    let (begin, mut run) = (last, Run::default());
    drop(first);

    let watch = Watch::start(Duration::from_nanos(interval));
    let gang = Gang::gather(socket, hoarders)?;
    let until = Instant::now() + Duration::from_nanos(interval) * u32::try_from(frames)?;
    while Instant::now() < until {
        if let Some(frame) = honest.next_frame(PAUSE)? {
            run.missing += last.follow(Place::of(&frame));
            run.seen += 1;
            run.descriptors.extend(descriptor(&frame));
        }
    }
    let hoard = gang.leave()?;
    run.hoarded = hoard.len();
    run.descriptors.extend(hoard);
    // What was on the way when they left may be old.
    while last.serial - begin.serial < frames {
        run.missing += last.follow(Place::of(&next(&mut honest)?));
    }
    run.span = last.serial - begin.serial;
    run.excused = watch.end();
    Ok(run)
}

/// Clients that give nothing back.
struct Gang {
    enough: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Vec<OwnedFd>>>,
}

impl Gang {
    /// Each comes when the one before has something, or gets nothing.
    fn gather(socket: &str, size: u64) -> Result<Self> {
        let mut gang = Self { enough: Arc::default(), threads: Vec::new() };
        for number in 0..size {
            let name = format!("hoarder{number}");
            let mut client = Client::builder(socket).credits(CREDITS).lease(LEASE).name(&name).connect()?;
            let (enough, has) = (Arc::clone(&gang.enough), Arc::new(AtomicUsize::new(0)));
            let told = Arc::clone(&has);
            gang.threads.push(std::thread::spawn(move || {
                let mut hoard: Vec<Frame> = Vec::new();
                while !enough.load(Ordering::Relaxed)
                    && let Ok(frame) = client.next_frame(PAUSE)
                {
                    hoard.extend(frame);
                    told.store(hoard.len(), Ordering::Relaxed);
                }
                hoard.iter().filter_map(descriptor).collect()
            }));
            let until = Instant::now() + 5 * PAUSE;
            while has.load(Ordering::Relaxed) == 0 && Instant::now() < until {
                std::thread::sleep(PAUSE / 10);
            }
        }
        Ok(gang)
    }

    /// They leave, and give back their frames, but not the descriptors of these.
    fn leave(self) -> Result<Vec<OwnedFd>> {
        self.enough.store(true, Ordering::Relaxed);
        let hoards = self.threads.into_iter().map(|thread| thread.join().map_err(|_| "a hoarder died"));
        Ok(hoards.collect::<std::result::Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }
}

/// A descriptor of the memory that a frame lies in.
fn descriptor(frame: &Frame) -> Option<OwnedFd> {
    frame.memories().first()?.as_fd().try_clone_to_owned().ok()
}

fn next(client: &mut Client) -> Result<Frame> {
    Ok(client.next_frame(PATIENCE)?.ok_or("no frame came")?)
}
