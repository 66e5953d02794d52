// SPDX-License-Identifier: Apache-2.0
//! Recordings that the daemon could not finish are finished by `vsctl repair`.

use std::fs::OpenOptions;

use serde_json::json;
use system_tests::Rig;
use system_tests::eventually;
use system_tests::video;

const CONFIG: &str = "\
[stream.a]
pattern = \"bars\"
size = \"320x240\"
rate = 30
always-on = true
";

#[test]
fn what_a_killed_daemon_leaves_is_finished() {
    let mut rig = Rig::start(CONFIG);
    let (path, torn) = (rig.path("out.mp4"), rig.path("torn.mp4"));
    let name = path.to_str().unwrap();
    let _ = rig.vsctl(&["record", "a", name, "--detach"]).good();
    eventually("a second of video", || {
        let objects = rig.objects();
        objects.recordings.into_iter().find(|(_, info)| info.progress.frames >= 45)
    });

    // Nobody touches what is being written.
    let report = rig.vsctl(&["repair", name, "--json"]);
    report.refused(1, &["1 of 1 files"]);
    assert_eq!(report.json()["files"][0]["state"], "in-use");
    rig.kill();

    std::fs::copy(&path, &torn).unwrap();
    let length = std::fs::metadata(&torn).unwrap().len();
    OpenOptions::new().write(true).open(&torn).unwrap().set_len(length - 100).unwrap();
    let torn = torn.to_str().unwrap();
    // Neither needs a daemon.
    let check = rig.vsctl(&["repair", "--check", name, torn, "--json"]);
    check.refused(1, &["2 of 2 files"]);
    let check = check.json();
    assert_eq!(
        (&check["files"][0]["state"], &check["files"][1]["state"]),
        (&json!("unfinished"), &json!("unfinished"))
    );
    assert_eq!(std::fs::metadata(torn).unwrap().len(), length - 100);

    let report = rig.ask(&["repair", name, torn]);
    let [whole, cut] = [&report["files"][0], &report["files"][1]];
    assert_eq!((&whole["state"], &whole["lost"]["bytes"]), (&json!("repaired"), &json!(0)));
    assert_eq!(cut["state"], "repaired");
    assert!(
        cut["lost"]["bytes"].as_u64() > Some(0) && cut["lost"]["duration_ns"].as_u64() <= Some(150_000_000),
        "{cut}"
    );
    for (file, report) in [(&path, whole), (&rig.path("torn.mp4"), cut)] {
        let probe = video::probe(file);
        assert_eq!(report["frames"], json!(probe.frames));
        assert_eq!(video::serials(file).len() as u64, probe.frames);
    }
    assert_eq!(rig.ask(&["repair", name])["files"][0]["state"], "whole");

    let rubbish = rig.path("rubbish.mp4");
    std::fs::write(&rubbish, "no movie").unwrap();
    let refused = rig.vsctl(&["repair", rubbish.to_str().unwrap(), "/nonexistent.mp4"]);
    refused.refused(1, &["2 of 2 files could not be repaired"]);
    assert!(
        refused.stdout.contains("not one of our recordings") && refused.stdout.contains("/nonexistent.mp4: opening")
    );
}
