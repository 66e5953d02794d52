// SPDX-License-Identifier: Apache-2.0
//! From a fragmented file to an ordinary one, in place: the steps of the [module](super) page.

use super::error::IoFailure;
use super::moov::{PLACEHOLDER, Track, final_moov, swallowing_mdat};
use super::sink::Sink;
use super::storage::Storage;
use super::table::SampleTable;

/// Goes the steps. Says whether the file is an ordinary one now, and what failed. `table` must be
/// closed, and list frames.
pub(crate) fn finish_in_place<S: Sink>(
    storage: &mut Storage<S>,
    track: &Track,
    placeholder_at: u64,
    table: &SampleTable,
) -> (bool, Result<(), IoFailure>) {
    let end = storage.end();
    let index = final_moov(track, table);
    let indexed =
        storage.append("writing the index", &[&index]).and_then(|()| storage.trim()).and_then(|()| storage.sync());
    let hidden = indexed.and_then(|()| {
        let header = swallowing_mdat(end - placeholder_at);
        let hidden = storage.overwrite("hiding the fragments", placeholder_at, &header);
        if hidden.is_err() {
            // Half a header would hide the fragments behind nonsense.
            let _ = storage.overwrite("showing the fragments", placeholder_at, PLACEHOLDER);
        }
        hidden
    });
    match hidden {
        Ok(()) => (true, storage.sync()),
        Err(failure) => {
            storage.cut(end);
            (false, Err(failure))
        }
    }
}
