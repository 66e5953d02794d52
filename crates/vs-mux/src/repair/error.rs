// SPDX-License-Identifier: Apache-2.0
//! Why a file is left as it is.

use crate::mp4::IoFailure;
use crate::read::OpenMovieError;

/// Why a file is not an ordinary MP4 afterwards. But for [`Io`](Self::Io) it is exactly as before.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// Somebody records to it, or repairs it, at this moment.
    #[error("somebody records to the file or repairs it: wait until they are done")]
    InUse,
    /// It is a directory, a pipe or a device.
    #[error("not a regular file")]
    NotAFile,
    /// The file was opened for reading or for appending only.
    #[error("the file is not open for reading and writing")]
    NotWritable,
    /// A recording of ours that was interrupted before its first fragment was whole.
    #[error("there is no whole fragment in its {bytes} bytes: nothing can be recovered")]
    Nothing {
        /// Its size.
        bytes: u64,
    },
    /// A fragmented MP4 that another recorder wrote. In place it could only be finished with room
    /// before its first frame, which ours keep, and others do not.
    #[error(
        "a fragmented MP4 that another recorder wrote; `vsctl convert FILE NEW.mp4` makes an ordinary one of what is \
         whole in it"
    )]
    OthersFragments,
    /// A file of another program whose end is missing.
    #[error("the end of the file is missing, and its index does not say what is whole: another program wrote it")]
    OthersTorn,
    /// A file that cannot be read at all.
    #[error("not one of our recordings: {0}")]
    NotOurs(#[source] OpenMovieError),
    /// The file could not be read or written. It plays as it lies, and can be repaired later.
    #[error(transparent)]
    Io(#[from] IoFailure),
}
