// SPDX-License-Identifier: Apache-2.0
//! The consumer of the benchmark: `cargo run --release -p libvsclient --example checksum -- STREAM FRAMES [WARM-UP]`.
//!
//! Receives so many frames after some others, adds up the bytes of the middle row of each, and prints one
//! line of JSON: the time it took, the latency from publication to receipt, processor time, and what was
//! missed. `make bench` compares it with the same program in C and in Python.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use vsclient::{Client, Frame, MapError};

/// How long a stream may pause.
const PATIENCE: Duration = Duration::from_secs(10);
/// Frames that the program holds at most.
const CREDITS: u16 = 4;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: checksum STREAM FRAMES [WARM-UP]";
    let (stream, frames) = (args.next().ok_or(usage)?, args.next().ok_or(usage)?.parse::<usize>()?);
    let warm_up: usize = args.next().map_or(Ok(100), |count| count.parse())?;

    let mut client = Client::builder(&stream).credits(CREDITS).connect()?;
    for _ in 0..warm_up {
        next(&mut client)?;
    }
    let (mut sum, mut torn, mut latencies) = (0, 0, Vec::with_capacity(frames));
    let (lost, cpu, begun) = (client.counters().lost, processor_time(), Instant::now());
    while latencies.len() < frames {
        let frame = next(&mut client)?;
        match middle_row(&frame) {
            Ok(row) => sum += row,
            Err(MapError::Ended(_)) => torn += 1,
            Err(error) => return Err(error.into()),
        }
        latencies.push(frame.received_ns() - frame.publish_ns());
    }
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), processor_time() - cpu);
    latencies.sort_unstable();
    println!(
        "{{\"language\": \"rust\", \"frames\": {frames}, \"seconds\": {seconds:.6}, \"frames_per_second\": {:.1}, \
         \"latency_p50_ns\": {}, \"latency_p99_ns\": {}, \"cpu_ns_per_frame\": {}, \"checksum\": {sum}, \
         \"lost\": {}, \"torn\": {torn}}}",
        frames as f64 / seconds,
        latencies[frames / 2],
        latencies[frames * 99 / 100],
        cpu.as_nanos() / frames as u128,
        client.counters().lost - lost,
    );
    Ok(())
}

fn next(client: &mut Client) -> Result<Frame, Box<dyn std::error::Error>> {
    Ok(client.next_frame(PATIENCE)?.ok_or("the stream has no more frames")?)
}

fn middle_row(frame: &Frame) -> Result<u64, MapError> {
    frame.read(|view| {
        let row = view.plane(0).and_then(|plane| plane.rows().nth(plane.rows / 2));
        row.unwrap_or_default().iter().map(|byte| u64::from(*byte)).sum()
    })
}

/// What this process has used.
fn processor_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}
