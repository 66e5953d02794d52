// SPDX-License-Identifier: Apache-2.0
//! What the daemon records by itself: it begins, goes on whatever happens, and keeps to its bounds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use system_tests::video;
use system_tests::{Rig, eventually};

const STREAM: &str = "\
[stream.a]
pattern = \"bars\"
size = \"160x120\"
rate = 30
";

/// A recording of that stream in files of half a second, with no more room than a test has.
fn garage(more: &str) -> String {
    format!(
        "{STREAM}[recording.garage]\nstream = \"a\"\nsegment = \"500ms\"\nkeyframe-interval = \"500ms\"\nfloor = \"0\"\n{more}"
    )
}

fn place(rig: &Rig) -> PathBuf {
    rig.path("state/recordings/garage")
}

/// Everything in a directory, relative to it.
fn listing(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // Files and directories come and go meanwhile.
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            found.extend(listing(&entry.path()).iter().map(|inner| format!("{name}/{inner}")));
        } else {
            found.insert(name);
        }
    }
    found
}

fn finished(directory: &Path) -> Vec<PathBuf> {
    let names = listing(directory).into_iter().filter(|name| name.ends_with(".mp4"));
    names.map(|name| directory.join(name)).collect()
}

fn parts(directory: &Path) -> Vec<PathBuf> {
    let names = listing(directory).into_iter().filter(|name| name.ends_with(".part"));
    names.map(|name| directory.join(name)).collect()
}

fn policy(rig: &Rig, name: &str) -> Value {
    let report = rig.ask(&["recordings"]);
    let policies = report["policies"].as_array().unwrap();
    policies.iter().find(|policy| policy["name"] == name).unwrap_or_else(|| panic!("{report:#}")).clone()
}

fn does(rig: &Rig, name: &str, state: &str) -> Value {
    eventually(&format!("{name} to be {state}"), || Some(policy(rig, name)).filter(|policy| policy["state"] == state))
}

fn log_lines(rig: &Rig, text: &str) -> usize {
    rig.daemon().process.stderr.lines().iter().filter(|line| line.contains(text)).count()
}

#[test]
fn it_begins_by_itself_and_segments_hold_every_frame_once() {
    let mut rig = Rig::start(&garage("keep = \"1h\"\n"));
    let place = place(&rig);
    eventually("some files", || (finished(&place).len() >= 4).then_some(()));
    assert_eq!(parts(&place).len().clamp(1, 2), parts(&place).len(), "what is written is a part");
    let listed = rig.ask(&["recordings"]);
    let recording = &listed["recordings"][0];
    assert_eq!((&recording["name"], &recording["stream"]), (&json!("garage"), &json!("a")), "{listed:#}");
    assert!(recording["file"].as_str().unwrap().starts_with(place.to_str().unwrap()), "{listed:#}");
    assert_eq!(rig.terminate(), system_tests::process::End::Exit(0));
    assert_eq!(parts(&place), [] as [PathBuf; 0], "a daemon that ends finishes its files");

    let mut files = finished(&place);
    // Those of one second have numbers; their times are in order.
    files.sort_by_key(|file| file.metadata().unwrap().modified().unwrap());
    let serials: Vec<u64> = files.iter().flat_map(|file| video::serials(file)).collect();
    assert!(serials.is_sorted_by(|a, b| a < b), "{serials:?}");
    files.iter().for_each(|file| video::decodes(file));
    let mode = std::os::unix::fs::PermissionsExt::mode(&files[0].metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn what_a_killed_daemon_leaves_is_finalised() {
    let mut rig = Rig::start(&garage("segment = \"1h\"\n").replacen("segment = \"500ms\"\n", "", 1));
    let place = place(&rig);
    eventually("some pictures", || {
        rig.objects().recordings.iter().any(|(_, info)| info.progress.frames >= 60).then_some(())
    });
    rig.kill();
    let torn = parts(&place);
    let [torn] = &torn[..] else { panic!("{torn:?}") };
    std::fs::write(place.join(torn.file_name().unwrap()), "not in the day's directory: somebody else's").unwrap();
    let garbage = torn.with_file_name("garage-000000.mp4.part");
    std::fs::write(&garbage, "this has never been video").unwrap();
    rig.start_again();
    let mended = torn.with_extension("");
    eventually("the file to be finalised", || mended.exists().then_some(()));
    video::decodes(&mended);
    assert!(video::probe(&mended).frames >= 50);
    let aside = garbage.with_extension("broken");
    eventually("what is not video to be kept aside", || aside.exists().then_some(()));
    assert_eq!(std::fs::read(&aside).unwrap(), b"this has never been video");
    assert!(place.join(torn.file_name().unwrap()).exists());
    does(&rig, "garage", "recording");
    assert!(log_lines(&rig, "finalised a recording that was cut short") == 1);
}

#[test]
fn the_oldest_go_and_what_is_not_its_own_stays() {
    const KEEP: u64 = 200_000;
    let rig = Rig::start(&garage(&format!("keep = \"{}k\"\nbitrate = \"400k\"\n", KEEP / 1000)));
    let place = place(&rig);
    let first = eventually("a file", || finished(&place).into_iter().next());
    let aliens = [place.join("notes.txt"), first.with_file_name("garage-copy.mp4"), place.join("garage-120000.mp4")];
    aliens.iter().for_each(|alien| std::fs::write(alien, vec![0; 2 * KEEP as usize]).unwrap());
    eventually("the first file to go", || (!first.exists()).then_some(()));
    eventually("some more files", || (log_lines(&rig, "deleted an old recording") >= 3).then_some(()));
    let own: u64 = finished(&place)
        .iter()
        .chain(&parts(&place))
        .filter(|file| !aliens.contains(file))
        .filter_map(|file| file.metadata().ok())
        .map(|file| file.len())
        .sum();
    // A file more: what is written since it was last looked.
    assert!(own <= KEEP + KEEP / 2, "{own} bytes are kept");
    assert!(aliens.iter().all(|alien| alien.exists()));
}

#[test]
fn what_is_there_is_counted_while_it_records() {
    let rig = Rig::start(&garage(""));
    let kept = || policy(&rig, "garage")["files"].as_u64().unwrap();
    eventually("three files to be counted", || (kept() >= 3).then_some(()));
    assert_eq!(policy(&rig, "garage")["state"], "recording");
}

#[test]
fn files_go_when_they_have_had_their_time() {
    let rig = Rig::start(&garage("keep = \"2s\"\n"));
    let place = place(&rig);
    let first = eventually("a file", || finished(&place).into_iter().next());
    eventually("the first file to go", || (!first.exists()).then_some(()));
    assert!(finished(&place).len() >= 2, "{:?}", listing(&place));
    does(&rig, "garage", "recording");
}

/// A disk of 24 MiB if there may be one: it never fills, and nothing but old files goes.
#[test]
fn the_floor_is_kept_on_a_small_disk() {
    let disk = tempfile::tempdir().unwrap();
    let Some(_mount) = Tmpfs::mount(disk.path(), 24 << 20) else {
        eprintln!("not allowed to mount: skipped");
        return;
    };
    let directory = disk.path().join("garage");
    std::fs::create_dir(&directory).unwrap();
    let options = format!("directory = {directory:?}\nbitrate = \"4M\"\n");
    let rig = Rig::start(&garage(&options).replace("floor = \"0\"", "floor = \"12M\""));
    let first = eventually("a file", || finished(&directory).into_iter().next());
    // Somebody else takes nearly all that is above the floor.
    std::fs::write(disk.path().join("other"), vec![1; 13_100_000]).unwrap();
    eventually("the first file to go", || (!first.exists()).then_some(()));
    // What the recording has reserved for itself is not taken from anybody.
    let ours = || parts(&directory).iter().map(|part| reserved(part)).sum::<u64>();
    // One file ends and another begins between two looks.
    eventually("the floor to be kept", || (ours() + free(disk.path()) > 11_900_000).then_some(()));
    assert_eq!(log_lines(&rig, "not recording: it goes on as soon as it can"), 0);
    // And then more than there is.
    std::fs::write(disk.path().join("more"), vec![1; 2_000_000]).unwrap();
    let waiting = does(&rig, "garage", "waiting");
    assert!(waiting["text"].as_str().unwrap().contains("must stay so (floor)"), "{waiting:#}");
    finished(&directory).iter().for_each(|file| video::decodes(file));
    std::fs::remove_file(disk.path().join("other")).unwrap();
    std::fs::remove_file(disk.path().join("more")).unwrap();
    does(&rig, "garage", "recording");
    assert_eq!(log_lines(&rig, "not recording: it goes on as soon as it can"), 1);
}

fn free(place: &Path) -> u64 {
    let stat = rustix::fs::statvfs(place).unwrap();
    stat.f_bavail * stat.f_frsize
}

/// What a file has of the disk beyond its length.
fn reserved(file: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    file.metadata().map_or(0, |file| (file.blocks() * 512).saturating_sub(file.len()))
}

/// A file system in memory that is gone when this is.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(path: &Path, bytes: u64) -> Option<Self> {
        let size = format!("size={bytes}");
        let mount = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path).output();
        mount.is_ok_and(|mount| mount.status.success()).then(|| Self(path.to_owned()))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn without_room_it_waits_and_says_so() {
    let rig = Rig::start(&garage("").replace("floor = \"0\"", "floor = \"9000T\""));
    let waiting = does(&rig, "garage", "waiting");
    assert!(waiting["text"].as_str().unwrap().contains("must stay so (floor)"), "{waiting:#}");
    assert!(finished(&place(&rig)).is_empty() && parts(&place(&rig)).is_empty());
    rig.vsctl(&["start-recording", "garage"]).refused(1, &["garage"]);
}

#[test]
fn it_goes_on_when_its_stream_does() {
    let rig = Rig::start(&garage(""));
    let place = place(&rig);
    eventually("a file", || finished(&place).into_iter().next());
    let _ = rig.ask(&["stop-stream", "a"]);
    let waiting = does(&rig, "garage", "waiting");
    assert!(waiting["text"].as_str().is_some_and(|text| !text.is_empty()), "{waiting:#}");
    eventually("the file to be finished", || parts(&place).is_empty().then_some(()));
    let before = finished(&place).len();
    let _ = rig.ask(&["start-stream", "a"]);
    does(&rig, "garage", "recording");
    eventually("more files", || (finished(&place).len() > before).then_some(()));
    assert_eq!(log_lines(&rig, "not recording: it goes on as soon as it can"), 1);
}

#[test]
fn whoever_stops_it_can_start_it_again() {
    let rig = Rig::start(&garage("enabled = false\n"));
    let place = place(&rig);
    does(&rig, "garage", "stopped");
    let number = rig.ask(&["start-recording", "garage"])["recording"].as_u64().unwrap();
    assert_eq!(rig.ask(&["start-recording", "garage"])["recording"], json!(number), "it runs already");
    eventually("a file", || finished(&place).into_iter().next());
    // As a recording or as a policy: it stays stopped.
    let report = rig.ask(&["stop-recording", &number.to_string()]);
    assert_eq!((&report["state"], &report["reason"]), (&json!("finished"), &json!("stopped")), "{report:#}");
    does(&rig, "garage", "stopped");
    assert!(parts(&place).is_empty(), "{:?}", listing(&place));
    let again = rig.ask(&["start-recording", "garage"])["recording"].as_u64().unwrap();
    assert!(again > number);
    let _ = rig.ask(&["stop-recording", "garage"]);
    assert_eq!(policy(&rig, "garage")["state"], "stopped");
    assert!(parts(&place).is_empty(), "{:?}", listing(&place));
    rig.vsctl(&["start-recording", "attic"]).refused(4, &["no recording 'attic'", "garage"]);
}

#[test]
fn two_of_one_stream_share_an_encoder() {
    let twin = "[recording.twin]\nstream = \"a\"\nsegment = \"1h\"\nkeyframe-interval = \"500ms\"\nfloor = \"0\"\n";
    let rig = Rig::start(&garage(twin));
    let both = eventually("both to record", || {
        let recordings = rig.objects().recordings;
        (recordings.len() == 2 && recordings.iter().all(|(_, info)| info.progress.frames > 30)).then_some(recordings)
    });
    let names: BTreeSet<_> = both.iter().map(|(_, info)| info.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["garage", "twin"]));
    assert_eq!(rig.daemon().threads().iter().filter(|name| name.starts_with("enc-")).count(), 1);
}

/// A directory of the administrator's is never made: the disk may not be mounted yet.
#[test]
fn a_directory_that_is_not_there_is_waited_for() {
    let disk = tempfile::tempdir().unwrap();
    let directory = disk.path().join("garage");
    let rig = Rig::start(&garage(&format!("directory = {directory:?}\n")));
    let waiting = does(&rig, "garage", "waiting");
    assert!(waiting["text"].as_str().unwrap().contains("there is no directory"), "{waiting:#}");
    assert!(!directory.exists());
    std::fs::create_dir(&directory).unwrap();
    eventually("a file", || finished(&directory).into_iter().next());
}
