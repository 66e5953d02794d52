// SPDX-License-Identifier: Apache-2.0
//! A stream in the list: what it is to be, and its thread while it runs.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use vs_ipc::wire::StreamState;

use super::ControlError;
use crate::rendition::{Coding, Past, Pre};
use crate::stream::directory::{Directory, Published};
use crate::stream::handle::StreamSnapshot;
use crate::stream::source::Plan;
use crate::stream::spec::{SourceSpec, StreamSpec};
use crate::stream::{StreamHandle, StreamStatus};

/// A stream, running or not.
#[derive(Debug)]
pub struct StreamEntry {
    /// What it is to be.
    pub spec: StreamSpec,
    pub(super) status: watch::Sender<StreamStatus>,
    running: Mutex<Option<Running>>,
    origin: Mutex<Origin>,
    /// Somebody has started it: it stays open, used or not.
    held: AtomicBool,
    /// Held while it is started or stopped, which can take as long as a driver likes.
    pub(super) changing: tokio::sync::Mutex<()>,
}

/// Why a stream is there, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The configuration says so.
    Config,
    /// Its camera is.
    Camera,
    /// Somebody has asked for it and has not stopped it yet.
    Request,
}

#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) handle: Arc<StreamHandle>,
    pub(super) plan: Plan,
}

impl StreamEntry {
    pub(super) fn new(spec: StreamSpec, origin: Origin) -> Arc<Self> {
        let status = watch::Sender::new(StreamStatus::stopped());
        Arc::new(Self {
            spec,
            status,
            running: Mutex::new(None),
            origin: Mutex::new(origin),
            held: AtomicBool::new(false),
            changing: tokio::sync::Mutex::default(),
        })
    }

    /// Why it is there.
    pub(super) fn origin(&self) -> Origin {
        *self.origin.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is there for another reason now.
    pub(super) fn set_origin(&self, origin: Origin) {
        *self.origin.lock().unwrap_or_else(PoisonError::into_inner) = origin;
    }

    /// Whether somebody has started it, and nobody has stopped it since.
    pub(super) fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    pub(super) fn set_held(&self, held: bool) {
        self.held.store(held, Ordering::Relaxed);
    }

    /// What it is doing, and every change of it.
    pub fn status(&self) -> watch::Receiver<StreamStatus> {
        self.status.subscribe()
    }

    /// Path of its socket while there is one.
    pub fn socket(&self) -> Option<PathBuf> {
        self.running().as_ref().map(|running| running.handle.socket().clone())
    }

    /// Path of its socket for clients of libvideostream while there is one.
    pub fn vsl_socket(&self) -> Option<PathBuf> {
        let running = self.running().is_some();
        self.spec.host.vsl.as_ref().filter(|_| running).map(|vsl| vsl.path.clone())
    }

    /// How it is encoded now, or would be; `None` if it is not.
    pub fn coding(&self) -> Option<Coding> {
        if let Some(Running { plan: Plan::Coded(plan), .. }) = &*self.running() {
            return Some(plan.rendition.coding.clone());
        }
        match &self.spec.source {
            SourceSpec::Coded { coding, .. } => Some(coding.clone()),
            _ => None,
        }
    }

    /// What is kept of it now, or would be, for recordings that begin before they are asked for.
    pub fn pre(&self) -> Option<Pre> {
        if let Some(Running { plan: Plan::Coded(plan), .. }) = &*self.running() {
            return plan.pre;
        }
        match &self.spec.source {
            SourceSpec::Coded { pre, .. } => *pre,
            _ => None,
        }
    }

    /// What is kept of it; `None` if nothing is to be.
    pub fn past(&self) -> Option<(Pre, Past)> {
        match &*self.running() {
            Some(Running { plan: Plan::Coded(plan), .. }) => Some((plan.pre?, plan.renditions.past(&plan.rendition))),
            _ => None,
        }
    }

    /// Its counters; `None` while it is stopped.
    pub async fn snapshot(&self) -> Option<StreamSnapshot> {
        let handle = self.handle()?;
        handle.snapshot().await.ok()
    }

    /// Asks its encoder for a keyframe soon.
    ///
    /// # Errors
    /// [`ControlError`] if there is no encoder.
    pub async fn request_keyframe(&self) -> Result<(), ControlError> {
        let name = &self.spec.name;
        if !matches!(self.spec.source, SourceSpec::Coded { .. }) {
            return Err(ControlError::BadFormat(format!("stream '{name}' is not encoded: it has no keyframes")));
        }
        let handle = self.handle().ok_or_else(|| ControlError::NotRunning(name.clone()))?;
        Ok(handle.request_keyframe().await?)
    }

    pub(super) fn handle(&self) -> Option<Arc<StreamHandle>> {
        self.running().as_ref().map(|running| Arc::clone(&running.handle))
    }

    pub(super) fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it was before. Those that are made from it are told.
    pub(super) fn set_running(&self, running: Option<Running>, directory: &Directory) -> Option<Running> {
        let published =
            running.as_ref().map(|running| Published { handle: Arc::clone(&running.handle), status: self.status() });
        let before = std::mem::replace(&mut *self.running(), running);
        directory.note(&self.spec.name, published);
        before
    }

    /// What it is doing now.
    pub(super) fn say(&self, state: StreamState, text: &str) {
        self.status.send_modify(|status| status.set_state(state, text));
    }

    pub(super) fn state(&self) -> StreamState {
        self.status.borrow().state
    }

    /// Whether it runs, now or soon.
    pub(super) async fn runs_within(&self, grace: Duration) -> bool {
        let mut status = self.status();
        let runs = status.wait_for(|status| status.state == StreamState::Running);
        tokio::time::timeout(grace, runs).await.is_ok_and(|runs| runs.is_ok())
    }

    /// The same as a word, one of [`STATES`](crate::stream::handle::STATES).
    pub fn state_name(&self) -> &'static str {
        self.status.borrow().name()
    }

    pub(super) fn no_frames(&self) -> ControlError {
        ControlError::NoFrames { stream: self.spec.name.clone(), text: self.status.borrow().text.clone() }
    }

    /// Whether it has no users, and its source is closed for that reason, or because it is stopped.
    pub(super) fn is_unused(&self) -> bool {
        self.running().is_none() || self.status.borrow().idle
    }

    pub(super) async fn spawn(&self, idled: &Arc<Notify>) -> anyhow::Result<Arc<StreamHandle>> {
        StreamHandle::spawn(&self.spec, self.status.clone(), Arc::clone(idled)).await.map(Arc::new)
    }
}
