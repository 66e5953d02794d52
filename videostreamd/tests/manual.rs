// SPDX-License-Identifier: Apache-2.0
//! The daemon's manual pages: complete, and without a complaint of those who show them.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

#[path = "../examples/manual.rs"]
mod manual;
use manual::bus;

fn page(name: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    manual::write(directory.path(), "2026-01-31").unwrap();
    let path = directory.path().join(name);
    for (program, arguments) in
        [("mandoc", &["-Tlint", "-Wwarning"][..]), ("groff", &["-man", "-ww", "-z", "-Tutf8", "-Kutf8"])]
    {
        complains_of_nothing(program, arguments, &path);
    }
    let text = Command::new("mandoc").args(["-Tutf8", "-Owidth=200"]).arg(&path).output().unwrap();
    // Bold is written over itself, for printers of old.
    let text = String::from_utf8(text.stdout).unwrap();
    let letters: Vec<char> = text.chars().collect();
    let kept = letters.iter().enumerate().filter(|(i, c)| **c != '\u{8}' && letters.get(i + 1) != Some(&'\u{8}'));
    kept.map(|(_, c)| *c).collect()
}

fn complains_of_nothing(program: &str, arguments: &[&str], page: &Path) {
    let said = Command::new(program).args(arguments).arg(page).output();
    let said = said.unwrap_or_else(|error| panic!("{program}: {error} (`scripts/setup test` installs it)"));
    let said = [said.stdout, said.stderr].concat();
    assert!(said.is_empty(), "{program} complains of {}:\n{}", page.display(), String::from_utf8_lossy(&said));
}

#[test]
fn the_daemon_is_described() {
    let page = page("videostreamd.8");
    for word in ["--config", "--check-config", "--bus", "VIDEOSTREAMD_LOG", "EXIT STATUS", "/run/videostream"] {
        assert!(page.contains(word), "{word} is missing in\n{page}");
    }
}

#[test]
fn every_option_of_the_configuration_is_described() {
    let page = page("videostreamd.toml.5");
    let mut count = 0;
    for line in manual::CONFIG.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        let key = line.split_once(" = ").map(|(key, _)| key);
        let Some(key) = key.filter(|key| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')) else {
            if line.starts_with('[') {
                assert!(page.contains(line), "{line} is missing in\n{page}");
            }
            continue;
        };
        let heads = page.lines().any(|said| said.trim_start().starts_with(&format!("{key} = ")));
        assert!(heads, "{key} is missing in\n{page}");
        count += 1;
    }
    assert!(count > 50, "only {count} options");
}
