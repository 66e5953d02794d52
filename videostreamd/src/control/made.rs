// SPDX-License-Identifier: Apache-2.0
//! Streams that somebody makes from others while the daemon runs: they are there until they are
//! stopped.

use std::sync::Arc;

use super::entry::Origin;
use super::{Changed, Control, ControlError, StreamEntry};
use crate::rendition::{Coding, Pre};
use crate::stream::spec::{Shape, SourceSpec, StreamSpec, Wanted};

/// Streams that can be made while the daemon runs. Each has a thread and a socket; nobody needs as
/// many views of a handful of cameras.
const MAX_MADE: usize = 64;

impl Control {
    /// The stream of this name, made now if it is to come from another one and is not there yet.
    pub(super) fn found_or_made(&self, name: &str, wanted: &Wanted) -> Result<Arc<StreamEntry>, ControlError> {
        let Some(from) = &wanted.from else { return self.stream(name) };
        match self.find_stream(name) {
            None => self.make(name, from, wanted),
            Some(entry) if entry.spec.source.from() == Some(from) => Ok(entry),
            Some(_) => Err(ControlError::BadFormat(format!(
                "there is a stream '{name}' already, and it is not made from '{from}': choose another name, or leave \
                 out what it is to be made from"
            ))),
        }
    }

    fn make(&self, name: &str, from: &str, wanted: &Wanted) -> Result<Arc<StreamEntry>, ControlError> {
        let source = self.made_source(name, from, wanted)?;
        let shape = match source {
            SourceSpec::Converted { .. } => wanted.shape,
            _ => Shape::default(),
        };
        let spec = self.loaded().made(name, source, shape, &self.socket_dir).map_err(ControlError::BadFormat)?;
        self.add_made(spec)
    }

    /// Adds a stream that is there until it is stopped; if one has its name already, that one it is.
    pub(super) fn add_made(&self, spec: StreamSpec) -> Result<Arc<StreamEntry>, ControlError> {
        let name = spec.name.clone();
        let entry = StreamEntry::new(spec, Origin::Request);
        let mut streams = self.lock_streams();
        if streams.values().filter(|entry| entry.origin() == Origin::Request).count() >= MAX_MADE {
            return Err(ControlError::Failed(format!(
                "{MAX_MADE} streams have been made while the daemon runs, which is as many as it takes: stop some"
            )));
        }
        // Somebody else may have been faster.
        let entry = Arc::clone(streams.entry(name.clone()).or_insert(entry));
        drop(streams);
        self.tell([Changed::Stream(name)].into_iter());
        Ok(entry)
    }

    /// What the stream is: encoded if something is said of the encoder, or nothing at all;
    /// converted if a format or a size is.
    fn made_source(&self, name: &str, from: &str, wanted: &Wanted) -> Result<SourceSpec, ControlError> {
        let upstream = self.stream(from)?;
        let owned = from.to_owned();
        if upstream.spec.name == name || matches!(upstream.spec.source, SourceSpec::Coded { .. }) {
            return Err(ControlError::BadFormat(format!(
                "stream '{name}' cannot be made from '{from}': name a stream of pictures"
            )));
        }
        let Shape { fourcc, size, rate } = wanted.shape;
        let only_backend = vs_codec::Backend::default();
        let converts = fourcc.is_some() || size.is_some();
        let mut of_encoder = wanted.coding.clone();
        let backend = if converts { of_encoder.backend.take().unwrap_or(only_backend) } else { only_backend };
        match (converts, of_encoder.is_empty() && wanted.pre.is_none()) {
            _ if rate.is_some() => Err(ControlError::BadFormat(format!(
                "stream '{name}' shows what '{from}' shows: the rate is chosen there"
            ))),
            (true, false) => Err(ControlError::BadFormat(format!(
                "stream '{name}' can be converted or encoded, not both: make one with the format or size, and encode \
                 that one"
            ))),
            (true, true) => Ok(SourceSpec::Converted { from: owned, backend }),
            (false, _) => {
                let coding = wanted.coding.over(&Coding::default()).map_err(ControlError::BadFormat)?;
                let pre = wanted.pre.map(|duration| Pre { duration, memory: Pre::DEFAULT_MEMORY });
                Ok(SourceSpec::Coded { from: owned, coding, pre })
            }
        }
    }

    /// Forgets a stream that was made while the daemon runs and does not run.
    pub(super) fn unmake(&self, entry: &Arc<StreamEntry>) {
        if entry.origin() != Origin::Request || entry.socket().is_some() {
            return;
        }
        let name = &entry.spec.name;
        let mut streams = self.lock_streams();
        let same = streams.get(name).is_some_and(|known| Arc::ptr_eq(known, entry));
        if same {
            streams.remove(name);
        }
        drop(streams);
        if same {
            // Whoever waits for news of it learns that there will be none.
            entry.say(vs_ipc::wire::StreamState::Stopped, "the stream was stopped");
            self.tell([Changed::Stream(name.clone())].into_iter());
        }
    }
}
