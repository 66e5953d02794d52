// SPDX-License-Identifier: Apache-2.0
//! What docs/c.md shows compiles and does what it says, and every function that a page names is there.

use std::collections::BTreeSet;
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

#[test]
fn what_pages_name_is_in_the_header() {
    let words = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.filter(|word| word.starts_with("vs_") && word.len() > 3).map(str::to_owned).collect()
    };
    let header = words(&fs::read_to_string(source("include/vsclient.h")).unwrap());
    for page in ["c.md", "migrating.md"] {
        let page = words(&fs::read_to_string(source("../../docs").join(page)).unwrap());
        let unknown: Vec<_> = page.difference(&header).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
