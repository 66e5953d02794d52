// SPDX-License-Identifier: Apache-2.0
//! `dbus/*.xml` says what the daemon does, and the daemon does what it says.

use std::fs::File;
use std::os::fd::AsFd;

use system_tests::{Rig, contract};
use vsclient::dbus::{PlayOptions, RecordOptions, SERVICE};

#[test]
fn the_daemon_keeps_what_the_interfaces_promise() {
    let rig = Rig::start("[stream.a]\npattern = \"bars\"\nsize = \"320x240\"\nalways-on = true\n");
    let (file, clip) = (File::create_new(rig.path("out.mp4")).unwrap(), rig.path("clip.mp4"));
    let _ = rig.ask(&["record", "a", clip.to_str().unwrap(), "--frames", "5"]);
    let kept = rig.wait(async {
        let manager = rig.control().manager().await.unwrap();
        manager.record("a", file.as_fd().into(), &RecordOptions::default()).await.unwrap();
        let clip = File::open(&clip).unwrap();
        let options = PlayOptions { looped: Some(true), ..PlayOptions::default() };
        manager.play(clip.as_fd().into(), &options).await.unwrap();
        contract::kept(manager.inner().connection()).await.unwrap()
    });
    // A machine may have no device; the guest, which has, compares that interface.
    for interface in ["Manager", "Stream", "Recording", "Playback"] {
        assert!(kept.contains_key(&format!("{SERVICE}.{interface}")), "no {interface} among {:?}", kept.keys());
    }
    let differences = contract::differences(&contract::promised(), &kept);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
