// SPDX-License-Identifier: Apache-2.0
//! The daemon's command line. That this test exists makes cargo build the program for the
//! whole-system tests, too, which run it from its place in the target folder.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_videostreamd")).args(arguments).output().unwrap()
}

#[test]
fn help_explains_every_option_and_status() {
    let output = run(&["--help"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for word in ["--config", "--bus", "--socket-dir", "--check-config", "--log", "Exit status", "/etc/videostream"] {
        assert!(text.contains(word), "{word} is missing in\n{text}");
    }
}

#[test]
fn a_wrong_option_is_a_usage_error() {
    let output = run(&["--conifg", "x.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--config"));
}
