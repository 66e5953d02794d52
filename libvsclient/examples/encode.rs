// SPDX-License-Identifier: Apache-2.0
//! Encodes a stream's pictures by the daemon into a bare H.264 file, without copying one:
//! `cargo run -p libvsclient --features codec --example encode -- cam0 out.h264 [FRAMES] [BITRATE]`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::ExitCode;

use vsclient::Client;
use vsclient::codec::{Encoder, Output};

fn main() -> ExitCode {
    match encode() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("encode: {error}");
            ExitCode::FAILURE
        }
    }
}

fn encode() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: encode STREAM FILE [FRAMES] [BITRATE]";
    let (stream, path) = (args.next().ok_or(usage)?, args.next().ok_or(usage)?);
    let count: u64 = args.next().map_or(Ok(300), |count| count.parse())?;
    let bitrate: u64 = args.next().map_or(Ok(2_000_000), |bits| bits.parse())?;

    let mut client = Client::connect(&stream)?;
    let mut frames = client.frames();
    let mut file = BufWriter::new(File::create(path)?);
    let first = frames.next().ok_or("the stream has ended")??;
    let mut encoder = Encoder::builder().bitrate(bitrate).open(first.format())?;
    println!("{} ({})", encoder.info().name, encoder.info().backend);
    encoder.submit(&first.pass_on()?, first.serial())?;
    drop(first);
    for frame in frames.by_ref().take(count.saturating_sub(1) as usize) {
        let frame = frame?;
        // The daemon reads the picture where the camera has put it; the lease lasts until then.
        encoder.submit(&frame.pass_on()?, frame.serial())?;
        while let Some(output) = encoder.try_receive()? {
            write(output, &mut file)?;
        }
    }
    encoder.drain()?;
    while let Some(output) = encoder.receive(None)? {
        if write(output, &mut file)? {
            break;
        }
    }
    Ok(file.flush()?)
}

/// Whether it was the end.
fn write(output: Output, file: &mut impl Write) -> Result<bool, Box<dyn std::error::Error>> {
    match output {
        Output::Done(unit) => file.write_all(unit.frame.map()?.payload())?,
        Output::Lost(lost) => eprintln!("picture {} is lost: {}", lost.tag, lost.text),
        Output::Drained => return Ok(true),
        _ => {}
    }
    Ok(false)
}
