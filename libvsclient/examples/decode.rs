// SPDX-License-Identifier: Apache-2.0
//! Decodes a coded stream by the daemon into raw planes, one picture after the other:
//! `cargo run -p libvsclient --features codec --example decode -- cam0-h264 out.yuv [FRAMES]`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::time::Duration;

use vsclient::Client;
use vsclient::codec::{Decoder, Output};

/// How long a stream may pause.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    match decode() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("decode: {error}");
            ExitCode::FAILURE
        }
    }
}

fn decode() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: decode STREAM FILE [FRAMES]";
    let (stream, path) = (args.next().ok_or(usage)?, args.next().ok_or(usage)?);
    let count: u64 = args.next().map_or(Ok(300), |count| count.parse())?;

    let mut client = Client::connect(&stream)?;
    let mut file = BufWriter::new(File::create(path)?);
    let mut unit = client.next_frame(PATIENCE)?.ok_or("the stream has no frames")?;
    if !unit.format().is_coded() {
        return Err(format!("{stream} has pictures already: {}", unit.format().fourcc).into());
    }
    let format = unit.format();
    let mut decoder = Decoder::builder().codec(format.fourcc).size(format.width, format.height).open()?;
    println!("{} ({})", decoder.info().name, decoder.info().backend);
    for number in 1..=count {
        // The session copies nothing: it lends the daemon the memory that the encoder has filled.
        decoder.submit(&unit.pass_on()?, unit.serial())?;
        while let Some(output) = decoder.try_receive()? {
            write(output, &mut file)?;
        }
        if number < count {
            unit = client.next_frame(PATIENCE)?.ok_or("the stream has no frames any more")?;
        }
    }
    drop(unit);
    decoder.drain()?;
    while let Some(output) = decoder.receive(Some(PATIENCE))? {
        if write(output, &mut file)? {
            break;
        }
    }
    Ok(file.flush()?)
}

/// Whether it was the end.
fn write(output: Output, file: &mut impl Write) -> Result<bool, Box<dyn std::error::Error>> {
    match output {
        Output::Done(picture) => {
            let view = picture.frame.map()?;
            for row in (0..view.plane_count())
                .filter_map(|plane| view.plane(plane))
                .flat_map(|plane| plane.rows().collect::<Vec<_>>())
            {
                file.write_all(row)?;
            }
        }
        Output::Lost(lost) => eprintln!("access unit {} is lost: {}", lost.tag, lost.text),
        Output::Drained => return Ok(true),
        _ => {}
    }
    Ok(false)
}
