// SPDX-License-Identifier: Apache-2.0
//! From the file to streams that can be started, or to a message with file, line and remedy.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::Group;
use toml::Spanned;
use vs_codec::{Backend, BackendKind, KeyframeInterval, Quality};
use vs_frame::{CpuMemory, FourCc};
use vs_ipc::host::{HostOptions, VslOptions};
use vs_ipc::vsl::wire::LOCKS_MAX;

use super::{Config, DEFAULT_LOCKS, DEFAULT_SOCKET_DIR, Device, Publication, SocketName, Stream};
use crate::devices::Match;
use crate::recording::policy::Policy;
use crate::recording::policy::config::Section;
use crate::rendition::{Coding, Pre, Wishes};
use crate::stream::file::{Clip, FileSpec};
use crate::stream::spec::{Shape, SourceSpec, StreamSpec};

type Streams = BTreeMap<SocketName, Spanned<Stream>>;

/// Read if `--config` does not name another one.
pub const DEFAULT_PATH: &str = "/etc/videostream/videostreamd.toml";

/// What is wrong, and where.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// The file says something that cannot be.
    #[error("{path}:{line}:{column}: {message}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong and what would be right.
        message: String,
    },
}

/// A configuration file's text, to say where in it something is.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn wrong(&self, span: Option<Range<usize>>, message: String) -> ConfigError {
        let offset = span.map_or(0, |span| span.start).min(self.text.len());
        let before = self.text.get(..offset).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        ConfigError::Wrong { path: self.path.to_owned(), line, column, message }
    }
}

/// Everything that the daemon needs to know before it starts.
#[derive(Debug)]
pub struct Loaded {
    /// Where the file is, or would be.
    pub path: PathBuf,
    /// What is in it, as it was read.
    pub text: String,
    /// The file's contents.
    pub config: Config,
    /// The streams of the file, complete with defaults.
    pub streams: Vec<StreamSpec>,
    /// What the daemon records by itself, complete with defaults.
    pub recordings: Vec<Policy>,
}

impl Loaded {
    /// Cameras that streams of the file show, by name.
    pub fn cameras(&self) -> impl Iterator<Item = String> {
        self.streams.iter().filter_map(|spec| match &spec.source {
            SourceSpec::Camera { device } => Some(device.clone()),
            _ => None,
        })
    }

    /// A stream for a camera that no stream of the file shows.
    pub fn implicit(&self, camera: &str, socket_dir: &Path) -> Option<StreamSpec> {
        let name: SocketName = camera.parse().ok()?;
        let mut stream = Stream { camera: Some(camera.to_owned()), ..Stream::default() };
        stream.socket_group.clone_from(&self.config.defaults.socket_group);
        let source = SourceSpec::Camera { device: camera.to_owned() };
        let publication = stream.publication().over(&self.config.defaults);
        let group = find_group(&publication).ok()?;
        Some(spec(&name, &stream, source, &publication, group, socket_dir))
    }
}

impl Loaded {
    /// A stream that somebody makes from another one while the daemon runs.
    ///
    /// # Errors
    /// What cannot be, in words.
    pub fn made(&self, name: &str, source: SourceSpec, shape: Shape, socket_dir: &Path) -> Result<StreamSpec, String> {
        let name: SocketName = name.parse()?;
        let stream = Stream::default();
        let publication = stream.publication().over(&self.config.defaults);
        let group = find_group(&publication)?;
        let mut spec = spec(&name, &stream, source, &publication, group, socket_dir);
        spec.shape = shape;
        Ok(spec)
    }
}

/// Where the configuration is, and what the command line says in its place.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The file; without one the default file is read, if it is there.
    pub file: Option<PathBuf>,
    /// Directory of the sockets, whatever the file says.
    pub socket_dir: Option<PathBuf>,
}

impl Origin {
    /// Reads the configuration.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing that is wrong.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let file = self.file.as_deref().unwrap_or(Path::new(DEFAULT_PATH));
        let text = match std::fs::read_to_string(file) {
            Err(error) if self.file.is_none() && error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.map_err(|source| ConfigError::Read { path: file.to_owned(), source })?,
        };
        read(&Source { path: file, text: &text }, self.socket_dir.as_deref())
    }
}

/// The directory of the sockets: the command line's word, the file's, or the default.
pub fn socket_dir(config: &Config, argument: Option<&Path>) -> PathBuf {
    argument.or(config.daemon.socket_dir.as_deref()).unwrap_or(Path::new(DEFAULT_SOCKET_DIR)).to_owned()
}

/// The directory for what is remembered across restarts: the command line's word, the file's,
/// or the service manager's (systemd.exec(5), `StateDirectory=`). Without any of them nothing is.
pub fn state_dir(config: &Config, argument: Option<&Path>) -> Option<PathBuf> {
    let of_service = || {
        let dirs = std::env::var_os("STATE_DIRECTORY")?;
        std::env::split_paths(&dirs).next().filter(|dir| dir.is_absolute())
    };
    argument.or(config.daemon.state_dir.as_deref()).map(Path::to_owned).or_else(of_service)
}

fn read(source: &Source<'_>, argument: Option<&Path>) -> Result<Loaded, ConfigError> {
    let config: Config =
        toml::from_str(source.text).map_err(|error| source.wrong(error.span(), error.message().replace('`', "'")))?;
    let socket_dir = socket_dir(&config, argument);
    for (name, device) in &config.device {
        check_device(name, device.get_ref()).map_err(|message| source.wrong(Some(device.span()), message))?;
    }
    let mut streams = Vec::new();
    for (name, stream) in &config.stream {
        let checked = check_made(name, stream.get_ref(), &config.stream)
            .and_then(|()| check(name, stream.get_ref(), &config.defaults, &socket_dir));
        streams.push(checked.map_err(|message| source.wrong(Some(stream.span()), message))?);
    }
    let mut recordings: Vec<Policy> = Vec::new();
    for (name, section) in &config.recording {
        let checked = section.get_ref().policy(name).and_then(|policy| {
            check_recording(&policy, section.get_ref(), &config.stream)?;
            recordings.iter().try_for_each(|other| check_directories(&policy, other))?;
            Ok(policy)
        });
        recordings.push(checked.map_err(|message| source.wrong(Some(section.span()), message))?);
    }
    let path = std::path::absolute(source.path).unwrap_or_else(|_| source.path.to_owned());
    Ok(Loaded { path, text: source.text.to_owned(), config, streams, recordings })
}

/// What is coded already is recorded as it is. A stream that is not in the file may be that of a camera.
fn check_recording(policy: &Policy, section: &Section, streams: &Streams) -> Result<(), String> {
    let Policy { name, stream, .. } = policy;
    let recorded = streams.get(stream.as_str()).map(Spanned::get_ref);
    if section.says_of_encoder() && recorded.is_some_and(is_coded) {
        return Err(format!(
            "recording '{name}': '{stream}' is coded already, and recorded as it is: leave out codec, bitrate and the \
             like, or record the stream that it is made from"
        ));
    }
    Ok(())
}

/// Each tells its files by their names, so none may find those of another one.
fn check_directories(policy: &Policy, other: &Policy) -> Result<(), String> {
    let (Some(mine), Some(others)) = (&policy.directory, &other.directory) else { return Ok(()) };
    if mine.starts_with(others) || others.starts_with(mine) {
        return Err(format!(
            "recording '{}' would lie within the directory of '{}', or the other way round: give each one of its own",
            policy.name, other.name
        ));
    }
    Ok(())
}

fn check_device(name: &SocketName, device: &Device) -> Result<(), String> {
    if device.matching.as_ref().is_none_or(Match::is_empty) && device.sessions.is_none() {
        return Err(format!(
            "device '{name}' would be any device: say in match what it is like, as in match = {{ serial = \"A1B2\" }}"
        ));
    }
    let (max, kept) = (device.sessions.map(|n| n.0), device.sessions_kept.map(|n| n.0));
    if kept.is_some() && kept > max {
        return Err(format!("device '{name}': sessions-kept is part of sessions, and must not be more"));
    }
    Ok(())
}

fn check(name: &SocketName, stream: &Stream, defaults: &Publication, socket_dir: &Path) -> Result<StreamSpec, String> {
    let source = source(name, stream)?;
    check_file(name, stream)?;
    if let SourceSpec::Ipc { path, .. } = &source {
        check_upstream(name, stream, path, socket_dir)?;
    }
    if stream.memory.is_some() && source != SourceSpec::Pattern {
        return Err(format!("stream '{name}': memory is for patterns; other frames lie where their source puts them"));
    }
    let publication = stream.publication().over(defaults);
    let group = find_group(&publication)?;
    let spec = spec(name, stream, source, &publication, group, socket_dir);
    let path = spec.host.path.as_os_str().len();
    if path > SOCKET_PATH_MAX {
        return Err(format!("the socket path of stream '{name}' has {path} bytes, at most {SOCKET_PATH_MAX} fit"));
    }
    if let Some(vsl) = &stream.vsl {
        check_vsl(name, vsl, socket_dir)?;
    }
    spec.check()?;
    Ok(spec)
}

fn check_vsl(name: &SocketName, path: &Path, socket_dir: &Path) -> Result<(), String> {
    let len = path.as_os_str().len();
    if !path.is_absolute() {
        return Err(format!("stream '{name}': vsl must be the whole path of a socket, not '{}'", path.display()));
    }
    if len > SOCKET_PATH_MAX {
        return Err(format!("stream '{name}': the path in vsl has {len} bytes, at most {SOCKET_PATH_MAX} fit"));
    }
    if path == socket_dir.join(name.as_str()) {
        return Err(format!("stream '{name}': vsl is the stream's own socket: add .vsl to the path"));
    }
    Ok(())
}

fn source(name: &SocketName, stream: &Stream) -> Result<SourceSpec, String> {
    let pattern = stream.pattern.map(|_| SourceSpec::Pattern);
    let camera = stream.camera.clone().map(|device| SourceSpec::Camera { device });
    let ipc = stream.ipc.clone().map(|path| SourceSpec::Ipc { path, locks: locks(stream) });
    let made = stream.from.as_ref().map(|from| made(from.as_str().to_owned(), stream)).transpose();
    let made = made.map_err(|message| format!("stream '{name}': {message}"))?;
    let file = stream.file.clone().map(|path| played(path, stream));
    if made.is_none() && says_of_encoder(stream) {
        return Err(format!(
            "stream '{name}': codec, bitrate, keyframe-interval, backend, pre and the like are for streams with from = \"…\""
        ));
    }
    let mut sources = [pattern, camera, ipc, made, file].into_iter().flatten();
    match (sources.next(), sources.next()) {
        (Some(source), None) => Ok(source),
        (None, _) => Err(format!(
            "stream '{name}' has no source: add pattern = \"bars\", camera = \"cam0\", ipc = \"/path/of/a/socket\", \
             file = \"/path/of/a/clip.mp4\" or from = \"another stream\""
        )),
        (Some(_), Some(_)) => {
            Err(format!("stream '{name}' has more than one source: keep one of pattern, camera, ipc, file and from"))
        }
    }
}

/// What a stream plays.
fn played(path: PathBuf, stream: &Stream) -> SourceSpec {
    SourceSpec::File(FileSpec {
        clip: Clip::Path(path),
        looped: stream.looped.unwrap_or(false),
        pace: stream.pace.map(|pace| pace.0).unwrap_or_default(),
        backend: stream.backend.map(|backend| backend.0).unwrap_or_default(),
    })
}

/// A file is shown as it is. Whether it is there is seen when it is played: it may come later.
fn check_file(name: &SocketName, stream: &Stream) -> Result<(), String> {
    let Some(path) = &stream.file else {
        if stream.looped.is_some() || stream.pace.is_some() {
            return Err(format!("stream '{name}': loop and pace are for streams with file = \"…\"; leave them out"));
        }
        return Ok(());
    };
    if stream.format.is_some() || stream.size.is_some() || stream.rate.is_some() {
        return Err(format!(
            "stream '{name}': format, size and rate are the file's; leave them out, and convert in another stream with \
             from = \"{name}\""
        ));
    }
    if stream.vsl.is_some() {
        return Err(format!("stream '{name}': vsl is for pictures of a camera or pattern; leave it out"));
    }
    if !path.is_absolute() {
        return Err(format!("stream '{name}': file must be the whole path of a file, not '{}'", path.display()));
    }
    Ok(())
}

/// How a stream is encoded.
fn coding(stream: &Stream) -> Result<Coding, String> {
    let wishes = Wishes {
        codec: stream.codec.map(|codec| codec.0),
        rate_mode: stream.rate_control.map(|mode| mode.0),
        bitrate: stream.bitrate.map(|bitrate| bitrate.0),
        quality: stream.quality.and_then(|quality| Quality::new(quality.0 as u8)),
        keyframe_interval: stream.keyframe_interval.map(|period| KeyframeInterval::Time(period.0.ns())),
        gop: stream.gop.and_then(|frames| NonZeroU32::new(frames.0)),
        b_frames: stream.b_frames.and_then(|frames| u8::try_from(frames.0).ok()),
        profile: stream.profile.map(|profile| profile.0),
        level: stream.level.map(|level| level.0),
        backend: stream.backend.map(|backend| backend.0),
    };
    wishes.over(&Coding::default())
}

/// Whether something is said of an encoder.
fn says_of_encoder(stream: &Stream) -> bool {
    let nothing = Coding::default();
    // Who decodes a file is said with the same word.
    let of_encoder = |coding: Coding| match stream.file {
        Some(_) => Coding { backend: nothing.backend, ..coding },
        None => coding,
    };
    let says = coding(stream).map_or(true, |coding| of_encoder(coding) != nothing);
    says || stream.codec.is_some() || stream.pre.is_some() || stream.pre_memory.is_some()
}

/// What is kept of it.
fn pre(stream: &Stream) -> Result<Option<Pre>, String> {
    let memory = stream.pre_memory.map(|bytes| bytes.0.0);
    let Some(duration) = stream.pre.map(|period| Duration::from_nanos(period.0.ns())) else {
        return match memory {
            Some(_) => Err("pre-memory is what pre may take: say pre, too".to_owned()),
            None => Ok(None),
        };
    };
    let memory = memory.map_or(Pre::DEFAULT_MEMORY, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    Ok(Some(Pre { duration, memory }))
}

/// What a stream is that is made from another one: encoded, unless it has a format or size of its
/// own.
fn made(from: String, stream: &Stream) -> Result<SourceSpec, String> {
    let coding = coding(stream)?;
    if stream.format.is_none() && stream.size.is_none() {
        return Ok(SourceSpec::Coded { from, coding, pre: pre(stream)? });
    }
    if stream.pre.is_some() {
        return Err(
            "pre is for what is encoded: leave out format and size, or encode this one in another stream".to_owned()
        );
    }
    let backend = coding.backend;
    if stream.codec.is_some() || (Coding { backend: Coding::default().backend, ..coding }) != Coding::default() {
        return Err(
            "a stream is converted (format, size) or encoded (codec, bitrate and the like), not both: convert \
                    in one stream, and encode that one in another"
                .to_owned(),
        );
    }
    Ok(SourceSpec::Converted { from, backend })
}

/// What is made from another stream has its rate, and that one must be there, and be of pictures.
fn check_made(name: &SocketName, stream: &Stream, streams: &Streams) -> Result<(), String> {
    let Some(from) = &stream.from else { return Ok(()) };
    if stream.rate.is_some() {
        return Err(format!("stream '{name}': the rate is chosen by '{from}'; leave it out, or set it there"));
    }
    let converted = stream.format.is_some() || stream.size.is_some();
    if stream.vsl.is_some() {
        return Err(format!(
            "stream '{name}': vsl is for pictures of a camera or pattern; leave it out, or set it for '{from}'"
        ));
    }
    if streams.get(from).is_some_and(|from| is_coded(from.get_ref())) {
        return Err(format!("stream '{name}': '{from}' is coded itself: name a stream of pictures in from"));
    }
    if comes_from_itself(name, from, streams) {
        return Err(format!("stream '{name}' would be made from itself: name another stream in from"));
    }
    if converted { Ok(()) } else { check_codec(name, stream) }
}

fn is_coded(stream: &Stream) -> bool {
    stream.from.is_some() && stream.format.is_none() && stream.size.is_none()
}

/// Whether one comes back to `name` when following what a stream is made from.
fn comes_from_itself(name: &SocketName, from: &SocketName, streams: &Streams) -> bool {
    let next = |current: &&SocketName| streams.get(*current).and_then(|stream| stream.get_ref().from.as_ref());
    // Another circle is for those who are in it to complain of.
    std::iter::successors(Some(from), next).take(streams.len() + 1).any(|current| current == name)
}

/// Whether the codec can be encoded at all: by software, or by some hardware that this machine may
/// have one day.
fn check_codec(name: &SocketName, stream: &Stream) -> Result<(), String> {
    let Coding { config, backend } = coding(stream).map_err(|message| format!("stream '{name}': {message}"))?;
    let software = vs_codec::encodable();
    let known = match backend {
        Backend::Only(BackendKind::Software) => software.contains(&config.codec),
        _ => software.contains(&config.codec) || HARDWARE_CODECS.contains(&config.codec),
    };
    if !known {
        let list = |codecs: &[FourCc]| codecs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(format!(
            "stream '{name}': nothing encodes {}: software encodes {}, and hardware may encode {}",
            config.codec,
            list(software),
            list(&HARDWARE_CODECS)
        ));
    }
    Ok(())
}

/// Codecs that V4L2 encoders may have and that can be published.
const HARDWARE_CODECS: [FourCc; 4] = [FourCc::H264, FourCc::HEVC, FourCc::FWHT, FourCc::JPEG];

/// Frames to lock at once at a host of libvideostream.
fn locks(stream: &Stream) -> usize {
    stream.buffers.map_or(DEFAULT_LOCKS, |buffers| (buffers.0 as usize).min(LOCKS_MAX))
}

/// What is taken from another host is taken as it is, and from another one.
fn check_upstream(name: &SocketName, stream: &Stream, path: &Path, socket_dir: &Path) -> Result<(), String> {
    if stream.format.is_some() || stream.size.is_some() || stream.rate.is_some() {
        return Err(format!("stream '{name}': format, size and rate are chosen where ipc leads to; leave them out"));
    }
    if stream.vsl.is_some() {
        return Err(format!(
            "stream '{name}': vsl must hand out memory that can be written to, which is not ours to give of an ipc stream; \
             leave vsl out"
        ));
    }
    if !path.is_absolute() {
        return Err(format!("stream '{name}': ipc must be the whole path of a socket, not '{}'", path.display()));
    }
    let len = path.as_os_str().len();
    if len > SOCKET_PATH_MAX {
        return Err(format!("stream '{name}': the path in ipc has {len} bytes, at most {SOCKET_PATH_MAX} fit"));
    }
    if path == socket_dir.join(name.as_str()) {
        return Err(format!("stream '{name}': ipc leads to its own socket"));
    }
    Ok(())
}

/// `sun_path` has 108 bytes, one of them for the terminating zero (unix(7)).
const SOCKET_PATH_MAX: usize = 107;

fn find_group(publication: &Publication) -> Result<Option<u32>, String> {
    let Some(name) = &publication.socket_group else { return Ok(None) };
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(Some(group.gid.as_raw())),
        Ok(None) => Err(format!("there is no group '{name}': create it, or name another socket-group")),
        Err(error) => Err(format!("cannot look up the group '{name}': {error}")),
    }
}

fn spec(
    name: &SocketName,
    stream: &Stream,
    source: SourceSpec,
    publication: &Publication,
    group: Option<u32>,
    socket_dir: &Path,
) -> StreamSpec {
    let mut host = HostOptions::new(name.as_str(), socket_dir.join(name.as_str()));
    publication.apply(&mut host, &source, group);
    host.vsl = stream.vsl.clone().map(|path| VslOptions { path, mode: host.mode, group });
    let memory = match stream.memory.as_ref().map_or(CpuMemory::Memfd, |memory| memory.0.0.clone()) {
        // Clients of libvideostream map for writing or not at all.
        CpuMemory::Memfd if host.vsl.is_some() => CpuMemory::WritableMemfd,
        memory => memory,
    };
    let (buffers, spares) = (publication.buffers(&source), publication.spares(&source));
    StreamSpec {
        name: name.as_str().to_owned(),
        source,
        shape: Shape {
            fourcc: stream.format.map(|fourcc| fourcc.0),
            size: stream.size.map(|size| (size.0.width, size.0.height)),
            rate: stream.rate.map(|rate| rate.0),
        },
        memory,
        // What has been cannot be known by an encoder that is not there.
        always_on: stream.always_on || stream.pre.is_some(),
        linger: publication.linger(),
        buffers,
        spares,
        host,
    }
    .with_budget()
}

/// Reads a text as if it were a file called `v.toml`.
#[cfg(test)]
pub(super) fn read_text(text: &str) -> Result<Loaded, String> {
    let source = Source { path: Path::new("v.toml"), text };
    read(&source, None).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Segment;
    use crate::stream::file::Pace;

    #[test]
    fn a_file_is_played_as_it_says() {
        let text = "[stream.a]\nfile = \"/c.mp4\"\nloop = true\npace = \"free\"\nbackend = \"software\"\n[stream.b]\nfile = \"/d.mp4\"\n";
        let loaded = read_text(text).unwrap();
        let file = |path: &str, looped, pace, backend| {
            SourceSpec::File(FileSpec { clip: Clip::Path(path.into()), looped, pace, backend })
        };
        assert_eq!(loaded.streams[0].source, file("/c.mp4", true, Pace::Free, Backend::Only(BackendKind::Software)));
        assert_eq!(loaded.streams[1].source, file("/d.mp4", false, Pace::Realtime, Backend::Auto));
    }

    #[test]
    fn a_recording_has_what_it_says_and_defaults() {
        let text = "[recording.a]\nstream = \"cam0\"\n[recording.b]\nstream = \"cam0\"\nkeep = [\"20G\", \"7d\"]\n\
                    segment = \"100M\"\nenabled = false\ndirectory = \"/d\"\nname = \"%F/%T.mp4\"\nsync = \"5s\"\n";
        let loaded = read_text(text).unwrap();
        let [a, b] = &loaded.recordings[..] else { panic!("{loaded:?}") };
        assert!(a.enabled && !b.enabled);
        let paths = [a, b].map(|policy| policy.path(Some(Path::new("/s"))).unwrap());
        assert_eq!(paths, [Path::new("/s/recordings/a"), Path::new("/d")]);
        assert_eq!((a.path(None), b.path(None)), (None, Some("/d".into())));
        assert_eq!(a.rules.pattern.to_string(), "%Y-%m-%d/a-%H%M%S");
        assert_eq!((b.rules.keep.bytes, b.rules.keep.time_ns), (Some(20_000_000_000), Some(604_800_000_000_000)));
        assert_eq!(a.options.segment, Some(Segment::Time(300_000_000_000)));
        assert_eq!((b.options.segment, b.options.name.as_str()), (Some(Segment::Bytes(100_000_000)), "b"));
        assert_eq!(b.options.sync, Some(std::time::Duration::from_secs(5)));
    }

    #[test]
    fn a_full_file_is_understood() {
        let loaded = read_text(
            "[daemon]\nbus = \"session\"\n[defaults]\nlease = \"2s\"\n[stream.a]\npattern = \"bars\"\nrate = 30\n\
             size = \"640x480\"\nformat = \"I420\"\nlease-max = \"5s\"\nalways-on = true\n[stream.b]\ncamera = \"cam0\"\n\
             [stream.c]\nipc = \"/tmp/vsl\"\n",
        )
        .unwrap();
        let a = &loaded.streams[0];
        assert_eq!((a.host.lease_ns, a.host.lease_max_ns), (2_000_000_000, 5_000_000_000));
        assert_eq!(a.shape.size, Some((640, 480)));
        assert!(a.always_on);
        assert_eq!(loaded.streams[1].source, SourceSpec::Camera { device: "cam0".into() });
        assert_eq!(loaded.streams[2].source, SourceSpec::Ipc { path: "/tmp/vsl".into(), locks: DEFAULT_LOCKS });
    }

    #[test]
    fn an_endpoint_for_libvideostream_needs_memory_that_it_can_map() {
        let loaded = read_text(
            "[defaults]\nsocket-mode = \"0666\"\n[stream.a]\npattern = \"bars\"\nvsl = \"/run/a.vsl\"\n\
             [stream.b]\npattern = \"bars\"\nmemory = \"dma-heap\"\nvsl = \"/run/b.vsl\"\n[stream.c]\npattern = \"bars\"\n",
        )
        .unwrap();
        let [a, b, c] = &loaded.streams[..] else { panic!("{loaded:?}") };
        assert_eq!(a.host.vsl, Some(VslOptions { path: "/run/a.vsl".into(), mode: 0o666, group: None }));
        assert_eq!((&a.memory, &c.memory), (&CpuMemory::WritableMemfd, &CpuMemory::Memfd));
        assert!(matches!(b.memory, CpuMemory::DmaHeap(_)) && c.host.vsl.is_none());
    }

    #[test]
    fn every_error_names_its_line_and_a_remedy() {
        let cases = [
            ("[stream.a]\nfile = \"clip.mp4\"\n", "must be the whole path of a file, not 'clip.mp4'"),
            (
                "[stream.a]\nfile = \"/c.mp4\"\npace = \"slow\"\n",
                "v.toml:3:8: 'slow' is not a pace: there are realtime and free",
            ),
            ("[stream.a]\nfile = \"/c.mp4\"\nsize = \"640x480\"\n", "format, size and rate are the file's"),
            ("[stream.a]\nfile = \"/c.mp4\"\ncodec = \"H264\"\n", "are for streams with from"),
            ("[stream.a]\nfile = \"/c.mp4\"\npattern = \"bars\"\n", "more than one source"),
            ("[stream.a]\nfile = \"/c.mp4\"\nvsl = \"/a.vsl\"\n", "vsl is for pictures of a camera or pattern"),
            (
                "[stream.a]\npattern = \"bars\"\nloop = true\n",
                "v.toml:1:1: stream 'a': loop and pace are for streams with file",
            ),
            (
                "[stream.a]\npattern = \"bars\"\nfromat = \"NV12\"\n",
                "v.toml:3:1: unknown field 'fromat', expected one of",
            ),
            ("[stream.a]\npattern = \"bars\"\nrate = 0\n", "v.toml:3:8: '0' is not a frame rate"),
            ("[stream.a]\npattern = 7\n", "v.toml:2:11: "),
            ("[stream.a]\npattern = \"stripes\"\n", "expected 'bars'"),
            (
                "[stream.a]\nbuffers = 99\npattern = \"bars\"\n",
                "v.toml:2:11: invalid value: integer '99', expected a whole number from 4 to 32",
            ),
            ("\n[device.a]\nmatch = {}\n", "v.toml:2:1: device 'a' would be any device"),
            ("[device.a]\nmatch = { port = 1 }\n", "unknown field 'port', expected one of"),
            ("[device.a]\n", "would be any device"),
            ("[device.enc0]\nsessions = 2\nsessions-kept = 3\n", "must not be more"),
            ("\n[stream.a]\nrate = 30\n", "stream 'a' has no source: add pattern"),
            ("[stream.a]\npattern = \"bars\"\ncamera = \"cam0\"\n", "more than one source"),
            ("[stream.a]\npattern = \"bars\"\nvsl = \"a.vsl\"\n", "vsl must be the whole path"),
            ("[stream.a]\npattern = \"bars\"\nvsl = \"/run/videostream/a\"\n", "the stream's own socket"),
            ("[stream.a]\npattern = \"bars\"\nformat = \"NM12\"\nvsl = \"/run/a\"\n", "one only"),
            ("[stream.a]\npattern = \"bars\"\nformat = \"GREY\"\nvsl = \"/run/a\"\n", "leave vsl out"),
            ("[stream.a]\nipc = \"/tmp/x\"\ncamera = \"cam0\"\n", "more than one source"),
            ("[stream.a]\nfrom = \"a\"\n", "coded itself"),
            ("[stream.a]\nfrom = \"a\"\nsize = \"64x64\"\n", "from itself"),
            ("[stream.a]\nfrom = \"b\"\n[stream.b]\nfrom = \"c\"\n", "'b' is coded itself"),
            ("[stream.a]\nfrom = \"b\"\nsize = \"64x64\"\ncodec = \"H264\"\n", "not both"),
            ("[stream.a]\nfrom = \"b\"\nrate = 5\n", "chosen by 'b'"),
            ("[stream.a]\nfrom = \"b\"\ncodec = \"VP80\"\n", "nothing encodes VP80"),
            ("[stream.a]\ncamera = \"cam0\"\nbitrate = \"5M\"\n", "for streams with from"),
            ("[stream.a]\nfrom = \"b\"\nbitrate = \"0\"\n", "v.toml:3:11: "),
            ("[stream.a]\ncamera = \"cam0\"\npre = \"10s\"\n", "for streams with from"),
            ("[stream.a]\nfrom = \"b\"\nsize = \"64x64\"\npre = \"10s\"\n", "pre is for what is encoded"),
            ("[stream.a]\nfrom = \"b\"\npre-memory = \"9M\"\n", "say pre, too"),
            ("[stream.a]\nfrom = \"b\"\npre-memory = \"9MB\"\n", "'9MB' is not an amount of bytes"),
            ("[stream.a]\nipc = \"tmp/x\"\n", "whole path"),
            ("[stream.a]\nipc = \"/tmp/x\"\nrate = 30\n", "chosen where ipc leads to"),
            ("[stream.a]\nipc = \"/tmp/x\"\nmemory = \"memfd\"\n", "memory is for patterns"),
            ("[stream.a]\nipc = \"/tmp/x\"\nvsl = \"/run/a\"\n", "leave vsl out"),
            ("[stream.a]\nipc = \"/run/videostream/a\"\n", "its own socket"),
            ("[stream.\"a/b\"]\npattern = \"bars\"\n", "cannot name a stream"),
            ("[stream.a]\npattern = \"bars\"\nlease = \"fast\"\n", "v.toml:3:9: 'fast' is not a length of time"),
            ("[stream.a]\npattern = \"bars\"\nformat = \"H264\"\n", "no test pattern in H264"),
            ("[stream.a\n", "v.toml:1:"),
            ("[recording.a]\nkeep = \"7d\"\n", "v.toml:1:1: missing field 'stream'"),
            ("[recording.a]\nstream = \"b\"\nkep = \"7d\"\n", "v.toml:3:1: unknown field 'kep', expected one of"),
            ("[recording.a]\nstream = \"b\"\nkeep = \"soon\"\n", "v.toml:3:8: 'soon' cannot be kept"),
            ("[recording.a]\nstream = \"b\"\nkeep = [\"7d\", \"8d\"]\n", "'8d' is the second of its kind"),
            ("[recording.a]\nstream = \"b\"\nkeep = 7\n", "expected a text such as"),
            ("[recording.a]\nstream = \"b\"\nkeep = \"1M\"\nsegment = \"1M\"\n", "has no room for two files"),
            ("[recording.a]\nstream = \"b\"\nname = \"../%F\"\n", "v.toml:3:8: '../%F' cannot name files"),
            ("[recording.a]\nstream = \"b\"\nname = \"%Q\"\n", "%Q is not known: there are %Y"),
            ("[recording.a]\nstream = \"b\"\nsegment = \"1ms\"\n", "too short for a file"),
            ("[recording.a]\nstream = \"b\"\nfloor = \"all\"\n", "'all' is no amount of free space"),
            ("[recording.a]\nstream = \"b\"\nfragment = \"1min\"\n", "fragment can be 10 s at most"),
            ("[recording.a]\nstream = \"b\"\ndirectory = \"x\"\n", "directory must be a whole path, not 'x'"),
            ("[recording.a]\nstream = \"b\"\nquality = 5\nbitrate = \"1M\"\n", "recording 'a': bitrate and quality"),
            (
                "[stream.b]\nfrom = \"c\"\n[recording.a]\nstream = \"b\"\nbitrate = \"1M\"\n",
                "v.toml:3:1: recording 'a': 'b' is coded already",
            ),
            (
                "[recording.a]\nstream = \"b\"\ndirectory = \"/x\"\n[recording.c]\nstream = \"b\"\ndirectory = \"/x/y\"\n",
                "v.toml:4:1: recording 'c' would lie within the directory of 'a'",
            ),
            (
                "[metrics]\nlisten = \"0.0.0.0:9464\"\n",
                "v.toml:2:10: '0.0.0.0:9464' can be reached from other machines",
            ),
            (
                "[defaults]\nsocket-group = \"no-such-group-here\"\n[stream.a]\npattern = \"bars\"\n",
                "there is no group",
            ),
        ];
        for (text, expected) in cases {
            let error = read_text(text).expect_err(text);
            assert!(error.contains(expected), "{text}\n  gave     {error}\n  expected {expected}");
        }
    }
}
