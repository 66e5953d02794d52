// SPDX-License-Identifier: Apache-2.0
//! What this machine can do, as the daemon sees it with its own rights, and what is missing.
//!
//! Each finding says what there is, and where something is not as it could be, what that means
//! and what to do. Nothing is tried that costs more than opening a node.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User, getgroups};
use rustix::fs::Access;
use rustix::process::{Resource, getrlimit};
use vs_codec::open::{decodable, encodable, inputs};
use vs_frame::FourCc;
use vs_v4l2::{DeviceInfo, DeviceKind, NodeError};

use crate::control::Control;

/// Where DMA heaps are (kernel doc, "dma-buf heaps").
const HEAPS: &str = "/dev/dma_heap";

/// Descriptors below which a few hundred clients are too many; the service has far more.
const FILES_WANTED: u64 = 4096;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is there and can be used.
    Ok,
    /// It is there, but not as it could be; nothing fails because of that.
    Note,
    /// It is not there.
    Missing,
    /// It is there and this process cannot use it.
    Denied,
}

impl State {
    /// The word used on D-Bus.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Missing => "missing",
            Self::Denied => "denied",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it belongs to: `kernel`, `user`, `camera`, `encoder`, `memory`…
    pub topic: &'static str,
    /// Which one of them.
    pub name: String,
    /// How it is.
    pub state: State,
    /// What there is, or what is wrong and what that means.
    pub text: String,
    /// What to do; empty if nothing needs to be done.
    pub remedy: String,
}

impl Finding {
    fn new(topic: &'static str, name: impl Into<String>, state: State, text: impl Into<String>) -> Self {
        Self { topic, name: name.into(), state, text: text.into(), remedy: String::new() }
    }

    fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: remedy.into(), ..self }
    }
}

/// Looks at everything. Opens nodes, so it may take a moment.
pub fn inspect(control: &Control) -> Vec<Finding> {
    let all = control.devices().names().into_iter();
    let devices: Vec<_> = all.filter_map(|name| Some((control.devices().get(&name)?, name))).collect();
    let there = devices.iter().filter(|(known, _)| known.present);
    let there: Vec<_> = there.filter_map(|(known, name)| Some((name.as_str(), known.info.as_deref()?))).collect();
    let absent = devices.iter().filter(|(known, _)| !known.present).map(|(_, name)| absent(name));
    let mut findings = vec![kernel(), user(), open_files(), state_directory(control.state_dir())];
    findings.extend(cameras(&there));
    findings.extend(absent);
    findings.extend(codecs(&there));
    findings.extend(heaps(Path::new(HEAPS)));
    findings.push(udmabuf());
    findings
}

fn kernel() -> Finding {
    let name = rustix::system::uname();
    let (release, machine) = (name.release().to_string_lossy(), name.machine().to_string_lossy());
    Finding::new("kernel", release, State::Ok, machine)
}

/// Whom the daemon runs as, and whether that user is in the group that owns cameras.
fn user() -> Finding {
    let uid = Uid::effective();
    let name = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
    let mut groups: Vec<Gid> = getgroups().unwrap_or_default();
    groups.push(Gid::effective());
    groups.sort_unstable_by_key(|gid| gid.as_raw());
    groups.dedup();
    let names: Vec<_> = groups.iter().map(|gid| group_name(*gid)).collect();
    let text = format!("groups {}", names.join(", "));
    if uid.is_root() || names.iter().any(|name| name == "video") {
        return Finding::new("user", name, State::Ok, text);
    }
    let remedy = format!("usermod --append --groups video {name}, then start the daemon again");
    Finding::new("user", name, State::Note, format!("{text}: not in video, which owns cameras on most systems"))
        .remedy(remedy)
}

fn group_name(gid: Gid) -> String {
    Group::from_gid(gid).ok().flatten().map_or_else(|| gid.to_string(), |group| group.name)
}

fn open_files() -> Finding {
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < FILES_WANTED => {
            let text = "each client of each stream takes one: some hundred clients are too many";
            Finding::new("limit", format!("{limit} open files"), State::Note, text)
                .remedy("set LimitNOFILE=65536 in the unit, or `ulimit -n` before starting it by hand")
        }
        Some(limit) => Finding::new("limit", format!("{limit} open files"), State::Ok, ""),
        None => Finding::new("limit", "open files", State::Ok, "no limit"),
    }
}

fn state_directory(dir: Option<&Path>) -> Finding {
    let Some(dir) = dir else {
        return Finding::new(
            "state",
            "none",
            State::Note,
            "names of devices and controls are remembered until the daemon ends",
        )
        .remedy("give it a directory with --state-dir, or state-dir in the configuration");
    };
    let made = fs::create_dir_all(dir).map_err(|error| error.to_string());
    let writable = made.and_then(|()| rustix::fs::access(dir, Access::WRITE_OK).map_err(|error| error.to_string()));
    let name = dir.display().to_string();
    let full =
        || rustix::fs::statvfs(dir).is_ok_and(|disk| disk.f_bavail == 0 || (disk.f_files > 0 && disk.f_favail == 0));
    match writable {
        Ok(()) if full() => {
            Finding::new("state", name, State::Missing, "its disk is full: what changes is not remembered")
                .remedy("make room there, or choose another directory with --state-dir")
        }
        Ok(()) => Finding::new("state", name, State::Ok, ""),
        Err(error) => Finding::new("state", name, State::Denied, format!("cannot be written to: {error}"))
            .remedy("let the daemon's user own it, or choose another one with --state-dir"),
    }
}

fn cameras(devices: &[(&str, &DeviceInfo)]) -> Vec<Finding> {
    let mut findings: Vec<_> = devices.iter().filter_map(|(name, device)| described(name, device)).collect();
    if !devices.iter().any(|(_, device)| device.kind() == Some(DeviceKind::Camera)) {
        let none = |text: &str| Finding::new("camera", "none", State::Missing, text);
        let denied = findings.iter().any(|finding| finding.state == State::Denied);
        findings.push(if denied {
            none("no camera can be used: see above")
        } else {
            none("no camera was found; test patterns work without one")
                .remedy("is it plugged in and its driver loaded? `ls -l /dev/video*` and the kernel log (dmesg) say")
        });
    }
    findings
}

/// A camera, or a device that could not be asked what it is.
fn described(name: &str, device: &DeviceInfo) -> Option<Finding> {
    let node = device.node.devnode.display();
    match &device.function {
        Ok(function) if function.kind == DeviceKind::Camera => {
            let text = format!("{node}, {}, {} formats", device.name(), function.formats.len());
            Some(Finding::new("camera", name, State::Ok, text))
        }
        Ok(_) => None,
        Err(error) => {
            let denied = matches!(error, NodeError::Permission { .. } | NodeError::Busy { .. });
            let state = if denied { State::Denied } else { State::Missing };
            let text = error.to_string();
            // Such a message says what is wrong, then what to do.
            let (what, remedy) = text.split_once(": ").unwrap_or((&text, ""));
            Some(Finding::new("device", name, state, what).remedy(remedy))
        }
    }
}

/// A device that is configured, or that a stream shows.
fn absent(name: &str) -> Finding {
    Finding::new("device", name, State::Missing, "it is not there, and its stream waits for it")
        .remedy("plug it in; if it is, `vsctl devices -v` tells what to write in its section of the configuration")
}

fn codecs(devices: &[(&str, &DeviceInfo)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, device) in devices {
        let Ok(function) = &device.function else { continue };
        let (topic, formats) = match function.kind {
            DeviceKind::Encoder => ("encoder", &function.formats),
            DeviceKind::Decoder => ("decoder", &function.output_formats),
            DeviceKind::Converter => ("converter", &function.formats),
            DeviceKind::Camera | DeviceKind::Other => continue,
        };
        let codes: Vec<_> = formats.iter().map(|format| format.fourcc.to_string().trim_end().to_owned()).collect();
        findings.push(Finding::new(topic, *name, State::Ok, format!("{}, {}", device.name(), codes.join(" "))));
    }
    findings.push(software("encoder", encodable(), "only what hardware encodes can be recorded"));
    findings.push(software("decoder", decodable(), "only what hardware decodes can be played"));
    findings.push(software("converter", inputs(), "only what hardware converts can be converted"));
    findings
}

/// What software does of that kind, or what it means that it does nothing.
fn software(topic: &'static str, formats: &[FourCc], without: &str) -> Finding {
    if formats.is_empty() {
        return Finding::new(topic, "software", State::Missing, format!("built without it: {without}"))
            .remedy("build the daemon with the feature software-h264 of vs-codec");
    }
    let codes: Vec<_> = formats.iter().map(|fourcc| fourcc.to_string().trim_end().to_owned()).collect();
    Finding::new(topic, "software", State::Ok, codes.join(" "))
}

/// What it means to have no heap, or no right to one.
const WITHOUT_HEAP: &str = "streams with memory = \"dma-heap\" cannot start; cameras and other streams need none";

fn heaps(dir: &Path) -> Vec<Finding> {
    let entries = fs::read_dir(dir).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut nodes: Vec<PathBuf> = match entries {
        Ok(nodes) => nodes,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return vec![node_denied("memory", dir, WITHOUT_HEAP)];
        }
        Err(_) => Vec::new(),
    };
    nodes.sort();
    if nodes.is_empty() {
        let text = format!("there is no DMA heap: {WITHOUT_HEAP}");
        return vec![Finding::new("memory", "dma-heap", State::Missing, text).remedy(
            "it takes a kernel with CONFIG_DMABUF_HEAPS and CONFIG_DMABUF_HEAPS_SYSTEM, and in a container the nodes of /dev/dma_heap",
        )];
    }
    nodes.iter().map(|node| usable("memory", node, "a DMA heap", WITHOUT_HEAP)).collect()
}

fn udmabuf() -> Finding {
    let node = Path::new("/dev/udmabuf");
    const WITHOUT: &str = "this version does not need it";
    if node.exists() {
        return usable("memory", node, "makes DmaBufs of ordinary memory; this version does not use it", WITHOUT);
    }
    Finding::new("memory", "/dev/udmabuf", State::Note, format!("it is not there; {WITHOUT}"))
        .remedy("modprobe udmabuf, if another program needs it")
}

/// A node that is there: can this process read and write it?
fn usable(topic: &'static str, node: &Path, text: &str, without: &str) -> Finding {
    match rustix::fs::access(node, Access::READ_OK | Access::WRITE_OK) {
        Ok(()) => Finding::new(topic, node.display().to_string(), State::Ok, text),
        Err(_) => node_denied(topic, node, without),
    }
}

fn node_denied(topic: &'static str, node: &Path, without: &str) -> Finding {
    let remedy = match fs::metadata(node) {
        // The group may read and write it.
        Ok(meta) if meta.permissions().mode() & 0o060 == 0o060 => {
            format!("add the daemon's user to group '{}'", group_name(Gid::from_raw(meta.gid())))
        }
        _ => "its mode lets no group in: a udev rule such as config/60-videostream.rules gives it to group video"
            .to_owned(),
    };
    let text = format!("no permission to use it: {without}");
    Finding::new(topic, node.display().to_string(), State::Denied, text).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_with_its_meaning_and_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        for place in [dir.path().to_owned(), dir.path().join("nothing")] {
            let found = heaps(&place);
            assert_eq!((found.len(), found[0].state), (1, State::Missing));
            assert!(found[0].text.contains("memory = \"dma-heap\"") && found[0].remedy.contains("CONFIG_DMABUF_HEAPS"));
        }
        fs::write(dir.path().join("system"), "").unwrap();
        assert_eq!(heaps(dir.path())[0].state, State::Ok);
    }

    #[test]
    fn a_machine_without_devices_is_described() {
        let found = cameras(&[]);
        assert_eq!((found[0].name.as_str(), found[0].state), ("none", State::Missing));
        assert!(codecs(&[]).iter().any(|finding| finding.topic == "decoder"));
    }

    #[test]
    fn a_camera_without_permission_names_the_group() {
        let error = NodeError::Permission { devnode: "/dev/video0".into(), group: Some("video".to_owned()) };
        let mut device = DeviceInfo::from_devnode(Path::new("/dev/null"));
        device.function = Err(error);
        let found = cameras(&[("dev0", &device)]);
        assert_eq!((found[0].state, found[0].text.as_str()), (State::Denied, "no permission to open /dev/video0"));
        assert_eq!(found[0].remedy, "add the user that runs this to group 'video'");
        assert_eq!(found[1].text, "no camera can be used: see above");
    }

    #[test]
    fn a_place_to_remember_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(state_directory(None).state, State::Note);
        assert_eq!(state_directory(Some(&dir.path().join("new"))).state, State::Ok);
        fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(state_directory(Some(&dir.path().join("file"))).state, State::Denied);
    }
}
