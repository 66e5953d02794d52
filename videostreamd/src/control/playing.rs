// SPDX-License-Identifier: Apache-2.0
//! Files that somebody plays while the daemon runs: each is a stream until its end.

use std::fs::File;
use std::sync::Arc;

use vs_codec::Backend;
use vs_ipc::wire::GoodbyeReason;

use super::plan::OnFailure;
use super::{Control, ControlError, StreamEntry};
use crate::stream::file::{Clip, EndReason, FileSpec, Pace, Playback};
use crate::stream::source::Plan;
use crate::stream::spec::{Shape, SourceSpec, Wanted};

/// Characters of a title at most: as many as a file's name has bytes (`NAME_MAX`).
const TITLE_MAX: usize = 255;

/// How to play a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlayOptions {
    /// Name of the stream.
    pub name: Option<String>,
    /// What the file is called, for people; the stream's name if nobody says.
    pub title: Option<String>,
    /// Begins anew at its end.
    pub looped: bool,
    /// When its pictures are published.
    pub pace: Pace,
    /// Who decodes.
    pub backend: Backend,
}

/// A file that is played.
#[derive(Debug, Clone)]
pub struct Playing {
    /// Its stream.
    pub entry: Arc<StreamEntry>,
    /// How far it is.
    pub playback: Arc<Playback>,
}

impl Control {
    /// Plays a file as a stream of its own, which goes at the end.
    ///
    /// # Errors
    /// [`ControlError`] if the file cannot be played, or the name is taken.
    pub async fn play(&self, file: File, options: PlayOptions) -> Result<Playing, ControlError> {
        let name = options.name.unwrap_or_else(|| self.free_name());
        if self.find_stream(&name).is_some() {
            return Err(taken(&name));
        }
        let title = options.title.map(presentable).filter(|title| !title.is_empty());
        let clip = Clip::Handed { file: Arc::new(file), name: title.unwrap_or_else(|| name.clone()) };
        let PlayOptions { looped, pace, backend, .. } = options;
        let source = SourceSpec::File(FileSpec { clip, looped, pace, backend });
        let spec = self.loaded().made(&name, source.clone(), Shape::default(), &self.socket_dir);
        let entry = self.add_made(spec.map_err(ControlError::BadFormat)?)?;
        if entry.spec.source != source {
            return Err(taken(&name));
        }
        if let Err(error) = self.start(&entry, &Wanted::default(), OnFailure::Stop).await {
            self.unmake(&entry);
            return Err(error);
        }
        let playback = entry.running().as_ref().and_then(|running| match &running.plan {
            Plan::File(plan) => Some(Arc::clone(&plan.playback)),
            _ => None,
        });
        match playback {
            Some(playback) => Ok(Playing { entry, playback }),
            // Somebody was fast.
            None => Err(ControlError::NotRunning(name)),
        }
    }

    /// It is over: its clients are told why, and its stream goes. One that was stopped already has
    /// gone.
    pub async fn end_play(&self, playing: &Playing, reason: EndReason, text: &str) {
        let Playing { entry, playback } = playing;
        playback.end(reason, text);
        // Which may have been earlier, and for another reason.
        let text = &playback.wait().await.text;
        if !self.shows(entry) {
            return;
        }
        if let Err(error) = self.stop(entry, GoodbyeReason::StreamRemoved, text, false).await {
            tracing::warn!(stream = entry.spec.name, %error, "a stream did not stop cleanly");
        }
        self.unmake(entry);
    }

    fn free_name(&self) -> String {
        let streams = self.lock_streams();
        let names = (0..=streams.len()).map(|number| format!("play{number}"));
        // There is one more than there are streams.
        names.into_iter().find(|name| !streams.contains_key(name)).unwrap_or_default()
    }
}

/// A title as it may stand in a message and in the log.
fn presentable(title: String) -> String {
    title.chars().filter(|c| !c.is_control()).take(TITLE_MAX).collect()
}

fn taken(name: &str) -> ControlError {
    ControlError::BadFormat(format!("there is a stream '{name}' already: choose another name"))
}
