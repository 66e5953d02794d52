// SPDX-License-Identifier: Apache-2.0
//! A picture by kitty's graphics protocol: RGB, compressed, in chunks (sw.kovidgoyal.net/kitty/graphics-protocol).
//!
//! The terminal scales it to its cells. Two numbers take turns: the new picture stands before the old one is taken away, so that there is
//! never none.

use std::fmt::Write as _;
use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::fit::Place;
use super::picture::Picture;

/// The longest chunk ("must be no longer than 4096 bytes"), a multiple of 4.
const CHUNK: usize = 4096;

/// Numbers of the two pictures: not likely to be somebody else's.
const NUMBERS: [u32; 2] = [7_607_425, 7_607_426];

/// Takes turns with the numbers.
#[derive(Debug, Default)]
pub struct Kitty {
    turn: usize,
}

impl Kitty {
    /// Shows a picture from where the cursor is, which stays there, over so many cells.
    pub fn draw(&mut self, picture: &Picture, place: &Place) -> io::Result<String> {
        let (new, old) = (NUMBERS[self.turn], NUMBERS[1 - self.turn]);
        self.turn = 1 - self.turn;
        let keys = format!("a=T,i={new},p=1,C=1,c={},r={}", place.columns, place.rows);
        let mut text = transmit(picture, &keys)?;
        // Its data, too. Writing to a String cannot fail.
        let _ = write!(text, "\x1b_Ga=d,d=I,i={old},q=2\x1b\\");
        Ok(text)
    }

    /// Takes away whatever is there.
    pub fn clear() -> String {
        NUMBERS.map(|number| format!("\x1b_Ga=d,d=I,i={number},q=2\x1b\\")).concat()
    }
}

/// A picture that stays where it is; the cursor goes behind it.
pub fn print(picture: &Picture, place: &Place) -> io::Result<String> {
    transmit(picture, &format!("a=T,c={},r={}", place.columns, place.rows))
}

fn transmit(picture: &Picture, keys: &str) -> io::Result<String> {
    let mut compressed = ZlibEncoder::new(Vec::new(), Compression::fast());
    compressed.write_all(&picture.rgb)?;
    let data = STANDARD.encode(compressed.finish()?);
    let mut text = String::with_capacity(data.len() + data.len() / CHUNK * 16 + 128);
    let mut chunks = data.as_bytes().chunks(CHUNK).peekable();
    let mut keys = format!("{keys},f=24,o=z,s={},v={},q=2,", picture.width, picture.height);
    while let Some(chunk) = chunks.next() {
        let more = u8::from(chunks.peek().is_some());
        let _ = write!(text, "\x1b_G{keys}m={more};{}\x1b\\", String::from_utf8_lossy(chunk));
        // Only the first has them.
        keys.clear();
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::ZlibDecoder;
    use proptest::prelude::*;

    use super::*;

    /// Keys and payload of each command.
    fn commands(text: &str) -> Vec<(&str, &str)> {
        let commands = text.split_terminator("\x1b\\").map(|command| command.strip_prefix("\x1b_G").unwrap());
        commands.map(|command| command.split_once(';').unwrap_or((command, ""))).collect()
    }

    proptest! {
        #[test]
        fn the_terminal_gets_every_pixel((width, height, seed) in (1u32..90, 1u32..90, any::<u32>())) {
            let noise = (0..width * height * 3).map(|n| (n.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 24) as u8);
            let picture = Picture { width, height, rgb: noise.collect() };
            let place = Place { width, height, columns: 9, rows: 5, left: 0, top: 0 };
            let text = Kitty::default().draw(&picture, &place).unwrap();
            let mut commands = commands(&text);
            let (deletes, _) = commands.pop().unwrap();
            prop_assert!(deletes.starts_with("a=d,d=I,"));
            let (first, last) = (commands[0].0, commands[commands.len() - 1].0);
            let size = format!("s={width},v={height}");
            prop_assert!(first.contains(&size) && first.contains("c=9,r=5") && first.contains("o=z"), "{first}");
            prop_assert!(last.ends_with("m=0"));
            prop_assert!(commands.iter().rev().skip(1).all(|(keys, data)| keys.ends_with("m=1") && data.len() == CHUNK));
            let data: String = commands.iter().map(|(_, data)| *data).collect();
            let mut rgb = Vec::new();
            ZlibDecoder::new(STANDARD.decode(data).unwrap().as_slice()).read_to_end(&mut rgb).unwrap();
            prop_assert_eq!(rgb, picture.rgb);
        }
    }

    #[test]
    fn numbers_take_turns() {
        let picture = Picture { width: 1, height: 1, rgb: vec![1, 2, 3] };
        let place = Place { width: 1, height: 1, columns: 1, rows: 1, left: 0, top: 0 };
        let mut kitty = Kitty::default();
        let [first, second] = [0; 2].map(|_| kitty.draw(&picture, &place).unwrap());
        assert!(first.contains("a=T,i=7607425,") && first.contains("d=I,i=7607426,"), "{first}");
        assert!(second.contains("a=T,i=7607426,") && second.contains("d=I,i=7607425,"), "{second}");
    }
}
