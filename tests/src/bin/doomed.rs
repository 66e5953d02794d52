// SPDX-License-Identifier: Apache-2.0
//! Clients that are killed at each step of their connection, as many as are asked for.
//!
//! `doomed SOCKET VSL_SOCKET COUNT`
//!
//! Each is a process of its own, forked from this one, that goes to one of the steps, says so,
//! and is killed with SIGKILL: at once, or after some more rounds of what it does there.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use system_tests::mischief::{STEPS, Sockets, Step};

/// Rounds that a client does who goes on with something; a different number for each.
const ROUNDS: usize = 7;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(native), Some(vsl), Some(count)) =
        (arguments.next(), arguments.next(), arguments.next().and_then(|text| text.parse::<usize>().ok()))
    else {
        eprintln!("usage: doomed SOCKET VSL_SOCKET COUNT");
        return ExitCode::from(2);
    };
    let sockets = Sockets { native: native.into(), vsl: vsl.into() };
    for number in 0..count {
        let step = STEPS[number % STEPS.len()];
        if let Err(error) = kill_at(&step, &sockets, 1 + number / STEPS.len() % ROUNDS) {
            eprintln!("doomed: number {number}, who {}: {error}", step.name);
            return ExitCode::FAILURE;
        }
    }
    println!("killed {count}");
    ExitCode::SUCCESS
}

/// Sends a client to a step and kills it there, after its `rounds`-th word.
fn kill_at(step: &Step, sockets: &Sockets, rounds: usize) -> Result<(), String> {
    let (reader, writer) = rustix::pipe::pipe().map_err(|error| error.to_string())?;
    // SAFETY: this process has one thread, so its copy is as whole as itself.
    let child = match unsafe { fork() }.map_err(|error| error.to_string())? {
        ForkResult::Child => {
            drop(reader);
            live(step, sockets, &writer)
        }
        ForkResult::Parent { child } => child,
    };
    drop(writer);
    let rounds = if step.go_on.is_some() { rounds } else { 1 };
    let heard = std::fs::File::from(reader).read_exact(&mut vec![0; rounds]);
    let pid = Pid::from_raw(child.as_raw()).ok_or("no process number")?;
    kill_process(pid, Signal::KILL).map_err(|error| error.to_string())?;
    match waitpid(child, None) {
        Ok(WaitStatus::Signaled(_, nix::sys::signal::Signal::SIGKILL, _)) if heard.is_ok() => Ok(()),
        ended => Err(format!("it ended otherwise: {ended:?}, {heard:?}")),
    }
}

/// The child: goes to the step, says so, and goes on until it is killed.
fn live(step: &Step, sockets: &Sockets, parent: &OwnedFd) -> ! {
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let peer = (step.reach)(sockets);
    loop {
        let _ = rustix::io::write(parent, &[0]);
        match step.go_on {
            Some(go_on) => go_on(&peer),
            None => rustix::event::pause(),
        }
    }
}
