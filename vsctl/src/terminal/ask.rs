// SPDX-License-Identifier: Apache-2.0
//! What a terminal says of itself when it is asked.
//!
//! Four questions go out together: kitty's (may graphics be sent?), the size of a cell, the colour that it has taken of 24 bits, and, last,
//! what kind of terminal it is (DA1), which every terminal answers. Whoever knows one of the others answers before that, so that the answer
//! to the last one ends the wait.

use std::time::{Duration, Instant};

use anyhow::Context;
use crossterm::terminal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A picture of one pixel that is not kept (`a=q`: kitty graphics protocol, "Querying support"); `CSI 16 t`, the size of a cell (XTWINOPS);
/// a colour and DECRQSS of SGR; `CSI c`, DA1.
const QUESTIONS: &str = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[16t\x1b[38;2;1;2;3m\x1bP$qm\x1b\\\x1b[0m\x1b[c";

/// How long the answer may take. A satellite needs 0.7 s to say it.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Bytes of an answer at most: nobody says more.
const ANSWER_MAX: usize = 4096;

/// What a terminal can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answer {
    /// Graphics by kitty's protocol.
    pub kitty: bool,
    /// Graphics as sixels.
    pub sixel: bool,
    /// Colours of 24 bits.
    pub true_color: bool,
    /// Width and height of a cell in pixels.
    pub cell: Option<(u32, u32)>,
}

/// Asks the terminal. Keys that are pressed meanwhile are lost; there must be no other reader of the input.
pub fn ask() -> anyhow::Result<Answer> {
    terminal::enable_raw_mode().context("cannot have the keys of the terminal")?;
    let said = super::put(QUESTIONS.as_bytes()).map(|()| listen());
    terminal::disable_raw_mode().context("cannot give the keys of the terminal back")?;
    Ok(understand(&said?))
}

fn listen() -> Vec<u8> {
    let deadline = Instant::now() + PATIENCE;
    let input = rustix::stdio::stdin();
    let mut said = Vec::new();
    while !has_ended(&said) && said.len() < ANSWER_MAX {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(left) = Timespec::try_from(left) else { break };
        if !matches!(poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&left)), Ok(1..)) {
            break;
        }
        let mut some = [0; 256];
        match rustix::io::read(input, &mut some) {
            Ok(len @ 1..) => said.extend_from_slice(&some[..len]),
            _ => break,
        }
    }
    said
}

/// Parameters and final byte of the control sequences in it.
fn sequences(said: &[u8]) -> impl Iterator<Item = (&[u8], u8)> {
    said.windows(2).enumerate().filter(|(_, two)| two == b"\x1b[").filter_map(|(at, _)| {
        let rest = &said[at + 2..];
        let end = rest.iter().position(|byte| (0x40..=0x7e).contains(byte))?;
        Some((&rest[..end], rest[end]))
    })
}

fn has_ended(said: &[u8]) -> bool {
    sequences(said).any(|(_, last)| last == b'c')
}

fn numbers(parameters: &[u8]) -> Vec<u32> {
    let digits = parameters.strip_prefix(b"?").unwrap_or(parameters);
    let numbers = digits.split(|byte| *byte == b';').map(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    numbers.map(Option::unwrap_or_default).collect()
}

fn understand(said: &[u8]) -> Answer {
    let mut answer = Answer::default();
    for (parameters, last) in sequences(said) {
        let numbers = numbers(parameters);
        match (last, numbers.as_slice()) {
            // The first says which terminal it is, the others what it can; 4 are sixels.
            (b'c', [_, abilities @ ..]) => answer.sixel |= abilities.contains(&4),
            (b't', [6, height @ 1..=1000, width @ 1..=1000]) => answer.cell = Some((*width, *height)),
            _ => {}
        }
    }
    // With colons or semicolons, and with or without the number of a colour space.
    let has = |text: &[u8]| said.windows(text.len()).any(|some| some == text);
    answer.true_color = has(b"\x1bP1$r") && (has(b":1:2:3m") || has(b";1;2;3m"));
    answer.kitty = said.windows(8).any(|some| some == b"\x1b_Gi=31;") && said.windows(4).any(|some| some == b";OK\x1b");
    answer
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn terminals_say_what_they_can() {
        let kitty = understand(b"\x1b_Gi=31;OK\x1b\\\x1b[6;20;9t\x1bP1$r0;38:2:1:2:3m\x1b\\\x1b[?62;c");
        assert_eq!(kitty, Answer { kitty: true, sixel: false, true_color: true, cell: Some((9, 20)) });
        let foot = understand(b"\x1b[6;17;8t\x1b[?62;4;22;28c");
        assert_eq!(foot, Answer { sixel: true, cell: Some((8, 17)), ..Answer::default() });
        assert_eq!(understand(b"\x1b[?1;2c"), Answer::default());
        // A VT420 is 64, which is not 4; kitty's refusal is one.
        assert_eq!(understand(b"\x1b_Gi=31;EINVAL:no\x1b\\\x1b[?64;1c"), Answer::default());
        assert_eq!(understand(b"\x1b[?4c"), Answer::default());
    }

    #[test]
    fn the_last_answer_ends_the_wait() {
        assert!(!has_ended(b"\x1b_Gi=31;OK\x1b\\\x1b[6;20;9t\x1b[?62;"));
        assert!(has_ended(b"\x1b_Gi=31;OK\x1b\\\x1b[6;20;9t\x1b[?62;c"));
    }

    proptest! {
        #[test]
        fn whatever_is_typed_meanwhile_is_no_harm(said in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (understand(&said), has_ended(&said));
        }
    }
}
