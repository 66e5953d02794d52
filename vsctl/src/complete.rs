// SPDX-License-Identifier: Apache-2.0
//! Names from the running daemon, for the completions of shells.
//!
//! The script of `vsctl completions` runs this program with [`VARIABLE`] set and the words that were typed; `clap_complete`
//! finds out which argument is meant. An argument that is called `STREAM`, `CAMERA`, and so on ([`Kind::of`]) gets names that
//! exist now. Somebody waits with a finger on the key: where no daemon answers within [`PATIENCE`] there are no names, and
//! nobody is told why. No daemon is started for it.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap::{Arg, Command, CommandFactory};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};
use clap_complete::env::CompleteEnv;
use vsclient::dbus::{self, Bus, ControlInfo, DeviceInfo, NoOptions, Objects, RecordingInfo, StreamInfo};

use crate::cli::Cli;

/// Names the shell that wants to know. One of our own: the usual `COMPLETE` may be set for another program.
pub const VARIABLE: &str = "_VSCTL_COMPLETE";

/// For so long the daemon may be asked. It answers in some ten milliseconds, and a small board under load in less than a
/// second; a person whose daemon hangs is held up for no longer than this.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers a shell that asks, and ends the program then. Must come before anything is written.
pub fn answer() {
    CompleteEnv::with_factory(|| with_names(Cli::command())).var(VARIABLE).bin("vsctl").complete();
}

/// What an argument names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A stream.
    Stream,
    /// A stream, or a camera that can become one.
    StreamOrCamera,
    /// A device that has controls.
    Camera,
    /// A control of the camera on the same line.
    Control,
    /// A recording of the configuration.
    Policy,
    /// One of those, or the number of one that is under way.
    Recording,
}

impl Kind {
    /// By what it is called in the usage line.
    fn of(arg: &Arg) -> Option<Self> {
        match arg.get_value_names()?.first()?.as_str() {
            "STREAM" => Some(Self::Stream),
            "STREAM|CAMERA" => Some(Self::StreamOrCamera),
            "CAMERA" => Some(Self::Camera),
            "CONTROL[=VALUE]" => Some(Self::Control),
            "RECORDING" => Some(Self::Policy),
            "RECORDING|NUMBER" => Some(Self::Recording),
            _ => None,
        }
    }

    /// What there is of it.
    async fn candidates(self, line: &Line) -> Option<Vec<CompletionCandidate>> {
        let daemon = dbus::connect_running(&line.bus()?).await.ok()??;
        if self == Self::Control {
            let controls = daemon.controls(&line.camera()?).await.ok()?;
            let all = controls.list_controls(&NoOptions::default()).await.ok()?;
            return Some(all.iter().map(control).collect());
        }
        let Objects { streams, devices, recordings, .. } = daemon.objects().await.ok()?;
        let streams = streams.iter().map(stream);
        let cameras = devices.iter().filter(|device| device.kind == "camera").map(camera);
        Some(match self {
            Self::Stream => streams.collect(),
            Self::StreamOrCamera => {
                let mut names: Vec<_> = streams.collect();
                let others: Vec<_> =
                    cameras.filter(|camera| !names.iter().any(|stream| same(stream, camera))).collect();
                names.extend(others);
                names
            }
            Self::Camera => cameras.collect(),
            Self::Control => Vec::new(),
            Self::Policy | Self::Recording => {
                let policies = daemon.manager().await.ok()?.policies().await.ok()?;
                let policies =
                    policies.iter().map(|policy| named(&policy.name, format!("{} of {}", policy.state, policy.stream)));
                let numbers = recordings.iter().filter(|_| self == Self::Recording).filter_map(number);
                policies.chain(numbers).collect()
            }
        })
    }
}

/// The command line with completers where names of the daemon are meant. Where nothing is typed yet, options are kept
/// back if there is anything else: the only stream shall be completed at once.
fn with_names(mut command: Command) -> Command {
    // clap adds --help now, which is an option like others.
    command.build();
    with_completers(command, Line::is_at_a_new_word())
}

fn with_completers(command: Command, keep_back: bool) -> Command {
    let command = command.mut_args(|arg| match Kind::of(&arg) {
        Some(kind) => arg.add(ArgValueCompleter::new(move |current: &OsStr| candidates(kind, current))),
        None => arg,
    });
    let command = command.mut_args(|arg| if keep_back && !arg.is_positional() { arg.hide(true) } else { arg });
    command.mut_subcommands(|command| with_completers(command, keep_back))
}

fn candidates(kind: Kind, current: &OsStr) -> Vec<CompletionCandidate> {
    if kind == Kind::Stream && current.as_encoded_bytes().contains(&b'/') {
        // The path of a socket, which `receive` takes, too.
        return PathCompleter::any().complete(current);
    }
    let asking = async { tokio::time::timeout(PATIENCE, kind.candidates(&Line::typed())).await };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let found = runtime.block_on(asking).ok().flatten().unwrap_or_default();
    runtime.shutdown_background();
    let current = current.as_encoded_bytes();
    found.into_iter().filter(|name| name.get_value().as_encoded_bytes().starts_with(current)).collect()
}

/// The words before the cursor.
struct Line(Vec<OsString>);

impl Line {
    /// As the script hands them over: after `--`.
    fn typed() -> Self {
        Self(std::env::args_os().skip_while(|word| word != "--").skip(1).collect())
    }

    /// Whether the cursor stands behind a blank. bash and zsh say which word it is in (clap_complete's scripts); of fish it is
    /// the last one.
    fn is_at_a_new_word() -> bool {
        let Self(words) = Self::typed();
        let index = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|index| index.parse().ok());
        let word = words.get(index.unwrap_or_else(|| words.len().saturating_sub(1)));
        word.is_none_or(|word| word.is_empty())
    }

    /// What is understood of it. It is not complete, so nothing must be missing.
    fn matches(&self) -> Option<clap::ArgMatches> {
        Cli::command().ignore_errors(true).try_get_matches_from(&self.0).ok()
    }

    fn bus(&self) -> Option<Bus> {
        let said = self.matches().and_then(|matches| matches.try_get_one::<Bus>("bus").ok().flatten().cloned());
        said.map_or_else(|| Bus::from_env().ok(), Some)
    }

    fn camera(&self) -> Option<String> {
        let matches = self.matches()?;
        let (_, command) = matches.subcommand()?;
        command.try_get_one::<String>("device").ok().flatten().cloned()
    }
}

fn named(name: &str, help: String) -> CompletionCandidate {
    CompletionCandidate::new(name).help(Some(help.into()))
}

fn same(one: &CompletionCandidate, other: &CompletionCandidate) -> bool {
    one.get_value() == other.get_value()
}

fn stream(info: &StreamInfo) -> CompletionCandidate {
    let format = &info.format;
    let shape = match format.fourcc.as_str() {
        "" => String::new(),
        fourcc => format!(" {fourcc} {}x{}", format.width, format.height),
    };
    named(&info.name, format!("{}{shape}", info.state))
}

fn camera(info: &DeviceInfo) -> CompletionCandidate {
    named(&info.name, if info.card.is_empty() { "camera".to_owned() } else { info.card.clone() })
}

/// A name that wants a value ends with a `=`, after which shells add no space.
fn control(info: &ControlInfo) -> CompletionCandidate {
    named(&format!("{}=", info.name), info.title.clone())
}

fn number((number, info): &(u64, RecordingInfo)) -> Option<CompletionCandidate> {
    let under_way = info.state == "recording";
    under_way.then(|| named(&number.to_string(), format!("of {} into {}", info.stream, info.file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &str) -> Line {
        Line(words.split(' ').map(OsString::from).collect())
    }

    #[test]
    fn the_bus_and_the_camera_are_found_in_lines_that_are_not_whole() {
        let bus: Bus = "unix:path=/tmp/bus".parse().unwrap();
        for words in [
            "vsctl --bus unix:path=/tmp/bus controls cam0 ",
            "vsctl controls --bus=unix:path=/tmp/bus cam0 gain=5 b",
            "vsctl controls cam0 --bus unix:path=/tmp/bus -",
        ] {
            assert_eq!(
                (line(words).bus(), line(words).camera().as_deref()),
                (Some(bus.clone()), Some("cam0")),
                "{words}"
            );
        }
        assert_eq!(line("vsctl --bus unix:path=/tmp/bus snapshot ").bus(), Some(bus));
    }

    /// A name that nobody thought of completing would go unnoticed.
    #[test]
    fn every_argument_is_a_known_kind_of_thing() {
        let others = ["SHELL", "NAME", "IN", "OUT", "OUT.mp4", "FILE", "DIR"];
        let cli = Cli::command();
        for command in cli.get_subcommands() {
            for arg in command.get_positionals() {
                let name = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
                let name = name.unwrap_or_else(|| arg.get_id().to_string());
                let known = Kind::of(arg).is_some() || others.contains(&name.as_str());
                assert!(known, "{name} of {}: give it a value_name that says what it is", command.get_name());
            }
        }
    }
}
