// SPDX-License-Identifier: Apache-2.0
//! Runs a model that is slower than the camera:
//! `cargo run -p libvsclient --features convert --example infer -- cam0 [COUNT] [MILLISECONDS]`.
//!
//! The model gets the newest picture each time it has time for one. What it had no time for is
//! skipped by the daemon, for this client only, and counted; nothing queues up, so that a result
//! is never older than one picture and the model's own time.

use std::time::{Duration, Instant};

use vsclient::convert::Converter;
use vsclient::{Client, FourCc, monotonic_ns};

/// Columns and rows that the model looks at.
const INPUT: (u32, u32) = (224, 224);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let stream = args.next().ok_or("usage: infer STREAM [COUNT] [MILLISECONDS]")?;
    let count = args.next().map_or(Ok(u64::MAX), |count| count.parse())?;
    let effort = Duration::from_millis(args.next().map_or(Ok(50), |effort| effort.parse())?);

    // One frame in hand, and one that is ready when the model is.
    let mut client = Client::builder(&stream).credits(2).name("infer").connect()?;
    let mut converter = Converter::new(FourCc::RGB24).size(INPUT.0, INPUT.1);
    let mut input = Vec::new();
    for _ in 0..count {
        let Some(frame) = client.newest(None)? else { break };
        converter.convert_into(&frame, &mut input)?;
        let captured = frame.meta().capture_ns;
        // The camera has its buffer back while the model thinks.
        drop(frame);
        let brightness = model(&input, effort);
        let age = Duration::from_nanos(monotonic_ns().saturating_sub(captured));
        println!("brightness {brightness:5.1}, {} ms after the picture was taken", age.as_millis());
    }
    let counters = client.counters();
    println!("{} frames came, {} were skipped meanwhile", counters.received, counters.skipped_total());
    Ok(())
}

/// Stands for a neural network: takes its time, and says something about the picture.
fn model(input: &[u8], effort: Duration) -> f64 {
    let begun = Instant::now();
    let sum: u64 = input.iter().map(|byte| u64::from(*byte)).sum();
    std::thread::sleep(effort.saturating_sub(begun.elapsed()));
    sum as f64 / input.len().max(1) as f64
}
