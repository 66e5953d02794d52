// SPDX-License-Identifier: Apache-2.0
//! The command line as it is typed. That this test exists makes cargo build the program for
//! the whole-system tests, too, which run it from its place in the target folder.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vsctl")).args(arguments).output().unwrap()
}

#[test]
fn every_command_has_help_with_examples() {
    let commands = [
        "start-stream",
        "stop-stream",
        "status",
        "devices",
        "controls",
        "info",
        "receive",
        "record",
        "recordings",
        "stop-recording",
        "convert",
    ];
    let all = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for command in commands {
        assert!(all.contains(command), "{command} is missing in\n{all}");
        let output = run(&[command, "--help"]);
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("Examples:"), "{command}");
    }
}

#[test]
fn wrong_lines_are_usage_errors() {
    for line in [&["recieve"][..], &["status", "--jsno"], &[]] {
        let output = run(line);
        assert_eq!(output.status.code(), Some(2), "{line:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{line:?}");
    }
}
