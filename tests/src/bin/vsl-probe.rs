// SPDX-License-Identifier: Apache-2.0
//! What an application of libvideostream is entitled to at a camera's second socket, tried out
//! on the kernel that must make it possible.
//!
//! `vsl-probe SOCKET SECONDS`
//!
//! Locks one frame, shows that its memory is a DmaBuf that can be mapped as that library maps
//! it, for reading and writing, and holds it while others come and go: the picture must stay as
//! it is.

use std::hash::{DefaultHasher, Hasher};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use vs_frame::{Frame, MemoryKind};
use vs_ipc::vsl::client::{Connection, Received};

/// Longer than any pause of a camera in an emulated machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// One that is held, one that comes.
const FRAMES: usize = 2;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(socket), Some(seconds)) = (arguments.next(), arguments.next().and_then(|text| text.parse().ok())) else {
        eprintln!("usage: vsl-probe SOCKET SECONDS");
        return ExitCode::from(2);
    };
    match probe(Path::new(&socket), Duration::from_secs(seconds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn probe(socket: &Path, hold: Duration) -> Result<()> {
    let mut host = Connection::connect(socket, FRAMES, PATIENCE)?;
    let held = next(&mut host)?;
    let memory = held.buffer().memories().first().ok_or("a frame without memory")?;
    if memory.kind() != MemoryKind::DmaBuf {
        return Err("the frame does not lie in a DmaBuf".into());
    }
    let len = usize::try_from(memory.len())?;
    // SAFETY: it is mapped to see whether that works, and never looked at.
    unsafe { memmap2::MmapOptions::new().len(len).map_mut(&std::os::fd::AsFd::as_fd(memory)) }
        .map_err(|error| format!("the frame cannot be mapped for writing: {error}"))?;
    println!("{} of {}x{} can be mapped for writing", held.format().fourcc, held.format().width, held.format().height);
    let before = hash(&held)?;
    let until = Instant::now() + hold;
    let (mut others, mut different) = (0u64, 0u64);
    while Instant::now() < until {
        let other = next(&mut host)?;
        others += 1;
        different += u64::from(hash(&other)? != before);
    }
    if hash(&held)? != before {
        return Err("the picture under the lock has changed".into());
    }
    if different == 0 {
        return Err("no other picture was different: this proves nothing".into());
    }
    println!("unchanged for {} s while {others} other frames came, {different} of them different", hold.as_secs());
    Ok(())
}

fn next(host: &mut Connection) -> Result<Frame> {
    let Received { frame, .. } = host.wait(Some(PATIENCE))?.ok_or("no frame came")?;
    Ok(frame)
}

fn hash(frame: &Frame) -> Result<u64> {
    let view = frame.map()?;
    let mut hasher = DefaultHasher::new();
    for plane in (0..view.plane_count()).filter_map(|index| view.plane(index)) {
        plane.rows().for_each(|row| hasher.write(row));
    }
    Ok(hasher.finish())
}
