// SPDX-License-Identifier: Apache-2.0
//! What docs/c.md shows is what compiles, and does what it says.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use system_tests::Rig;

use crate::toolchain::{against, compile_text, source};

#[test]
fn the_first_program_of_the_page_shows_a_stream() {
    let page = fs::read_to_string(source("../../docs/c.md")).unwrap();
    let (_, behind) = page.split_once("```c\n").unwrap();
    let (program, _) = behind.split_once("```").unwrap();
    let program = compile_text("page.c", program);

    let rig = Rig::start("[stream.cam0]\npattern = \"bars\"\nsize = \"320x240\"\nformat = \"NV12\"\nrate = 30\n");
    // It goes on for ever, as the page wants it: its output is looked at through a pipe of lines.
    let mut child =
        against(&rig, std::path::Path::new("stdbuf")).arg("-oL").arg(program).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let seen: Vec<u8> = lines.take(5).map(|line| line.parse().unwrap()).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(seen.len(), 5);
}
