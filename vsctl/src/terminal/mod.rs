// SPDX-License-Identifier: Apache-2.0
//! The whole terminal, for commands that show something that lives, and its way back.
//!
//! Whoever looks gets the terminal back as it was: lines, cursor, echo. That holds for every end that a program can see coming: a key,
//! Ctrl-C, SIGTERM, an error, a panic. What was on the screen before is still there, for the picture was on the alternate one.

pub mod ask;

use std::io::{self, IsTerminal, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal;
use futures_util::StreamExt;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The alternate screen, without a cursor, without wrapping: a line that is too long for a moment must not move the others.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";

/// The way back. First ends whatever a draw that was cut off has left open: a graphic (ST), a synchronised update.
const LEAVE: &str = "\x1b\\\x1b[?2026l\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";

/// A screen is drawn at once: terminals that know synchronised updates show nothing in between, others pass this over.
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";

/// How long a terminal that takes nothing is waited for in the end. It may be a connection that hangs.
const STUCK: Duration = Duration::from_millis(500);

/// Whether the terminal is ours at present.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// What somebody at the keyboard wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// `q`, Ctrl-C, or the end of the input.
    End,
    /// Another key.
    Key(char),
    /// The window has another size.
    Resized,
}

/// The terminal, taken. Dropping it gives it back.
pub struct Screen {
    events: EventStream,
}

/// Whether there is somebody to look, and somebody to press `q`.
pub fn is_live() -> bool {
    io::stdout().is_terminal() && io::stdin().is_terminal()
}

impl Screen {
    /// Takes the terminal.
    pub fn open() -> anyhow::Result<Self> {
        if !is_live() {
            bail!("there is no terminal");
        }
        restore_in_panics();
        terminal::enable_raw_mode().context("cannot have the keys of the terminal")?;
        TAKEN.store(true, Ordering::SeqCst);
        let screen = Self { events: EventStream::new() };
        put(ENTER.as_bytes())?;
        Ok(screen)
    }

    /// Waits for somebody at the keyboard.
    pub async fn next(&mut self) -> Wish {
        loop {
            match self.events.next().await {
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                    if let Some(wish) = meant(key) {
                        return wish;
                    }
                }
                Some(Ok(Event::Resize(..))) => return Wish::Resized,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Wish::End,
            }
        }
    }
}

fn meant(key: KeyEvent) -> Option<Wish> {
    match key.code {
        KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Wish::End),
        KeyCode::Char('q' | 'Q') => Some(Wish::End),
        KeyCode::Char(other) if !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => {
            Some(Wish::Key(other))
        }
        _ => None,
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Columns and rows of the window; 80x24 where nobody says.
pub fn size() -> (usize, usize) {
    match terminal::size() {
        Ok((columns, rows)) if columns > 0 && rows > 0 => (usize::from(columns), usize::from(rows)),
        _ => (80, 24),
    }
}

/// Columns of whoever reads: of the terminal, or as many as there are where nobody says.
pub fn columns() -> usize {
    if io::stdout().is_terminal() { size().0 } else { usize::MAX }
}

/// Draws text from the top left corner, each line over what was there. There should be as many as the window has rows; none may be
/// longer than it is wide.
pub fn draw(lines: &[String]) -> io::Result<()> {
    let mut text = String::from("\x1b[H");
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            text.push_str("\r\n");
        }
        // Before the text: behind a full line the cursor stands on its last character.
        text.extend(["\x1b[2K", line.as_str(), "\x1b[0m"]);
    }
    at_once(text.as_bytes())
}

/// Writes what belongs together.
pub fn at_once(bytes: &[u8]) -> io::Result<()> {
    put(&[BEGIN.as_bytes(), bytes, END.as_bytes()].concat())
}

/// Writes to the terminal. Not through the standard output's lock: who gives the terminal back must not wait for a draw that hangs.
pub fn put(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(rustix::stdio::stdout(), bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => {
                wait_for_room(None);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Waits until the terminal takes something; whether it does.
fn wait_for_room(time: Option<Duration>) -> bool {
    let time = time.and_then(|time| Timespec::try_from(time).ok());
    let out = rustix::stdio::stdout();
    poll(&mut [PollFd::new(&out, PollFlags::OUT)], time.as_ref()).is_ok_and(|ready| ready > 0)
}

/// Gives the terminal back, if it is ours. Keys and echo first: that never blocks.
pub fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // Nobody is left to tell if it fails.
    let _ = terminal::disable_raw_mode();
    if wait_for_room(Some(STUCK)) {
        let _ = io::stdout().flush();
        let _ = put(LEAVE.as_bytes());
    }
}

/// A panic's message goes to a terminal that can show it.
fn restore_in_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            usual(info);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Option<Wish> {
        meant(KeyEvent::new(code, modifiers))
    }

    #[test]
    fn keys_mean_what_they_mean_elsewhere() {
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::NONE), Some(Wish::End));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Wish::End));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::NONE), Some(Wish::Key('c')));
        assert_eq!(key(KeyCode::Char('x'), KeyModifiers::ALT), None);
        assert_eq!(key(KeyCode::Up, KeyModifiers::NONE), None);
    }
}
