// SPDX-License-Identifier: Apache-2.0
//! The recordings that are played: one that was finished, and one whose recorder was killed.

use std::path::PathBuf;

use system_tests::video::{self, Packet};
use system_tests::{Rig, eventually};

const CONFIG: &str = "\
[stream.a]
pattern = \"bars\"
size = \"320x240\"
rate = 30
always-on = true
buffers = 32
";

/// Width and height of the pictures.
pub const SIZE: (u32, u32) = (320, 240);

/// Ticks per second of the file's clock.
pub const TIMESCALE: f64 = 90_000.0;

/// Frames of a recording that is long enough to be played and to seek in.
const FRAMES: u64 = 120;

/// A recording, and what is known about it.
pub struct Film {
    pub path: PathBuf,
    pub packets: Vec<Packet>,
    /// What its pictures show.
    pub serials: Vec<u64>,
    _rig: Rig,
}

impl Film {
    /// A recording that was ended as usual.
    pub fn finished() -> Self {
        Self::record(|rig, number| drop(rig.ask(&["stop-recording", number])))
    }

    /// One whose recorder was killed.
    pub fn torn() -> Self {
        Self::record(|rig, _| rig.kill())
    }

    fn record(end: impl FnOnce(&mut Rig, &str)) -> Self {
        let mut rig = Rig::start(CONFIG);
        let path = rig.path("film.mp4");
        let options = ["--detach", "--keyframe-interval", "1"];
        let recording = rig.ask(&[&["record", "a", path.to_str().unwrap()], &options[..]].concat());
        let number = recording["recording"].as_u64().unwrap();
        eventually("the recording to get along", || {
            let info = rig.objects().recordings.into_iter().find(|(known, _)| *known == number);
            info.filter(|(_, info)| info.progress.frames >= FRAMES).map(|_| ())
        });
        end(&mut rig, &number.to_string());
        let (packets, serials) = (video::packets(&path), video::serials(&path));
        assert_eq!(packets.len(), serials.len());
        Self { path, packets, serials, _rig: rig }
    }

    /// The end of its last frame, in seconds.
    pub fn duration(&self) -> f64 {
        let last = self.packets.last().unwrap();
        (last.pts + last.duration) as f64 / TIMESCALE
    }

    /// Frames to seek to: none of them a keyframe, near the beginning, near the end and between, not in
    /// the order in which they are shown.
    pub fn places(&self) -> [usize; 4] {
        let near = |part: usize| {
            let frame = self.packets.len() * part / 100;
            frame + usize::from(self.packets[frame].keyframe)
        };
        [near(50), near(95), near(3), near(70)]
    }

    /// The middle of a frame, in seconds.
    pub fn middle(&self, frame: usize) -> f64 {
        let packet = self.packets[frame];
        (packet.pts as f64 + packet.duration as f64 / 2.0) / TIMESCALE
    }
}
