// SPDX-License-Identifier: Apache-2.0
//! What each frame says of itself, and how bright it is.
//!
//! `frame-probe SOCKET FRAMES`
//!
//! Waits for the stream, and stays through whatever becomes of it. Of each frame it writes serial,
//! sequence, flags, field, size and the mean of the bytes of its first plane (0 to 255): of a
//! camera that shows a plain colour that tells whether it was adjusted before its first frame.

use std::process::ExitCode;
use std::time::Duration;

use vs_frame::PlaneView;
use vsclient::{Client, Frame};

/// Longer than a daemon and a camera in an emulated machine need to come back.
const PATIENCE: Duration = Duration::from_secs(120);

/// Longer than a look at a picture takes there.
const LEASE: Duration = Duration::from_secs(10);

/// Of how many rows one is looked at: an emulated machine is slow, and a plain colour is alike.
const ROWS: usize = 16;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(socket), Some(frames)) = (arguments.next(), arguments.next().and_then(|text| text.parse().ok())) else {
        eprintln!("usage: frame-probe SOCKET FRAMES");
        return ExitCode::from(2);
    };
    match probe(&socket, frames) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn probe(socket: &str, frames: u32) -> Result<()> {
    let mut client = Client::builder(socket).credits(2).lease(LEASE).name("frame-probe").connect_or_wait()?;
    for _ in 0..frames {
        let frame = client.next_frame(PATIENCE)?.ok_or("no frame came")?;
        let (meta, format) = (frame.meta(), frame.format());
        let flags: Vec<_> = meta.flags.iter_names().map(|(name, _)| name).collect();
        println!(
            "serial {} sequence {} flags {} field {} size {}x{} mean {}",
            frame.serial(),
            meta.sequence,
            if flags.is_empty() { "none".to_owned() } else { flags.join("|") },
            format.field.0,
            format.width,
            format.height,
            mean(&frame)?
        );
    }
    Ok(())
}

fn mean(frame: &Frame) -> Result<u64> {
    let summed = frame.read(|view| {
        let row = |row: &[u8]| (row.iter().map(|byte| u64::from(*byte)).sum::<u64>(), row.len() as u64);
        let plane = |plane: PlaneView<'_>| {
            plane.rows().step_by(ROWS).map(row).fold((0, 0), |(sum, count), (more, bytes)| (sum + more, count + bytes))
        };
        view.plane(0).map(plane)
    })?;
    let (sum, count) = summed.filter(|(_, count)| *count > 0).ok_or("the frame has no bytes")?;
    Ok(sum / count)
}
