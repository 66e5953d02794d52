// SPDX-License-Identifier: Apache-2.0
//! Cameras that are configured and not there: objects, not errors. What happens when they come
//! and go, the guest shows.

use serde_json::json;
use system_tests::{Rig, eventually};
use vsclient::{Client, Event, StreamState};

const CONFIG: &str = "\
[device.door]
match = { serial = \"no such serial number\" }
[stream.entrance]
camera = \"door\"
always-on = true
[stream.yard]
camera = \"cam7\"
[stream.pattern]
pattern = \"bars\"
";

#[test]
fn a_camera_that_is_not_there_is_listed_and_waited_for() {
    let rig = Rig::start(CONFIG);
    eventually("the entrance to wait", || (rig.stream("entrance").state == "waiting").then_some(()));
    let entrance = rig.stream("entrance");
    assert!(entrance.state_text.contains("'door'") && entrance.state_text.contains("plug it in"), "{entrance:?}");
    for (name, device) in [("door", entrance.device), ("cam7", rig.stream("yard").device)] {
        assert!(device.as_str().ends_with(&format!("/device/{name}")), "{device}");
        let info = rig.objects().devices.into_iter().find(|info| info.name == name).unwrap();
        assert_eq!((info.present, info.node.as_str(), info.problem.as_str()), (false, "", ""), "{info:?}");
    }
    let listed = rig.ask(&["devices"]);
    let door = listed["devices"].as_array().unwrap().iter().find(|device| device["name"] == "door").unwrap();
    assert_eq!((&door["present"], &door["kind"]), (&json!(false), &json!("unknown")), "{door:#}");
}

/// Clients of a stream that waits are connected; who starts one by hand is told what is missing.
#[test]
fn clients_wait_with_the_stream() {
    let rig = Rig::start(CONFIG);
    let socket = rig.socket("entrance");
    let mut client = Client::builder(socket.to_str().unwrap()).no_reconnect().connect().unwrap();
    let state = loop {
        if let Some(Event::State(status)) = client.next_event(None).unwrap() {
            break status;
        }
    };
    assert_eq!(state.state, StreamState::Waiting, "{state}");
    // One that waits is not started anew.
    let started = rig.vsctl(&["start-stream", "entrance"]).good().stdout;
    assert!(started.contains("entrance is waiting") && started.contains("plug it in"), "{started}");
    rig.vsctl(&["start-stream", "yard"]).refused(4, &["cam7", "camera"]);
    assert_eq!(rig.stream("yard").state, "idle");
    assert!(client.is_connected());
    let _ = rig.ask(&["start-stream", "pattern"]);
    // Waiting costs no words: one line each when it began.
    let log = rig.daemon().process.stderr.to_string();
    assert!(log.lines().filter(|line| line.contains("door")).count() <= 2, "{log}");
}
