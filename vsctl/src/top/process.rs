// SPDX-License-Identifier: Apache-2.0
//! What the kernel says of the daemon (proc_pid_stat(5), proc_pid_statm(5)). It tells everybody, unless `/proc` is mounted with `hidepid`:
//! then there is nothing to say, which is no error.

use std::collections::HashMap;
use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};

/// Characters of a thread's name that the kernel keeps.
const NAME_MAX: usize = 15;

/// What a process has used.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    pub pid: u32,
    /// Tells it from another process that has the same number later.
    start: u64,
    /// Seconds of CPU time so far.
    pub cpu: f64,
    /// Resident memory in bytes, what is shared with others included.
    pub memory: u64,
    /// The same of its threads by their names; of those that share one, the sum.
    threads: HashMap<String, f64>,
}

/// A line of `stat`.
#[derive(Debug, PartialEq)]
struct Stat {
    name: String,
    ticks: u64,
    start: u64,
}

impl Usage {
    /// As it is now; `None` if nobody says.
    pub fn of(pid: u32) -> Option<Self> {
        let process = read_stat(&format!("/proc/{pid}/stat"))?;
        let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
        let mut threads = HashMap::new();
        // A thread may end between being listed and being looked at.
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok) {
            if let Some(thread) = read_stat(&task.path().join("stat").to_string_lossy()) {
                *threads.entry(thread.name).or_default() += seconds(thread.ticks);
            }
        }
        let memory = pages.saturating_mul(page_size() as u64);
        Some(Self { pid, start: process.start, cpu: seconds(process.ticks), memory, threads })
    }

    /// Whether this is the same process.
    pub fn continues(&self, before: &Self) -> bool {
        (self.pid, self.start) == (before.pid, before.start)
    }

    /// Seconds of CPU time of all threads that work for a stream: its own, its encoder's and its decoder's. `None` if there are none, or
    /// if the names of `others` cannot be told from its own.
    pub fn of_stream<'a>(&self, stream: &str, others: impl Iterator<Item = &'a str>) -> Option<f64> {
        let own = threads_of(stream);
        let mut others = others.filter(|other| *other != stream);
        if others.any(|other| threads_of(other) == own) {
            return None;
        }
        own.iter().filter_map(|name| self.threads.get(name)).copied().reduce(|sum, cpu| sum + cpu)
    }
}

/// Names of the threads that work for a stream.
fn threads_of(stream: &str) -> [String; 3] {
    ["vs", "enc", "dec"].map(|kind| {
        let name = format!("{kind}-{stream}");
        String::from_utf8_lossy(&name.as_bytes()[..name.len().min(NAME_MAX)]).into_owned()
    })
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / clock_ticks_per_second() as f64
}

fn read_stat(path: &str) -> Option<Stat> {
    parse(&String::from_utf8_lossy(&fs::read(path).ok()?))
}

/// The name may have blanks and parentheses in it: what counts is the last one.
fn parse(line: &str) -> Option<Stat> {
    let (head, tail) = line.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    // Behind the name begins field 3.
    let field = |number: usize| tail.split_ascii_whitespace().nth(number - 3)?.parse::<u64>().ok();
    let (user, system) = (field(14)?, field(15)?);
    Some(Stat { name: name.to_owned(), ticks: user.checked_add(system)?, start: field(22)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_be_anything() {
        let line = "7 (vs-a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 120 30 0 0 20 0 4 0 998 1000 20 18446744073709551615 1";
        let stat = Stat { name: "vs-a) b (c".to_owned(), ticks: 150, start: 998 };
        assert_eq!(parse(line), Some(stat));
        assert_eq!(parse("7 (x) S 1"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn we_have_used_something() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.memory > 100_000 && usage.continues(&usage), "{usage:?}");
        assert!(!usage.threads.is_empty());
        assert_eq!(Usage::of(u32::MAX), None);
    }

    #[test]
    fn threads_are_told_apart_or_not_at_all() {
        let threads = [("vs-cam0", 1.0), ("enc-cam0", 2.0), ("vs-front-camera", 4.0)];
        let threads = threads.map(|(name, cpu)| (name.to_owned(), cpu)).into();
        let usage = Usage { threads, ..Usage::default() };
        let of = |stream, others: &[&'static str]| usage.of_stream(stream, others.iter().copied());
        assert_eq!(of("cam0", &["cam0", "cam1"]), Some(3.0));
        assert_eq!(of("cam1", &["cam0", "cam1"]), None);
        assert_eq!(of("front-camera-left", &["front-camera-left"]), Some(4.0));
        assert_eq!(of("front-camera-left", &["front-camera-left", "front-camera-right"]), None);
    }
}
