// SPDX-License-Identifier: Apache-2.0
//! The one thread of a stream: source, clients and commands, in one loop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, oneshot, watch};
use vs_frame::Frame;
use vs_ipc::host::{Host, HostOptions};
use vs_ipc::wire::{GoodbyeReason, StreamState};

use super::consumer::Consumer;
use super::handle::{Command, StreamSnapshot, StreamStatus};
use super::source::{Counts, Event, Plan, Source};
use super::spec::frames_for_clients;

/// How often spares that nobody needed meanwhile are given back.
const TRIM_INTERVAL: Duration = Duration::from_secs(5);

/// Runs a stream until it is told to stop. `ready` learns whether the socket is there.
pub fn run(
    options: HostOptions,
    commands: mpsc::Receiver<Command>,
    status: watch::Sender<StreamStatus>,
    ready: oneshot::Sender<anyhow::Result<()>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error).context("cannot start the stream's event loop"));
            return;
        }
    };
    runtime.block_on(async {
        let host = match Host::bind(options) {
            Ok(host) => host,
            Err(error) => {
                let _ = ready.send(Err(error.into()));
                return;
            }
        };
        let mut stream =
            StreamThread { host, source: None, consumers: Vec::new(), status, trouble: Trouble::default() };
        stream.set_state(StreamState::Waiting, "starting");
        let _ = ready.send(Ok(()));
        stream.run(commands).await;
    });
}

struct StreamThread {
    host: Host,
    source: Option<Source>,
    consumers: Vec<Consumer>,
    status: watch::Sender<StreamStatus>,
    trouble: Trouble,
}

/// Conditions that repeat with every frame, to be logged when they begin and end.
#[derive(Default)]
struct Trouble {
    no_buffer: u64,
    corrupt: u64,
}

/// What the loop woke up for.
enum Wake {
    Source(anyhow::Result<Event>),
    Command(Option<Command>),
    Host(Result<(), vs_ipc::host::HostError>),
    Trim,
}

impl StreamThread {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut trim = tokio::time::interval(TRIM_INTERVAL);
        loop {
            let serial = self.host.next_serial();
            let wake = tokio::select! {
                event = next_event(&mut self.source, serial) => Wake::Source(event),
                command = commands.recv() => Wake::Command(command),
                turned = self.host.turn() => Wake::Host(turned),
                _ = trim.tick() => Wake::Trim,
            };
            match wake {
                Wake::Source(Ok(event)) => self.on_event(event),
                Wake::Source(Err(error)) => self.fail(&error),
                Wake::Command(Some(Command::Stop { reason, text })) => return self.stop(reason, &text),
                Wake::Command(Some(command)) => self.on_command(command),
                Wake::Command(None) => return self.stop(GoodbyeReason::StreamRemoved, "the stream is gone"),
                Wake::Host(Ok(())) => {}
                Wake::Trim => self.trim(),
                Wake::Host(Err(error)) => {
                    self.fail(&error.into());
                    return;
                }
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Frame(frame) => self.on_frame(&frame),
            Event::NoBuffer => {
                if self.trouble.no_buffer == 0 {
                    tracing::warn!(stream = self.name(), "no buffer to spare: frames are being dropped");
                }
                self.trouble.no_buffer += 1;
                self.host.pass_over();
                self.consumers.iter().for_each(Consumer::miss);
            }
            Event::Corrupt => {
                if self.trouble.corrupt == 0 {
                    tracing::warn!(stream = self.name(), "the driver delivers damaged frames: they are not published");
                }
                self.trouble.corrupt += 1;
            }
        }
    }

    fn on_frame(&mut self, frame: &Frame) {
        let serial = self.host.publish(frame.clone());
        self.consumers.retain(|consumer| consumer.offer(serial, frame));
        let Trouble { no_buffer, corrupt } = std::mem::take(&mut self.trouble);
        if no_buffer > 0 {
            tracing::info!(stream = self.name(), dropped = no_buffer, "there are buffers again");
        }
        if corrupt > 0 {
            tracing::info!(stream = self.name(), damaged = corrupt, "frames are whole again");
        }
    }

    fn trim(&mut self) {
        if self.source.as_ref().is_some_and(Source::trim) {
            self.host.retire_buffers();
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Open { plan, done } => {
                let opened = self.open(&plan);
                let _ = done.send(opened);
            }
            Command::Attach(consumer) => self.consumers.push(consumer),
            Command::Snapshot(reply) => {
                let source = self.source.as_ref().map_or_else(Counts::default, Source::counts);
                let _ = reply.send(StreamSnapshot { host: self.host.snapshot(), source });
            }
            // Handled by the loop, which it ends.
            Command::Stop { .. } => {}
        }
    }

    fn open(&mut self, plan: &Plan) -> anyhow::Result<()> {
        // A camera can be open once only.
        self.source = None;
        match Source::open(plan) {
            Ok(source) => {
                let (format, memory) = (Arc::clone(source.format()), source.memory());
                let adjustments = source.adjustments();
                self.host.set_frames(frames_for_clients(source.buffers()));
                tracing::info!(
                    stream = self.name(), format = %format.fourcc, width = format.width, height = format.height,
                    rate = %format.rate, ?memory, ?adjustments, "stream runs"
                );
                self.status.send_modify(|status| {
                    status.format = Some(format);
                    status.memory = Some(memory);
                    status.adjustments = adjustments;
                });
                self.source = Some(source);
                self.set_state(StreamState::Running, "");
                Ok(())
            }
            Err(error) => {
                self.fail(&error);
                Err(error)
            }
        }
    }

    /// The source is finished; the clients stay and are told why.
    fn fail(&mut self, error: &anyhow::Error) {
        let text = format!("{error:#}");
        tracing::error!(stream = self.name(), error = text, "stream failed");
        self.source = None;
        self.set_state(StreamState::Failed, &text);
    }

    fn stop(mut self, reason: GoodbyeReason, text: &str) {
        // Consumers see their queue end and finish their files meanwhile.
        self.consumers.clear();
        self.set_state(StreamState::Stopped, text);
        self.host.close(reason, text);
        tracing::info!(stream = self.name(), text, "stream stopped");
    }

    fn set_state(&mut self, state: StreamState, text: &str) {
        self.host.set_state(state, text);
        self.status.send_modify(|status| {
            status.state = state;
            text.clone_into(&mut status.text);
        });
    }

    fn name(&self) -> &str {
        &self.host.options().stream
    }
}

async fn next_event(source: &mut Option<Source>, serial: u64) -> anyhow::Result<Event> {
    match source {
        Some(source) => source.next(serial).await,
        None => std::future::pending().await,
    }
}
