// SPDX-License-Identifier: Apache-2.0
//! `vsctl watch`: the picture is on the screen, in its colours and its shape.

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use system_tests::terminal::Cell;
use system_tests::{Rig, Terminal, eventually};

const CONFIG: &str = "\
[stream.a]
pattern = \"bars\"
size = \"320x240\"
rate = 30

[stream.coded]
from = \"a\"
codec = \"h264\"
";

/// The pattern's bars from left to right. They move to the left, the first after the last.
const BARS: [[u8; 3]; 8] =
    [[255, 255, 255], [255, 255, 0], [0, 255, 255], [0, 255, 0], [255, 0, 255], [255, 0, 0], [0, 0, 255], [0, 0, 0]];

/// How far a colour may be off that is a bar's.
const OFF: u8 = 12;

fn bar(color: [u8; 3]) -> Option<usize> {
    BARS.iter().position(|bar| bar.iter().zip(color).all(|(a, b)| a.abs_diff(b) <= OFF))
}

/// The bars in a row of pixels, each once; between two there may be a pixel of both.
fn bars(row: impl Iterator<Item = [u8; 3]>) -> Vec<usize> {
    let mut bars: Vec<_> = row.filter_map(bar).collect();
    bars.dedup();
    bars
}

/// Whether these are all bars, one after the other.
fn are_in_order(bars: &[usize]) -> bool {
    bars.len() >= BARS.len() && bars.windows(2).all(|pair| pair[1] == (pair[0] + 1) % BARS.len())
}

/// Where the picture is: first and last column, first and last row.
fn area(cells: &[Vec<Cell>]) -> Option<(usize, usize, usize, usize)> {
    let mut rows = cells.iter().enumerate().filter(|(_, row)| row.iter().any(|cell| cell.background.is_some()));
    let top = rows.next()?.0;
    let bottom = rows.next_back().map_or(top, |row| row.0);
    let columns = |row: &[Cell]| {
        let first = row.iter().position(|cell| cell.background.is_some())?;
        Some((first, row.iter().rposition(|cell| cell.background.is_some())?))
    };
    let middle = columns(&cells[(top + bottom) / 2])?;
    Some((middle.0, middle.1, top, bottom))
}

fn shows_the_bars(terminal: &Terminal, (columns, rows): (usize, usize)) {
    eventually("the bars in their colours and their shape", || {
        let cells = terminal.cells();
        let (left, right, top, bottom) = area(&cells)?;
        let (width, height) = (right - left + 1, (bottom - top + 1) * 2);
        // All of the window in one direction, 4:3 as far as cells allow, and in the middle.
        let fills = width >= columns - 1 || height >= (rows - 2) * 2;
        let shape = (width as f64 / height as f64 - 4.0 / 3.0).abs() < 0.1;
        let centred = left.abs_diff(columns - 1 - right) <= 1;
        let row = &cells[top + (bottom - top) * 4 / 5];
        let upper = row.iter().map(|cell| if cell.text == ' ' { cell.background } else { cell.color });
        (fills && shape && centred && are_in_order(&bars(upper.flatten()))).then_some(())
    });
}

#[test]
fn the_picture_is_on_the_screen() {
    let rig = Rig::start(CONFIG);
    let terminal = Terminal::open(&rig.path(""), &rig.place().bus, 80, 24);
    terminal.vsctl("watch a --fps 5");
    shows_the_bars(&terminal, (80, 24));
    assert!(terminal.is_taken());
    terminal.shows("what it is", |lines| {
        let last = lines.last()?;
        let said = ["a  NV12 320x240", " fps, ", "latency ", "half-blocks"].iter().all(|words| last.contains(words));
        said.then_some(())
    });
    for (columns, rows) in [(120, 20), (40, 30)] {
        terminal.resize(columns, rows);
        shows_the_bars(&terminal, (columns, rows));
    }
    // It holds no more than it must, however slow it shows.
    assert!(rig.client_that("a", "vsctl watch", |_| true).held <= 3);
    terminal.press(&["q"]);
    terminal.is_given_back();
    rig.client_gone("a", "vsctl watch");

    terminal.vsctl("watch a");
    let pid = rig.client_that("a", "vsctl watch", |client| client.delivered > 10).pid;
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    terminal.is_given_back();

    // The picture of a coded stream is that of what it is made from.
    terminal.vsctl("watch coded");
    let _ = rig.client_that("a", "vsctl watch", |client| client.delivered > 10);
    terminal.press(&["C-c"]);
    terminal.is_given_back();
}

#[test]
fn one_picture_is_printed() {
    let rig = Rig::start(CONFIG);
    let text = rig.vsctl(&["watch", "a", "--once"]).good().stdout;
    // 80 columns at most, two pixels in a cell.
    assert_eq!(text.lines().count(), 30, "{text}");
    assert!(text.contains('▀'));

    let sixels = rig.vsctl(&["watch", "a", "--once", "--as", "sixel", "--size", "320x240"]).good().stdout;
    let (file, png, raw) = (rig.path("a.six"), rig.path("a.png"), rig.path("a.rgb"));
    std::fs::write(&file, sixels).unwrap();
    judge(Command::new("sixel2png").arg("-i").arg(&file).arg("-o").arg(&png));
    judge(
        Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(&png)
            .args(["-pix_fmt", "rgb24", "-f", "rawvideo"])
            .arg(&raw),
    );
    let rgb = std::fs::read(&raw).unwrap();
    assert_eq!(rgb.len(), 320 * 240 * 3);
    let row = &rgb[210 * 320 * 3..211 * 320 * 3];
    // Without the strip at the right edge.
    let found = bars(row.chunks_exact(3).take(280).map(|pixel| [pixel[0], pixel[1], pixel[2]]));
    assert!(are_in_order(&found), "{found:?}");
}

/// Runs somebody else's program, which must be content.
fn judge(command: &mut Command) {
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error} (`scripts/setup test` installs it)"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_cannot_be_shown_is_refused_with_a_remedy() {
    let rig = Rig::start(CONFIG);
    rig.vsctl(&["watch", "x", "--once"]).refused(4, &["'x'", "there are a, coded"]);
    rig.vsctl(&["watch", "a"]).refused(2, &["no terminal", "--once"]);
    rig.vsctl(&["--json", "watch", "a"]).refused(2, &["vsctl snapshot"]);
    let _ = rig.vsctl(&["start-stream", "coded"]).good();
    let socket = rig.socket("coded");
    rig.vsctl(&["watch", socket.to_str().unwrap(), "--once"])
        .refused(1, &["H264", "watch the stream that it is made from"]);
}
