// SPDX-License-Identifier: Apache-2.0
//! What commands write with `--json` is what `docs/schema` says, as a validator that is not ours sees it.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use system_tests::{Rig, Witness};

const CONFIG: &str = "\
[stream.a]
pattern = \"bars\"
size = \"320x240\"
always-on = true

[stream.coded]
from = \"a\"
pre = \"1s\"

[stream.lost]
camera = \"cam9\"

[recording.kept]
stream = \"coded\"
";

/// Nobody has controls without a camera, and there may be none.
const NOT_HERE: [&str; 1] = ["controls"];

fn schemas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema")
}

/// Answers, and the schemas that they are to follow.
#[derive(Default)]
struct Answers {
    lines: Vec<u8>,
    seen: BTreeSet<String>,
}

impl Answers {
    fn add(&mut self, schema: &str, name: &str, value: &Value) {
        let path = schemas().join(format!("{schema}.json"));
        let case = json!({ "schema": path, "name": name, "value": value });
        writeln!(self.lines, "{case}").unwrap();
        self.seen.insert(schema.to_owned());
    }

    fn judge(&self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/json_schema.py");
        // Debian's, which has Debian's modules.
        let mut judge = Command::new("/usr/bin/python3");
        let mut judge =
            judge.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        judge.stdin.take().unwrap().write_all(&self.lines).unwrap();
        let said = judge.wait_with_output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        assert!(said.status.success(), "(`scripts/setup test` installs python3-jsonschema)\n{out}{err}");
    }
}

#[test]
fn every_answer_follows_its_schema() {
    let rig = Rig::start(CONFIG);
    let _witness = Witness::start(&rig.socket("a"));
    let mut answers = Answers::default();
    let files: Vec<_> =
        ["out.mp4", "out.h264", "again.mp4", "out.jpg", "good.toml", "bad.toml"].map(|name| rig.path(name)).into();
    let [mp4, bare, again, jpg, good, bad] = &*files.iter().map(|path| path.to_str().unwrap()).collect::<Vec<_>>()
    else {
        unreachable!()
    };
    std::fs::write(good, "[stream.b]\npattern = \"bars\"\n").unwrap();
    std::fs::write(bad, "[stream.b]\nsize = 1\n").unwrap();
    let monitor = rig.vsctl_beside(&["--json", "monitor", "-i", "0.2"]);
    monitor.stderr.until("that it listens", |line| line.contains("listening"));
    let cases: [(&str, &[&str]); 30] = [
        ("info", &["info"]),
        ("devices", &["devices"]),
        ("start-stream", &["start-stream", "small", "--from", "a", "--size", "160x120"]),
        ("start-stream", &["start-stream", "lost"]),
        ("receive", &["receive", "a", "--frames", "3", "--verify"]),
        ("receive", &["receive", "coded", "--frames", "3"]),
        ("record", &["record", "a", mp4, "--frames", "20"]),
        ("record", &["record", "coded", again, "--detach"]),
        ("recordings", &["recordings"]),
        ("status", &["status", "--measure=0.2"]),
        ("status", &["status", "a"]),
        ("stop-recording", &["stop-recording", "kept"]),
        ("start-recording", &["start-recording", "kept"]),
        ("stop-recording", &["stop-recording", "2"]),
        ("stop-recording", &["stop-recording", "--all"]),
        ("snapshot", &["snapshot", "a", jpg]),
        ("convert", &["convert", mp4, bare]),
        ("repair", &["repair", mp4]),
        ("play", &["play", mp4, "--as", "clip"]),
        ("play", &["play", mp4, "--as", "clip", "--detach", "--loop"]),
        ("status", &["status", "clip"]),
        ("stop-stream", &["stop-stream", "clip"]),
        ("top", &["top", "--once"]),
        ("metrics", &["metrics"]),
        ("config-check", &["config", "check", good]),
        ("config-check", &["config", "check", good, bad]),
        ("config-reload", &["config", "reload"]),
        ("error", &["stop-stream", "nobody"]),
        ("error", &["stop-recording", "77"]),
        ("error", &["snapshot", "a", "/nowhere/out.jpg"]),
    ];
    for (schema, arguments) in cases {
        let outcome = rig.vsctl(&[&["--json"], arguments].concat());
        let fails = schema == "error" || arguments.contains(bad) || arguments.contains(&"lost");
        assert_eq!(outcome.status != 0, fails, "{arguments:?}: {outcome}");
        let schema = if outcome.json()["error"].is_object() { "error" } else { schema };
        answers.add(schema, &arguments.join(" "), &outcome.json());
    }
    for line in monitor.stdout.lines() {
        answers.add("monitor", &line, &serde_json::from_str(&line).unwrap());
    }
    answers.judge();
    let written = schemas().read_dir().unwrap().map(|entry| entry.unwrap().path());
    let written = written.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    let unseen: Vec<_> =
        written.filter(|name| !answers.seen.contains(name) && !NOT_HERE.contains(&name.as_str())).collect();
    assert!(unseen.is_empty(), "nothing here writes {unseen:?}");
}
