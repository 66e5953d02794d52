// SPDX-License-Identifier: Apache-2.0
//! `org.videostream.VideoStream1.Manager`

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use zbus::message::Header;
use zbus::zvariant::{self, OwnedObjectPath, Value};
use zbus::{Connection, interface};

use super::codec;
use super::dict::{Dict, dict};
use super::error::Error;
use super::options::{self, Options};
use super::recording::Caller;
use super::tasks::Tasks;
use super::{path, playback, recording, snapshot};
use crate::control::{Control, PolicyEntry, PolicyState, Reloaded};
use crate::inspect::{Finding, inspect};
use crate::metrics::Metrics;
use crate::recording::passed;

pub(super) struct Manager {
    control: Arc<Control>,
    metrics: Arc<Metrics>,
    tasks: Tasks,
}

impl Manager {
    pub(super) fn new(control: Arc<Control>, metrics: Arc<Metrics>, tasks: Tasks) -> Self {
        Self { control, metrics, tasks }
    }
}

#[interface(name = "org.videostream.VideoStream1.Manager")]
impl Manager {
    #[zbus(out_args("stream"))]
    async fn start_stream(&self, name: String, options: Dict) -> Result<OwnedObjectPath, Error> {
        let entry = self.control.start_stream(&name, &options::wishes(options)?).await?;
        Ok(path::stream(&entry.spec.name)?)
    }

    async fn stop_stream(&self, name: String, options: Dict) -> Result<(), Error> {
        Options::new(options).finish("StopStream knows none")?;
        Ok(self.control.stop_stream(&name).await?)
    }

    #[zbus(out_args("recording"))]
    async fn record(
        &self,
        stream: String,
        file: zvariant::OwnedFd,
        options: Dict,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedObjectPath, Error> {
        let call = options::record(options)?;
        let (files, supply) = passed();
        supply.add(File::from(OwnedFd::from(file)), call.title)?;
        let (number, record) = self.control.record(&stream, Box::new(files), call.options).await?;
        let owner = header.sender().filter(|_| !call.detach).map(|sender| sender.to_owned());
        Ok(recording::publish(connection, &self.tasks, &self.control, number, record, Caller { supply, owner }).await?)
    }

    #[zbus(out_args("recording"))]
    async fn start_recording(
        &self,
        name: String,
        options: Dict,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<OwnedObjectPath, Error> {
        Options::new(options).finish("StartRecording knows none")?;
        let number = self.control.start_policy(&name).await?;
        let gone = || Error::Failed(format!("recording '{name}' began and has ended already"));
        let record = self.control.recording(number).ok_or_else(gone)?;
        Ok(recording::publish(connection, &self.tasks, &self.control, number, record, None).await?)
    }

    async fn stop_recording(&self, name: String, options: Dict) -> Result<(), Error> {
        Options::new(options).finish("StopRecording knows none")?;
        Ok(self.control.stop_policy(&name).await?)
    }

    #[zbus(out_args("socket", "info"))]
    async fn open_encoder(
        &self,
        options: Dict,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(zvariant::OwnedFd, Dict), Error> {
        let (wish, owner) = (codec::encoder(options)?, codec::owner(connection, &header).await?);
        let (socket, opened) = self.control.codec_sessions().open_encoder(owner, wish).await?;
        Ok((socket.into(), codec::info(&opened)))
    }

    #[zbus(out_args("socket", "info"))]
    async fn open_decoder(
        &self,
        options: Dict,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(zvariant::OwnedFd, Dict), Error> {
        let (wish, owner) = (codec::decoder(options)?, codec::owner(connection, &header).await?);
        let (socket, opened) = self.control.codec_sessions().open_decoder(owner, wish).await?;
        Ok((socket.into(), codec::info(&opened)))
    }

    #[zbus(out_args("stream"))]
    async fn play(
        &self,
        file: zvariant::OwnedFd,
        options: Dict,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedObjectPath, Error> {
        let (options, detach) = options::play(options)?;
        let playing = self.control.play(File::from(OwnedFd::from(file)), options).await?;
        let owner = header.sender().filter(|_| !detach).map(|sender| sender.to_owned());
        Ok(playback::publish(connection, &self.tasks, &self.control, playing, owner).await?)
    }

    #[zbus(out_args("info"))]
    async fn snapshot(
        &self,
        stream: String,
        file: zvariant::OwnedFd,
        options: Dict,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Dict, Error> {
        let (options, owner) = (snapshot::options(options)?, codec::owner(connection, &header).await?);
        let taken = self.control.snapshot(&stream, File::from(OwnedFd::from(file)), options, owner).await?;
        Ok(snapshot::taken(&taken))
    }

    #[zbus(out_args("text"))]
    async fn metrics(&self) -> String {
        self.metrics.text().await.as_ref().to_owned()
    }

    #[zbus(out_args("findings"))]
    async fn inspect(&self, options: Dict) -> Result<Vec<Dict>, Error> {
        Options::new(options).finish("Inspect knows none")?;
        let control = Arc::clone(&self.control);
        let findings = tokio::task::spawn_blocking(move || inspect(&control)).await;
        let findings = findings.map_err(|error| Error::Failed(error.to_string()))?;
        Ok(findings.iter().map(finding).collect())
    }

    #[zbus(out_args("file", "text"))]
    fn configuration(&self, options: Dict) -> Result<(String, String), Error> {
        Options::new(options).finish("Configuration knows none")?;
        let (path, text) = self.control.configuration();
        Ok((path.display().to_string(), text))
    }

    #[zbus(out_args("changes"))]
    async fn reload(&self, options: Dict) -> Result<Dict, Error> {
        Options::new(options).finish("Reload knows none")?;
        Ok(reloaded(self.control.reload().await?))
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn codec_sessions(&self) -> Vec<Dict> {
        self.control.codec_sessions().list().iter().map(codec::snapshot).collect()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn policies(&self) -> Vec<Dict> {
        self.control.policies().iter().map(|entry| policy(entry)).collect()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn socket_directory(&self) -> String {
        self.control.socket_dir().display().to_string()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn epoch(&self) -> u64 {
        self.control.epoch()
    }
}

fn policy(entry: &PolicyEntry) -> Dict {
    let status = entry.status();
    let path = entry.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let mut policy = dict([
        ("name", Value::from(entry.policy.name.clone())),
        ("stream", Value::from(entry.policy.stream.clone())),
        ("directory", Value::from(path)),
        ("state", Value::from(status.state.name())),
        ("text", Value::from(status.text)),
        ("files", Value::from(status.files)),
        ("bytes", Value::from(status.bytes)),
    ]);
    if let PolicyState::Recording(number) = status.state {
        policy.extend(dict([("recording", Value::from(number))]));
    }
    policy
}

fn reloaded(reloaded: Reloaded) -> Dict {
    let Reloaded { streams, recordings, restart } = reloaded;
    dict([
        ("streams-added", Value::from(streams.added)),
        ("streams-changed", Value::from(streams.changed)),
        ("streams-removed", Value::from(streams.removed)),
        ("recordings-added", Value::from(recordings.added)),
        ("recordings-changed", Value::from(recordings.changed)),
        ("recordings-removed", Value::from(recordings.removed)),
        ("restart", Value::from(restart)),
    ])
}

fn finding(finding: &Finding) -> Dict {
    dict([
        ("topic", Value::from(finding.topic)),
        ("name", Value::from(finding.name.clone())),
        ("state", Value::from(finding.state.name())),
        ("text", Value::from(finding.text.clone())),
        ("remedy", Value::from(finding.remedy.clone())),
    ])
}
