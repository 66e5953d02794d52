// SPDX-License-Identifier: Apache-2.0
//! A recorder that is killed at any moment leaves files that play, and the end that they lack is
//! short.

use std::path::Path;
use std::time::Duration;

use system_tests::diary::Entry;
use system_tests::mischief::Noise;
use system_tests::{Diary, Rig, eventually, video};
use vsclient::monotonic_ns;

use crate::stage::{alone, scale};

const CONFIG: &str = "\
[stream.a]
pattern = \"bars\"
size = \"320x240\"
rate = 30
always-on = true
buffers = 32
credits-max = 16
";

/// Time from one frame to the next, in ns.
const INTERVAL_NS: u64 = 1_000_000_000 / 30;

/// Frames in a file of which the first fragment, 100 ms, is with the kernel.
const BEGUN: u64 = 4;

/// The longest that a recording goes on before it is killed: two intervals of its synchronising
/// and several of its keyframes.
const LONGEST: Duration = Duration::from_millis(2500);

/// What a killed recorder may lose, as the median of many: half of it is the fragment that was not
/// complete.
const PROMISED_NS: u64 = 150_000_000;

/// The same moments each time.
const SEED: u64 = 0x5EED;

#[test]
fn a_killed_recorder_loses_a_tenth_of_a_second() {
    let _alone = alone();
    let kills = scale(5, 200);
    let mut noise = Noise::new(SEED);
    let mut rig = Rig::start(CONFIG);
    let mut losses = Vec::new();
    for kill in 0..kills {
        let recordings = 1 + noise.number() % 2;
        let paths: Vec<_> = (0..recordings).map(|number| rig.path(&format!("{kill}-{number}.mp4"))).collect();
        let diary = Diary::begin(&rig.socket("a"));
        for path in &paths {
            let _ = rig.ask(&["record", "a", path.to_str().unwrap(), "--detach"]);
        }
        eventually("recordings to get along", || {
            let recordings = rig.objects().recordings;
            recordings.iter().all(|(_, info)| info.progress.frames >= BEGUN).then_some(())
        });
        // The moment shall have nothing to do with anything that the daemon does.
        std::thread::sleep(Duration::from_nanos(noise.number() % LONGEST.as_nanos() as u64));
        let killed_ns = monotonic_ns();
        rig.kill();
        let entries = diary.end();
        for path in &paths {
            losses.push(judge(path, &entries, killed_ns));
            std::fs::remove_file(path).unwrap();
        }
        rig.start_again();
    }
    println!("{kills} kills, {} recordings", losses.len());
    let median_ns = told("s from the end of the file to the kill", losses.iter().map(|loss| loss.until_kill_ns));
    told("s that had been published and are missing", losses.iter().map(|loss| loss.published_ns));
    assert!(median_ns <= PROMISED_NS, "{losses:#?}");
}

/// What a file lacks.
#[derive(Debug)]
struct Loss {
    /// From its end, which is that of its last frame, to the kill.
    until_kill_ns: u64,
    /// From its last frame to the last one that the stream had published.
    published_ns: u64,
}

/// The file plays, shows frames of the stream one after the other, and lacks so much.
fn judge(path: &Path, entries: &[Entry], killed_ns: u64) -> Loss {
    video::decodes(path);
    let serials = video::serials(path);
    assert!(serials.is_sorted_by(|a, b| a < b), "{serials:?}");
    let taken = |serial: u64| entries.iter().find(|entry| entry.serial == serial);
    let (last, published) = (serials.last().copied().unwrap(), entries.last().unwrap());
    let last = taken(last).unwrap_or_else(|| panic!("nobody saw frame {last}: {entries:?}"));
    Loss {
        until_kill_ns: killed_ns.saturating_sub(last.capture_ns + INTERVAL_NS),
        published_ns: published.capture_ns.saturating_sub(last.capture_ns),
    }
}

/// Prints the spread of what was lost; the median in ns.
fn told(what: &str, losses: impl Iterator<Item = u64>) -> u64 {
    let mut sorted: Vec<u64> = losses.collect();
    sorted.sort_unstable();
    let at = |percent: usize| sorted[(sorted.len() - 1) * percent / 100];
    let seconds = |percent| at(percent) as f64 / 1e9;
    let [least, lower, median, upper, late, most] = [0, 25, 50, 75, 95, 100].map(seconds);
    println!("{what}: median {median:.3} (quartiles {lower:.3}–{upper:.3}), {least:.3} to {most:.3}, 95 % {late:.3}");
    at(50)
}
