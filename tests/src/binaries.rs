// SPDX-License-Identifier: Apache-2.0
//! Where the programs under test are: beside this test program, or this benchmark, where cargo
//! puts them.
//!
//! Cargo builds them whenever it builds the tests of the whole workspace (`cargo test`, `make
//! test`), for their packages have tests that run them. Whoever runs the tests of this package
//! alone must not test yesterday's daemon by mistake, so a program older than its sources is
//! refused.

use std::path::{Path, PathBuf};

/// Names a directory to take the programs from instead: those of an installation, say.
pub const DIR_VARIABLE: &str = "VIDEOSTREAM_TEST_BINARIES";

/// Path of a program of this workspace.
///
/// # Panics
/// If it is not there, or older than its sources.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    if let Some(dir) = std::env::var_os(DIR_VARIABLE) {
        return PathBuf::from(dir).join(name);
    }
    // target/PROFILE/deps/TEST or target/PROFILE/bench
    let program = std::env::current_exe().unwrap();
    let folder = program.parent().unwrap();
    let folder = if folder.ends_with("deps") { folder.parent().unwrap() } else { folder };
    let path = folder.join(name);
    if let Err(what) = check(&path) {
        panic!("{what}: run `cargo test --workspace --no-run` (`make bench` for a benchmark), or set {DIR_VARIABLE}");
    }
    path
}

fn check(program: &Path) -> Result<(), String> {
    let modified = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
    let built = modified(program).map_err(|error| format!("{}: {error}", program.display()))?;
    // Cargo lists the sources of a program in a makefile rule beside it, blanks escaped.
    let rule = std::fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    let sources = rule.split_once(": ").map_or("", |(_, sources)| sources).trim().replace("\\ ", "\0");
    for source in sources.split(' ').map(|source| PathBuf::from(source.replace('\0', " "))) {
        if modified(&source).is_ok_and(|changed| changed > built) {
            return Err(format!("{} is older than {}", program.display(), source.display()));
        }
    }
    Ok(())
}
