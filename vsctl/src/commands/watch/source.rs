// SPDX-License-Identifier: Apache-2.0
//! Which stream shows the picture.

use anyhow::bail;
use vsclient::dbus::{Bus, CallError, Objects, StreamInfo};
use vsclient::{AsyncClient, Client, FourCc, Frame};

use crate::commands::receive::socket::{self, Socket};
use crate::daemon;
use crate::watch::picture::is_readable;

/// The longest way from a stream to the one whose pictures it is made from.
const STEPS: usize = 8;

/// The stream that is shown.
pub struct Source {
    /// As it was called on the command line, or that which it is made from.
    pub name: String,
    path: String,
}

/// Finds it. The daemon knows what a coded stream is made from; without the daemon there are still the sockets.
pub async fn find(stream: &str, bus: &Bus) -> anyhow::Result<(Source, Socket)> {
    let mut name = stream.to_owned();
    if !name.contains('/')
        && let Ok(daemon) = daemon::connect(bus).await
    {
        name = pictures_of(&daemon::objects(&daemon).await?, &name)?;
    }
    let socket = socket::find(&name, bus).await?;
    let path = socket.path.to_string_lossy();
    // A relative path without a slash would be a name.
    let path = if path.contains('/') { path.into_owned() } else { format!("./{path}") };
    Ok((Source { name, path }, socket))
}

/// The stream whose frames are pictures.
fn pictures_of(objects: &Objects, name: &str) -> Result<String, CallError> {
    let mut name = name.to_owned();
    for _ in 0..STEPS {
        let stream = daemon::stream(objects, &name).ok_or_else(|| daemon::no_such_stream(objects, &name))?;
        if !is_coded(stream) || stream.from.is_empty() {
            break;
        }
        name.clone_from(&stream.from);
    }
    Ok(name)
}

/// Before its first start a stream has no format.
fn is_coded(stream: &StreamInfo) -> bool {
    match stream.format.fourcc.parse::<FourCc>() {
        Ok(fourcc) => !is_readable(fourcc),
        Err(_) => stream.source_kind == "coded",
    }
}

impl Source {
    pub async fn connect(&self, socket: Socket, credits: u16) -> anyhow::Result<AsyncClient> {
        let client = Client::builder(&self.path).name("vsctl watch").credits(credits);
        client.connect_async().await.map_err(|error| socket.explain(error))
    }

    /// Makes sure that there is something to see in such frames.
    pub fn check(&self, frame: &Frame) -> anyhow::Result<()> {
        let fourcc = frame.format().fourcc;
        if is_readable(fourcc) {
            return Ok(());
        }
        let name = &self.name;
        if frame.format().is_coded() {
            bail!(
                "stream '{name}' carries {fourcc}, which is not decoded here: watch the stream that it is made from, or let its \
                 source deliver pictures (`vsctl start-stream {name} --format NV12`)"
            );
        }
        bail!(
            "stream '{name}' carries {fourcc}, which cannot be shown: make one that can \
             (`vsctl start-stream {name}-view --from {name} --format NV12`)"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(name: &str, kind: &str, from: &str, fourcc: &str) -> StreamInfo {
        let mut stream = StreamInfo::default();
        (stream.name, stream.source_kind, stream.from) = (name.to_owned(), kind.to_owned(), from.to_owned());
        stream.format.fourcc = fourcc.to_owned();
        stream
    }

    #[test]
    fn coded_streams_lead_to_their_pictures() {
        let streams = vec![
            stream("cam0", "camera", "", "NV12"),
            stream("main", "coded", "cam0", "H264"),
            stream("idle", "coded", "small", ""),
            stream("small", "converted", "cam0", ""),
            stream("remote", "ipc", "", "H264"),
            stream("webcam", "camera", "", "MJPG"),
        ];
        let objects = Objects { streams, ..Objects::default() };
        let shown = |name: &str| pictures_of(&objects, name).unwrap();
        let names = ["cam0", "main", "idle", "small", "remote", "webcam"];
        assert_eq!(names.map(shown), ["cam0", "cam0", "small", "small", "remote", "webcam"]);
        assert!(matches!(pictures_of(&objects, "x"), Err(CallError::NoSuchStream(_))));
    }
}
