// SPDX-License-Identifier: Apache-2.0
//! Saves the newest picture of a stream as PNG:
//! `cargo run -p libvsclient --features image --example save -- cam0 out.png [WIDTHxHEIGHT]`.

use vsclient::convert::Converter;
use vsclient::{Client, FourCc};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: save STREAM FILE.png [WIDTHxHEIGHT]";
    let (stream, file) = (args.next().ok_or(usage)?, args.next().ok_or(usage)?);
    let mut converter = Converter::new(FourCc::RGB24);
    if let Some(size) = args.next() {
        let (width, height) = size.split_once('x').ok_or(usage)?;
        converter = converter.size(width.parse()?, height.parse()?);
    }

    // Frames may be read as long as their client is connected.
    let mut client = Client::connect(&stream)?;
    let frame = client.newest(None)?.ok_or("the stream has no picture")?;
    let image = converter.convert(&frame)?.into_image().ok_or("no picture that can be saved")?;
    image.save(&file)?;
    println!("{file}: frame {} of {stream}, {}x{}", frame.serial(), image.width(), image.height());
    Ok(())
}
