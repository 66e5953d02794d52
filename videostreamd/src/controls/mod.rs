// SPDX-License-Identifier: Apache-2.0
//! What devices were told to be like: brightness, gain, exposure.
//!
//! What is set through the daemon is remembered, and given to the device again each time that
//! its stream opens it, before the first frame: after a restart, a replug or a repair. What
//! others set meanwhile (`v4l2-ctl`) is told, but not remembered.
//!
//! All calls here can take as long as a device likes: they belong on a thread that may block.

mod memory;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;
use vs_v4l2::controls::{ControlFlags, ControlKind, Reading, Wish, find};
use vs_v4l2::{Camera, Control, ControlError, ControlValue, Controls, NodeError};

use self::memory::{Memory, Values};

pub use watch::Watch;

/// Changes that a reader may leave unread; beyond, it misses the oldest. A device has some
/// hundred controls, and each is told once.
const CHANGES: usize = 1024;

/// The controls of all devices.
#[derive(Debug)]
pub struct ControlBook {
    state_dir: Option<PathBuf>,
    devices: Mutex<BTreeMap<String, Arc<DeviceControls>>>,
}

impl ControlBook {
    /// Remembers in a directory below the state directory; without one, until the end.
    pub fn new(state_dir: Option<PathBuf>) -> Self {
        Self { state_dir, devices: Mutex::default() }
    }

    /// The state directory.
    pub fn state_dir(&self) -> Option<&Path> {
        self.state_dir.as_deref()
    }

    /// Those of the device of this name, there or not.
    pub fn of(&self, device: &str) -> Arc<DeviceControls> {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let file = self.state_dir.as_ref().map(|dir| dir.join("controls").join(format!("{device}.toml")));
            Arc::new(DeviceControls {
                device: device.to_owned(),
                runtime: tokio::runtime::Handle::try_current().ok(),
                state: Mutex::new(State { memory: Memory::open(file), restored: None, told: BTreeMap::new() }),
                changes: broadcast::Sender::new(CHANGES),
            })
        };
        Arc::clone(devices.entry(device.to_owned()).or_insert_with(new))
    }
}

/// The controls of one device.
#[derive(Debug)]
pub struct DeviceControls {
    device: String,
    /// Where changes are waited for: not on the thread that moves frames.
    runtime: Option<tokio::runtime::Handle>,
    /// Held while the device is told, so that what is remembered is what it was told last.
    state: Mutex<State>,
    changes: broadcast::Sender<Reading>,
}

/// The controls that a device refused when it was told to be as before, and why.
type Restored = Result<Vec<(String, ControlError)>, NodeError>;

#[derive(Debug)]
struct State {
    memory: Memory,
    /// What became of so many remembered controls the last time.
    restored: Option<(usize, Restored)>,
    /// As everybody has been told, by number.
    told: BTreeMap<u32, Reading>,
}

/// Those of the same device: a plan with them is the same whatever they are set to.
impl PartialEq for DeviceControls {
    fn eq(&self, other: &Self) -> bool {
        self.device == other.device
    }
}

impl Eq for DeviceControls {}

impl DeviceControls {
    /// All controls with their values, and the names of those that are remembered.
    pub fn read(&self, node: &Path) -> Result<(Vec<Reading>, Vec<String>), ControlError> {
        let mut state = self.lock();
        let readings = Controls::open(node)?.read()?;
        self.tell(&mut state, &readings);
        Ok((readings, state.memory.values().keys().cloned().collect()))
    }

    /// Sets several, all or nothing, and returns those that were set as they are then.
    pub fn set(&self, node: &Path, wishes: &[(String, Wish)], remember: bool) -> Result<Vec<Reading>, ControlError> {
        let mut state = self.lock();
        let controls = Controls::open(node)?;
        self.tell(&mut state, &controls.read()?);
        let readings = controls.set(wishes)?;
        self.tell(&mut state, &readings);
        let all: Vec<Control> = readings.iter().map(|reading| reading.control.clone()).collect();
        let mut set = Vec::new();
        let mut values = Values::new();
        for (name, wish) in wishes {
            let control = find(&all, name)?;
            set.extend(readings.iter().find(|reading| reading.control.id == control.id).cloned());
            values.extend(lasting(control, wish).map(|value| (control.name.clone(), value)));
        }
        if remember {
            state.memory.change(|remembered| remembered.extend(values));
        }
        Ok(set)
    }

    /// Gives the named ones their defaults, or all, and forgets what they were set to. Returns
    /// those that the driver refuses, with its words.
    pub fn reset(&self, node: &Path, names: &[String]) -> Result<Vec<(String, String)>, ControlError> {
        let mut state = self.lock();
        let controls = Controls::open(node)?;
        let before = controls.read()?;
        self.tell(&mut state, &before);
        let refused = controls.reset(names)?;
        self.tell(&mut state, &controls.read()?);
        let all: Vec<Control> = before.into_iter().map(|reading| reading.control).collect();
        let reset: BTreeSet<&str> =
            names.iter().filter_map(|name| Some(find(&all, name).ok()?.name.as_str())).collect();
        state.memory.change(|values| match names {
            [] => values.clear(),
            _ => values.retain(|name, _| !reset.contains(name.as_str())),
        });
        Ok(refused.into_iter().map(|(name, error)| (name, error.to_string())).collect())
    }

    /// Gives a camera what it was told to be like. What it refuses is logged, unless it was so the
    /// last time; it streams all the same.
    pub fn restore(&self, camera: &Camera) {
        let mut state = self.lock();
        let wishes: Vec<_> =
            state.memory.values().iter().map(|(name, value)| (name.clone(), Wish::Value(value.clone()))).collect();
        if wishes.is_empty() {
            return;
        }
        let restored = camera.controls().and_then(|controls| controls.restore(&wishes));
        if state.restored.as_ref().is_some_and(|(count, before)| *count == wishes.len() && *before == restored) {
            return;
        }
        self.log(wishes.len(), &restored);
        state.restored = Some((wishes.len(), restored));
    }

    fn log(&self, wishes: usize, restored: &Restored) {
        let device = &self.device;
        let skipped = match restored {
            Ok(skipped) => skipped,
            Err(error) => {
                tracing::warn!(device, %error, "remembered controls are not set");
                return;
            }
        };
        for (control, error) in skipped {
            // A value waits for the day when its automatic is off.
            match error {
                ControlError::Inactive { .. } => tracing::debug!(device, control, "a control is ruled by another"),
                error => tracing::warn!(device, control, %error, "a remembered control is not set"),
            }
        }
        tracing::info!(device, set = wishes - skipped.len(), "remembered controls are set");
    }

    /// Every change from now on, whoever makes it, as far as it is seen.
    pub fn changes(&self) -> broadcast::Receiver<Reading> {
        self.changes.subscribe()
    }

    /// Learns how a device is, so that what changes from now on can be told.
    fn learn(&self, controls: &Controls) -> Result<(), NodeError> {
        let mut state = self.lock();
        let readings = controls.read()?;
        self.tell(&mut state, &readings);
        Ok(())
    }

    /// Looks at a device in which something has changed.
    fn look(&self, controls: &Controls) -> Result<(), NodeError> {
        if controls.changed()? { self.learn(controls) } else { Ok(()) }
    }

    /// Tells what is different from what was told last.
    fn tell(&self, state: &mut State, readings: &[Reading]) {
        for reading in readings {
            let before = state.told.insert(reading.control.id, reading.clone());
            if before.is_some_and(|before| differs(&before, reading)) {
                // Nobody may be listening.
                let _ = self.changes.send(reading.clone());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each statement leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a change is worth telling. What the device itself changes all the time is not.
fn differs(before: &Reading, now: &Reading) -> bool {
    let restless = now.control.flags.contains(ControlFlags::VOLATILE);
    before.control != now.control || (before.value != now.value && !restless)
}

/// The value to remember; `None` of what is done and over.
fn lasting(control: &Control, wish: &Wish) -> Option<ControlValue> {
    if control.kind == ControlKind::Button || control.flags.contains(ControlFlags::EXECUTE_ON_WRITE) {
        return None;
    }
    match wish {
        Wish::Value(value) => Some(value.clone()),
        Wish::Written(text) => control.parse(text).ok(),
    }
}
