// SPDX-License-Identifier: Apache-2.0
//! Shows what this crate makes of the machine's V4L2 devices, and tries a camera out.
//!
//! ```text
//! capture-probe                                  lists every V4L2 node
//! capture-probe /dev/video0 [OPTION=VALUE …]     captures, and checks what readers rely on
//!     format=NV12 size=640x480 rate=30 buffers=8 frames=60 timeout=20 (seconds)
//! ```
//!
//! Each line of output is one JSON object. The exit code is 1 if a promise is broken.

use std::error::Error;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use memmap2::MmapOptions;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::json;
use vs_frame::{Frame, FrameFlags, FrameView, Memory};
use vs_v4l2::{Camera, CaptureError, CaptureRequest, Captured, DeviceInfo, discover};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.split_first() {
        None => list(),
        Some((devnode, options)) => Options::parse(options).and_then(|options| probe(Path::new(devnode), &options)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{}", json!({ "error": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

fn list() -> Outcome<()> {
    for device in discover()? {
        println!("{}", describe(&device));
    }
    Ok(())
}

fn describe(device: &DeviceInfo) -> serde_json::Value {
    let node = &device.node;
    let node = json!({
        "devnode": node.devnode, "name": node.name, "index": node.index, "id_path": node.id_path,
        "by_path": node.by_path, "id_serial": node.id_serial, "product": node.product, "unit": node.unit,
    });
    match &device.function {
        Err(error) => json!({ "node": node, "problem": error.to_string() }),
        Ok(function) => {
            let codes = |formats: &[vs_v4l2::FormatDesc]| -> Vec<String> {
                formats.iter().map(|format| format.fourcc.to_string()).collect()
            };
            json!({
                "node": node, "kind": function.kind.to_string(), "card": function.card, "driver": function.driver,
                "bus": function.bus, "planar": function.planar.map(|planar| format!("{planar:?}")),
                "gives": codes(&function.formats), "takes": codes(&function.output_formats),
                "sizes": function.formats.first().map(|format| {
                    format.sizes.iter().map(|size| {
                        let rates: Vec<_> = size.rates().iter().map(ToString::to_string).collect();
                        format!("{size} at {}", rates.join(" "))
                    }).collect::<Vec<_>>()
                }),
            })
        }
    }
}

struct Options {
    request: CaptureRequest,
    frames: u64,
    timeout: Duration,
}

impl Options {
    fn parse(options: &[String]) -> Outcome<Self> {
        let mut parsed = Self { request: CaptureRequest::default(), frames: 60, timeout: Duration::from_secs(20) };
        for option in options {
            let (name, value) = option.split_once('=').ok_or_else(|| format!("'{option}' is not OPTION=VALUE"))?;
            match name {
                "format" => parsed.request.fourcc = Some(value.parse()?),
                "size" => {
                    let (width, height) = value.split_once('x').ok_or("a size is WIDTHxHEIGHT")?;
                    parsed.request.size = Some((width.parse()?, height.parse()?));
                }
                "rate" => parsed.request.rate = Some(value.parse()?),
                "buffers" => parsed.request.buffers = value.parse()?,
                "frames" => parsed.frames = value.parse()?,
                "timeout" => parsed.timeout = Duration::from_secs(value.parse()?),
                _ => return Err(format!("there is no option '{name}'").into()),
            }
        }
        Ok(parsed)
    }
}

fn probe(devnode: &Path, options: &Options) -> Outcome<()> {
    let mut camera = Camera::open(devnode, &options.request)?;
    let format = camera.format();
    println!(
        "{}",
        json!({
            "opened": devnode, "planar": format!("{:?}", camera.planar()), "format": format.fourcc.to_string(),
            "size": [format.width, format.height], "rate": format.rate.to_string(), "field": format.field.0,
            "planes": format!("{:?}", &*format.planes), "color": format!("{:?}", format.color),
            "adjustments": camera.adjustments().iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    );
    camera.start()?;
    let held = stream(&mut camera, options)?;
    let before = contents(&held)?;
    let some = |frames| Options { frames, request: options.request.clone(), ..*options };

    // The picture under a held frame stays while others come, and while the camera stops.
    stream(&mut camera, &some(u64::from(options.request.buffers) * 2))?;
    check("a held frame stays while others come", contents(&held)? == before)?;
    camera.stop();
    check("a held frame survives the stop", contents(&held)? == before)?;
    camera.start()?;
    stream(&mut camera, &some(2))?;
    check("a held frame survives a restart", contents(&held)? == before)?;

    // The device is free at once although a frame is still being read.
    drop(camera);
    check("a held frame survives the camera", contents(&held)? == before)?;
    let mut again = Camera::open(devnode, &options.request)?;
    again.start()?;
    let other = stream(&mut again, &some(2))?;
    check("new buffers have new numbers", other.buffer().id() != held.buffer().id())?;
    drop(held);
    check("an old frame's return changes nothing", again.stats().qbuf_errors == 0)?;
    Ok(())
}

/// Captures `options.frames` frames, drops all but the last on another thread, and returns
/// that one.
fn stream(camera: &mut Camera, options: &Options) -> Outcome<Frame> {
    let (readers, frames) = mpsc::channel::<Frame>();
    let reader = std::thread::spawn(move || frames.into_iter().count());
    let begin = Instant::now();
    let (mut count, mut gaps, mut stamps, mut last) = (0, 0, Vec::new(), None::<Frame>);
    while count < options.frames {
        if begin.elapsed() > options.timeout {
            return Err(format!("only {count} frames in {:?}: {:?}", options.timeout, camera.stats()).into());
        }
        wait(camera, Duration::from_secs(1))?;
        for event in camera.events().map_err(|error| lost(error, last.as_ref()))? {
            println!("{}", json!({ "event": format!("{event:?}") }));
        }
        loop {
            match camera.dequeue() {
                Ok(None) => break,
                Err(CaptureError::Failed(_)) => {
                    camera.stop();
                    camera.start()?;
                    println!("{}", json!({ "restarted after frame": count }));
                    break;
                }
                Err(error) => return Err(lost(error, last.as_ref())),
                Ok(Some(Captured::Corrupt { sequence })) => println!("{}", json!({ "corrupt": sequence })),
                Ok(Some(Captured::Frame(frame))) => {
                    if count == 0 {
                        check_memories(&frame)?;
                        println!(
                            "{}",
                            json!({ "first frame": format!("{:?} {:?}", frame.meta(), &*frame.format().planes) })
                        );
                    }
                    count += 1;
                    gaps += u64::from(frame.meta().flags.contains(FrameFlags::GAP));
                    stamps.push(frame.meta().capture_ns);
                    if let Some(previous) = last.replace(frame) {
                        readers.send(previous)?;
                    }
                }
            }
        }
    }
    drop(readers);
    let returned = reader.join().map_err(|_| "the reader failed")?;
    let stats = camera.stats();
    let seconds = stamps.last().zip(stamps.first()).map_or(0.0, |(last, first)| (last - first) as f64 / 1e9);
    println!(
        "{}",
        json!({
            "frames": count, "gaps": gaps, "returned": returned, "stats": format!("{stats:?}"),
            "fps": format!("{:.2}", (stamps.len() as f64 - 1.0) / seconds),
        })
    );
    check("capture times go forward", stamps.is_sorted())?;
    check("every buffer is with the driver or a reader", stats.queued + stats.held == stats.buffers)?;
    last.ok_or_else(|| "no frame".into())
}

/// Says whether a frame outlives the camera that delivered it.
fn lost(error: CaptureError, held: Option<&Frame>) -> Box<dyn Error> {
    println!("{}", json!({ "last frame still readable": held.map(|frame| contents(frame).is_ok()) }));
    error.into()
}

fn wait(camera: &Camera, at_most: Duration) -> Outcome<()> {
    let mut fds = [PollFd::new(camera, PollFlags::IN | PollFlags::PRI)];
    poll(&mut fds, Some(&Timespec::try_from(at_most)?))?;
    Ok(())
}

fn contents(frame: &Frame) -> Outcome<Vec<Vec<u8>>> {
    let view: FrameView<'_> = frame.map()?;
    Ok((0..frame.buffer().memories().len()).map(|memory| view.memory(memory).to_vec()).collect())
}

/// What every reader relies on: the memory is a DmaBuf, and it cannot be written.
fn check_memories(frame: &Frame) -> Outcome<()> {
    for memory in frame.buffer().memories() {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", memory.as_fd().as_raw_fd()))?;
        check("the memory is a DmaBuf", info.contains("exp_name:"))?;
        check("a writable mapping is refused", !is_writable(memory))?;
        let path = format!("/proc/self/fd/{}", memory.as_fd().as_raw_fd());
        check("it cannot be reopened for writing", std::fs::OpenOptions::new().write(true).open(path).is_err())?;
    }
    Ok(())
}

fn is_writable(memory: &Memory) -> bool {
    // SAFETY: the mapping is expected to be refused; if it is not, nobody touches it.
    unsafe { MmapOptions::new().len(memory.len() as usize).map_mut(&memory.as_fd()) }.is_ok()
}

fn check(promise: &str, kept: bool) -> Outcome<()> {
    if kept { Ok(()) } else { Err(format!("broken promise: {promise}").into()) }
}
