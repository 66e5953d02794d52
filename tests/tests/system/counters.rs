// SPDX-License-Identifier: Apache-2.0
//! The same story on D-Bus, by `vsctl` and for Prometheus: who reads, who holds, who was
//! thrown out and why.

use std::collections::BTreeSet;

use system_tests::client::{builder, next};
use system_tests::{Peer, Rig, eventually};
use vsclient::dbus::{DepartureInfo, StreamInfo};

const CONFIG: &str = "\
[stream.a]
pattern = \"bars\"
size = \"320x240\"
rate = 60
always-on = true
";

/// A name that tries to be something else.
const NAME: &str = "re\"ader\\ {le=\"1\"} 5";

fn pid() -> i32 {
    i32::try_from(std::process::id()).unwrap()
}

fn stream_that<T>(rig: &Rig, what: &str, is: impl Fn(&StreamInfo) -> Option<T>) -> T {
    eventually(what, || is(&rig.stream("a")))
}

fn gone(rig: &Rig, what: &str, is: impl Fn(&DepartureInfo) -> bool) -> DepartureInfo {
    stream_that(rig, what, |stream| stream.departures.iter().find(|gone| is(gone)).cloned())
}

#[test]
fn a_reader_shows_in_counters_and_distributions() {
    let rig = Rig::start(CONFIG);
    let mut client = builder(&rig.socket("a")).name(NAME).connect().unwrap();
    (0..30).for_each(|_| drop(next(&mut client)));
    // Unlocks may be on their way.
    let reader = rig.client_that("a", NAME, |client| client.lease_hold.count >= 29);
    let counters = rig.stream("a").counters;
    assert!(reader.held_max >= 1 && counters.held_max >= reader.held_max, "{counters:?}");
    assert!(counters.frames_live <= counters.frames_max, "{counters:?}");
    let hold = &reader.lease_hold;
    assert_eq!(hold.count, hold.buckets.iter().map(|(_, n)| n).sum::<u64>());
    assert!(0 < hold.min && hold.min <= hold.max && hold.sum >= hold.max, "{hold:?}");
    assert!(hold.quantile(0.5) <= hold.quantile(0.99) && hold.quantile(1.0) == Some(hold.max), "{hold:?}");
    // All frames but those for which there was no buffer were captured and published.
    assert!((30..=counters.published).contains(&counters.capture_latency.count), "{counters:?}");
    // The client measures what the host cannot.
    let latency = client.latency();
    assert!(latency.count() >= 10 && latency.min_ns() > Some(0), "{latency:?}");

    let metrics = rig.metrics();
    let of_client = |name: &str| metrics.get(&format!("videostream_client_{name}"), &[("client", NAME)]);
    assert!(of_client("frames_delivered_total") >= 30.0);
    assert!(of_client("lease_hold_seconds_sum") >= hold.sum as f64 / 1e9);
    let who = [("client", NAME), ("pid", &pid().to_string()), ("protocol", "native"), ("mode", "leased")];
    assert_eq!(metrics.get("videostream_client_info", &who), 1.0);
    assert_eq!(metrics.get("videostream_stream_clients", &[("stream", "a")]), 1.0);
    assert!(metrics.get("videostream_stream_capture_latency_seconds_count", &[("stream", "a")]) >= 30.0);
    for (state, value) in [("running", 1.0), ("waiting", 0.0), ("stopped", 0.0), ("failed", 0.0)] {
        assert_eq!(metrics.get("videostream_stream_state", &[("stream", "a"), ("state", state)]), value, "{state}");
    }

    let status = rig.ask(&["status"]);
    let stream = &status["streams"][0];
    let us = |value: &serde_json::Value| value.as_f64().unwrap();
    let hold = &stream["clients"][0]["lease_hold_us"];
    assert!(us(&hold["p50"]) > 0.0 && us(&hold["p50"]) <= us(&hold["max"]), "{hold}");
    assert!(us(&stream["capture_latency_us"]["p99"]) > 0.0, "{stream}");
    let text = rig.vsctl(&["status", "a"]).good().stdout;
    assert!(text.contains(NAME) && text.contains("capture to publication"), "{text}");
}

/// With one credit nearly every frame is at first not delivered, and then is: a counter that
/// took its word back would look like a restart to Prometheus.
#[test]
fn no_counter_goes_back_when_a_client_catches_up() {
    let rig = Rig::start(CONFIG);
    let mut client = builder(&rig.socket("a")).name("slow").credits(1).connect().unwrap();
    let mut before = rig.metrics();
    for _ in 0..30 {
        let frame = next(&mut client);
        let now = rig.metrics();
        now.is_not_behind(&before);
        drop(frame);
        before = now;
    }
    let held = next(&mut client);
    let skipped = [("client", "slow"), ("reason", "no-credit")];
    eventually("frames to be skipped", || {
        (rig.metrics().get("videostream_client_frames_skipped_total", &skipped) >= 5.0).then_some(())
    });
    drop(held);
    while next(&mut client).skipped().total() < 5 {}
    let counters = client.counters();
    assert_eq!(counters.lost, counters.skipped_total(), "each frame was delivered, or the client was told why not");
}

#[test]
fn whoever_has_gone_can_be_asked_why() {
    let rig = Rig::start(&format!("{CONFIG}clients-max = 3\nlease = \"100ms\"\n"));
    let staying = builder(&rig.socket("a")).name("staying").connect().unwrap();
    // One holds its frame beyond the deadline; then it leaves by itself.
    let mut late = builder(&rig.socket("a")).name("late").credits(1).connect().unwrap();
    let frame = next(&mut late);
    let revoked = rig.client_that("a", "late", |client| client.revoked["deadline"] > 0);
    assert!(revoked.lease_hold.max >= 100_000_000, "a lease that ended by its deadline was held until then");
    drop(frame);
    drop(late);
    let left = gone(&rig, "the client that left", |gone| gone.name == "late");
    assert_eq!((left.reason.as_str(), left.text.as_str(), left.times, left.pid), ("", "", 1, pid()));
    assert!(left.revoked["deadline"] >= 1 && left.delivered >= 1 && left.connected < left.left, "{left:?}");

    // One speaks another protocol.
    let rubbish = || {
        let peer = Peer::connect(&rig.socket("a"));
        assert!(peer.say(b"GET / HTTP/1.1\r\n\r\n"));
        peer.farewell().text
    };
    let text = rubbish();
    let stranger = gone(&rig, "the stranger", |gone| gone.reason == "version");
    assert_eq!((stranger.name.as_str(), stranger.uid, stranger.text), ("", revoked.uid, text));

    // One never gets in.
    let full = ["second", "third"].map(|name| builder(&rig.socket("a")).name(name).connect().unwrap());
    assert!(builder(&rig.socket("a")).name("one too many").connect().is_err());
    let refused = gone(&rig, "the client that was refused", |gone| gone.reason == "too-many-clients");
    assert_eq!((refused.id, refused.delivered, refused.pid), (0, 0, pid()));
    drop(full);
    rig.client_gone("a", "second");
    rig.client_gone("a", "third");

    // Repetition takes no further place, and pushes out nobody.
    (0..40).for_each(|_| drop(rubbish()));
    let stranger = gone(&rig, "the stranger again", |gone| gone.reason == "version" && gone.times == 41);
    let stream = rig.stream("a");
    assert_eq!(stream.counters.goodbyes["version"], 41);
    assert!(stream.departures.iter().any(|gone| gone.reason == "too-many-clients"));
    assert!(stream.departures.is_sorted_by_key(|gone| gone.left));
    let goodbyes = [("stream", "a"), ("reason", "version")];
    eventually("the metrics to say it", || {
        (rig.metrics().get("videostream_stream_goodbyes_total", &goodbyes) == 41.0).then_some(())
    });

    let text = rig.vsctl(&["status"]).good().stdout;
    assert!(text.contains(&format!("version: {}", stranger.text)) && text.contains("too-many-clients"), "{text}");
    assert!(!text.contains("late"), "who left is shown on demand:\n{text}");
    assert!(rig.vsctl(&["status", "-v"]).good().stdout.contains("late"));
    let json = rig.ask(&["status"]);
    let departures = json["streams"][0]["departures"].as_array().unwrap();
    assert!(departures.iter().any(|gone| gone["reason"] == "version" && gone["times"] == 41), "{json}");
    drop(staying);
}

#[test]
fn the_page_lists_every_metric() {
    let rig = Rig::start(CONFIG);
    let page = include_str!("../../../docs/metrics.md");
    let listed = page.lines().filter_map(|line| line.strip_prefix("| `videostream_")?.split('`').next());
    let listed: BTreeSet<String> = listed.map(|name| format!("videostream_{name}")).collect();
    let metrics = rig.metrics();
    assert_eq!(metrics.families().map(str::to_owned).collect::<BTreeSet<_>>(), listed);
    assert_eq!(
        rig.ask(&["metrics"])["text"].as_str().unwrap().lines().filter(|l| l.starts_with("# HELP")).count(),
        listed.len()
    );
}
