// SPDX-License-Identifier: Apache-2.0
//! `vsctl watch`

mod live;
mod show;
mod source;

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::Args;
use tokio::time::timeout;
use vsclient::AsyncClient;
use vsclient::dbus::Bus;

use crate::exit::{Incomplete, Usage};
use crate::interrupt::Interrupts;
use crate::output::Output;
use crate::terminal;
use crate::values::{self, Size};
use crate::watch::painter::{PaintError, Painter};
use live::Live;
use show::Show;
use source::Source;

/// The largest picture that is sent as pixels. At ten pictures a second, some 5 MB/s of a noisy one.
const LIMIT: Size = Size { width: 640, height: 480 };

/// Frames that are held at once: one that is shown, the newest, and one that arrives.
const CREDITS: u16 = 3;

/// Show the picture in the terminal
///
/// To aim a camera, or to see whether it sees anything, over ssh as well. Always the newest picture: on a slow line there are fewer, and
/// none of them is late. The picture is as large as the window allows, in its own shape and upright, and follows the window; the last line
/// says what it is and how old it was when it was shown.
///
/// Half blocks (two pixels in a character) show on every terminal: in 24 bit colour if it has that, else in 256 colours. Real
/// pixels need a terminal with sixels or kitty's graphics; it is asked whether it has them, which tmux and screen answer with no.
/// The picture of a coded stream is that of the stream it is made from.
///
/// Keys: q ends.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl watch cam0
  vsctl watch cam0 --fps 2                    over a slow line
  vsctl watch cam0 --as half-blocks
  vsctl watch cam0 --as sixel --size 1280x720 larger, and more to send
  vsctl watch cam0 --once                     print one picture")]
pub struct Watch {
    /// Name of a stream, or path of its socket (with a '/')
    stream: String,

    /// How to show it
    #[arg(long = "as", value_enum, default_value = "auto", value_name = "WAY")]
    way: Show,

    /// Pictures a second at most
    #[arg(long, value_name = "FPS", default_value = "10", value_parser = fps)]
    fps: f64,

    /// The largest picture to send as sixels or to kitty
    #[arg(short, long, value_name = "WxH", default_value_t = LIMIT)]
    size: Size,

    /// Print one picture and end
    #[arg(long)]
    once: bool,

    /// With --once, give up when no picture has come for so long
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = values::duration)]
    timeout: Duration,
}

/// Faster than a terminal can be.
const FPS_MAX: f64 = 120.0;

fn fps(text: &str) -> Result<f64, String> {
    let fps = text.parse::<f64>().ok().filter(|fps| (0.1..=FPS_MAX).contains(fps));
    fps.ok_or_else(|| format!("write pictures a second from 0.1 to {FPS_MAX}, as 10 or 0.5"))
}

impl Watch {
    pub async fn run(self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        if output.is_json() {
            let text = "a picture is no JSON: `vsctl snapshot` writes one into a file, and says what it is";
            return Err(Usage(text.to_owned()).into());
        }
        let (source, socket) = source::find(&self.stream, bus).await?;
        let once = self.once || !terminal::is_live();
        if !self.once && !io::stdout().is_terminal() {
            let text = "standard output is no terminal: --once prints one picture, `vsctl snapshot` writes one";
            return Err(Usage(text.to_owned()).into());
        }
        let mut interrupts = Interrupts::new()?;
        // Whoever asks must be the only one who reads what is typed: before anybody waits for keys.
        let (way, cell) = self.way.find()?;
        let painter = Painter::new(way, (self.size.width, self.size.height));
        let client = source.connect(socket, CREDITS).await?;
        if once {
            return tokio::select! {
                printed = self.print(client, painter, cell, &source) => printed,
                () = interrupts.next() => Err(Incomplete("interrupted: there is no picture".to_owned()).into()),
            };
        }
        Live::new(client, painter, cell, source, self.fps).run(interrupts).await
    }

    /// Prints one picture. The first one after a camera was opened may be damaged.
    async fn print(
        &self,
        mut client: AsyncClient,
        mut painter: Painter,
        cell: (u32, u32),
        source: &Source,
    ) -> anyhow::Result<()> {
        let room = show::room(cell);
        let text = timeout(self.timeout, async {
            loop {
                let frame = client.newest().await?;
                source.check(&frame)?;
                match painter.print(&frame, room) {
                    Ok(text) => return anyhow::Ok(text),
                    Err(PaintError::Io(error)) => return Err(error.into()),
                    Err(PaintError::Read(_) | PaintError::Map(_)) => {}
                }
            }
        });
        let Ok(text) = text.await else {
            let status = client.state();
            let text = format!("no picture came for {:?} (stream '{}': {status})", self.timeout, source.name);
            return Err(Incomplete(text).into());
        };
        let mut out = io::stdout().lock();
        out.write_all(text?.as_bytes())?;
        Ok(out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_what_a_terminal_can_do() {
        assert_eq!((fps("10"), fps("0.5")), (Ok(10.0), Ok(0.5)));
        for wrong in ["0", "-1", "1000", "ten", "NaN", "inf"] {
            assert!(fps(wrong).is_err(), "{wrong}");
        }
    }
}
