// SPDX-License-Identifier: Apache-2.0
//! Shows what arrives: `cargo run -p libvsclient --example show -- cam0 [COUNT]`.
//!
//! One line for each frame, with the time since it was captured and published, how long
//! reading its first plane took, and the mean of it; other events as they happen.

use std::time::Instant;

use vsclient::{Client, Event, Frame, monotonic_ns};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let stream = args.next().ok_or("usage: show STREAM [COUNT]")?;
    let count = args.next().map_or(Ok(u64::MAX), |count| count.parse())?;

    let mut client = Client::connect(&stream)?;
    while client.counters().received < count {
        match client.next_event(None)? {
            Some(Event::Frame(frame)) => show(&frame)?,
            Some(Event::Connected { session, .. }) => println!("connected: {session:?}"),
            Some(Event::State(state)) => println!("{state}"),
            Some(Event::Format(format)) => {
                println!("{} {}x{} at {} fps", format.fourcc, format.width, format.height, format.rate);
            }
            Some(other) => println!("{other:?}"),
            None => {}
        }
    }
    println!("{:?}", client.counters());
    Ok(())
}

fn show(frame: &Frame) -> Result<(), vsclient::MapError> {
    let since = |ns: u64| monotonic_ns().saturating_sub(ns) / 1000;
    let (captured, published) = (since(frame.meta().capture_ns), since(frame.publish_ns()));
    let begun = Instant::now();
    let mean = frame.read(|view| {
        let bytes = view.plane(0).map_or(view.payload(), |plane| plane.data);
        bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>() / bytes.len().max(1) as u64
    })?;
    println!(
        "frame {:6}  captured {captured:6} us ago, published {published:5} us ago, read in {:5} us, mean {mean:3}",
        frame.serial(),
        begun.elapsed().as_micros(),
    );
    Ok(())
}
