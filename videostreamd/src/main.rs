// SPDX-License-Identifier: Apache-2.0
//! videostreamd: one daemon that owns every camera and publishes their frames.
//!
//! The binary composes the crates of this workspace and holds no media or protocol code.
//!
//! * [`config`], [`args`]: what the administrator wants
//! * [`devices`]: which hardware there is
//! * [`controls`]: what cameras were told to be like
//! * [`stream`]: one thread for each stream: source, clients, leases
//! * [`rendition`], [`recording`]: encoders and files, each on a thread of its own
//! * [`snapshot`]: single pictures
//! * [`state_file`]: how names and controls are remembered
//! * [`inspect`]: what this machine can do, and what is missing
//! * [`control`]: what can be asked of the daemon; [`bus`]: how it is asked; [`metrics`]: what it
//!   has counted

mod args;
mod bus;
mod codec_session;
mod codecs;
mod config;
mod control;
mod controls;
mod devices;
mod inspect;
mod logging;
mod metrics;
mod recording;
mod rendition;
mod snapshot;
mod state_file;
mod stream;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use vs_frame::clock::monotonic_ns;

use crate::args::Args;
use crate::bus::{Address, Bus};
use crate::config::load::{self, Loaded, Origin};
use crate::control::Control;
use crate::devices::watch::Found;
use crate::metrics::endpoint::Endpoint;
use crate::metrics::{Listen, Metrics};

/// Wrong arguments or configuration, as clap has it.
const EXIT_USAGE: u8 = 2;

/// Threads of the control plane: it waits for messages; the data plane has its own threads.
const CONTROL_THREADS: usize = 2;

fn main() -> ExitCode {
    let args = Args::parse();
    let epoch = monotonic_ns();
    let origin = Origin { file: args.config.clone(), socket_dir: args.socket_dir.clone() };
    let loaded = match origin.load() {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("videostreamd: {error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    if args.check_config {
        println!("configuration is fine: {} stream(s)", loaded.streams.len());
        return ExitCode::SUCCESS;
    }
    match logging::start(&args.log).and_then(|()| run(args, origin, loaded, epoch)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("videostreamd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args, origin: Origin, loaded: Loaded, epoch: u64) -> anyhow::Result<()> {
    if let Err(error) = vs_ipc::host::raise_descriptor_limit() {
        tracing::warn!(%error, "cannot raise the limit of open files to what it may be");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("vs-control")
        .enable_all()
        .build()
        .context("cannot start the event loop")?;
    let socket_dir = load::socket_dir(&loaded.config, args.socket_dir.as_deref());
    let state_dir = load::state_dir(&loaded.config, args.state_dir.as_deref());
    let from_file = loaded.config.daemon.bus.as_ref().map(|bus| bus.0.clone());
    let address = args.bus.or(from_file).unwrap_or(Address::System);
    let listen = loaded.config.metrics.listen.as_ref().map(|listen| listen.0.clone());
    runtime.block_on(async {
        make_directory(&socket_dir)?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let hangup = signal(SignalKind::hangup())?;
        // A file that reaches the limit of its size (setrlimit(2)) ends one recording, not the daemon: a signal that is
        // caught is an error of write(2).
        let _too_large = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
        let (objects, changed) = mpsc::unbounded_channel();
        let control = Arc::new(Control::new(origin, loaded, socket_dir, state_dir, epoch, objects));
        let mut found = devices::watch::start()?;
        let first = found.recv().await.unwrap_or_default();
        update_devices(&control, first).await;
        control.offer().await;
        let following = tokio::spawn(follow_devices(Arc::clone(&control), found));
        let metrics = Arc::new(Metrics::new(Arc::clone(&control)));
        let bus = Bus::serve(&address, Arc::clone(&control), Arc::clone(&metrics), changed).await?;
        let endpoint = match &listen {
            Some(listen) => start_endpoint(listen, metrics).await,
            None => None,
        };
        control.start_always_on().await;
        control.start_policies();
        tracing::info!(version = env!("CARGO_PKG_VERSION"), bus = %address, "ready");
        notify(&[sd_notify::NotifyState::Ready]);
        let reloading = tokio::spawn(reload_on(hangup, Arc::clone(&control)));
        let lost = tokio::select! {
            _ = terminate.recv() => false,
            _ = interrupt.recv() => false,
            () = bus.lost() => true,
        };
        if lost {
            tracing::error!(bus = %address, "the bus has gone, and with it every way to control this daemon");
        }
        tracing::info!("shutting down");
        notify(&[sd_notify::NotifyState::Stopping]);
        drop(endpoint);
        following.abort();
        reloading.abort();
        control.shut_down().await;
        bus.leave().await;
        // Whoever supervises the daemon starts it again when there is a bus.
        anyhow::ensure!(!lost, "the {address} bus has gone: start the daemon again when it is back");
        Ok(())
    })
}

async fn follow_devices(control: Arc<Control>, mut found: mpsc::UnboundedReceiver<Vec<Found>>) {
    loop {
        tokio::select! {
            list = found.recv() => match list {
                Some(list) => update_devices(&control, list).await,
                None => return,
            },
            () = control.idled() => {}
        }
        control.offer().await;
    }
}

/// What `systemctl reload` waits for is the second word (systemd.service(5), `Type=notify-reload`).
async fn reload_on(mut hangup: Signal, control: Arc<Control>) {
    while hangup.recv().await.is_some() {
        let begun = sd_notify::NotifyState::monotonic_usec_now();
        if let Ok(begun) = begun {
            notify(&[sd_notify::NotifyState::Reloading, begun]);
        }
        // Whether it went well is in the log, and in the state that systemctl shows.
        let status = match control.reload().await {
            Ok(_) => "the configuration was read anew".to_owned(),
            Err(error) => format!("the configuration stays as it was: {error}"),
        };
        notify(&[sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status(&status)]);
    }
}

/// Names are written down: not on a thread that others need.
async fn update_devices(control: &Arc<Control>, list: Vec<Found>) {
    let control = Arc::clone(control);
    let updated = tokio::task::spawn_blocking(move || control.update_devices(&list)).await;
    if let Err(error) = updated {
        tracing::error!(%error, "cannot take over which devices there are");
    }
}

/// Whoever takes the address first must not be able to keep the cameras from running.
async fn start_endpoint(listen: &Listen, metrics: Arc<Metrics>) -> Option<Endpoint> {
    let started = Endpoint::start(listen, metrics).await;
    started.inspect_err(|error| tracing::error!(error = format!("{error:#}"), "no metrics endpoint")).ok()
}

/// Under systemd the directory is there (`RuntimeDirectory=`); elsewhere it is made.
fn make_directory(path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path).with_context(|| {
        format!("cannot create the socket directory {}: choose another with --socket-dir", path.display())
    })
}

fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot notify systemd");
    }
}
