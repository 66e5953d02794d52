// SPDX-License-Identifier: Apache-2.0
//! Chromium's `<video>`: plays to the end without dropping or spoiling a picture, and shows the right
//! one wherever it is told to go.
//!
//! It is driven over its debugging protocol, by a pipe. What it shows is read from a canvas.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use system_tests::video;

use crate::film::{Film, SIZE};

/// As Debian calls it, and Ubuntu, and others.
const PROGRAMS: [&str; 4] = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

/// Runs in the page.
const JUDGE: &str = include_str!("judge.js");

struct Browser {
    child: Child,
    say: ChildStdin,
    hear: BufReader<ChildStdout>,
    last_id: u64,
    _profile: tempfile::TempDir,
}

impl Browser {
    fn start() -> Self {
        let found = |program: &&&str| Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
        let program = PROGRAMS.iter().find(found).expect("no Chromium: `scripts/setup players` installs it");
        let profile = tempfile::tempdir().unwrap();
        // It hears at descriptor 3 and speaks at 4. Files may be read, and drawn to a canvas, by the page beside them;
        // playing needs nobody's click; and the sandbox, which containers seldom allow, has
        // nothing to guard: what it shows is ours.
        let arguments = "exec \"$0\" --headless --no-sandbox --remote-debugging-pipe --allow-file-access-from-files \
                         --autoplay-policy=no-user-gesture-required --no-first-run --disable-gpu --mute-audio \
                         --user-data-dir=\"$1\" about:blank 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        let mut child = Command::new("sh")
            .args(["-c", arguments, program])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (say, hear) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, say, hear, last_id: 0, _profile: profile }
    }

    fn next(&mut self) -> Value {
        let mut message = Vec::new();
        self.hear.read_until(0, &mut message).unwrap();
        assert_eq!(message.pop(), Some(0), "the browser has ended");
        serde_json::from_slice(&message).unwrap()
    }

    /// Calls a method of the protocol, in a session if there is one; its result.
    fn call(&mut self, session: Option<&str>, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let mut call = json!({ "id": self.last_id, "method": method, "params": parameters });
        if let Some(session) = session {
            call["sessionId"] = json!(session);
        }
        self.say.write_all(format!("{call}\0").as_bytes()).unwrap();
        loop {
            let mut answer = self.next();
            if answer["id"] == json!(self.last_id) {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }

    /// What the judge says of a film, in a page beside it.
    fn judge(&mut self, film: &Film) -> Value {
        let page = film.path.with_file_name("page.html");
        std::fs::write(&page, format!("<!doctype html><title>film</title><script>{JUDGE}</script>")).unwrap();
        let target = self.call(None, "Target.createTarget", json!({ "url": "about:blank" }));
        let attached =
            self.call(None, "Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true }));
        let session = attached["sessionId"].as_str().unwrap().to_owned();
        self.call(Some(&session), "Page.enable", json!({}));
        self.call(Some(&session), "Page.navigate", json!({ "url": url(&page) }));
        while self.next()["method"] != json!("Page.loadEventFired") {}
        let places: Vec<f64> = film.places().map(|frame| film.middle(frame)).to_vec();
        let expression = format!("judge({}, {})", json!(url(&film.path)), json!(places));
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call(Some(&session), "Runtime.evaluate", parameters);
        assert!(answer["exceptionDetails"].is_null(), "{}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn url(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// The serial in the picture at each place, from its red primary.
fn shown(answer: &Value) -> Vec<u64> {
    let serial = |seek: &Value| {
        let text = seek["red"].as_str().unwrap();
        let red: Vec<u8> =
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
        video::read(&red, SIZE.0, SIZE.1).unwrap().serial
    };
    answer["seeks"].as_array().unwrap().iter().map(serial).collect()
}

/// It plays from beginning to end, and every picture is decoded and none spoilt.
fn plays(film: &Film, answer: &Value) {
    assert_eq!((&answer["width"], &answer["height"]), (&json!(SIZE.0), &json!(SIZE.1)));
    let quality = &answer["quality"];
    assert_eq!(quality["corrupted"], json!(0), "{quality}");
    assert_eq!(quality["total"], json!(film.packets.len()), "{quality}");
    assert!((answer["end"].as_f64().unwrap() - film.duration()).abs() < 0.001, "{}", answer["end"]);
}

fn seeks(film: &Film, answer: &Value) {
    assert_eq!(shown(answer), film.places().map(|frame| film.serials[frame]));
}

fn tell(answer: &Value) {
    println!("duration {} s, ended at {} s, {}", answer["duration"], answer["end"], answer["quality"]);
}

#[test]
fn a_browser_plays_and_seeks_in_a_finished_file() {
    let film = Film::finished();
    let answer = Browser::start().judge(&film);
    tell(&answer);
    assert!((answer["duration"].as_f64().unwrap() - film.duration()).abs() < 0.001);
    plays(&film, &answer);
    seeks(&film, &answer);
}

#[test]
fn a_browser_plays_and_seeks_in_a_torn_file() {
    let film = Film::torn();
    let answer = Browser::start().judge(&film);
    tell(&answer);
    plays(&film, &answer);
    seeks(&film, &answer);
}
