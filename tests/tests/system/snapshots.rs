// SPDX-License-Identifier: Apache-2.0
//! Snapshots: the right picture, in the right colours, whatever others do meanwhile.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use rustix::fs::MemfdFlags;
use serde_json::{Value, json};
use system_tests::vsctl::Outcome;
use system_tests::{Rig, Witness, eventually, video};
use vs_frame::clock::monotonic_ns;
use vs_pattern::{Memories, Pattern, Stamp};
use vsclient::dbus::{CallError, SnapshotInfo, SnapshotOptions};
use vsclient::publish::{FrameMeta, Publisher};
use vsclient::{Format, FourCc, Rate};

const CONFIG: &str = "\
[defaults]
linger = \"200ms\"
[stream.a]
pattern = \"bars\"
size = \"640x480\"
rate = 30
buffers = 32
credits-max = 16
[stream.cold]
pattern = \"bars\"
size = \"320x240\"
rate = 30
[stream.coded]
from = \"cold\"
";

/// Runs `vsctl snapshot`, which must go well; its answer.
fn snap(rig: &Rig, stream: &str, out: &Path, options: &[&str]) -> Value {
    rig.ask(&[&["snapshot", stream, out.to_str().unwrap(), "--force"], options].concat())
}

fn number(report: &Value, key: &str) -> u64 {
    report[key].as_u64().unwrap_or_else(|| panic!("no number {key} in {report:#}"))
}

fn until(rig: &Rig, stream: &str, state: &str) {
    eventually(&format!("{stream} to be {state}"), || (rig.stream(stream).state == state).then_some(()));
}

fn ffmpeg(arguments: &str) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    let output = command.args(["-nostdin", "-v", "error"]).args(arguments.split_whitespace()).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run ffmpeg: {error}; `scripts/setup test` installs it"));
    assert!(output.status.success(), "ffmpeg {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The pixels of a picture file in RGB.
fn rgb(file: &Path) -> Vec<u8> {
    ffmpeg(&format!("-i {} -f rawvideo -pix_fmt rgb24 -", file.display()))
}

/// Takes one into a descriptor, over D-Bus.
async fn into(
    rig: &Rig,
    stream: &str,
    file: BorrowedFd<'_>,
    options: &SnapshotOptions,
) -> Result<SnapshotInfo, CallError> {
    let manager = rig.control().manager().await.unwrap();
    Ok(manager.snapshot(stream, file.into(), options).await?)
}

fn memory() -> File {
    File::from(rustix::fs::memfd_create("picture", MemfdFlags::CLOEXEC).unwrap())
}

fn format(form: &str) -> SnapshotOptions {
    SnapshotOptions { format: Some(form.to_owned()), ..SnapshotOptions::default() }
}

#[test]
fn a_stream_that_runs_gives_its_newest_picture() {
    let rig = Rig::start(CONFIG);
    let witness = Witness::start(&rig.socket("a"));
    for (name, codec) in [("out.jpg", "mjpeg"), ("out.png", "png")] {
        let out = rig.path(name);
        for size in [(640, 480), (320, 240)] {
            let before = witness.last_serial();
            let report = snap(&rig, "a", &out, &["--size", &format!("{}x{}", size.0, size.1)]);
            witness.passes(2);
            let after = witness.last_serial();
            let probe = video::probe(&out);
            assert_eq!((probe.codec.as_str(), probe.size), (codec, size));
            assert_eq!(report["bytes"], json!(out.metadata().unwrap().len()));
            let serial = number(&report, "serial");
            // What is scaled has no barcode of its size.
            if size == (640, 480) {
                assert_eq!(video::serials(&out), [serial], "the picture is another one than was said");
            }
            // One may just be on its way to the witness.
            assert!((before..=after).contains(&serial), "{serial} is not from {before} to {after}");
        }
    }
    witness.all_was_well();
}

#[test]
fn nothing_of_plain_pixels_is_changed() {
    for (fourcc, size) in [
        ("NV12", "321x243"),
        ("NM12", "321x243"),
        ("YU12", "322x240"),
        ("YUYV", "321x241"),
        ("RGB3", "323x241"),
        ("GREY", "333x241"),
    ] {
        let rig = Rig::start(&format!("[stream.a]\npattern = \"bars\"\nsize = \"{size}\"\nformat = \"{fourcc}\"\n"));
        let out = rig.path("out.raw");
        let report = snap(&rig, "a", &out, &[]);
        assert_eq!((&report["format"], &report["fourcc"]), (&json!("raw"), &json!(fourcc)));
        let (width, height) = (number(&report, "width") as u32, number(&report, "height") as u32);
        assert_eq!(format!("{width}x{height}"), size);
        let contiguous = if fourcc == "NM12" { "NV12" } else { fourcc };
        let format = Format::packed(contiguous.parse().unwrap(), width, height, Rate::fps(30)).unwrap();
        let bytes = std::fs::read(&out).unwrap();
        assert_eq!(bytes.len() as u64, format.memory_size(0), "{fourcc}");
        let memories = [&bytes[..]];
        let stamp = Pattern::new(&format).unwrap().check(&Memories::new(&format, &memories));
        assert_eq!(stamp, Ok(Stamp::new(number(&report, "serial"), number(&report, "capture_ns"))), "{fourcc}");
    }
}

/// Compared with what others make of the same pixels. The stream stands still for long enough to take it twice.
#[test]
fn colours_are_those_that_others_see() {
    for (fourcc, pix_fmt, size) in [
        ("NV12", "nv12", "640x480"),
        ("YU12", "yuv420p", "321x243"),
        ("YUYV", "yuyv422", "320x241"),
        ("UYVY", "uyvy422", "320x240"),
        ("BGR3", "bgr24", "321x243"),
        ("XR24", "bgr0", "320x240"),
    ] {
        let rig = Rig::start(&format!(
            "[stream.a]\npattern = \"bars\"\nsize = \"{size}\"\nformat = \"{fourcc}\"\nrate = 1\nalways-on = true\n"
        ));
        for (name, tolerance) in [("out.png", 2.0), ("out.jpg", 4.0)] {
            let (out, raw) = (rig.path(name), rig.path("out.raw"));
            eventually("two of the same picture", || {
                let serial = |path| number(&snap(&rig, "a", path, &[]), "serial");
                (serial(&out) == serial(&raw)).then_some(())
            });
            let input = format!("-f rawvideo -pix_fmt {pix_fmt} -s {size} -i {}", raw.display());
            let wanted =
                ffmpeg(&format!("{input} -sws_flags accurate_rnd+full_chroma_int -f rawvideo -pix_fmt rgb24 -"));
            let got = rgb(&out);
            assert_eq!(got.len(), wanted.len(), "{fourcc} {name}");
            for channel in 0..3 {
                let pairs = got.iter().zip(&wanted).skip(channel).step_by(3);
                let differences: Vec<u8> = pairs.map(|(got, wanted)| got.abs_diff(*wanted)).collect();
                // Chroma of half the resolution is spread in various ways at the edges of the bars.
                let (near, far): (Vec<u8>, Vec<u8>) = differences.iter().partition(|d| **d <= 12);
                let mean = near.iter().map(|d| f64::from(*d)).sum::<f64>() / near.len() as f64;
                let far = far.len() as f64 / differences.len() as f64;
                assert!(
                    mean < tolerance && far < 0.08,
                    "{fourcc} {name}, channel {channel}: mean {mean}, {far} far off"
                );
            }
        }
    }
}

/// The matrix of high definition, and full range, are not those of JFIF.
#[test]
fn the_matrix_and_range_of_the_stream_are_heeded() {
    let rig = Rig::start("");
    for (name, matrix, range) in [("hd", "bt709", "tv"), ("sd", "smpte170m", "tv"), ("full", "bt709", "pc")] {
        let clip = rig.path(&format!("{name}.mp4"));
        let colour = "color=0x30C060:size=320x240:rate=10:duration=1";
        let _ = ffmpeg(&format!(
            "-f lavfi -i {colour} -vf scale=out_color_matrix={matrix}:out_range={range},format=yuv420p -c:v libx264 -profile:v baseline \
             -colorspace {matrix} -color_primaries bt709 -color_trc bt709 -color_range {range} -qp 1 {}",
            clip.display()
        ));
        let _ = rig.ask(&["play", clip.to_str().unwrap(), "--as", name, "--loop", "--detach"]);
        for out in ["out.png", "out.jpg"] {
            let out = rig.path(out);
            let _ = snap(&rig, name, &out, &[]);
            let pixels = rgb(&out);
            let pixel = &pixels[pixels.len() / 2 / 3 * 3..][..3];
            let near = pixel.iter().zip([0x30, 0xc0, 0x60]).all(|(got, wanted)| got.abs_diff(wanted) <= 4);
            assert!(near, "{name}, {}: {pixel:x?}", out.display());
        }
    }
}

#[test]
fn a_cold_stream_is_opened_and_closed_again_and_never_gives_an_old_picture() {
    let rig = Rig::start(CONFIG);
    let out = rig.path("out.jpg");
    let mut last = 0;
    for stream in ["cold", "coded", "cold"] {
        until(&rig, "cold", "idle");
        let called_ns = monotonic_ns();
        let report = snap(&rig, stream, &out, &[]);
        assert_eq!(report["stream"], json!("cold"));
        let (serial, taken_ns) = (number(&report, "serial"), number(&report, "capture_ns"));
        assert!(serial > last && taken_ns >= called_ns, "{serial} after {last}, {taken_ns} after {called_ns}");
        assert_eq!(video::serials(&out), [serial]);
        last = serial;
    }
    until(&rig, "cold", "idle");
    assert_eq!(rig.stream("coded").state, "idle", "nobody asked for it to be encoded");
    // What has to settle is told so.
    let called_ns = monotonic_ns();
    let report = snap(&rig, "cold", &out, &["--settle", "700ms"]);
    assert!(number(&report, "capture_ns") >= called_ns + 700_000_000, "{report:#}");
    // It has run for so long now.
    let witness = Witness::start(&rig.socket("cold"));
    witness.passes(30);
    let report = snap(&rig, "cold", &out, &["--settle", "700ms"]);
    witness.passes(1);
    assert!(number(&report, "serial") <= witness.last_serial());
}

#[test]
fn a_stream_that_stands_still_has_no_picture_until_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = dir.path().join("upstream");
    let rig = Rig::start(&format!("[stream.lib0]\nipc = \"{}\"\nalways-on = true\n", upstream.display()));
    let format = Format::packed(FourCc::NV12, 320, 240, Rate::fps(30)).unwrap();
    let publisher = Publisher::builder(upstream.to_str().unwrap()).format(format).start().unwrap();
    let publish = || {
        let mut slot = publisher.buffer().unwrap();
        let (serial, capture_ns) = (publisher.next_serial(), monotonic_ns());
        let pattern = Pattern::new(slot.format()).unwrap();
        slot.write(|memories| pattern.render(serial, capture_ns, memories)).unwrap().unwrap();
        let meta = FrameMeta { capture_ns, bytes_used: slot.format().picture_bytes(), ..FrameMeta::default() };
        publisher.publish(slot.finish(meta).unwrap()).unwrap()
    };
    eventually("the daemon to pass frames on", || {
        publish();
        (rig.stream("lib0").counters.published > 0).then_some(())
    });
    std::thread::sleep(Duration::from_millis(200));
    let (out, options) = (rig.path("out.png"), ["--settle", "0"]);
    let out_name = out.to_str().unwrap();
    rig.vsctl(&["snapshot", "lib0", out_name, "--settle", "0", "--timeout", "500ms"])
        .refused(1, &["lib0", "within 0.5 s"]);
    assert!(!out.exists());
    let last = publisher.next_serial() - 1;
    let mut vsctl = rig.vsctl_beside(&[&["--json", "snapshot", "lib0", out_name], &options[..]].concat());
    // Each is one that was not there when it was asked for.
    eventually("the snapshot", || {
        publish();
        out.exists().then_some(())
    });
    assert_eq!(Outcome::of(&mut vsctl).good().json()["format"], json!("png"));
    assert!(video::serials(&out)[0] > last);
}

#[test]
fn two_hundred_at_once_disturb_nobody() {
    let rig = Rig::start(CONFIG);
    let witness = Witness::start(&rig.socket("a"));
    witness.passes(30);
    let _ = rig.wait(into(&rig, "a", memory().as_fd(), &format("jpeg"))).unwrap();
    let before = rig.daemon().footprint();
    let files: Vec<File> = (0..200).map(|_| memory()).collect();
    let options = SnapshotOptions { timeout: Some(100_000_000_000), ..SnapshotOptions::default() };
    let taken = rig.wait(join_all(files.iter().map(|file| into(&rig, "a", file.as_fd(), &options))));
    for (info, file) in taken.into_iter().zip(&files) {
        let info = info.unwrap();
        assert_eq!((info.bytes, info.width), (file.metadata().unwrap().len(), 640));
    }
    witness.passes(30);
    eventually("as much in use as before", || {
        let now = rig.daemon().footprint();
        (now.files <= before.files && now.threads <= before.threads).then_some(())
    });
    // Nothing is missing, and each picture was whole.
    witness.all_was_well();
}

#[test]
fn whoever_does_not_read_waits_alone() {
    let rig = Rig::start(CONFIG);
    let witness = Witness::start(&rig.socket("a"));
    let before = rig.daemon().footprint();
    let (reader, writer) = std::io::pipe().unwrap();
    let slow = SnapshotOptions { timeout: Some(1_000_000_000), ..format("raw") };
    let calls = (0..20).map(|_| into(&rig, "a", writer.as_fd(), &slow));
    for refused in rig.wait(join_all(calls)) {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("nobody reads") || error.contains("no turn"), "{error}");
    }
    // One that goes.
    drop(reader);
    let error = rig.wait(into(&rig, "a", writer.as_fd(), &slow)).unwrap_err();
    assert!(matches!(&error, CallError::BadFile(text) if text.contains("has gone")), "{error}");
    drop(writer);
    let out = rig.path("out.jpg");
    let mut killed = rig.vsctl_beside(&["snapshot", "cold", out.to_str().unwrap(), "--settle", "5s"]);
    until(&rig, "cold", "running");
    killed.kill();
    assert!(!out.exists(), "a half picture has the name");
    until(&rig, "cold", "idle");
    eventually("as much in use as before", || {
        let now = rig.daemon().footprint();
        (now.files <= before.files && now.threads <= before.threads).then_some(())
    });
    witness.all_was_well();
}

#[test]
fn pipes_and_standard_output_get_it_too() {
    let rig = Rig::start(CONFIG);
    let (mut reader, writer) = std::io::pipe().unwrap();
    let reading = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        std::io::copy(&mut reader, &mut bytes).unwrap();
        bytes
    });
    let info = rig.wait(into(&rig, "a", writer.as_fd(), &format("NV12"))).unwrap();
    drop(writer);
    assert_eq!(reading.join().unwrap().len() as u64, info.bytes);
    assert_eq!(info.bytes, 640 * 480 * 3 / 2);

    let mut command = system_tests::vsctl::command(&rig.place().bus, &["snapshot", "a", "-", "--format", "png"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let out = rig.path("out.png");
    File::create(&out).unwrap().write_all(&output.stdout).unwrap();
    assert_eq!(video::probe(&out).size, (640, 480));
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    let rig =
        Rig::start(&format!("{CONFIG}[stream.lost]\ncamera = \"cam9\"\n[stream.h264]\nfile = \"/nonexistent.mp4\"\n"));
    let out = rig.path("out.jpg");
    let out_name = out.to_str().unwrap();
    let refused = |arguments: &[&str], status, words: &[&str]| {
        rig.vsctl(&[&["snapshot"], arguments].concat()).refused(status, words);
    };
    refused(&["cam7", out_name], 4, &["no stream 'cam7'"]);
    refused(&["lost", out_name], 4, &["camera 'cam9'", "not there"]);
    refused(&["a", rig.path("out").to_str().unwrap()], 2, &["--format"]);
    refused(&["a", out_name, "--format", "gif"], 1, &["'gif'", "jpeg, png"]);
    refused(&["a", out_name, "--format", "png", "--quality", "3"], 1, &["quality"]);
    refused(&["a", out_name, "--settle", "20s"], 1, &["settle", "timeout"]);
    refused(&["a", out_name, "--timeout", "1h"], 1, &["timeout", "120 s"]);
    refused(&["a", "/nonexistent/out.jpg"], 1, &["no directory"]);
    let _ = rig.ask(&["stop-stream", "a"]);
    refused(&["a", out_name], 1, &["does not run", "start-stream a"]);
    assert!(!out.exists());
    std::fs::write(&out, "mine").unwrap();
    refused(&["cold", out_name], 1, &["exists already", "--force"]);
    // One that fails leaves what was there.
    refused(&["cam7", out_name, "--force"], 4, &["cam7"]);
    assert_eq!(std::fs::read(&out).unwrap(), b"mine");
    let files = std::fs::read_dir(out.parent().unwrap()).unwrap();
    let hidden =
        files.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".out")).count();
    assert_eq!(hidden, 0, "something is left behind");
    let json = rig.vsctl(&["--json", "snapshot", "cold", "-"]);
    assert_eq!((json.status, &json.json()["error"]["name"]), (2, &json!("Usage")));

    let socket = rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, None).unwrap();
    let error = rig.wait(into(&rig, "cold", socket.as_fd(), &SnapshotOptions::default())).unwrap_err();
    assert!(matches!(&error, CallError::BadFile(text) if text.contains("a pipe")), "{error}");
    let readable = File::open(&out).unwrap();
    let error = rig.wait(into(&rig, "cold", readable.as_fd(), &SnapshotOptions::default())).unwrap_err();
    assert!(matches!(&error, CallError::BadFile(text) if text.contains("for writing")), "{error}");
}
