// SPDX-License-Identifier: Apache-2.0
//! What C programs rely on when something goes wrong, or when there are many threads. Each runs alone,
//! or against a daemon, and once more under valgrind.

use std::process::Command;

use system_tests::Rig;

use crate::toolchain::{compile, run, source, under_valgrind, valgrind};

fn program(name: &str) -> std::path::PathBuf {
    compile(&source("tests/c/programs").join(name))
}

/// Runs a program that publishes at a socket of its own, alone and under valgrind.
fn by_itself(name: &str, arguments: [&[&str]; 2]) {
    let program = program(name);
    for (mut command, arguments) in [Command::new(&program), valgrind(&program)].into_iter().zip(arguments) {
        let folder = tempfile::tempdir().unwrap();
        print!("{}", run(command.arg(folder.path().join("stream")).args(arguments)));
    }
}

#[test]
fn a_frame_that_has_ended_is_an_error_in_every_function() {
    by_itself("ended.c", [&[], &[]]);
}

#[test]
fn what_must_not_be_is_an_error_with_a_message() {
    by_itself("misuse.c", [&[], &[]]);
}

#[test]
fn frames_are_read_and_given_up_by_any_thread() {
    by_itself("threads.c", [&["5000"], &["200"]]);
}

#[test]
fn memory_of_the_programs_own_is_lent_and_comes_back() {
    by_itself("import.c", [&[], &[]]);
}

#[test]
fn pictures_go_through_encoder_and_decoder() {
    let rig = Rig::start("");
    let program = program("codec.c");
    run(&mut under_valgrind(&rig, &program));
}
