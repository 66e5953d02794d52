// SPDX-License-Identifier: Apache-2.0
//! What programs were compiled against stays: the header is what the source says, and the library has
//! the functions of the header and no other symbol.
//!
//! Both are kept in the tree, so that whoever changes the ABI sees it in a diff.
//! `VSCLIENT_BLESS=1 cargo test -p libvsclient-c abi` writes them anew.

use std::env;
use std::fs;
use std::process::Command;

use crate::toolchain::{library, run, source};

/// The sources in the order in which the header has them.
const SOURCES: [&str; 14] = [
    "error",
    "library",
    "format",
    "frame",
    "client_options",
    "event",
    "client",
    "buffer",
    "import",
    "publisher",
    "codec",
    "encoder",
    "decoder",
    "control",
];

/// Compares what is with what is kept, or keeps it.
fn kept(name: &str, now: &str) {
    let path = source(name);
    if env::var_os("VSCLIENT_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, now).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    for (number, (kept, now)) in kept.lines().zip(now.lines()).enumerate() {
        assert_eq!(kept, now, "{name}, line {}: is the change meant? (VSCLIENT_BLESS=1 keeps it)", number + 1);
    }
    assert_eq!(kept.len(), now.len(), "{name} has lost or gained lines (VSCLIENT_BLESS=1 keeps that)");
}

fn header() -> String {
    let mut config = cbindgen::Config::from_file(source("cbindgen.toml")).unwrap();
    let mut version = env!("CARGO_PKG_VERSION").split('.');
    let defines = config.after_includes.get_or_insert_default();
    defines.push_str("\n/** Version of this header; vs_version() is that of the library. */\n");
    for part in ["MAJOR", "MINOR", "PATCH"] {
        defines.push_str(&format!("#define VSCLIENT_VERSION_{part} {}\n", version.next().unwrap()));
    }
    defines.push_str(&format!("#define VSCLIENT_VERSION \"{}\"\n", env!("CARGO_PKG_VERSION")));
    let mut builder = cbindgen::Builder::new().with_config(config);
    for name in SOURCES {
        builder = builder.with_src(source(&format!("src/{name}.rs")));
    }
    let mut header = Vec::new();
    builder.generate().unwrap().write(&mut header);
    String::from_utf8(header).unwrap()
}

#[test]
fn the_header_is_what_the_source_says() {
    kept("include/vsclient.h", &header());
}

/// The functions that the header declares.
fn declared() -> Vec<String> {
    let header = header();
    let is_code = |line: &&str| line.starts_with(|c: char| c.is_ascii_alphabetic());
    let mut names: Vec<String> = header
        .lines()
        .filter(is_code)
        .filter_map(|line| line.split_once('(')?.0.rsplit([' ', '*']).next())
        .filter(|name| name.starts_with("vs_"))
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn the_symbols_are_the_functions_of_the_header() {
    let declared = declared();
    kept("symbols.txt", &format!("# SPDX-License-Identifier: Apache-2.0\n{}\n", declared.join("\n")));

    let listed = run(Command::new("nm").args(["-D", "--defined-only"]).arg(library().join("libvsclient.so.1")));
    let exported: Vec<&str> = listed.lines().filter(|line| !line.contains(" A ")).map(|l| &l[19..]).collect();
    let versioned: Vec<String> = declared.iter().map(|name| format!("{name}@@VSCLIENT_1")).collect();
    assert_eq!(exported, versioned);
}

#[test]
fn the_library_says_what_it_is() {
    let dynamic = run(Command::new("readelf").arg("-d").arg(library().join("libvsclient.so.1")));
    assert!(dynamic.contains("Library soname: [libvsclient.so.1]"), "{dynamic}");
}

#[test]
fn the_pkg_config_file_can_be_filled_in() {
    let template = fs::read_to_string(source("vsclient.pc.in")).unwrap();
    let values = [("prefix", "/usr"), ("libdir", "/usr/lib"), ("includedir", "/usr/include"), ("version", "1.2.3")];
    let text = values.iter().fold(template, |text, (name, value)| text.replace(&format!("@{name}@"), value));
    assert!(!text.contains('@'), "{text}");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("vsclient.pc"), text).unwrap();
    let ask = |what| {
        let mut command = Command::new("pkg-config");
        run(command.args([what, "vsclient"]).env("PKG_CONFIG_PATH", folder.path()))
    };
    assert_eq!(ask("--modversion").trim(), "1.2.3");
    assert!(ask("--libs").contains("-lvsclient"));
}
