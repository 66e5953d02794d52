// SPDX-License-Identifier: Apache-2.0
//! The device registry: what udev knows, under names that people can use.
//!
//! Names are given in the order of the devices' place on the buses, never of their node
//! numbers, which change from boot to boot: `cam0` is the camera in the first place.

use std::collections::BTreeMap;
use std::path::PathBuf;

use vs_v4l2::{DeviceInfo, DeviceKind};

/// The devices by name.
#[derive(Debug, Default)]
pub struct Devices {
    by_name: BTreeMap<String, DeviceInfo>,
}

impl Devices {
    /// Asks udev. A machine without V4L2 has none, and that is fine.
    pub fn discover() -> Self {
        match vs_v4l2::discover() {
            Ok(found) => Self::name(found),
            Err(error) => {
                tracing::error!(%error, "no devices");
                Self::default()
            }
        }
    }

    /// Gives names to devices that are sorted by their place.
    fn name(found: Vec<DeviceInfo>) -> Self {
        let mut counts = BTreeMap::<&str, usize>::new();
        let mut by_name = BTreeMap::new();
        for device in found {
            let Some(prefix) = prefix(&device) else { continue };
            let count = counts.entry(prefix).or_default();
            let name = format!("{prefix}{count}");
            *count += 1;
            tracing::info!(
                device = name, node = %device.node.devnode.display(), card = device.name(),
                problem = device.function.as_ref().err().map(ToString::to_string), "found a device"
            );
            by_name.insert(name, device);
        }
        Self { by_name }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &DeviceInfo)> {
        self.by_name.iter().map(|(name, device)| (name.as_str(), device))
    }

    /// The one of this name.
    pub fn get(&self, name: &str) -> Option<&DeviceInfo> {
        self.by_name.get(name)
    }

    /// The node of the camera of this name.
    pub fn camera_node(&self, name: &str) -> Option<PathBuf> {
        let device = self.get(name)?;
        // One that could not be asked may be a camera: opening it will say what is wrong.
        let usable = matches!(device.kind(), Some(DeviceKind::Camera) | None);
        usable.then(|| device.node.devnode.clone())
    }

    /// Names of the cameras.
    pub fn cameras(&self) -> Vec<&str> {
        let camera = |device: &DeviceInfo| device.kind() == Some(DeviceKind::Camera);
        self.iter().filter(|(_, device)| camera(device)).map(|(name, _)| name).collect()
    }
}

/// What a device's name begins with; `None` for what this project does not use.
fn prefix(device: &DeviceInfo) -> Option<&'static str> {
    match device.kind() {
        Some(DeviceKind::Camera) => Some("cam"),
        Some(DeviceKind::Encoder) => Some("enc"),
        Some(DeviceKind::Decoder) => Some("dec"),
        Some(DeviceKind::Converter) => Some("conv"),
        Some(DeviceKind::Other) => None,
        // Listed all the same, with what is wrong: most likely nobody may open it.
        None => Some("dev"),
    }
}

/// The word for the kind of a device on D-Bus.
pub fn kind_name(device: &DeviceInfo) -> &'static str {
    match device.kind() {
        Some(DeviceKind::Camera) => "camera",
        Some(DeviceKind::Encoder) => "encoder",
        Some(DeviceKind::Decoder) => "decoder",
        Some(DeviceKind::Converter) => "converter",
        Some(DeviceKind::Other) | None => "unknown",
    }
}
