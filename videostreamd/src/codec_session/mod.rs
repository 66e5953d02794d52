// SPDX-License-Identifier: Apache-2.0
//! Encoders and decoders that other processes use through the daemon.
//!
//! A client asks for one over D-Bus and gets a socket. Over it the two lend frames to each other
//! ([`vs_ipc::exchange`]): raw pictures in and access units out, or the other way round. Each
//! session is one thread with one codec, so that a client that stalls, or a codec that fails,
//! concerns nobody else. It ends when the socket does: a client that dies leaves nothing.
//!
//! * [`Sessions`]: who has how many, and how many there may be
//! * `worker`: what a session's thread does, whatever codec it has
//! * `encoder`, `decoder`: the codecs
//! * `open`: which codec is taken
//!
//! Clients are guests: cameras and recordings come first, at the devices
//! ([`vs_codec::Priority::Guest`]) and on the CPU ([`NICENESS`]).

mod decoder;
mod encoder;
mod open;
mod registry;
mod worker;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::sync::oneshot;
use vs_codec::{Backend, BackendKind, DecoderConfig, Effective, EncoderConfig};
use vs_frame::{Format, FourCc};
use vs_ipc::exchange::{Credits, Exchange, pair};

pub use encoder::keyframe_interval_ns;
pub use open::OpenFailure;
use registry::{Kind, Place};
pub use registry::{Limits, Owner, Sessions, Snapshot};
use worker::{Work, Worker};

/// By how much sessions yield to everything else that the daemon does on the CPU (nice(2)): half
/// of the way to the least, for their clients wait for them.
const NICENESS: i32 = 10;

/// An encoder as somebody wants it.
#[derive(Debug, Clone)]
pub struct EncoderWish {
    /// The pictures that will come.
    pub input: Format,
    /// What is to become of them.
    pub config: EncoderConfig,
    /// Who is to do it.
    pub backend: Backend,
    /// How many frames each side may lend.
    pub credits: Credits,
}

/// A decoder as somebody wants it.
#[derive(Debug, Clone)]
pub struct DecoderWish {
    /// What is wanted of it; its number of pictures follows from the credit.
    pub config: DecoderConfig,
    /// Who is to do it.
    pub backend: Backend,
    /// How many frames each side may lend.
    pub credits: Credits,
}

/// What was opened.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Name and version of the codec, for people.
    pub name: String,
    /// Which kind it is.
    pub backend: BackendKind,
    /// Why it was taken; empty if there was no choice.
    pub reason: String,
    /// What an encoder does; `None` for a decoder.
    pub effective: Option<Effective>,
    /// How many frames each side may lend.
    pub credits: Credits,
}

/// Why no session was opened.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// There are as many as there may be.
    #[error("{0}")]
    Busy(String),
    /// No codec could be opened.
    #[error(transparent)]
    Open(#[from] OpenFailure),
    /// The system refused.
    #[error("cannot start a codec session: {0}")]
    System(String),
}

impl Sessions {
    /// Opens an encoder for `owner`; the client's end of its socket.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn open_encoder(&self, owner: Owner, wish: EncoderWish) -> Result<(OwnedFd, Opened), SessionError> {
        let (codecs, credits) = (Arc::clone(self.codecs()), wish.credits.clamped());
        let codec = wish.config.codec;
        let open = move || encoder::Encoding::open(wish, codecs, credits);
        self.start(owner, Kind::Encoder, codec, credits, open).await
    }

    /// Opens a decoder for `owner`; the client's end of its socket.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn open_decoder(&self, owner: Owner, wish: DecoderWish) -> Result<(OwnedFd, Opened), SessionError> {
        let (codecs, credits) = (Arc::clone(self.codecs()), wish.credits.clamped());
        let codec = wish.config.codec;
        let open = move || decoder::Decoding::open(wish, codecs, credits);
        self.start(owner, Kind::Decoder, codec, credits, open).await
    }

    /// Starts the thread of a session; answers when its codec is open.
    async fn start<W: Work>(
        &self,
        owner: Owner,
        kind: Kind,
        codec: FourCc,
        credits: Credits,
        open: impl FnOnce() -> Result<W, OpenFailure> + Send + 'static,
    ) -> Result<(OwnedFd, Opened), SessionError> {
        let system = |error: std::io::Error| SessionError::System(error.to_string());
        let place = self.enter(owner, kind, codec).await?;
        let (ours, theirs) = pair().map_err(system)?;
        let exchange = Exchange::daemon(ours, credits);
        place.entry().connected(exchange.hangup());
        let (tell, told) = oneshot::channel();
        std::thread::Builder::new()
            .name(format!("codec-{}", place.entry().number))
            .spawn(move || live(place, exchange, credits, open, tell))
            .map_err(system)?;
        let opened = told.await.map_err(|_| SessionError::System("its thread has ended".to_owned()))??;
        Ok((theirs, opened))
    }
}

/// The thread of a session.
fn live<W: Work>(
    place: Place,
    exchange: Exchange,
    credits: Credits,
    open: impl FnOnce() -> Result<W, OpenFailure>,
    tell: oneshot::Sender<Result<Opened, OpenFailure>>,
) {
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "a codec session cannot yield to others");
    }
    let work = match open() {
        Ok(work) => work,
        Err(error) => {
            // The place is free before the answer is known.
            drop((exchange, place));
            let _ = tell.send(Err(error));
            return;
        }
    };
    place.entry().opened(work.name(), work.backend());
    let entry = Arc::clone(place.entry());
    tracing::info!(session = %*entry, codec = %entry.codec, name = work.name(), "codec session opened");
    if tell.send(Ok(work.opened(credits))).is_ok() {
        let end = Worker::new(exchange, Arc::clone(&entry)).run(work);
        let Snapshot { inputs, outputs, lost, .. } = entry.snapshot();
        tracing::info!(session = %*entry, %end, inputs, outputs, lost, "codec session closed");
    }
    drop(place);
}
