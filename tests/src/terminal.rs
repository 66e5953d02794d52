// SPDX-License-Identifier: Apache-2.0
//! A terminal with a shell in it, and what a person sees there.
//!
//! It is tmux's: a real pseudo terminal, whose screen can be asked for with its colours.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{binaries, eventually};

/// A colour as the terminal was told it.
pub type Color = Option<[u8; 3]>;

/// A place on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// What stands there.
    pub text: char,
    /// Its colour, if it is one of 24 bits.
    pub color: Color,
    /// Its background.
    pub background: Color,
}

/// A terminal. Dropping it ends it, with what runs in it.
#[derive(Debug)]
pub struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    /// Opens a terminal whose shell reaches the daemon at `bus`. `dir` is for its socket.
    ///
    /// # Panics
    /// If there is no tmux.
    #[must_use]
    pub fn open(dir: &Path, bus: &str, columns: usize, rows: usize) -> Self {
        let terminal = Self { socket: dir.join("tmux") };
        let size = [columns.to_string(), rows.to_string()];
        let mut start = terminal.tmux();
        start.args(["-f", "/dev/null", "new-session", "-d", "-x", &size[0], "-y", &size[1]]);
        start.args(["-e", &format!("VIDEOSTREAM_BUS={bus}"), "-e", "COLORTERM=truecolor", "-e", "ENV="]);
        start.arg("sh");
        let output = start.output().expect("tmux is missing: `scripts/setup test` installs it");
        assert!(output.status.success(), "tmux: {}", String::from_utf8_lossy(&output.stderr));
        terminal.run("PS1='ready> '");
        terminal.shows("a prompt", |lines| lines.iter().any(|line| line.ends_with("ready>")).then_some(()));
        terminal
    }

    fn tmux(&self) -> Command {
        let mut command = Command::new("tmux");
        command.env_remove("TMUX").arg("-u").arg("-S").arg(&self.socket);
        command
    }

    fn ask(&self, arguments: &[&str]) -> String {
        let output = self.tmux().args(arguments).output().unwrap();
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Presses keys, as tmux names them.
    pub fn press(&self, keys: &[&str]) {
        let _ = self.ask(&[&["send-keys"], keys].concat());
    }

    /// Types a command.
    pub fn run(&self, line: &str) {
        let _ = self.ask(&["send-keys", "-l", line]);
        self.press(&["Enter"]);
    }

    /// Types a `vsctl` command.
    pub fn vsctl(&self, arguments: &str) {
        self.run(&format!("{} {arguments}", binaries::path("vsctl").display()));
    }

    /// Gives the window another size.
    pub fn resize(&self, columns: usize, rows: usize) {
        let _ = self.ask(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// The lines on the screen.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.ask(&["capture-pane", "-p"]).lines().map(str::to_owned).collect()
    }

    /// The places on the screen, line by line.
    #[must_use]
    pub fn cells(&self) -> Vec<Vec<Cell>> {
        let text = self.ask(&["capture-pane", "-p", "-e", "-N"]);
        let mut pen = Cell { text: ' ', color: None, background: None };
        text.lines().map(|line| cells(line, &mut pen)).collect()
    }

    /// Waits until the screen is as `is` wants it.
    pub fn shows<T>(&self, what: &str, is: impl Fn(&[String]) -> Option<T>) -> T {
        let last = std::cell::RefCell::new(Vec::new());
        let show = ShowInPanic(&last);
        let seen = eventually(&format!("{what} on the screen"), || {
            *last.borrow_mut() = self.lines();
            is(&last.borrow())
        });
        std::mem::forget(show);
        seen
    }

    /// Waits until the terminal is as a shell wants it: its prompt on the usual screen, a cursor, echo, whole lines.
    pub fn is_given_back(&self) {
        eventually("the usual screen with a cursor", || {
            (self.ask(&["display-message", "-p", "#{alternate_on} #{cursor_flag} #{wrap_flag}"]).trim() == "0 1 1")
                .then_some(())
        });
        self.shows("the prompt", |lines| {
            let last = lines.iter().rfind(|line| !line.is_empty())?;
            (last == "ready>").then_some(())
        });
        // Typing works, and is seen.
        self.run("stty -a | tr ' ' '\\n' | grep -cxE 'echo|icanon|isig|icrnl|opost'");
        self.shows("cooked mode", |lines| lines.iter().any(|line| line == "5").then_some(()));
        self.run("clear");
        self.shows("a clean screen", |lines| (lines.first()? == "ready>").then_some(()));
    }

    /// The number of its shell's process.
    #[must_use]
    pub fn shell(&self) -> u32 {
        self.ask(&["display-message", "-p", "#{pane_pid}"]).trim().parse().unwrap()
    }

    /// Whether a program has the whole screen.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.ask(&["display-message", "-p", "#{alternate_on}"]).trim() == "1"
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux().arg("kill-server").output();
    }
}

/// Shows what was on the screen when a test has waited in vain.
struct ShowInPanic<'a>(&'a std::cell::RefCell<Vec<String>>);

impl Drop for ShowInPanic<'_> {
    fn drop(&mut self) {
        eprintln!("--- the screen:\n{}\n---", self.0.borrow().join("\n"));
    }
}

/// Reads a line that tmux has written with SGR sequences.
fn cells(line: &str, pen: &mut Cell) -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut rest = line;
    while let Some(text) = rest.chars().next() {
        rest = &rest[text.len_utf8()..];
        if text != '\x1b' {
            cells.push(Cell { text, ..*pen });
            continue;
        }
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len() - 1);
        if rest[..=end].ends_with('m') {
            let numbers: Vec<u8> = rest[1..end].split([';', ':']).map(|n| n.parse().unwrap_or(0)).collect();
            write_with(pen, &numbers);
        }
        rest = &rest[end + 1..];
    }
    cells
}

fn write_with(pen: &mut Cell, mut numbers: &[u8]) {
    while let [first, others @ ..] = numbers {
        numbers = others;
        match (first, others) {
            (0, _) => (pen.color, pen.background) = (None, None),
            (39, _) => pen.color = None,
            (49, _) => pen.background = None,
            (38, [2, r, g, b, others @ ..]) => (pen.color, numbers) = (Some([*r, *g, *b]), others),
            (48, [2, r, g, b, others @ ..]) => (pen.background, numbers) = (Some([*r, *g, *b]), others),
            (38 | 48, [5, _, others @ ..]) => numbers = others,
            _ => {}
        }
    }
}
