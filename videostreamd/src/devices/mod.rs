// SPDX-License-Identifier: Apache-2.0
//! The device registry: what udev knows, under names that people can use.
//!
//! * [`watch`]: a thread that looks which devices there are
//! * [`names`]: which of them has which name; pure
//! * [`memory`]: the names, across restarts
//!
//! A device that is configured, or that a stream shows, is in the registry whether it is there
//! or not. Streams follow their camera by [`Devices::follow`].

mod memory;
mod names;
pub mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch as channel;
use vs_v4l2::{DeviceInfo, DeviceKind, Function};

use self::memory::Memory;
pub use self::names::Match;
use self::names::{Place, Remembered, assign};
use self::watch::Found;

/// Where a device can be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Its node.
    pub node: PathBuf,
    /// Another number each time that it has come.
    pub arrival: u64,
    /// Where it sits, in its driver's words; `None` if it could not be asked.
    pub bus: Option<String>,
}

/// A device's presence, and each change of it; `None` while it is not there.
#[derive(Debug, Clone)]
pub struct Following {
    name: String,
    /// Reads the presence.
    pub presence: channel::Receiver<Option<Presence>>,
}

impl Following {
    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Two that follow the same device.
impl PartialEq for Following {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Following {}

/// What is known of a device.
#[derive(Debug, Clone)]
pub struct Known {
    /// What it was when it was seen last; `None` if it has never been.
    pub info: Option<Arc<DeviceInfo>>,
    /// Whether it is there now.
    pub present: bool,
}

/// The devices by name.
#[derive(Debug)]
pub struct Devices {
    table: Mutex<Table>,
    /// By itself: nobody who asks for a device waits for a disk.
    memory: Mutex<Memory>,
    /// How often something has come, gone or changed.
    changes: channel::Sender<u64>,
}

#[derive(Debug)]
struct Table {
    configured: BTreeMap<String, Match>,
    /// Names that streams of the configuration want, and all that it describes.
    wanted: BTreeSet<String>,
    /// Where the devices are that have a name of the configuration, or had it last.
    held: BTreeMap<String, Place>,
    remembered: Remembered,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    info: Option<Arc<DeviceInfo>>,
    presence: channel::Sender<Option<Presence>>,
}

impl Devices {
    /// A registry without devices yet. What is `configured` is in it for ever, and so is what
    /// `wanted` names. Names are remembered in `state_dir`.
    pub fn new(
        configured: BTreeMap<String, Match>,
        wanted: impl IntoIterator<Item = String>,
        state_dir: Option<PathBuf>,
    ) -> Self {
        let (memory, remembered) = Memory::open(state_dir);
        let wanted: BTreeSet<_> = wanted.into_iter().chain(configured.keys().cloned()).collect();
        let entries = wanted.iter().map(|name| (name.clone(), Entry::absent())).collect();
        let table = Table { configured, wanted, held: BTreeMap::new(), remembered, entries };
        Self { table: Mutex::new(table), memory: Mutex::new(memory), changes: channel::Sender::new(0) }
    }

    /// Other names are `wanted` now, beside those that are configured. Returns those that nobody knew.
    pub fn want(&self, wanted: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut table = self.lock();
        table.wanted = wanted.into_iter().chain(table.configured.keys().cloned()).collect();
        let new: Vec<_> = table.wanted.iter().filter(|name| !table.entries.contains_key(*name)).cloned().collect();
        table.entries.extend(new.iter().map(|name| (name.clone(), Entry::absent())));
        new
    }

    /// Takes over what there is now. Returns the names of devices that have come, gone or
    /// changed. Writes a file.
    pub fn update(&self, found: &[Found]) -> Vec<String> {
        let mut table = self.lock();
        let changed = table.update(found);
        let remembered = table.remembered.clone();
        drop(table);
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).keep(&remembered);
        if !changed.is_empty() {
            self.changes.send_modify(|changes| *changes += 1);
        }
        changed
    }

    /// Another number whenever a device has come, gone or changed.
    pub fn changes(&self) -> channel::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The encoders, decoders and converters that are there: name, node and what they do.
    pub fn codecs(&self) -> Vec<(String, PathBuf, Arc<Function>)> {
        let table = self.lock();
        let codec = |(name, entry): (&String, &Entry)| {
            let devnode = entry.presence.borrow().as_ref()?.node.clone();
            let function = entry.info.as_ref()?.function.as_ref().ok()?;
            let kind = function.kind;
            let codes = matches!(kind, DeviceKind::Encoder | DeviceKind::Decoder | DeviceKind::Converter);
            codes.then(|| (name.clone(), devnode, Arc::new(function.clone())))
        };
        table.entries.iter().filter_map(codec).collect()
    }

    /// Forgets devices that are not there and that nobody wants. Returns their names.
    pub fn prune(&self) -> Vec<String> {
        self.lock().prune()
    }

    /// Names of all devices, there or not.
    pub fn names(&self) -> Vec<String> {
        self.lock().entries.keys().cloned().collect()
    }

    /// The one of this name.
    pub fn get(&self, name: &str) -> Option<Known> {
        let table = self.lock();
        let entry = table.entries.get(name)?;
        Some(Known { info: entry.info.clone(), present: entry.presence.borrow().is_some() })
    }

    /// Follows the camera of this name; `None` if there is none, or it is none.
    pub fn follow(&self, name: &str) -> Option<Following> {
        let table = self.lock();
        let entry = table.entries.get(name)?;
        // One that could not be asked may be a camera: opening it will say what is wrong.
        let usable = |info: &Arc<DeviceInfo>| matches!(info.kind(), Some(DeviceKind::Camera) | None);
        let usable = entry.info.as_ref().is_none_or(usable);
        usable.then(|| Following { name: name.to_owned(), presence: entry.presence.subscribe() })
    }

    /// Names of the cameras that are there.
    pub fn cameras(&self) -> Vec<String> {
        let camera = |entry: &Entry| {
            let kind = entry.info.as_ref().and_then(|info| info.kind());
            entry.presence.borrow().is_some() && kind == Some(DeviceKind::Camera)
        };
        let table = self.lock();
        table.entries.iter().filter(|(_, entry)| camera(entry)).map(|(name, _)| name.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Each statement leaves the table whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn update(&mut self, found: &[Found]) -> Vec<String> {
        let infos: Vec<_> = found.iter().map(|found| &*found.info).collect();
        let names = assign(&self.configured, &mut self.held, &mut self.remembered, &infos);
        let mut changed = BTreeSet::new();
        let there: BTreeSet<_> = names.iter().flatten().collect();
        for (name, entry) in self.entries.iter_mut().filter(|(name, _)| !there.contains(name)) {
            if entry.presence.send_replace(None).is_some() {
                tracing::info!(device = name, "a device has gone");
                changed.insert(name.clone());
            }
        }
        for (name, found) in names.iter().zip(found).filter_map(|(name, found)| Some((name.as_ref()?, found))) {
            let entry = self.entries.entry(name.clone()).or_insert_with(Entry::absent);
            let presence = Presence {
                node: found.info.node.devnode.clone(),
                arrival: found.arrival,
                bus: found.info.function.as_ref().ok().map(|function| function.bus.clone()),
            };
            let same = entry.info.as_ref() == Some(&found.info);
            let came = entry.presence.borrow().as_ref() != Some(&presence);
            if came || !same {
                tracing::info!(
                    device = name, node = %presence.node.display(), card = found.info.name(),
                    problem = found.info.function.as_ref().err().map(ToString::to_string), "found a device"
                );
                entry.info = Some(Arc::clone(&found.info));
                entry.presence.send_replace(Some(presence));
                changed.insert(name.clone());
            }
        }
        changed.extend(self.prune());
        changed.into_iter().collect()
    }

    fn prune(&mut self) -> Vec<String> {
        let wanted = |name: &String, entry: &Entry| {
            self.wanted.contains(name) || entry.presence.borrow().is_some() || entry.presence.receiver_count() > 0
        };
        let gone: Vec<_> =
            self.entries.iter().filter(|(name, entry)| !wanted(name, entry)).map(|(name, _)| name.clone()).collect();
        gone.iter().for_each(|name| drop(self.entries.remove(name)));
        gone
    }
}

impl Entry {
    fn absent() -> Self {
        Self { info: None, presence: channel::Sender::new(None) }
    }
}

/// The word for the kind of a device on D-Bus.
pub fn kind_name(device: Option<&DeviceInfo>) -> &'static str {
    match device.and_then(DeviceInfo::kind) {
        Some(DeviceKind::Camera) => "camera",
        Some(DeviceKind::Encoder) => "encoder",
        Some(DeviceKind::Decoder) => "decoder",
        Some(DeviceKind::Converter) => "converter",
        Some(DeviceKind::Other) | None => "unknown",
    }
}
