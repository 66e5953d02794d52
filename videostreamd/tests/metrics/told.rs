// SPDX-License-Identifier: Apache-2.0
//! The same story by D-Bus and by Prometheus: who reads, who holds, who was thrown out.


use vsclient::Frame;

use super::TIMEOUT;
use super::stage::{Stage, until};

const NAME: &str = "re\"ader\\ {le=\"1\"}";

#[test]
fn a_reader_shows_in_counters_and_distributions() {
    let stage = Stage::new("");
    let mut client = stage.client(NAME).connect().unwrap();
    for _ in 0..20 {
        drop(client.next_frame(TIMEOUT).unwrap().unwrap());
    }
    // The last unlock may be on its way.
    let stream = stage.until(|stream| {
        let reader = stream.clients.first()?;
        (reader.lease_hold.count >= 19).then(|| stream.clone())
    });
    let (reader, counters) = (&stream.clients[0], &stream.counters);
    assert_eq!(reader.name, NAME);
    assert!(reader.delivered >= 20 && counters.delivered >= 20 && counters.published >= 20);
    assert!(reader.held_max >= 1 && counters.held_max >= reader.held_max && counters.frames_max >= counters.frames_live);
    let hold = &reader.lease_hold;
    assert_eq!(hold.count, hold.buckets.iter().map(|(_, n)| n).sum::<u64>());
    assert!(0 < hold.min && hold.min <= hold.max && hold.sum >= hold.max);
    assert!(hold.quantile(0.5).unwrap() <= hold.quantile(0.99).unwrap() && hold.quantile(1.0) == Some(hold.max));
    assert!((20..=counters.published).contains(&counters.capture_latency.count), "{counters:?}");
    let latency = client.latency();
    assert!(latency.count() >= 10 && latency.min_ns() > Some(0), "{latency:?}");

    let metrics = until(|| Some(stage.metrics()).filter(|m| m.get(&client_metric("frames_delivered_total"), &[("client", NAME)]) >= 20.0));
    let bars = [("stream", "bars")];
    assert!(metrics.get("videostream_stream_frames_published_total", &bars) >= counters.published as f64);
    assert_eq!(metrics.get("videostream_stream_clients", &bars), 1.0);
    assert_eq!(metrics.get("videostream_stream_state", &[("stream", "bars"), ("state", "running")]), 1.0);
    assert_eq!(metrics.get("videostream_stream_state", &[("stream", "bars"), ("state", "failed")]), 0.0);
    assert!(metrics.get("videostream_stream_lease_hold_seconds_count", &bars) >= hold.count as f64);
    assert!(metrics.get(&client_metric("lease_hold_seconds_sum"), &[("client", NAME)]) >= hold.sum as f64 / 1e9);
    let pid = std::process::id().to_string();
    assert_eq!(metrics.get(&client_metric("info"), &[("client", NAME), ("pid", &pid), ("mode", "leased")]), 1.0);
}

fn client_metric(name: &str) -> String {
    format!("videostream_client_{name}")
}

#[test]
fn no_counter_goes_back_when_a_client_catches_up() {
    let stage = Stage::new("");
    let mut client = stage.client("slow").credits(1).connect().unwrap();
    let mut before = stage.metrics();
    // With one credit that is used up, nearly every frame is first behind and then delivered.
    for _ in 0..30 {
        let frame = client.next_frame(TIMEOUT).unwrap().unwrap();
        let now = stage.metrics();
        now.is_not_behind(&before);
        drop(frame);
        before = now;
    }
    let held: Vec<Frame> = client.next_frame(TIMEOUT).unwrap().into_iter().collect();
    let skipped = |stage: &Stage| {
        let labels = [("client", "slow"), ("reason", "no-credit")];
        stage.metrics().get("videostream_client_frames_skipped_total", &labels)
    };
    until(|| (skipped(&stage) >= 5.0).then_some(()));
    drop(held);
    // Each frame was delivered or skipped, and the client was told of each.
    while client.next_frame(TIMEOUT).unwrap().unwrap().skipped().total() < 5 {}
    let counters = client.counters();
    assert_eq!(counters.lost, counters.skipped_total());
}

#[test]
fn whoever_is_thrown_out_can_be_asked_why() {
    let stage = Stage::new("clients-max = 3\nlease = \"50ms\"\n");
    let staying = stage.client("staying").connect().unwrap();
    // One holds its frame beyond the deadline, and is told; then it leaves by itself.
    let mut late = stage.client("late").credits(1).connect().unwrap();
    let frame = late.next_frame(TIMEOUT).unwrap().unwrap();
    let revoked = stage.until(|stream| {
        let late = stream.clients.iter().find(|client| client.name == "late")?;
        (late.revoked > 0).then(|| late.clone())
    });
    assert!(revoked.lease_hold.max >= 50_000_000, "a lease that ended by its deadline was held until then");
    drop(frame);
    drop(late);
    let gone = stage.until(|stream| stream.departures.iter().find(|gone| gone.name == "late").cloned());
    assert_eq!((gone.reason.as_str(), gone.times, gone.pid), ("", 1, std::process::id() as i32));
    assert!(gone.revoked >= 1 && gone.delivered >= 1 && gone.connected < gone.left);

    // One speaks another language; one never gets in.
    rubbish(&stage);
    let gone = stage.until(|stream| stream.departures.iter().find(|gone| gone.reason == "version").cloned());
    assert_eq!((gone.name.as_str(), gone.uid), ("", revoked.uid));
    assert!(!gone.text.is_empty());
    let full: Vec<_> = (0..2).map(|_| stage.client("full").connect().unwrap()).collect();
    assert!(stage.client("one too many").connect().is_err());
    let gone = stage.until(|stream| stream.departures.iter().find(|gone| gone.reason == "too-many-clients").cloned());
    assert_eq!((gone.id, gone.delivered), (0, 0));
    drop(full);

    // Repeating it takes no further place, and pushes out nobody.
    stage.until(|stream| (stream.clients.len() == 1).then_some(()));
    (0..40).for_each(|_| rubbish(&stage));
    let stream = stage.until(|stream| {
        let times = |gone: &&vsclient::dbus::DepartureInfo| gone.reason == "version" && gone.times == 41;
        stream.departures.iter().find(times).map(|_| stream.clone())
    });
    assert_eq!(stream.counters.goodbyes["version"], 41);
    assert!(stream.departures.iter().any(|gone| gone.reason == "too-many-clients"));
    assert!(stream.departures.is_sorted_by_key(|gone| gone.left));
    let metrics = until(|| {
        let goodbyes = [("stream", "bars"), ("reason", "version")];
        Some(stage.metrics()).filter(|m| m.get("videostream_stream_goodbyes_total", &goodbyes) == 41.0)
    });
    assert!(metrics.get("videostream_stream_leases_revoked_total", &[("stream", "bars")]) >= 1.0);
    drop(staying);
}

/// Sends what is no HELLO, and waits until the daemon has hung up.
fn rubbish(stage: &Stage) {
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType, recv, send};
    let address = SocketAddrUnix::new(stage.path("bars")).unwrap();
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    send(&socket, b"GET / HTTP/1.1", SendFlags::NOSIGNAL).unwrap();
    let mut buffer = [0u8; 1024];
    // GOODBYE, then the end.
    while let Ok((_, 1..)) = recv(&socket, &mut buffer[..], RecvFlags::empty()) {}
}

#[test]
fn the_documentation_lists_every_metric() {
    let stage = Stage::new("");
    let _client = stage.client("x").connect().unwrap();
    let page = include_str!("../../../docs/metrics.md");
    let documented: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `videostream_")?.split('`').next()).collect();
    let metrics = stage.metrics();
    let told: Vec<&str> = metrics.families().map(|name| name.trim_start_matches("videostream_")).collect();
    let sorted = |mut names: Vec<&'static str>| {
        names.sort_unstable();
        names
    };
    assert_eq!(sorted(documented), told);
}
