// SPDX-License-Identifier: Apache-2.0
//! Publishes a grey that breathes:
//! `cargo run -p libvsclient --features publish --example publish -- /tmp/breath [COUNT]`.
//!
//! Look at it with `cargo run -p libvsclient --example show -- /tmp/breath`, or give it to
//! videostreamd as a stream with `ipc = "/tmp/breath"`. Says every second who reads.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use vsclient::publish::{FrameMeta, Publisher};
use vsclient::{Format, FourCc, Rate, monotonic_ns};

const FPS: u32 = 30;

fn main() -> ExitCode {
    match publish() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("publish: {error}");
            ExitCode::FAILURE
        }
    }
}

fn publish() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let stream = args.next().ok_or("usage: publish STREAM [COUNT]")?;
    let count = args.next().map_or(Ok(u64::MAX), |count| count.parse())?;

    let format = Format::packed(FourCc::NV12, 1280, 720, Rate::fps(FPS))?;
    let publisher = Publisher::builder(&stream).format(format).start()?;
    println!("publishing at {}", publisher.path().display());
    let interval = Duration::from_secs(1) / FPS;
    let mut due = Instant::now();
    for sequence in 0..count {
        let shade = ((sequence as f64 / 20.0).sin() * 100.0 + 128.0) as u8;
        let mut slot = publisher.buffer()?;
        slot.write(|memories| {
            let luma = 1280 * 720;
            memories[0][..luma].fill(shade);
            memories[0][luma..].fill(128);
        })?;
        let meta = FrameMeta {
            sequence: sequence as u32,
            capture_ns: monotonic_ns(),
            bytes_used: slot.format().picture_bytes(),
            ..FrameMeta::default()
        };
        publisher.publish(slot.finish(meta)?)?;
        if sequence % u64::from(FPS) == 0 {
            let now = publisher.snapshot()?;
            let names: Vec<_> = now.clients.iter().map(|client| client.name.as_str()).collect();
            println!("published {}, delivered {}, clients: {}", now.published, now.delivered, names.join(", "));
        }
        due += interval;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    publisher.stop("that was all");
    Ok(())
}
