// SPDX-License-Identifier: Apache-2.0
//! Which device has which name. Pure: what there is comes in, names go out.
//!
//! A name belongs to a device by what the configuration says of it, or else to a place. The first
//! device at a place gets the lowest free number in the order of the buses; from then on the
//! number is that place's, whatever else comes and goes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use vs_v4l2::{DeviceInfo, DeviceKind, Function, Node};

/// Names that are remembered of devices which are not there. Many times what a machine has; a
/// camera whose place has another name with each plug cannot fill the memory.
const ABSENT_MAX: usize = 256;

/// What a device with a name of the configuration is like. All that is given must be so.
#[derive(Deserialize, Debug, Default, Clone, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Match {
    /// The link below `/dev/v4l/by-path`, with or without that folder, or udev's `ID_PATH`.
    pub by_path: Option<String>,
    /// The link below `/dev/v4l/by-id`, with or without that folder.
    pub by_id: Option<String>,
    /// The serial number, alone or with maker and model.
    pub serial: Option<String>,
    /// Name of the driver.
    pub driver: Option<String>,
    /// What the driver calls the hardware.
    pub card: Option<String>,
    /// Where the driver says it is connected.
    pub bus: Option<String>,
}

impl Match {
    /// Whether nothing is given: it would fit everything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a device is like this. One that could not be asked has no driver, card and bus.
    pub fn fits(&self, device: &DeviceInfo) -> bool {
        let Match { by_path, by_id, serial, driver, card, bus } = self;
        let node = &device.node;
        let is = |wanted: &Option<String>, known: &[Option<&str>]| {
            wanted.as_deref().is_none_or(|wanted| known.contains(&Some(wanted)))
        };
        let word = |of: fn(&Function) -> &String| device.function.as_ref().ok().map(|function| of(function).as_str());
        let [path, path_name] = link(node.by_path.as_deref());
        let [id, id_name] = link(node.by_id.as_deref());
        is(by_path, &[path, path_name, node.id_path.as_deref()])
            && is(by_id, &[id, id_name])
            && is(serial, &[node.serial.as_deref(), node.id_serial.as_deref()])
            && is(driver, &[word(|function| &function.driver)])
            && is(card, &[word(|function| &function.card)])
            && is(bus, &[word(|function| &function.bus)])
    }
}

/// A link, whole and without its folder.
fn link(path: Option<&Path>) -> [Option<&str>; 2] {
    [path.and_then(Path::to_str), path.and_then(Path::file_name).and_then(|name| name.to_str())]
}

/// Where a device sits, in words that are the same after a replug and a reboot.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// udev's `ID_PATH`; without udev, the hardware's folder in sysfs.
    pub path: String,
    /// Number of the node among those of its device.
    pub index: u32,
    /// What the driver calls the node: some drivers have several devices at one path.
    pub node: String,
}

impl Place {
    /// The place of a node.
    pub fn of(node: &Node) -> Self {
        let unit = || node.unit.as_deref().unwrap_or(&node.sysfs).display().to_string();
        Self { path: node.id_path.clone().unwrap_or_else(unit), index: node.index, node: node.name.clone() }
    }
}

/// Which place has which name.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Remembered(BTreeMap<String, Place>);

impl Remembered {
    /// Takes over what was written down; of two that contradict each other the first.
    pub fn new(entries: impl IntoIterator<Item = (String, Place)>) -> Self {
        let (mut names, mut places) = (BTreeMap::new(), BTreeSet::new());
        for (name, place) in entries {
            if split(&name).is_some() && !names.contains_key(&name) && places.insert(place.clone()) {
                names.insert(name, place);
            }
        }
        Self(names)
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Place)> {
        self.0.iter().map(|(name, place)| (name.as_str(), place))
    }

    fn name_of(&self, place: &Place) -> Option<&str> {
        self.iter().find(|(_, known)| *known == place).map(|(name, _)| name)
    }

    /// Forgets absent devices beyond the bound, those with the highest numbers first.
    fn forget(&mut self, present: &BTreeSet<Place>) {
        let mut absent: Vec<_> = self.iter().filter(|(_, place)| !present.contains(*place)).map(|(n, _)| n).collect();
        absent.sort_by_key(|name| split(name).map(|(_, number)| number));
        let forgotten: Vec<String> = absent.into_iter().skip(ABSENT_MAX).map(str::to_owned).collect();
        forgotten.iter().for_each(|name| drop(self.0.remove(name)));
    }
}

/// What a name of ours begins with, and its number.
fn split(name: &str) -> Option<(&str, u32)> {
    let digits = name.find(|c: char| c.is_ascii_digit())?;
    let (prefix, number) = name.split_at(digits);
    let number: u32 = number.parse().ok()?;
    (PREFIXES.contains(&prefix) && name == format!("{prefix}{number}")).then_some((prefix, number))
}

/// For devices that could not be asked: listed all the same, with what is wrong.
const UNASKED: &str = "dev";

const PREFIXES: &[&str] = &["cam", "enc", "dec", "conv", UNASKED];

/// What a device's name begins with; `None` for what this project does not use.
fn prefix(device: &DeviceInfo) -> Option<&'static str> {
    match device.kind() {
        Some(DeviceKind::Camera) => Some("cam"),
        Some(DeviceKind::Encoder) => Some("enc"),
        Some(DeviceKind::Decoder) => Some("dec"),
        Some(DeviceKind::Converter) => Some("conv"),
        Some(DeviceKind::Other) => None,
        None => Some(UNASKED),
    }
}

/// Gives names to all devices that there are, which are sorted by their place on the buses, and
/// remembers them. What the configuration names comes first, then what is remembered, then what
/// is new. Of several devices that fit one [`Match`], the one that has the name already (`held`)
/// keeps it, also while it cannot be asked; else the first has it.
pub fn assign(
    configured: &BTreeMap<String, Match>,
    held: &mut BTreeMap<String, Place>,
    remembered: &mut Remembered,
    found: &[&DeviceInfo],
) -> Vec<Option<String>> {
    let mut names: Vec<Option<String>> = vec![None; found.len()];
    for (name, wanted) in configured {
        let holds = |device: &DeviceInfo| held.get(name).is_some_and(|place| *place == Place::of(&device.node));
        let keeps = |device: &DeviceInfo| holds(device) && (wanted.fits(device) || device.function.is_err());
        let free = |index: usize, device: &DeviceInfo| names[index].is_none() && prefix(device).is_some();
        let find = |is: &dyn Fn(&DeviceInfo) -> bool| {
            found.iter().enumerate().find(|(index, device)| free(*index, device) && is(device)).map(|(index, _)| index)
        };
        if let Some(index) = find(&keeps).or_else(|| find(&|device| wanted.fits(device))) {
            held.insert(name.clone(), Place::of(&found[index].node));
            names[index] = Some(name.clone());
        }
    }
    let mut used: BTreeSet<String> = configured.keys().cloned().collect();
    for (name, device) in names.iter_mut().zip(found).filter(|(name, _)| name.is_none()) {
        let Some(prefix) = prefix(device) else { continue };
        // A camera that cannot be asked now is still the camera that it was.
        let ours = |known: &&str| prefix == UNASKED || split(known).is_some_and(|(of, _)| of == prefix);
        let known = remembered.name_of(&Place::of(&device.node)).filter(ours).map(str::to_owned);
        *name = known.filter(|known| used.insert(known.clone()));
    }
    for (name, device) in names.iter_mut().zip(found).filter(|(name, _)| name.is_none()) {
        let Some(prefix) = prefix(device) else { continue };
        let free = |name: &String| !used.contains(name) && !remembered.0.contains_key(name);
        let Some(new) = (0..=u32::MAX).map(|number| format!("{prefix}{number}")).find(free) else { continue };
        let place = Place::of(&device.node);
        // A place may have another function than it had; two nodes may even look alike.
        if let Some(old) = remembered.name_of(&place).filter(|old| !used.contains(*old)).map(str::to_owned) {
            remembered.0.remove(&old);
        }
        if remembered.name_of(&place).is_none() {
            remembered.0.insert(new.clone(), place);
        }
        used.insert(new.clone());
        *name = Some(new);
    }
    remembered.forget(&found.iter().map(|device| Place::of(&device.node)).collect());
    names
}

#[cfg(test)]
mod tests;
