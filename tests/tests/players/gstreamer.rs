// SPDX-License-Identifier: Apache-2.0
//! GStreamer's demultiplexer: every frame at its time, and every place found.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::film::{Film, TIMESCALE};

const NS_PER_SECOND: f64 = 1e9;

/// What it says of a film.
fn demultiplex(film: &Film) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/qtdemux.py");
    let places = film.places().map(|frame| film.middle(frame).to_string());
    // The system's own Python: GStreamer's binding belongs to that one.
    let output = Command::new("/usr/bin/python3").arg(script).arg(&film.path).args(places).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every frame comes, at its time to the nanosecond to which a tick is rounded.
fn all_frames(film: &Film, answer: &Value) {
    let frames = answer["frames"].as_array().unwrap();
    assert_eq!(frames.len(), film.packets.len());
    for (frame, packet) in frames.iter().zip(&film.packets) {
        let expected = packet.pts as f64 / TIMESCALE * NS_PER_SECOND;
        assert!((frame.as_f64().unwrap() - expected).abs() <= 1.0, "{frame} is not {expected}");
    }
}

/// After seeking, the first frame is the keyframe before the place.
fn seeks(film: &Film, answer: &Value) {
    let begins = answer["seeks"].as_array().unwrap();
    assert_eq!(begins.len(), film.places().len());
    for (begin, place) in begins.iter().zip(film.places()) {
        let keyframe = film.packets[..=place].iter().rev().find(|packet| packet.keyframe).unwrap();
        let expected = keyframe.pts as f64 / TIMESCALE * NS_PER_SECOND;
        assert!((begin.as_f64().unwrap() - expected).abs() <= 1.0, "{begin} is not {expected}");
    }
}

#[test]
fn qtdemux_plays_and_seeks_in_a_finished_file() {
    let film = Film::finished();
    let answer = demultiplex(&film);
    println!("{} frames, duration {} ns", answer["frames"].as_array().unwrap().len(), answer["duration"]);
    all_frames(&film, &answer);
    seeks(&film, &answer);
    assert!((answer["duration"].as_f64().unwrap() / NS_PER_SECOND - film.duration()).abs() < 1e-6);
}

#[test]
fn qtdemux_plays_a_torn_file() {
    let film = Film::torn();
    let answer = demultiplex(&film);
    println!("{} frames, seeks to {}", answer["frames"].as_array().unwrap().len(), answer["seeks"]);
    all_frames(&film, &answer);
}
