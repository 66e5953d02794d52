// SPDX-License-Identifier: Apache-2.0
//! Encodes a stream's pictures by the daemon into a bare H.264 file, without copying one:
//! `cargo run -p libvsclient --features codec --example encode -- cam0 out.h264 [FRAMES] [BITRATE]`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use vsclient::codec::{Encoder, Output};
use vsclient::{Client, Frame};

/// How long a stream may pause.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait for a picture before the session is listened to again.
const TURN: Duration = Duration::from_millis(5);

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
    let mut file = BufWriter::new(File::create(path)?);
    let first = client.next_frame(PATIENCE)?.ok_or("the stream has no pictures")?;
    let mut encoder = Encoder::builder().bitrate(bitrate).open(first.format())?;
    println!("{} ({})", encoder.info().name, encoder.info().backend);
    let mut frame = first;
    for number in 1..=count {
        // The daemon reads the picture where the camera has put it; the lease lasts until then.
        encoder.submit(&frame.pass_on()?, frame.serial())?;
        if number < count {
            frame = next(&mut client, &mut encoder, &mut file)?;
        }
    }
    drop(frame);
    encoder.drain()?;
    while let Some(output) = encoder.receive(None)? {
        if write(output, &mut file)? {
            break;
        }
    }
    Ok(file.flush()?)
}

/// The next picture. Meanwhile the session is listened to: the stream gives no further picture to who
/// holds as many as it may, and those that were passed on are held until the session brings them back.
fn next(
    client: &mut Client,
    encoder: &mut Encoder,
    file: &mut impl Write,
) -> Result<Frame, Box<dyn std::error::Error>> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        while let Some(output) = encoder.try_receive()? {
            write(output, file)?;
        }
        if let Some(frame) = client.next_frame(TURN)? {
            return Ok(frame);
        }
    }
    Err("the stream has no pictures any more".into())
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
