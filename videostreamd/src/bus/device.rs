// SPDX-License-Identifier: Apache-2.0
//! `org.videostream.VideoStream1.Device`

use vs_frame::Rate;
use vs_v4l2::{DeviceInfo, FormatDesc, FrameSize, Planar, RateOffer};
use zbus::interface;
use zbus::zvariant::Value;

use super::dict::{Dict, dict};
use crate::devices::kind_name;

pub(super) struct Device {
    name: String,
    info: DeviceInfo,
}

impl Device {
    pub(super) fn new(name: &str, info: &DeviceInfo) -> Self {
        Self { name: name.to_owned(), info: info.clone() }
    }

    fn word(&self, of: impl FnOnce(&vs_v4l2::Function) -> &str) -> String {
        self.info.function.as_ref().map_or_else(|_| String::new(), |function| of(function).to_owned())
    }
}

#[interface(name = "org.videostream.VideoStream1.Device")]
impl Device {
    #[zbus(property)]
    fn name(&self) -> &str {
        &self.name
    }

    #[zbus(property)]
    fn kind(&self) -> &str {
        kind_name(&self.info)
    }

    #[zbus(property)]
    fn node(&self) -> String {
        self.info.node.devnode.display().to_string()
    }

    #[zbus(property)]
    fn card(&self) -> &str {
        self.info.name()
    }

    #[zbus(property)]
    fn driver(&self) -> String {
        self.word(|function| &function.driver)
    }

    #[zbus(property)]
    fn bus(&self) -> String {
        self.word(|function| &function.bus)
    }

    #[zbus(property)]
    fn path(&self) -> &str {
        self.info.node.id_path.as_deref().unwrap_or_default()
    }

    #[zbus(property)]
    fn multiplanar(&self) -> bool {
        self.info.function.as_ref().is_ok_and(|function| function.planar == Some(Planar::Multi))
    }

    #[zbus(property)]
    fn present(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn problem(&self) -> String {
        self.info.function.as_ref().err().map(ToString::to_string).unwrap_or_default()
    }

    #[zbus(property)]
    fn formats(&self) -> Vec<Dict> {
        self.info.function.as_ref().map_or_else(|_| Vec::new(), |f| f.formats.iter().map(format).collect())
    }
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
