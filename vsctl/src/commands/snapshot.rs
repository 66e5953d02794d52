// SPDX-License-Identifier: Apache-2.0
//! `vsctl snapshot`

use std::fs::File;
use std::io::{self, IsTerminal, Seek, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use rustix::fs::{MemfdFlags, memfd_create};
use tokio::sync::oneshot;
use tokio::time::timeout;
use vsclient::dbus::{Bus, Daemon, SnapshotInfo, SnapshotOptions};

use super::whole_file::WholeFile;
use crate::daemon;
use crate::exit::{NoAnswer, Usage};
use crate::interrupt::Interrupts;
use crate::output::Output;
use crate::report::snapshot::Snapped;
use crate::values::{self, Size};

/// Stands for standard output.
const STDOUT: &str = "-";

/// What the daemon takes for the picture if nothing is said.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How much longer than the picture may take the answer is waited for.
const ANSWER_GRACE: Duration = Duration::from_secs(5);

/// Formats by the ending of a file's name.
const ENDINGS: [(&str, &str); 16] = [
    ("jpg", "jpeg"),
    ("jpeg", "jpeg"),
    ("png", "png"),
    ("raw", "raw"),
    ("bin", "raw"),
    ("yuv", "YU12"),
    ("i420", "YU12"),
    ("yv12", "YV12"),
    ("nv12", "NV12"),
    ("nv21", "NV21"),
    ("yuyv", "YUYV"),
    ("uyvy", "UYVY"),
    ("rgb", "RGB3"),
    ("bgr", "BGR3"),
    ("rgba", "AB24"),
    ("gray", "GREY"),
];

/// Take one picture of a stream
///
/// Takes the newest picture if the stream runs, and never one that is older than two frames. If nobody uses the stream, its camera is opened,
/// and closed again later; a camera gets half a second to find its exposure, unless --settle says otherwise. The picture of a coded stream
/// is that of the stream it is made from. JPEGs of a camera are passed on as they are. The file has its name only when the
/// picture is whole.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl snapshot cam0 out.jpg
  vsctl snapshot cam0 small.jpg --size 640x360 --quality 80
  vsctl snapshot cam0 out.png --settle 2s     a camera that takes its time
  vsctl snapshot cam0 now.jpg --settle 0s     at once, however dark
  vsctl snapshot cam0 out.nv12                the pixels, without a header
  vsctl snapshot cam0 - --format png | display")]
pub struct Snapshot {
    /// Name of the stream
    stream: String,

    /// File for the picture, or - for standard output
    #[arg(value_name = "OUT")]
    file: PathBuf,

    /// What to write: jpeg, png, raw (the stream's own pixels, without padding), or pixels of a format such as NV12 [default: as
    /// the name of the file says, or jpeg]
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,

    /// Make it as large as fits into this, without changing its shape
    #[arg(short, long, value_name = "WxH")]
    size: Option<Size>,

    /// Quality of a JPEG, from 1 to 100 [default: 90]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    quality: Option<u32>,

    /// Take no picture earlier than so long after the first one since the camera was opened [default: 500ms for a camera, 0 for other sources]
    #[arg(long, value_name = "TIME", value_parser = values::duration_or_zero)]
    settle: Option<Duration>,

    /// Give up after this [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    timeout: Option<Duration>,

    /// Overwrite the file if it exists
    #[arg(long)]
    force: bool,
}

impl Snapshot {
    pub async fn run(self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        let on_stdout = self.file == Path::new(STDOUT);
        if on_stdout && output.is_json() {
            return Err(
                Usage("standard output cannot have both the picture and JSON: write into a file".to_owned()).into()
            );
        }
        if on_stdout && io::stdout().is_terminal() {
            return Err(Usage("a terminal shows no pictures: redirect the output, or name a file".to_owned()).into());
        }
        let options = self.options()?;
        let daemon = daemon::connect(bus).await?;
        let mut interrupts = Interrupts::new()?;
        let taken = async {
            if on_stdout {
                self.to_stdout(&daemon, &options).await
            } else {
                self.to_file(&daemon, &options, output).await
            }
        };
        tokio::select! {
            taken = taken => taken,
            () = interrupts.next() => bail!("interrupted: there is no picture"),
        }
    }

    async fn to_stdout(&self, daemon: &Daemon, options: &SnapshotOptions) -> anyhow::Result<()> {
        // Whoever reads there is nothing to the daemon.
        let memory = memfd_create("snapshot", MemfdFlags::CLOEXEC).context("cannot have memory for the picture")?;
        let mut memory = File::from(memory);
        self.take(daemon, &memory, options).await?;
        memory.rewind()?;
        pass_on(memory).await
    }

    async fn to_file(&self, daemon: &Daemon, options: &SnapshotOptions, output: &Output) -> anyhow::Result<()> {
        let whole = WholeFile::create(&self.file, self.force)?;
        let info = self.take(daemon, &whole.file, options).await?;
        whole.keep()?;
        output.done(&Snapped::new(self.file.display().to_string(), info))
    }

    async fn take(&self, daemon: &Daemon, file: &File, options: &SnapshotOptions) -> anyhow::Result<SnapshotInfo> {
        let manager = daemon.manager().await?;
        let patience = self.timeout.unwrap_or(TIMEOUT).saturating_add(ANSWER_GRACE);
        let call = daemon::call(manager.snapshot(&self.stream, file.as_fd().into(), options));
        match timeout(patience, call).await {
            Ok(info) => Ok(info?),
            Err(_) => Err(NoAnswer(patience).into()),
        }
    }

    fn options(&self) -> anyhow::Result<SnapshotOptions> {
        Ok(SnapshotOptions {
            format: Some(self.format()?),
            size: self.size.map(|size| (size.width, size.height)),
            quality: self.quality,
            settle: self.settle.map(values::ns),
            timeout: self.timeout.map(values::ns),
        })
    }

    fn format(&self) -> Result<String, Usage> {
        if let Some(format) = &self.format {
            // As people write it, and as the protocol has it.
            return Ok(if format.eq_ignore_ascii_case("jpg") { "jpeg".to_owned() } else { format.clone() });
        }
        if self.file == Path::new(STDOUT) {
            return Ok("jpeg".to_owned());
        }
        let ending = self.file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let known = ENDINGS.iter().find(|(known, _)| *known == ending);
        known.map(|(_, format)| (*format).to_owned()).ok_or_else(|| {
            let file = self.file.display();
            Usage(format!(
                "the name {file} does not say what to write: end it with .jpg, .png or .raw, or give --format"
            ))
        })
    }
}

/// Writes a picture to standard output, whoever reads there and however slowly: on a thread of its own, so that Ctrl-C is
/// heard meanwhile.
async fn pass_on(mut picture: File) -> anyhow::Result<()> {
    let (done, written) = oneshot::channel();
    std::thread::spawn(move || {
        let mut out = io::stdout().lock();
        let _ = done.send(io::copy(&mut picture, &mut out).and_then(|_| out.flush()));
    });
    Ok(written.await??)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parse(line: &str) -> Snapshot {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Snapshot(snapshot) => snapshot,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn formats_go_by_the_name_or_are_said() {
        let format = |line: &str| parse(line).format();
        for (name, wanted) in
            [("a.JPG", "jpeg"), ("a.png", "png"), ("a.yuv", "YU12"), ("x/a.raw", "raw"), ("-", "jpeg")]
        {
            assert_eq!(format(&format!("vsctl snapshot cam0 {name}")).unwrap(), wanted);
        }
        assert_eq!(format("vsctl snapshot cam0 a --format jpg").unwrap(), "jpeg");
        assert_eq!(format("vsctl snapshot cam0 a.jpg --format png").unwrap(), "png");
        assert!(format("vsctl snapshot cam0 a").unwrap_err().to_string().contains("--format"));
    }

    #[test]
    fn times_may_be_none() {
        assert_eq!(parse("vsctl snapshot cam0 a.jpg --settle 0s").settle, Some(Duration::ZERO));
        assert_eq!(parse("vsctl snapshot cam0 a.jpg --settle 500ms").options().unwrap().settle, Some(500_000_000));
        assert!(Cli::try_parse_from("vsctl snapshot cam0 a.jpg --timeout 0".split(' ')).is_err());
        assert!(Cli::try_parse_from("vsctl snapshot cam0 a.jpg --quality 101".split(' ')).is_err());
    }
}
