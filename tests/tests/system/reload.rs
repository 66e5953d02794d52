// SPDX-License-Identifier: Apache-2.0
//! A new configuration while the daemon runs: what differs is done, nothing else is touched, and what is wrong does
//! nothing.

use rustix::process::Signal;
use serde_json::{Value, json};
use system_tests::{PATIENCE, Rig, eventually, video};
use vsclient::{Client, Event};

fn stream(name: &str, size: &str, more: &str) -> String {
    format!("[stream.{name}]\npattern = \"bars\"\nsize = \"{size}\"\nrate = 30\n{more}\n")
}

fn rewrite(rig: &Rig, config: &str) {
    std::fs::write(&rig.place().config, config).unwrap();
}

fn reload(rig: &Rig) -> Value {
    rig.ask(&["config", "reload"])
}

fn unchanged() -> Value {
    let nothing = json!({ "added": [], "changed": [], "removed": [] });
    json!({ "streams": nothing, "recordings": nothing, "restart": [] })
}

/// A reader that comes back by itself.
fn reader(rig: &Rig, stream: &str) -> Client {
    Client::builder(rig.socket(stream).to_str().unwrap()).connect().unwrap()
}

fn width(client: &mut Client) -> u32 {
    client.next_frame(PATIENCE).unwrap().unwrap().format().width
}

#[test]
fn what_differs_is_done_and_nothing_else_is_touched() {
    let rig =
        Rig::start(&[stream("a", "160x120", ""), stream("b", "160x120", ""), stream("c", "160x120", "")].concat());
    let (mut a, mut b, mut c) = (reader(&rig, "a"), reader(&rig, "b"), reader(&rig, "c"));
    [&mut a, &mut b, &mut c].into_iter().for_each(|client| assert_eq!(width(client), 160));
    assert_eq!(reload(&rig), unchanged());
    rewrite(&rig, &[stream("a", "160x120", ""), stream("b", "320x240", ""), stream("d", "64x48", "")].concat());
    let reloaded = reload(&rig);
    assert_eq!(reloaded["streams"], json!({ "added": ["d"], "changed": ["b"], "removed": ["c"] }));

    // Each frame is there, and no connection was lost.
    let mut last = a.next_frame(PATIENCE).unwrap().unwrap().serial();
    for _ in 0..30 {
        let frame = a.next_frame(PATIENCE).unwrap().unwrap();
        assert_eq!(frame.serial(), last + 1 + frame.skipped().total());
        last = frame.serial();
    }
    assert_eq!(a.counters().connections, 1);
    eventually("the reader to come back", || (width(&mut b) == 320).then_some(()));
    assert_eq!(b.counters().connections, 2);
    let told = std::iter::from_fn(|| c.next_event(PATIENCE).unwrap());
    let end = told.filter_map(|event| match event {
        Event::Disconnected { cause, .. } => Some(cause.to_string()),
        _ => None,
    });
    assert!({ end }.next().unwrap().contains("it is not configured any more"));
    assert!(!rig.socket("c").exists());
    assert_eq!(width(&mut reader(&rig, "d")), 64);
    let names: Vec<_> = rig.objects().streams.into_iter().map(|stream| stream.name).collect();
    assert_eq!(names, ["a", "b", "d"]);
}

#[test]
fn what_is_wrong_changes_nothing() {
    let rig = Rig::start(&stream("a", "160x120", ""));
    let mut a = reader(&rig, "a");
    assert_eq!(width(&mut a), 160);
    rewrite(&rig, &[stream("a", "320x240", ""), "[stream.b]\npattern = \"dots\"\n".to_owned()].concat());
    let place = format!("{}:7:11", rig.place().config.display());
    rig.vsctl(&["config", "reload"]).refused(1, &[&place, "bars"]);
    rig.daemon().process.signal(Signal::HUP);
    rig.daemon().notified("RELOADING=1");
    rig.daemon().notified("READY=1");
    let log = || rig.daemon().process.stderr.lines().iter().filter(|line| line.contains("stays as it was")).count();
    eventually("both attempts in the log", || (log() == 2).then_some(()));
    assert_eq!((width(&mut a), a.counters().connections), (160, 1));
    std::fs::remove_file(&rig.place().config).unwrap();
    rig.vsctl(&["config", "reload"]).refused(1, &["cannot read the configuration"]);
    assert_eq!(width(&mut a), 160);
}

#[test]
fn a_signal_does_the_same() {
    let rig = Rig::start("");
    rewrite(&rig, &stream("a", "160x120", "always-on = true"));
    rig.daemon().process.signal(Signal::HUP);
    rig.daemon().notified("RELOADING=1");
    rig.daemon().notified("READY=1");
    assert_eq!(rig.stream("a").state, "running");
}

#[test]
fn what_somebody_has_started_or_stopped_stays_so() {
    let both = |size| [stream("on", size, ""), stream("off", size, "")].concat();
    let rig = Rig::start(&both("160x120"));
    let _ = rig.ask(&["start-stream", "on"]);
    let _ = rig.ask(&["stop-stream", "off"]);
    let _ = rig.ask(&["start-stream", "made", "--from", "on", "--size", "80x60"]);
    rewrite(&rig, &both("320x240"));
    assert_eq!(reload(&rig)["streams"]["changed"], json!(["off", "on"]));
    assert_eq!((rig.stream("on").state, rig.stream("off").state), ("running".to_owned(), "stopped".to_owned()));
    assert_eq!(width(&mut reader(&rig, "on")), 320);
    // What was made by hand goes on, from what is there now.
    assert_eq!(width(&mut reader(&rig, "made")), 80);
}

#[test]
fn defaults_are_those_of_every_stream_that_does_not_say() {
    let config = |credits| {
        let own = stream("own", "160x120", "credits = 2");
        format!("[defaults]\ncredits = {credits}\n{}{own}", stream("a", "160x120", ""))
    };
    let rig = Rig::start(&config(3));
    rewrite(&rig, &config(4));
    assert_eq!(reload(&rig)["streams"]["changed"], json!(["a"]));
    assert_eq!(reader(&rig, "a").session().unwrap().credits, 4);
}

#[test]
fn recordings_end_go_on_and_begin() {
    let recording = |name: &str, segment: &str| {
        format!("[recording.{name}]\nstream = \"a\"\nsegment = \"{segment}\"\nfloor = \"0\"\n")
    };
    let config = |recordings: &[String]| [stream("a", "160x120", ""), recordings.concat()].concat();
    let rig = Rig::start(&config(&[recording("kept", "1h"), recording("other", "1h"), recording("gone", "1h")]));
    let number = |name: &str| {
        let report = rig.ask(&["recordings"]);
        let policies = report["policies"].as_array().unwrap();
        policies.iter().find(|policy| policy["name"] == name).and_then(|policy| policy["recording"].as_u64())
    };
    let records = |name: &str| eventually("a recording", || number(name));
    let (kept, other, gone) = (records("kept"), records("other"), records("gone"));
    rewrite(&rig, &config(&[recording("kept", "1h"), recording("other", "2h"), recording("new", "1h")]));
    let reloaded = reload(&rig);
    assert_eq!(reloaded["recordings"], json!({ "added": ["new"], "changed": ["other"], "removed": ["gone"] }));
    assert_eq!(reloaded["streams"], unchanged()["streams"]);
    records("new");
    assert_eq!(number("kept"), Some(kept));
    assert_ne!(records("other"), other);
    assert_eq!(number("gone"), None);
    let report = rig.ask(&["recordings"]);
    let ended =
        report["recordings"].as_array().unwrap().iter().find(|recording| recording["recording"] == gone).unwrap();
    assert_eq!(ended["state"], "finished", "{ended:#}");
    video::decodes(ended["file"].as_str().unwrap().as_ref());
}

#[test]
fn what_waits_for_the_next_start_is_said() {
    let rig = Rig::start(&stream("a", "160x120", ""));
    let more = "[daemon]\nstate-dir = \"/nowhere\"\n[metrics]\nlisten = \"127.0.0.1:1\"\n\
                [device.door]\nmatch = { serial = \"7\" }\n";
    rewrite(&rig, &[more.to_owned(), stream("a", "160x120", "")].concat());
    let reloaded = reload(&rig);
    assert_eq!(reloaded["restart"], json!(["daemon", "metrics", "device.door"]));
    assert_eq!(reloaded["streams"], unchanged()["streams"]);
    // The daemon has read it: no more is to be done than to start it anew.
    assert_eq!(reload(&rig), unchanged());
}
