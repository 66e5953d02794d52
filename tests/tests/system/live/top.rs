// SPDX-License-Identifier: Apache-2.0
//! `vsctl top`: streams and clients with their rates, on a terminal and in pipes.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use system_tests::{Rig, Terminal, eventually};

const CONFIG: &str = "\
[stream.a]
pattern = \"bars\"
size = \"320x240\"
rate = 30
always-on = true
";

fn near_the_rate(fps: f64) -> bool {
    // A busy machine publishes fewer.
    (10.0..=33.0).contains(&fps)
}

#[test]
fn rates_are_those_of_the_interval() {
    let rig = Rig::start(CONFIG);
    let _reader = rig.vsctl_beside(&["receive", "a"]);
    rig.client_that("a", "vsctl receive", |client| client.delivered > 0);
    let outcome = rig.vsctl(&["top", "-n", "2", "--json"]).good();
    let tables: Vec<Value> = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(tables.len(), 2);
    for table in &tables {
        let stream = &table["streams"][0];
        let client = &stream["clients"][0];
        assert_eq!(
            (&stream["name"], &stream["state"], &client["name"]),
            (&"a".into(), &"running".into(), &"vsctl receive".into())
        );
        for fps in [&stream["fps"], &client["fps"]] {
            assert!(fps.as_f64().is_some_and(near_the_rate), "{table}");
        }
        assert!(
            stream["latency_us"]["p99"].as_f64() > Some(0.0) && client["hold_us"]["p50"].as_f64() > Some(0.0),
            "{table}"
        );
        assert_eq!(table["daemon"]["pid"], rig.daemon().process.pid());
        assert!(table["daemon"]["memory"].as_u64() > Some(1_000_000), "{table}");
        assert!(stream["cpu_percent"].is_number() && table["daemon"]["cpu_percent"].is_number(), "{table}");
    }
    let text = rig.vsctl(&["top", "--once"]).good().stdout;
    assert!(text.lines().any(|line| line.starts_with("a ") && line.contains("running")), "{text}");
    assert!(text.contains("  vsctl receive [") && !text.contains('\x1b'), "{text}");
    rig.vsctl(&["top", "b", "--once"]).refused(4, &["no stream 'b'"]);
}

#[test]
fn the_table_lives_and_leaves_the_terminal_as_it_was() {
    let mut rig = Rig::start(CONFIG);
    let terminal = Terminal::open(&rig.path(""), &rig.place().bus, 80, 24);
    let _reader = rig.vsctl_beside(&["receive", "a", "--reconnect"]);
    rig.client_that("a", "vsctl receive", |client| client.delivered > 0);
    let row = |lines: &[String], begins: &str| lines.iter().find(|line| line.starts_with(begins)).cloned();
    let fps = |lines: &[String], begins: &str| {
        let row = row(lines, begins)?;
        row.split_whitespace().find(|cell| cell.contains('.'))?.parse::<f64>().ok()
    };

    terminal.vsctl("top -i 0.5");
    terminal.shows("the stream and its client with their rates", |lines| {
        let known = row(lines, "STREAM / CLIENT")?.contains("FPS") && row(lines, "a ")?.contains("running");
        let near = |begins| fps(lines, begins).is_some_and(near_the_rate);
        (known && near("a ") && near("  vsctl receive [")).then_some(())
    });
    assert!(terminal.is_taken());
    assert!(terminal.lines().iter().all(|line| line.chars().count() <= 80));
    terminal.press(&["s"]);
    terminal.shows("another order", |lines| lines.last()?.contains("by fps").then_some(()));
    terminal.resize(60, 10);
    terminal.shows("the table in a smaller window", |lines| {
        let fits = lines.len() == 10 && lines.iter().all(|line| line.chars().count() <= 60);
        (fits && lines[9].starts_with("q ends") && row(lines, "a ").is_some()).then_some(())
    });
    terminal.resize(120, 30);
    terminal.shows("the format in a wide window", |lines| row(lines, "a ")?.contains("NV12 320x240").then_some(()));
    rig.kill();
    terminal.shows("that the daemon has gone", |lines| lines.first()?.contains("went away").then_some(()));
    rig.start_again();
    terminal.shows("the new daemon", |lines| row(lines, "a ")?.contains("running").then_some(()));
    terminal.press(&["q"]);
    terminal.is_given_back();
}

#[test]
fn signals_and_ctrl_c_leave_the_terminal_as_it_was() {
    let rig = Rig::start(CONFIG);
    let terminal = Terminal::open(&rig.path(""), &rig.place().bus, 80, 24);
    let begin = || {
        terminal.vsctl("top -i 0.2");
        terminal.shows("the table", |lines| lines.iter().any(|line| line.starts_with("a ")).then_some(()));
    };
    begin();
    terminal.press(&["C-c"]);
    terminal.is_given_back();
    begin();
    kill_process(child_of_shell(&terminal), Signal::TERM).unwrap();
    terminal.is_given_back();
}

/// The program that runs in the terminal's shell.
fn child_of_shell(terminal: &Terminal) -> Pid {
    let shell = terminal.shell();
    let pid = eventually("a child of the shell", || {
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    });
    Pid::from_raw(pid).unwrap()
}
