// SPDX-License-Identifier: Apache-2.0
//! What the data plane costs, beside what the kernel alone would cost.
//!
//! A figure in microseconds says little: it is another one on every machine and at every
//! hour. So each is taken together with its **bare limit**, the least that the same kernel
//! needs for the same messages between the same processes, and what counts is the ratio. The
//! two sides take turns, burst by burst, so that whatever else the machine does disturbs
//! both; a ratio is the median over the rounds of what two neighbouring bursts gave.
//!
//! | bench | ours | bare limit |
//! |---|---|---|
//! | `latency` | `vs_ipc`'s host on its runtime, `vsclient` in N processes | one thread, non-blocking `sendmsg` of as many bytes, N processes in a blocking `recvmsg` |
//! | `lock` | `Client::lock` in one process, the host in another | the same two records over the same kind of socket |
//! | `size` | `latency` for 3840×2160 | `latency` for 320×240 |
//! | `bad` | `latency` for honest clients beside bad ones | the same without the bad ones |
//! | `encode` | an encoder of the real daemon, opened over D-Bus | the library's own encoder, with the same pictures and settings |
//! | `recorder` | the recorder's file writer | plain `write` and `fdatasync` of as many bytes in the same sizes |
//! | `snapshot` | a JPEG of a camera of the real daemon, over D-Bus | one frame interval, and the JPEG encoder on the same pixels |
//! | `languages` | a consumer in C, and in Python | the same in Rust |
//! | `rates` | processor time of the sender of `latency` at 30, 60 and 240 fps | that of the bare sender |
//!
//! Two have no limit to be compared with: `crowd` counts what a thousand clients miss, and
//! `memory` how much of it the real daemon has in use.
//!
//! Receivers are processes of their own: this program, started again in a [`role`].

mod args;
mod bad;
mod children;
mod contest;
mod crowd;
mod encode;
mod interrupt;
mod languages;
mod latency;
mod lock;
mod memory;
mod pacer;
mod rates;
mod recorder;
mod report;
mod role;
mod side;
mod size;
mod snapshot;

use anyhow::Context;
use clap::Parser;

use crate::args::{Args, Bench};
use crate::report::{Machine, Report};

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(role) = &args.role {
        return role::play(role);
    }
    // Hundreds of receivers are hundreds of sockets and pipes. If the system gives no more, the
    // benchmark that needs them says so.
    let _ = vs_ipc::host::raise_descriptor_limit();
    let dir =
        tempfile::Builder::new().prefix("videostream-bench.").tempdir().context("cannot make a temporary folder")?;
    interrupt::remove_on_signal(dir.path())?;

    let plan = args.plan();
    let mut report = Report::new(Machine::read(), &plan);
    if args.wants(Bench::Latency) {
        for &clients in &args.clients {
            let scene = latency::run(&plan, clients, dir.path())?;
            println!("{scene}");
            report.latency(scene);
        }
    }
    if args.wants(Bench::Size) {
        let scene = size::run(&plan, dir.path())?;
        println!("{scene}");
        report.size(scene);
    }
    if args.wants(Bench::Lock) {
        let scene = lock::run(&plan, dir.path())?;
        println!("{scene}");
        report.lock(scene);
    }
    if args.wants(Bench::Bad) {
        let scene = bad::run(&plan, dir.path())?;
        println!("{scene}");
        report.bad(scene);
    }
    if args.wants(Bench::Rates) {
        let scene = rates::run(&plan, dir.path())?;
        println!("{scene}");
        report.rates(scene);
    }
    if args.wants(Bench::Crowd) {
        let scene = crowd::run(&plan, dir.path())?;
        println!("{scene}");
        report.crowd = Some(scene);
    }
    if args.wants(Bench::Memory) {
        let scene = memory::run()?;
        println!("{scene}");
        report.memory = Some(scene);
    }
    if args.wants(Bench::Encode) {
        let scene = encode::run(&plan)?;
        println!("{scene}");
        report.encode(scene);
    }
    if args.wants(Bench::Recorder) {
        let scene = recorder::run(&plan, &args.folder()?)?;
        println!("{scene}");
        report.recorder(scene);
    }
    if args.wants(Bench::Snapshot) {
        let scene = snapshot::run(&plan)?;
        println!("{scene}");
        report.snapshot(scene);
    }
    if args.wants(Bench::Languages) {
        let scenes = languages::run(&plan, dir.path())?;
        scenes.iter().for_each(|scene| println!("{scene}"));
        report.languages(scenes);
    }
    println!("{report}");
    report.write(&args.json)
}
