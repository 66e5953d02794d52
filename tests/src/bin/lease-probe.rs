// SPDX-License-Identifier: Apache-2.0
//! What a client of a camera is entitled to, tried out on the kernel that must keep it.
//!
//! `lease-probe SOCKET SECONDS`
//!
//! Takes one frame with a lease of its own, shows that its memories are DmaBufs
//! (`/proc/self/fdinfo`) and that nobody can write to them, and holds it while others come
//! and go: the picture must stay as it is.

use std::hash::{DefaultHasher, Hasher};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use vs_frame::{MemoryKind, PlaneView};
use vsclient::{Client, Frame};

/// Longer than any pause of a camera in an emulated machine.
const PATIENCE: Duration = Duration::from_secs(20);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(socket), Some(seconds)) = (arguments.next(), arguments.next().and_then(|text| text.parse().ok())) else {
        eprintln!("usage: lease-probe SOCKET SECONDS");
        return ExitCode::from(2);
    };
    match probe(&socket, Duration::from_secs(seconds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn probe(socket: &str, hold: Duration) -> Result<()> {
    let mut client = Client::builder(socket).credits(2).lease(hold * 3).name("lease-probe").connect()?;
    let held = next(&mut client)?;
    for memory in held.memories() {
        if memory.kind() != MemoryKind::DmaBuf {
            return Err("the frame does not lie in DmaBufs".into());
        }
        println!("exp_name {}", exporter(memory.as_fd())?);
        refuse_writing(memory.as_fd(), usize::try_from(memory.len())?)?;
    }
    let before = hash(&held)?;
    let until = Instant::now() + hold;
    let (mut others, mut different) = (0u64, 0u64);
    while Instant::now() < until {
        let other = next(&mut client)?;
        others += 1;
        different += u64::from(hash(&other)? != before);
    }
    if hash(&held)? != before {
        return Err("the picture under the lease has changed".into());
    }
    if different == 0 {
        return Err("no other picture was different: this proves nothing".into());
    }
    println!("unchanged for {} s while {others} other frames came, {different} of them different", hold.as_secs());
    Ok(())
}

fn next(client: &mut Client) -> Result<Frame> {
    Ok(client.next_frame(PATIENCE)?.ok_or("no frame came")?)
}

fn hash(frame: &Frame) -> Result<u64> {
    let rows = |plane: PlaneView<'_>, hasher: &mut DefaultHasher| plane.rows().for_each(|row| hasher.write(row));
    let hashed = frame.read(|view| {
        let mut hasher = DefaultHasher::new();
        (0..view.plane_count()).filter_map(|index| view.plane(index)).for_each(|plane| rows(plane, &mut hasher));
        hasher.finish()
    })?;
    Ok(hashed)
}

/// The driver that exported a DmaBuf; only DmaBufs have one.
fn exporter(fd: BorrowedFd<'_>) -> Result<String> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
    let name = info.lines().find_map(|line| line.strip_prefix("exp_name:"));
    Ok(name.ok_or("no exp_name in /proc/self/fdinfo: not a DmaBuf")?.trim().to_owned())
}

fn refuse_writing(fd: BorrowedFd<'_>, len: usize) -> Result<()> {
    // SAFETY: the mapping is expected to be refused, and is never written to.
    let mapping = unsafe { memmap2::MmapOptions::new().len(len).map_mut(&fd) };
    match mapping {
        Ok(_) => return Err("a client could map a frame for writing".into()),
        Err(error) => println!("write mapping refused: {error}"),
    }
    let reopened =
        rustix::fs::open(format!("/proc/self/fd/{}", fd.as_raw_fd()), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    match reopened {
        Ok(_) => Err("a client could reopen a frame for writing".into()),
        Err(error) => {
            println!("reopening for writing refused: {error}");
            Ok(())
        }
    }
}
