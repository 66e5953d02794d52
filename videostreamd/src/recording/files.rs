// SPDX-License-Identifier: Apache-2.0
//! Where the files of a recording come from, and what becomes of them.

use std::fs::File;
use std::time::SystemTime;

use tokio::sync::mpsc;
use vs_mux::mp4::{FileSink, OpenError};

use super::Counts;

/// Files that may wait for their turn. One is enough for a caller that passes the next when the last has
/// been begun; a second forgives one that is late to look.
const SPARES: usize = 2;

/// Asked on the recording's own thread: it may block on the file system, nobody else waits.
///
/// Files are finished in the order in which they were given. One is finished while the next is written already:
/// what [`finished`](Self::finished) speaks of is the oldest one that it has not been called for. One that was given last
/// and could not be begun any more, because the recording has ended, is not spoken of: it is closed, and empty.
pub trait Files: Send + std::fmt::Debug {
    /// A new, empty file for pictures that begin at `begins` (wall clock). `None`: there is none yet, the recording
    /// goes on in the file that it has.
    ///
    /// # Errors
    /// Why there can be no further file; the recording ends with that.
    fn next(&mut self, begins: SystemTime) -> anyhow::Result<Option<File>>;

    /// What the file given last is called, for whoever looks; empty if that is not known.
    fn name(&self) -> String {
        String::new()
    }

    /// The file is complete, synced, and not touched any more.
    fn finished(&mut self, part: &Part);

    /// Asked about once a second while a file is written: whether there is still room to go on. The place to delete
    /// old files.
    ///
    /// # Errors
    /// Why the recording must end here (free space is at the floor, for one).
    fn make_room(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// What became of one file of a recording.
#[derive(Debug, Clone)]
pub struct Part {
    /// When its first picture was taken, by the wall clock.
    pub began: SystemTime,
    /// What is in it.
    pub counts: Counts,
    /// Whether it is an ordinary MP4, not a fragmented one.
    pub progressive: bool,
    /// What went wrong; empty if nothing. It plays up to there.
    pub error: String,
}

/// A file that a client has opened, and what the client calls it.
#[derive(Debug)]
struct Given {
    file: File,
    name: String,
}

/// Files that a client passes, one after the other.
#[derive(Debug)]
pub struct Passed {
    spares: mpsc::Receiver<Given>,
    name: String,
}

/// Where the client's files are passed.
#[derive(Debug, Clone)]
pub struct Supply(mpsc::Sender<Given>);

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum SupplyError {
    /// Nothing can be recorded into it.
    #[error("cannot record into this file: {0}")]
    BadFile(#[from] OpenError),
    /// There are as many as may wait.
    #[error("{SPARES} files are waiting already: pass the next one when a further file has been begun")]
    Full,
    /// Nobody will ask for it.
    #[error("the recording has ended")]
    Ended,
}

/// No file yet, and where they are passed.
pub fn passed() -> (Passed, Supply) {
    let (sender, spares) = mpsc::channel(SPARES);
    (Passed { spares, name: String::new() }, Supply(sender))
}

impl Supply {
    /// Passes an empty file that is called `name`.
    ///
    /// # Errors
    /// [`SupplyError`]; the file is closed then.
    pub fn add(&self, file: File, name: String) -> Result<(), SupplyError> {
        let file = FileSink::new(file)?.into_file();
        self.0.try_send(Given { file, name }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SupplyError::Full,
            mpsc::error::TrySendError::Closed(_) => SupplyError::Ended,
        })
    }
}

impl Files for Passed {
    fn next(&mut self, _begins: SystemTime) -> anyhow::Result<Option<File>> {
        let given = self.spares.try_recv().ok();
        Ok(given.map(|Given { file, name }| {
            self.name = name;
            file
        }))
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn finished(&mut self, _part: &Part) {}
}
