// SPDX-License-Identifier: Apache-2.0
//! Which V4L2 devices this machine has.
//!
//! udev says where a node sits ([`Node`]), the node itself says what it does ([`Function`]).
//! The first is there even if the second cannot be had, so that a camera without permission
//! is listed with the remedy instead of being left out. Everything works on one device as
//! well as on all, for devices come one by one while the machine runs.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use udev::{Device, DeviceType, Enumerator};

use crate::classify::{DeviceKind, Direction, classify};
use crate::formats::FormatDesc;
use crate::node::{self, NodeError};
use crate::order::OrderKey;
use crate::planar::Planar;
use crate::sys;

/// The subsystem of V4L2 nodes in udev.
pub const SUBSYSTEM: &str = "video4linux";

/// Why no device could be listed at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot list V4L2 devices through udev: {0}; is /sys mounted, and may this process read it?")]
pub struct DiscoverError(#[from] std::io::Error);

/// Where a device node sits, in udev's words. Known without opening it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Node {
    /// The node, such as `/dev/video0`. Its number says nothing.
    pub devnode: PathBuf,
    /// Its folder in sysfs.
    pub sysfs: PathBuf,
    /// The folder in sysfs of the hardware unit it belongs to, if any: nodes of one unit
    /// share it.
    pub unit: Option<PathBuf>,
    /// The kernel's name for it ("video0").
    pub sysname: String,
    /// What the driver calls this node ("vivid-000-vid-cap"); the attribute `name` in sysfs.
    pub name: String,
    /// Number of this node among those of its device; the attribute `index` in sysfs.
    pub index: u32,
    /// Path along the buses (`ID_PATH`): stays as long as the cable stays.
    pub id_path: Option<String>,
    /// Maker, model and serial number in one (`ID_SERIAL`).
    pub id_serial: Option<String>,
    /// The serial number alone (`ID_SERIAL_SHORT`).
    pub serial: Option<String>,
    /// The maker's number (`ID_VENDOR_ID`, USB and PCI).
    pub vendor_id: Option<String>,
    /// The model's number (`ID_MODEL_ID`, USB and PCI).
    pub model_id: Option<String>,
    /// The product's name (`ID_V4L_PRODUCT`).
    pub product: Option<String>,
    /// The link to the node under `/dev/v4l/by-path`.
    pub by_path: Option<PathBuf>,
    /// The link to the node under `/dev/v4l/by-id`.
    pub by_id: Option<PathBuf>,
}

/// What a device node does, in its own words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    /// What it is for.
    pub kind: DeviceKind,
    /// The device's name for people.
    pub card: String,
    /// The name of its driver.
    pub driver: String,
    /// Where it sits, in the driver's words ("usb-0000:00:14.0-1").
    pub bus: String,
    /// The buffer API it speaks; `None` if it moves no pictures.
    pub planar: Option<Planar>,
    /// What it gives: pictures of a camera, a decoder or a converter, streams of an encoder.
    pub formats: Vec<FormatDesc>,
    /// What it takes; empty for a camera.
    pub output_formats: Vec<FormatDesc>,
}

/// One V4L2 node of this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceInfo {
    /// Where it sits.
    pub node: Node,
    /// What it does, or why it could not be asked.
    pub function: Result<Function, NodeError>,
}

/// Finds all V4L2 nodes, in [`OrderKey`]'s order. A node that cannot be asked is in the list
/// with the reason.
///
/// # Errors
/// [`DiscoverError`] if udev cannot list anything.
pub fn discover() -> Result<Vec<DeviceInfo>, DiscoverError> {
    Ok(nodes()?.into_iter().map(DeviceInfo::ask).collect())
}

/// Present while a udev daemon runs, which gives nodes their links and permissions.
const UDEV_RUNS: &str = "/run/udev/control";

/// Lists all V4L2 nodes, in [`OrderKey`]'s order, without opening any. One that the udev daemon
/// has not yet seen to is left out: its place and permissions come with an event of its own
/// ([`Monitor`](crate::Monitor)).
///
/// # Errors
/// [`DiscoverError`] if udev cannot list anything.
pub fn nodes() -> Result<Vec<Node>, DiscoverError> {
    let mut enumerator = Enumerator::new()?;
    enumerator.match_subsystem(SUBSYSTEM)?;
    let managed = Path::new(UDEV_RUNS).exists();
    let ready = |device: &Device| !managed || device.is_initialized();
    let devices = enumerator.scan_devices()?.filter(ready);
    let mut nodes: Vec<_> = devices.filter_map(|device| Node::from_udev(&device)).collect();
    nodes.sort_by_cached_key(Node::order_key);
    Ok(nodes)
}

impl DeviceInfo {
    /// Asks a node what it does. Takes as long as its driver.
    #[must_use]
    pub fn ask(node: Node) -> Self {
        let function = Function::ask(&node.devnode);
        Self { node, function }
    }

    /// Asks the node at `devnode` (or at a link to it), with what udev knows of it.
    #[must_use]
    pub fn from_devnode(devnode: &Path) -> Self {
        let function = Function::ask(devnode);
        let by_number = |stat: rustix::fs::Stat| Device::from_devnum(DeviceType::Character, stat.st_rdev).ok();
        let known = rustix::fs::stat(devnode).ok().and_then(by_number);
        let node = known.as_ref().filter(|device| device.subsystem() == Some(OsStr::new(SUBSYSTEM)));
        let unknown = || Node { devnode: devnode.to_owned(), ..Node::default() };
        Self { node: node.and_then(Node::from_udev).unwrap_or_else(unknown), function }
    }

    /// What it is for; `None` if it could not be asked.
    #[must_use]
    pub fn kind(&self) -> Option<DeviceKind> {
        self.function.as_ref().ok().map(|function| function.kind)
    }

    /// A name for people: the card's, else udev's product, else the node's own.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.function {
            Ok(function) if !function.card.is_empty() => &function.card,
            _ => self.node.product.as_deref().unwrap_or(&self.node.name),
        }
    }
}

impl Node {
    /// Reads what udev knows of a device; `None` if it has no device file.
    #[must_use]
    pub fn from_udev(device: &Device) -> Option<Self> {
        let text = |value: &OsStr| value.to_string_lossy().trim().to_owned();
        let property = |name: &str| device.property_value(name).map(text).filter(|value| !value.is_empty());
        let attribute = |name: &str| device.attribute_value(name).map(text);
        let links = property("DEVLINKS").unwrap_or_default();
        let link = |folder: &str| links.split_ascii_whitespace().find(|link| link.starts_with(folder));
        Some(Self {
            devnode: device.devnode()?.to_owned(),
            sysfs: device.syspath().to_owned(),
            unit: device.parent().map(|parent| parent.syspath().to_owned()),
            sysname: text(device.sysname()),
            name: attribute("name").unwrap_or_default(),
            index: attribute("index").and_then(|index| index.parse().ok()).unwrap_or(0),
            id_path: property("ID_PATH"),
            id_serial: property("ID_SERIAL"),
            serial: property("ID_SERIAL_SHORT"),
            vendor_id: property("ID_VENDOR_ID"),
            model_id: property("ID_MODEL_ID"),
            product: property("ID_V4L_PRODUCT"),
            by_path: link("/dev/v4l/by-path/").map(PathBuf::from),
            by_id: link("/dev/v4l/by-id/").map(PathBuf::from),
        })
    }

    /// Where it stands among the others, whenever they were found.
    #[must_use]
    pub fn order_key(&self) -> OrderKey {
        OrderKey::new(self.id_path.as_deref(), self.index, &self.name, &self.sysname)
    }
}

impl Function {
    /// Opens a node, asks what it is and what it offers, and closes it again.
    ///
    /// # Errors
    /// [`NodeError`] if it cannot be opened or does not answer.
    pub fn ask(devnode: &Path) -> Result<Self, NodeError> {
        let (fd, capability) = node::open(devnode)?;
        let direction = Direction::of(capability.caps);
        let planar = Planar::of(capability.caps).filter(|_| direction != Direction::Neither);
        let queues = planar.map(|planar| (planar.capture(), planar.output()));
        let list =
            |queue| offers(fd.as_fd(), queue, direction).map_err(|e| NodeError::new("list the formats of", devnode, e));
        let (formats, output_formats) = match (queues, direction) {
            (Some((capture, _)), Direction::Capture) => (list(capture)?, Vec::new()),
            (Some((capture, output)), Direction::Mem2Mem) => (list(capture)?, list(output)?),
            _ => (Vec::new(), Vec::new()),
        };
        Ok(Self {
            kind: classify(capability.caps, &formats, &output_formats),
            card: capability.card,
            driver: capability.driver,
            bus: capability.bus,
            planar,
            formats,
            output_formats,
        })
    }
}

/// The formats of a queue with their sizes, and with their rates where those mean something:
/// a mem2mem device is as fast as it is fed.
fn offers(fd: BorrowedFd<'_>, queue: v4l2r::QueueType, direction: Direction) -> sys::Result<Vec<FormatDesc>> {
    let mut formats = sys::formats(fd, queue)?;
    for format in &mut formats {
        format.sizes = sys::frame_sizes(fd, format.fourcc, direction == Direction::Capture)?;
    }
    Ok(formats)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_cameras_is_no_error() {
        let devices = discover().unwrap();
        assert!(devices.is_sorted_by_key(|device| device.node.order_key()));
    }

    #[test]
    fn a_node_that_cannot_be_asked_is_still_described() {
        let device = DeviceInfo::from_devnode(Path::new("/dev/null"));
        assert_eq!(device.kind(), None);
        assert_eq!(device.node.devnode, Path::new("/dev/null"));
        assert!(matches!(device.function, Err(NodeError::NotV4l2 { .. })));
    }
}
