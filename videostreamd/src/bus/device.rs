// SPDX-License-Identifier: Apache-2.0
//! `org.videostream.VideoStream1.Device`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vs_frame::Rate;
use vs_v4l2::{DeviceInfo, FormatDesc, FrameSize, Function, Planar, RateOffer};
use zbus::interface;
use zbus::object_server::InterfaceRef;
use zbus::zvariant::Value;

use super::dict::{Dict, dict};
use crate::devices::{Devices, kind_name};

pub(super) struct Device {
    name: String,
    devices: Arc<Devices>,
}

impl Device {
    pub(super) fn new(name: &str, devices: &Arc<Devices>) -> Self {
        Self { name: name.to_owned(), devices: Arc::clone(devices) }
    }

    fn info(&self) -> Option<Arc<DeviceInfo>> {
        self.devices.get(&self.name)?.info
    }

    /// Something of what the device says of itself.
    fn ask<T: Default>(&self, of: impl FnOnce(&Function) -> T) -> T {
        let info = self.info();
        info.as_ref().and_then(|info| info.function.as_ref().ok()).map(of).unwrap_or_default()
    }

    fn is_present(&self) -> bool {
        self.devices.get(&self.name).is_some_and(|known| known.present)
    }
}

/// Tells everybody that a device has come, gone or changed.
pub(super) async fn announce(object: &InterfaceRef<Device>) -> zbus::Result<()> {
    let (device, emitter) = (object.get().await, object.signal_emitter());
    device.present_changed(emitter).await?;
    device.kind_changed(emitter).await?;
    device.node_changed(emitter).await?;
    device.card_changed(emitter).await?;
    device.driver_changed(emitter).await?;
    device.bus_changed(emitter).await?;
    device.path_changed(emitter).await?;
    device.unit_changed(emitter).await?;
    device.by_path_changed(emitter).await?;
    device.by_id_changed(emitter).await?;
    device.serial_changed(emitter).await?;
    device.multiplanar_changed(emitter).await?;
    device.problem_changed(emitter).await?;
    device.formats_changed(emitter).await
}

#[interface(name = "org.videostream.VideoStream1.Device")]
impl Device {
    #[zbus(property)]
    fn name(&self) -> &str {
        &self.name
    }

    #[zbus(property)]
    fn kind(&self) -> &str {
        kind_name(self.info().as_deref())
    }

    #[zbus(property)]
    fn node(&self) -> String {
        let info = self.info().filter(|_| self.is_present());
        info.map(|info| info.node.devnode.display().to_string()).unwrap_or_default()
    }

    #[zbus(property)]
    fn card(&self) -> String {
        self.info().map(|info| info.name().to_owned()).unwrap_or_default()
    }

    #[zbus(property)]
    fn driver(&self) -> String {
        self.ask(|function| function.driver.clone())
    }

    #[zbus(property)]
    fn bus(&self) -> String {
        self.ask(|function| function.bus.clone())
    }

    #[zbus(property)]
    fn path(&self) -> String {
        self.info().and_then(|info| info.node.id_path.clone()).unwrap_or_default()
    }

    #[zbus(property)]
    fn unit(&self) -> String {
        let unit = self.info().and_then(|info| info.node.unit.clone());
        unit.map(|unit| unit.display().to_string()).unwrap_or_default()
    }

    #[zbus(property)]
    fn by_path(&self) -> String {
        link_name(self.info().and_then(|info| info.node.by_path.clone()))
    }

    #[zbus(property)]
    fn by_id(&self) -> String {
        link_name(self.info().and_then(|info| info.node.by_id.clone()))
    }

    #[zbus(property)]
    fn serial(&self) -> String {
        self.info().and_then(|info| info.node.serial.clone()).unwrap_or_default()
    }

    #[zbus(property)]
    fn multiplanar(&self) -> bool {
        self.ask(|function| function.planar == Some(Planar::Multi))
    }

    #[zbus(property)]
    fn present(&self) -> bool {
        self.is_present()
    }

    #[zbus(property)]
    fn problem(&self) -> String {
        let info = self.info().filter(|_| self.is_present());
        info.and_then(|info| info.function.as_ref().err().map(ToString::to_string)).unwrap_or_default()
    }

    #[zbus(property)]
    fn formats(&self) -> Vec<Dict> {
        self.ask(|function| function.formats.iter().map(format).collect())
    }
}

/// A link without its folder.
fn link_name(link: Option<PathBuf>) -> String {
    let name = link.as_deref().and_then(Path::file_name);
    name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn format(format: &FormatDesc) -> Dict {
    let mut sizes: Vec<(u32, u32)> = Vec::new();
    let mut range = None;
    for size in &format.sizes {
        match size {
            FrameSize::Discrete { size, .. } => sizes.push(*size),
            FrameSize::Stepwise { min, max, step, .. } => {
                range = Some((min.0, max.0, step.0, min.1, max.1, step.1));
            }
        }
    }
    let mut entry = dict([
        ("fourcc", Value::from(format.fourcc.to_string())),
        ("description", Value::from(format.description.clone())),
        ("sizes", Value::from(sizes)),
        ("rates", Value::from(rates(format))),
        ("offers", Value::from(offers(format))),
    ]);
    if let Some(range) = range {
        entry.extend(dict([("size-range", Value::from(range))]));
    }
    entry
}

/// The rates at the largest size; of a range its ends.
fn rates(format: &FormatDesc) -> Vec<(u32, u32)> {
    let area = |size: &FrameSize| match size {
        FrameSize::Discrete { size, .. } => u64::from(size.0) * u64::from(size.1),
        FrameSize::Stepwise { max, .. } => u64::from(max.0) * u64::from(max.1),
    };
    let largest = format.sizes.iter().max_by_key(|size| area(size));
    let offers = largest.map_or(&[][..], |size| match size {
        FrameSize::Discrete { rates, .. } | FrameSize::Stepwise { rates, .. } => rates,
    });
    let pair = |rate: Rate| (rate.num, rate.den);
    let ends = |offer: &RateOffer| match offer {
        RateOffer::Discrete(rate) => vec![pair(*rate)],
        RateOffer::Range { slowest, fastest } => vec![pair(*slowest), pair(*fastest)],
    };
    offers.iter().flat_map(ends).collect()
}

/// A size, and for each offer of a rate its slowest and its fastest.
type Offer = (u32, u32, Vec<(u32, u32, u32, u32)>);

/// Every size with its rates; a range of sizes by the largest.
fn offers(format: &FormatDesc) -> Vec<Offer> {
    let offer = |offer: &RateOffer| match offer {
        RateOffer::Discrete(rate) => (rate.num, rate.den, rate.num, rate.den),
        RateOffer::Range { slowest, fastest } => (slowest.num, slowest.den, fastest.num, fastest.den),
    };
    let size = |size: &FrameSize| {
        let (FrameSize::Discrete { size: (width, height), .. } | FrameSize::Stepwise { max: (width, height), .. }) =
            size;
        (*width, *height, size.rates().iter().map(offer).collect())
    };
    format.sizes.iter().map(size).collect()
}
