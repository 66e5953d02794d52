// SPDX-License-Identifier: Apache-2.0
//! `vsctl repair`

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use rustix::fs::OFlags;
use vs_mux::mp4::IoFailure;
use vs_mux::repair::{RepairError, Report, check, repair};

use crate::output::Output;
use crate::report::repair::{Repaired, Repairs};

/// Finish recordings that were interrupted
///
/// A recording whose recorder was killed, lost its power or its disk plays as it lies, but players seek badly in it and do not
/// know how long it is. This makes an ordinary MP4 of it, in place, and says what was kept and what was lost. What is whole
/// already is left alone, and so is what another program wrote, or what is being written at this moment. Needs no daemon; the
/// daemon does the same with its own files when it starts.
///
/// The exit status is 0 if all files are ordinary MP4 files now.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl repair out.mp4
  vsctl repair --check *.mp4           what would be kept and lost? Changes nothing
  vsctl repair --json a.mp4 b.mp4")]
pub struct Repair {
    /// Recordings
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Only say what would be done; the exit status is 1 if there is something to do
    #[arg(long)]
    check: bool,
}

impl Repair {
    /// Blocks: there is nothing else to do meanwhile.
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let files: Vec<_> = self.files.iter().map(|path| Repaired::new(path, self.one(path), self.check)).collect();
        let (all, bad) = (files.len(), files.iter().filter(|file| !file.is_ordinary()).count());
        // Whoever wants no list still wants to know why.
        let why = files
            .iter()
            .filter(|_| !output.headings())
            .find_map(|file| Some(format!("{}: {}", file.file, file.error.clone()?)));
        output.done(&Repairs { files })?;
        if let (1.., Some(why)) = (bad, why) {
            bail!("{why}");
        }
        match (bad, self.check) {
            (0, _) => Ok(()),
            (_, true) => bail!("{bad} of {all} files are not ordinary MP4 files"),
            (_, false) => bail!("{bad} of {all} files could not be repaired"),
        }
    }

    fn one(&self, path: &Path) -> Result<Report, RepairError> {
        // To open a pipe would otherwise be to wait for a writer.
        let nonblock = OFlags::NONBLOCK.bits().cast_signed();
        let file = File::options().read(true).write(!self.check).custom_flags(nonblock).open(path);
        let file = file.map_err(|source| IoFailure { action: "opening the file", offset: 0, source })?;
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err(RepairError::NotAFile);
        }
        if self.check { check(&file) } else { repair(&file) }
    }
}
