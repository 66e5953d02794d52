// SPDX-License-Identifier: Apache-2.0
//! From the first picture to the last, and what is left after it.

use rustix::process::Signal;
use serde_json::json;
use system_tests::client::builder;
use system_tests::process::End;
use system_tests::vsctl::Outcome;
use system_tests::{Rig, client, eventually};
use vsclient::{Client, Mode};

use super::clips::{pictures, x264};
use super::{Got, connect, farewell, play, receive_all};

fn gone(rig: &Rig) {
    eventually("the stream to go", || rig.objects().streams.iter().all(|stream| stream.name != "clip").then_some(()));
    assert!(!rig.socket("clip").exists());
}

#[test]
fn at_its_own_pace_a_file_takes_its_own_time() {
    let rig = Rig::start("");
    let file = x264(&rig, "clip.mp4", "176x144", 45, "-bf 2");
    let mut vsctl = play(&rig, &file, &["--pace", "realtime"]);
    let mut client = connect(&rig);
    let (mut captures, mut ptss) = (Vec::new(), Vec::new());
    while let Ok(Some(frame)) = client.next_frame(system_tests::PATIENCE) {
        captures.push(frame.meta().capture_ns as i64);
        ptss.push(frame.meta().pts.unwrap());
    }
    // Each stands for its time in the file, whenever it was seen.
    let (capture, pts) = (captures[0], ptss[0]);
    let apart = captures.iter().zip(&ptss).map(|(at, shown)| (at - capture) - (shown - pts));
    assert!(apart.clone().all(|apart| apart == 0), "{:?}", apart.collect::<Vec<_>>());
    let answer = Outcome::of(&mut vsctl).good().json();
    assert_eq!((&answer["reason"], &answer["text"]), (&json!("end"), &json!("the end of clip.mp4")));
    assert_eq!(answer["frames"].as_u64().unwrap() + answer["late"].as_u64().unwrap(), 45);
    gone(&rig);
}

#[test]
fn a_loop_goes_on_without_a_seam_in_time() {
    let rig = Rig::start("");
    let file = x264(&rig, "clip.mp4", "176x144", 12, "-bf 2");
    let mut vsctl = play(&rig, &file, &["--loop"]);
    let mut client = connect(&rig);
    let got: Vec<_> = (0..60).map(|_| Got::new(&client::next(&mut client))).collect();
    for (number, (one, next)) in got.iter().zip(&got[1..]).enumerate() {
        let apart = next.pts_ns - one.pts_ns;
        assert!((apart - 33_333_333).abs() < 20, "frame {number}: {apart} ns");
        assert_eq!(next.gap, (number + 1) % 12 == 0, "frame {number}");
        assert_eq!(next.sequence, one.sequence + 1);
    }
    let period = |number: usize| got[number].picture == got[number % 12].picture;
    assert!((12..60).all(period), "it is another film the second time");
    vsctl.signal(Signal::INT);
    let answer = Outcome::of(&mut vsctl).good().json();
    assert_eq!(answer["reason"], "stopped");
    assert!(answer["loops"].as_u64().unwrap() >= 4, "{answer:#}");
    gone(&rig);
}

#[test]
fn at_the_readers_pace_everybody_sees_everything() {
    let rig = Rig::start("");
    let file = x264(&rig, "clip.mp4", "176x144", 90, "-bf 0 -g 30");
    let expected = pictures(&file, (176, 144));
    let mut vsctl = play(&rig, &file, &["--loop"]);
    // One holds as many frames as it may all the time, one looks at each for longer than it takes to decode.
    let mut slow = connect(&rig);
    let mut fast = connect(&rig);
    let reader = std::thread::spawn(move || {
        let mut count = 0;
        let mut last = None;
        while let Ok(Some(frame)) = fast.next_frame(system_tests::PATIENCE) {
            assert_eq!(frame.skipped().total(), 0);
            assert!(last.is_none_or(|last| frame.meta().sequence == last + 1));
            last = Some(frame.meta().sequence);
            count += 1;
            if count == 150 {
                break;
            }
        }
        count
    });
    let mut held = std::collections::VecDeque::new();
    let mut last = None;
    for number in 0..100u32 {
        let frame = client::next(&mut slow);
        assert!(last.is_none_or(|last| frame.meta().sequence == last + 1), "frame {number} is missing");
        assert_eq!(frame.skipped().total(), 0);
        assert!(number > 0 || frame.meta().sequence == 0, "it did not wait for the first reader");
        last = Some(frame.meta().sequence);
        assert_eq!(Got::new(&frame).picture, expected[frame.meta().sequence as usize % 90]);
        held.push_back(frame);
        if held.len() > 1 {
            held.pop_front();
        }
    }
    drop((held, slow));
    assert_eq!(reader.join().unwrap(), 150);
    vsctl.kill();
    gone(&rig);
}

#[test]
fn one_that_hangs_holds_nobody_up_for_ever() {
    let rig = Rig::start("[defaults]\nlease = \"100ms\"\n");
    let file = x264(&rig, "clip.mp4", "176x144", 30, "-bf 0");
    let _vsctl = play(&rig, &file, &["--loop"]);
    let mut hog = builder(&rig.socket("clip")).name("hog").connect().unwrap();
    let held = [client::next(&mut hog), client::next(&mut hog)];
    let mut silent = builder(&rig.socket("clip")).mode(Mode::Notify).connect().unwrap();
    let _ = client::next(&mut silent);
    let mut client = connect(&rig);
    let mut last = None;
    for _ in 0..300 {
        let frame = client::next(&mut client);
        assert!(last.is_none_or(|last| frame.meta().sequence == last + 1));
        last = Some(frame.meta().sequence);
    }
    rig.client_that("clip", "hog", |hog| hog.revoked.values().sum::<u64>() > 0);
    drop(held);
}

#[test]
fn whoever_plays_is_needed_unless_it_has_left_for_good() {
    let rig = Rig::start("");
    let file = x264(&rig, "clip.mp4", "176x144", 30, "-bf 0");
    let mut vsctl = play(&rig, &file, &["--loop"]);
    let mut client = connect(&rig);
    let _ = client::next(&mut client);
    assert_eq!(vsctl.kill(), End::Signal(9));
    assert_eq!(farewell(&mut client), "whoever played it has left");
    gone(&rig);

    let mut vsctl = play(&rig, &file, &["--loop", "--detach"]);
    let answer = Outcome::of(&mut vsctl).good().json();
    assert_eq!((&answer["stream"], &answer["state"]), (&json!("clip"), &json!("playing")));
    let mut client: Client = connect(&rig);
    let _ = client::next(&mut client);
    rig.vsctl(&["play", file.to_str().unwrap(), "--as", "clip"]).refused(1, &["a stream 'clip' already"]);
    let _ = rig.ask(&["stop-stream", "clip"]);
    assert_eq!(farewell(&mut client), "the stream was stopped");
    gone(&rig);
}

#[test]
fn a_stream_of_the_configuration_begins_with_its_first_reader() {
    let elsewhere = Rig::start("");
    let file = x264(&elsewhere, "clip.mp4", "176x144", 30, "-bf 0");
    let stream = format!("file = \"{}\"\npace = \"free\"\n", file.display());
    let rig = Rig::start(&format!("[defaults]\nlinger = \"100ms\"\n[stream.clip]\n{stream}"));
    for _ in 0..2 {
        assert_eq!(rig.stream("clip").state, "idle");
        let mut client = connect(&rig);
        let got: Vec<_> = (0..30).map(|_| Got::new(&client::next(&mut client))).collect();
        assert_eq!(got[0].pts_ns, 0);
        eventually("the end", || {
            let stream = rig.stream("clip");
            (stream.state == "stopped" && stream.state_text.starts_with("the end of")).then_some(())
        });
        drop(client);
        eventually("it to be idle", || (rig.stream("clip").state == "idle").then_some(()));
    }
    let status = rig.ask(&["status", "clip"]);
    assert_eq!(status["streams"][0]["source"], "file");
}

#[test]
fn twenty_files_leave_nothing() {
    let rig = Rig::start("");
    let file = x264(&rig, "clip.mp4", "176x144", 10, "-bf 2");
    let before = {
        play_once(&rig, &file);
        rig.daemon().footprint()
    };
    for _ in 0..20 {
        play_once(&rig, &file);
    }
    eventually("all to be gone", || {
        let now = rig.daemon().footprint();
        (now.files <= before.files && now.threads <= before.threads).then_some(())
    });
}

fn play_once(rig: &Rig, file: &std::path::Path) {
    let mut vsctl = play(rig, file, &[]);
    assert_eq!(receive_all(&mut connect(rig)).0.len(), 10);
    let _ = Outcome::of(&mut vsctl).good();
    gone(rig);
}
