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
        "config",
        "completions",
    ];
    let all = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for command in commands {
        assert!(all.contains(command), "{command} is missing in\n{all}");
        let output = run(&[command, "--help"]);
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("Examples:"), "{command}");
    }
}

#[test]
fn every_command_has_a_page_of_which_nobody_complains() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(&["man", directory.path().to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let pages: Vec<_> = directory.path().read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    let names: Vec<_> = pages.iter().map(|page| page.file_name().unwrap().to_str().unwrap()).collect();
    for name in ["vsctl.1", "vsctl-record.1", "vsctl-config-check.1"] {
        assert!(names.contains(&name), "{name} is missing among {names:?}");
    }
    for (program, arguments) in [("mandoc", &["-Tlint", "-Wwarning"][..]), ("groff", &["-man", "-ww", "-z", "-Tutf8"])]
    {
        let said = Command::new(program).args(arguments).args(&pages).output();
        let said = said.unwrap_or_else(|error| panic!("{program}: {error} (`scripts/setup test` installs it)"));
        let said = [said.stdout, said.stderr].concat();
        assert!(said.is_empty(), "{program} complains:\n{}", String::from_utf8_lossy(&said));
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
