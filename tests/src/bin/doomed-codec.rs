// SPDX-License-Identifier: Apache-2.0
//! Programs with a codec session that are killed at each step of its life, as many as asked for.
//!
//! `doomed-codec BUS COUNT`
//!
//! This process opens the sessions, each for a child that is forked with the socket, goes to one
//! of the steps, says so, and is killed with SIGKILL. What this process has of a session it closes
//! before, so that the child's death is the session's.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, what is not as expected is a failure")]

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use vs_frame::{CpuMemory, CpuPool, Format, FourCc, Frame, FrameMeta, Rate};
use vs_ipc::exchange::{Exchange, Received, Word};
use vsclient::dbus::{self, Bus, EncoderOptions};
use zbus::zvariant::OwnedFd as ZvariantFd;

/// How far a child goes before it dies.
const STEPS: [fn(&mut Exchange, &CpuPool); 6] = [
    |_, _| {},
    |exchange, pool| lend(exchange, pool, 1),
    // As much as it may, and it reads nothing of what is made.
    |exchange, pool| lend(exchange, pool, 8),
    |exchange, pool| {
        lend(exchange, pool, 2);
        exchange.say(&Word::Drain(1));
    },
    // It has what was made in hand.
    |exchange, pool| {
        lend(exchange, pool, 3);
        std::mem::forget(hear_a_frame(exchange));
    },
    |exchange, pool| {
        lend(exchange, pool, 4);
        exchange.say(&Word::Flush(1));
        lend(exchange, pool, 1);
    },
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(bus), Some(count)) = (arguments.next(), arguments.next().and_then(|text| text.parse::<usize>().ok()))
    else {
        eprintln!("usage: doomed-codec BUS COUNT");
        return ExitCode::from(2);
    };
    match run(&bus, count) {
        Ok(()) => {
            println!("killed {count}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("doomed-codec: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(bus: &str, count: usize) -> Result<(), Box<dyn std::error::Error>> {
    let bus: Bus = bus.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let daemon = runtime.block_on(dbus::connect(&bus))?;
    let manager = runtime.block_on(daemon.manager())?;
    let options = EncoderOptions { format: Some("NV12".to_owned()), size: Some((64, 48)), ..Default::default() };
    for number in 0..count {
        let opened: (ZvariantFd, _) = runtime.block_on(manager.open_encoder(&options))?;
        kill_at(STEPS[number % STEPS.len()], OwnedFd::from(opened.0)).map_err(|e| format!("number {number}: {e}"))?;
    }
    Ok(())
}

fn kill_at(step: fn(&mut Exchange, &CpuPool), socket: OwnedFd) -> Result<(), String> {
    let (reader, writer) = rustix::pipe::pipe().map_err(|error| error.to_string())?;
    // SAFETY: this process has one thread, its runtime being a current-thread one, so its copy is
    // as whole as itself.
    let child = match unsafe { fork() }.map_err(|error| error.to_string())? {
        ForkResult::Child => {
            drop(reader);
            live(step, socket, &writer)
        }
        ForkResult::Parent { child } => child,
    };
    drop((socket, writer));
    let heard = std::fs::File::from(reader).read_exact(&mut [0]);
    let pid = Pid::from_raw(child.as_raw()).ok_or("no process number")?;
    kill_process(pid, Signal::KILL).map_err(|error| error.to_string())?;
    match waitpid(child, None) {
        Ok(WaitStatus::Signaled(_, nix::sys::signal::Signal::SIGKILL, _)) if heard.is_ok() => Ok(()),
        ended => Err(format!("it ended otherwise: {ended:?}, {heard:?}")),
    }
}

/// The child: goes to the step, says so, and waits to be killed.
fn live(step: fn(&mut Exchange, &CpuPool), socket: OwnedFd, parent: &OwnedFd) -> ! {
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let mut exchange = Exchange::client(socket);
    let format = Format::packed(FourCc::NV12, 64, 48, Rate::fps(30)).unwrap();
    let pool = CpuPool::new(format.into(), CpuMemory::Memfd, 1, 16).unwrap();
    loop {
        if matches!(exchange.receive().unwrap(), Some(Received::Opened(_))) {
            break;
        }
        wait(&exchange);
    }
    step(&mut exchange, &pool);
    let _ = rustix::io::write(parent, &[0]);
    loop {
        rustix::event::pause();
    }
}

fn lend(exchange: &mut Exchange, pool: &CpuPool, count: usize) {
    for _ in 0..count.min(exchange.credit()) {
        let slot = pool.acquire().unwrap().unwrap();
        let bytes_used = slot.format().picture_bytes();
        exchange.lend(&slot.finish(FrameMeta { bytes_used, ..FrameMeta::default() }).unwrap(), 0).unwrap();
    }
}

fn hear_a_frame(exchange: &mut Exchange) -> Frame {
    loop {
        if let Some(Received::Lent(loan)) = exchange.receive().unwrap() {
            return loan.frame;
        }
        wait(exchange);
    }
}

fn wait(exchange: &Exchange) {
    let timeout = rustix::event::Timespec::try_from(Duration::from_secs(60)).unwrap();
    let mut fds = [rustix::event::PollFd::from_borrowed_fd(exchange.as_fd(), exchange.events())];
    assert!(rustix::event::poll(&mut fds, Some(&timeout)).unwrap() > 0, "nothing is said");
}
