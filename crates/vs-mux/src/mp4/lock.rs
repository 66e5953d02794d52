// SPDX-License-Identifier: Apache-2.0
//! Who may change a file: the one who records to it, or the one who repairs it.
//!
//! `flock` it is, because the lock belongs to the open file, not to the process: it holds although
//! the recorder did not open the file itself but was passed a descriptor, it is not lost when some
//! library closes the same file, and the kernel takes it back when the process dies. It is advice: a
//! player may read the file all the time.

use std::fs::File;
use std::io;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// A file that nobody else records to or repairs.
///
/// Whoever passed us the descriptor has the same open file, which would stay locked for as long as
/// they keep it; so the lock is given back by word, not by closing.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Locks `file` until the lock is dropped; `None` if somebody else has it. `shared` with others
    /// who only look.
    pub fn take(file: &File, shared: bool) -> io::Result<Option<Self>> {
        let file = file.try_clone()?;
        let how = if shared { FlockOperation::NonBlockingLockShared } else { FlockOperation::NonBlockingLockExclusive };
        match flock(&file, how) {
            Ok(()) => Ok(Some(Self(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // If that fails, the lock goes with the last descriptor.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}
