// SPDX-License-Identifier: Apache-2.0
//! What happens between two looks at the daemon.

pub mod layout;
mod process;

use std::collections::HashMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use vsclient::dbus::{ClientInfo, Daemon, Distribution, Objects, SERVICE, StreamInfo};
use zbus::fdo::DBusProxy;

use crate::daemon::{self, answer};
use crate::latency::Latency;
use crate::report::top::{Client, DaemonUse, Stream, Top};
use process::Usage;

/// What to sort by: the most comes first, names in their order.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    #[default]
    Name,
    Fps,
    /// The slowest hundredth
    Latency,
    Skips,
    Held,
    Cpu,
}

impl Sort {
    /// The next one, and after the last the first.
    pub fn next(self) -> Self {
        let all = Self::value_variants();
        let place = all.iter().position(|sort| *sort == self).unwrap_or_default();
        all[(place + 1) % all.len()]
    }

    /// How it is called on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// The daemon at one moment.
pub struct Sample {
    at: Instant,
    version: String,
    objects: Objects,
    usage: Option<Usage>,
}

impl Sample {
    /// Takes one.
    pub async fn take(daemon: &Daemon) -> anyhow::Result<Self> {
        let info = answer(daemon.info()).await?;
        let objects = daemon::objects(daemon).await?;
        let at = Instant::now();
        let usage = pid(daemon).await.and_then(Usage::of);
        Ok(Self { at, version: info.version, objects, usage })
    }

    /// Its streams.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// What happened since `before` to the streams for which `wanted` holds.
    pub fn since(&self, before: &Self, wanted: impl Fn(&str) -> bool, sort: Sort) -> Top {
        let between = Between::new(before, self);
        let mut streams: Vec<_> =
            self.objects.streams.iter().filter(|stream| wanted(&stream.name)).map(|s| between.stream(s)).collect();
        if sort != Sort::Name {
            // Equals keep the order of their names.
            streams.sort_by(|a, b| stream_key(b, sort).total_cmp(&stream_key(a, sort)));
            for stream in &mut streams {
                stream.clients.sort_by(|a, b| client_key(b, sort).total_cmp(&client_key(a, sort)));
            }
        }
        let usage = self.usage.as_ref();
        Top {
            wall_ns: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64),
            interval_ns: (between.seconds * 1e9) as u64,
            daemon: DaemonUse {
                version: self.version.clone(),
                pid: usage.map(|usage| usage.pid),
                cpu_percent: between.percent(|usage| Some(usage.cpu)),
                memory: usage.map(|usage| usage.memory),
            },
            streams,
        }
    }
}

/// The daemon's process, as the bus knows it.
async fn pid(daemon: &Daemon) -> Option<u32> {
    let dbus = DBusProxy::new(daemon.connection()).await.ok()?;
    let name = SERVICE.try_into().ok()?;
    answer(async { dbus.get_connection_unix_process_id(name).await }).await.ok()
}

fn stream_key(stream: &Stream, sort: Sort) -> f64 {
    match sort {
        Sort::Name => 0.0,
        Sort::Fps => stream.fps.unwrap_or_default(),
        Sort::Latency => stream.latency_us.map_or(0.0, |latency| latency.p99),
        Sort::Skips => stream.skipped_per_s.unwrap_or_default(),
        Sort::Held => f64::from(stream.held),
        Sort::Cpu => stream.cpu_percent.unwrap_or_default(),
    }
}

fn client_key(client: &Client, sort: Sort) -> f64 {
    match sort {
        Sort::Name | Sort::Cpu => 0.0,
        Sort::Fps => client.fps.unwrap_or_default(),
        Sort::Latency => client.hold_us.map_or(0.0, |hold| hold.p99),
        Sort::Skips => client.skipped_per_s.unwrap_or_default(),
        Sort::Held => f64::from(client.held),
    }
}

/// Two samples.
struct Between<'a> {
    before: &'a Sample,
    now: &'a Sample,
    seconds: f64,
}

impl<'a> Between<'a> {
    fn new(before: &'a Sample, now: &'a Sample) -> Self {
        Self { before, now, seconds: now.at.duration_since(before.at).as_secs_f64() }
    }

    /// So many more in that time; `None` if there are fewer, so that somebody has begun anew.
    fn rate(&self, before: u64, now: u64) -> Option<f64> {
        let more = now.checked_sub(before)?;
        (self.seconds > 0.0).then(|| hundredths(more as f64 / self.seconds))
    }

    /// How much of one processor something of the daemon has used.
    fn percent(&self, seconds: impl Fn(&Usage) -> Option<f64>) -> Option<f64> {
        let (before, now) = (self.before.usage.as_ref()?, self.now.usage.as_ref()?);
        let used = seconds(now)? - now.continues(before).then(|| seconds(before)).flatten()?;
        (self.seconds > 0.0).then(|| hundredths((used / self.seconds * 100.0).max(0.0)))
    }

    fn stream(&self, now: &StreamInfo) -> Stream {
        let counters = &now.counters;
        let before = daemon::stream(&self.before.objects, &now.name);
        let earlier = before.map(|before| &before.counters);
        let names = || self.now.objects.streams.iter().map(|stream| stream.name.as_str());
        let format = &now.format;
        Stream {
            name: now.name.clone(),
            state: now.state.clone(),
            fourcc: (!format.fourcc.is_empty()).then(|| format.fourcc.clone()),
            width: format.width,
            height: format.height,
            fps: earlier.and_then(|before| self.rate(before.published, counters.published)),
            skipped_per_s: earlier.and_then(|before| self.rate(sum(&before.skipped), sum(&counters.skipped))),
            held: counters.held,
            frames_live: counters.frames_live,
            frames_max: counters.frames_max,
            latency_us: earlier.and_then(|before| newest(&before.capture_latency, &counters.capture_latency)),
            cpu_percent: self.percent(|usage| usage.of_stream(&now.name, names())),
            clients: now.clients.iter().map(|client| self.client(before, client)).collect(),
        }
    }

    fn client(&self, stream: Option<&StreamInfo>, now: &ClientInfo) -> Client {
        let same = |before: &&ClientInfo| (before.id, before.pid, before.connected) == (now.id, now.pid, now.connected);
        let before = stream.and_then(|stream| stream.clients.iter().find(same));
        Client {
            id: now.id,
            name: now.name.clone(),
            pid: now.pid,
            uid: now.uid,
            fps: before.and_then(|before| self.rate(before.delivered, now.delivered)),
            skipped_per_s: before.and_then(|before| self.rate(sum(&before.skipped), sum(&now.skipped))),
            held: now.held,
            credits: now.credits,
            hold_us: before.and_then(|before| newest(&before.lease_hold, &now.lease_hold)),
        }
    }
}

fn sum(counts: &HashMap<String, u64>) -> u64 {
    counts.values().fold(0, |sum, count| sum.saturating_add(*count))
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// What has come to a distribution. The shortest and the longest are as exact as its buckets.
fn newest(before: &Distribution, now: &Distribution) -> Option<Latency> {
    let earlier: HashMap<u64, u64> = before.buckets.iter().copied().collect();
    let more = |(end, count): &(u64, u64)| {
        let more = count.saturating_sub(earlier.get(end).copied().unwrap_or_default());
        (more > 0).then_some((*end, more))
    };
    let mut new = Distribution::default();
    new.buckets = now.buckets.iter().filter_map(more).collect();
    new.count = new.buckets.iter().map(|(_, count)| count).sum();
    new.sum = now.sum.checked_sub(before.sum)?;
    new.max = new.buckets.last()?.0.min(now.max);
    new.min = new.buckets.first()?.0.min(new.max);
    Latency::of(&new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distribution(times: &[(u64, u64)]) -> Distribution {
        let mut all = Distribution::default();
        all.buckets = times.to_vec();
        all.count = times.iter().map(|(_, count)| count).sum();
        all.sum = times.iter().map(|(time, count)| time * count).sum();
        all.max = times.last().map_or(0, |(time, _)| *time);
        all
    }

    #[test]
    fn only_what_is_new_counts() {
        let before = distribution(&[(1_000, 1000), (8_000_000, 5)]);
        let now = distribution(&[(1_000, 1000), (2_000_000, 99), (8_000_000, 6)]);
        let new = newest(&before, &now).unwrap();
        assert_eq!((new.p50, new.max), (2000.0, 8000.0));
        assert_eq!(newest(&now, &now), None);
        assert_eq!(newest(&now, &before), None, "begun anew");
    }

    fn sample(at: Instant, published: u64, skipped: u64) -> Sample {
        let mut stream = StreamInfo::default();
        stream.name = "a".to_owned();
        stream.counters.published = published;
        let mut client = ClientInfo::default();
        client.delivered = published - skipped;
        client.skipped.insert("no-credit".to_owned(), skipped);
        stream.clients = vec![client];
        let objects = Objects { streams: vec![stream], ..Objects::default() };
        Sample { at, version: String::new(), objects, usage: None }
    }

    #[test]
    fn rates_are_of_the_time_between() {
        let start = Instant::now();
        let end = start + std::time::Duration::from_secs(2);
        let top = sample(end, 160, 20).since(&sample(start, 100, 0), |_| true, Sort::Fps);
        let stream = &top.streams[0];
        assert_eq!(
            (stream.fps, stream.clients[0].fps, stream.clients[0].skipped_per_s),
            (Some(30.0), Some(20.0), Some(10.0))
        );
        assert_eq!(top.daemon.cpu_percent, None);
        let anew = sample(end, 5, 0).since(&sample(start, 100, 0), |_| true, Sort::Name);
        assert_eq!(anew.streams[0].fps, None);
    }

    #[test]
    fn sorting_goes_round() {
        let all: Vec<_> = std::iter::successors(Some(Sort::Name), |sort| Some(sort.next())).take(7).collect();
        assert_eq!((all[1], all[6]), (Sort::Fps, Sort::Name));
        assert_eq!(Sort::Latency.name(), "latency");
    }
}
