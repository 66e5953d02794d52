// SPDX-License-Identifier: Apache-2.0
//! What the fingers of libvideostream's users type: where ours is another word, its own works too or says which one.
//!
//! Names of commands that mean the same are aliases (`cli`). Options are here, one line each, hidden from help and
//! completion: an [`Answer::Same`] is taken and changes nothing, an [`Answer::Instead`] ends with the new way. They
//! are added to the parser alone, so that the commands know only their own options.

use std::ffi::OsStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command};

/// Name of libvideostream's program: what an error calls it by.
const PROGRAM: &str = "videostream";

/// An option of libvideostream's.
struct Old {
    /// Our command, which has the same name or an alias of that.
    command: &'static str,
    short: Option<char>,
    long: &'static str,
    /// Whether a value follows.
    value: bool,
    answer: Answer,
}

/// What to say to it.
#[derive(Clone, Copy)]
enum Answer {
    /// It is so anyway.
    Same,
    /// How it is done here.
    Instead(&'static str),
}

const fn old(command: &'static str, short: Option<char>, long: &'static str, value: bool, answer: Answer) -> Old {
    Old { command, short, long, value, answer }
}

const DEVICE: Answer = Answer::Instead(
    "the daemon owns the cameras: name a stream in place of a device (`vsctl devices` lists cameras, cam0 is the first \
     one)",
);
const SHAPE: Answer = Answer::Instead(
    "a stream has its size, format and rate, whoever records it: set them with \
     `vsctl start-stream STREAM --size 1280x720 --format NV12 --rate 30`",
);
const ENDLESS: Answer = Answer::Instead(
    "a stream runs until `vsctl stop-stream STREAM`; to take so many frames of it: \
     `vsctl receive STREAM --frames N`",
);
const MEASURE: Answer = Answer::Instead(
    "the daemon counts all the time: `vsctl status STREAM --measure`, or `vsctl metrics` for Prometheus",
);

/// All that differ. Those with the same meaning under the same name are not listed, nor those that ours has as an
/// alias.
const OPTIONS: [Old; 21] = [
    old("start-stream", Some('d'), "device", true, DEVICE),
    old(
        "start-stream",
        None,
        "resolution",
        true,
        Answer::Instead("write --size, such as --size 1280x720 (-r is the frame rate here)"),
    ),
    old(
        "start-stream",
        Some('e'),
        "encode",
        false,
        Answer::Instead(
            "what is encoded is a stream of its own, beside the pictures: `vsctl start-stream cam0-h264 --from cam0`",
        ),
    ),
    old("start-stream", Some('f'), "frames", true, ENDLESS),
    old("start-stream", None, "metrics", false, MEASURE),
    old("start-stream", None, "metrics-interval", true, MEASURE),
    old("record", Some('d'), "device", true, DEVICE),
    old(
        "record",
        None,
        "ipc",
        true,
        Answer::Instead(
            "a socket of another program becomes a stream with ipc = \"/path\" in a [stream.NAME] of the daemon's \
             configuration; then `vsctl record NAME OUT.mp4`",
        ),
    ),
    old("record", Some('r'), "resolution", true, SHAPE),
    old("record", None, "format", true, SHAPE),
    old("record", Some('F'), "fps", true, SHAPE),
    old(
        "record",
        None,
        "timeout",
        true,
        Answer::Instead(
            "a recording waits for its camera and goes on when it is back: end it with --duration, --frames or Ctrl-C",
        ),
    ),
    old(
        "receive",
        None,
        "decode",
        false,
        Answer::Instead(
            "pictures are in the stream that a coded one is made from (`vsctl status` says which); a file is decoded \
             by `vsctl play FILE`",
        ),
    ),
    old("info", Some('d'), "device", true, DEVICE),
    // It always reports.
    old("receive", None, "metrics", false, Answer::Same),
    old("info", None, "all", false, Answer::Same),
    old("info", None, "camera", false, Answer::Instead("write --cameras")),
    old("info", None, "encoder", false, Answer::Instead("write --encoders")),
    old("info", None, "decoder", false, Answer::Instead("write --decoders")),
    old(
        "info",
        None,
        "v4l2",
        false,
        Answer::Instead("`vsctl devices -v` lists the V4L2 devices with all their formats"),
    ),
    old("devices", None, "v4l2", false, Answer::Same),
];

/// The same command line, which also understands what is typed from habit.
pub fn understand(mut cli: Command) -> Command {
    for option in &OPTIONS {
        cli = cli.mut_subcommand(option.command, |command| command.arg(option.arg()));
    }
    cli
}

impl Old {
    fn arg(&self) -> Arg {
        let mut arg = Arg::new(self.long).long(self.long).hide(true).action(ArgAction::Append);
        arg = self.short.into_iter().fold(arg, Arg::short);
        if !self.value {
            // A flag whose presence is a value, so that the value's parser is asked.
            arg = arg.num_args(0).default_missing_value("");
        }
        let name = self.short.map(|short| format!("-{short}, ")).unwrap_or_default() + "--" + self.long;
        arg.value_parser(Teacher { name, answer: self.answer })
    }
}

/// Says the new way.
#[derive(Clone)]
struct Teacher {
    name: String,
    answer: Answer,
}

impl TypedValueParser for Teacher {
    type Value = String;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, _: &OsStr) -> Result<Self::Value, clap::Error> {
        match self.answer {
            Answer::Same => Ok(String::new()),
            Answer::Instead(way) => {
                let text = format!("'{}' is an option of {PROGRAM}'s: {way}", self.name);
                Err(command.clone().error(ErrorKind::UnknownArgument, text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::*;
    use crate::cli::Cli;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        let matches = understand(Cli::command()).try_get_matches_from(line.split(' '))?;
        Cli::from_arg_matches(&matches)
    }

    #[test]
    fn the_command_line_stays_sound() {
        understand(Cli::command()).debug_assert();
    }

    #[test]
    fn old_names_work() {
        for line in [
            "vsctl stream cam0 --format YUYV -F 30 -b 25M",
            "vsctl start cam0",
            "vsctl stop cam0",
            "vsctl list",
            "vsctl ls",
            "vsctl streams",
            "vsctl receive /tmp/camera.vsl -f 100 --metrics",
            "vsctl convert in.h264 out.mp4 -F 30 --codec h264",
            "vsctl info --all",
            "vsctl devices --cameras --encoders --decoders --converters --all -v",
            "vsctl --json --quiet record cam0 out.mp4 -f 300 -t 10 --codec h265 -b 25M --backend v4l2",
        ] {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn what_is_done_differently_says_how() {
        for (line, way) in [
            ("vsctl stream /tmp/camera.vsl -d /dev/video3", "`vsctl devices`"),
            ("vsctl stream cam0 -r 1920x1080", "--size 1920x1080"),
            ("vsctl stream cam0 --resolution 1920x1080", "--size 1280x720"),
            ("vsctl stream cam0 -e", "--from cam0"),
            ("vsctl stream cam0 -b 25000", "25000k"),
            ("vsctl stream cam0 -f 100", "vsctl receive"),
            ("vsctl stream cam0 --metrics", "--measure"),
            // Also where something else is wrong with the line: this one has no stream.
            ("vsctl record out.h264 -d /dev/video3", "name a stream"),
            ("vsctl record out.mp4 --ipc /tmp/camera.vsl", "ipc = "),
            ("vsctl record cam0 out.mp4 -r 640x480", "vsctl start-stream STREAM --size"),
            ("vsctl record cam0 out.mp4 --format YUYV", "--format NV12"),
            ("vsctl record cam0 out.mp4 -F 30", "--rate 30"),
            ("vsctl record cam0 out.mp4 --timeout 5", "--duration"),
            ("vsctl receive cam0 --decode", "vsctl play"),
            ("vsctl info --camera", "--cameras"),
            ("vsctl info -d /dev/video3", "vsctl devices"),
            ("vsctl info --encoder", "--encoders"),
            ("vsctl info --decoder", "--decoders"),
            ("vsctl info --v4l2", "vsctl devices -v"),
        ] {
            let error = parse(line).expect_err(line).to_string();
            assert!(error.contains(way), "{line} says\n{error}");
        }
    }

    #[test]
    fn they_are_not_advertised() {
        for command in understand(Cli::command()).get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            assert!(!help.contains("--ipc ") && !help.contains("--resolution"), "{help}");
        }
    }
}
