// SPDX-License-Identifier: Apache-2.0
//! Devices and what they can do.

use serde::Serialize;
use vsclient::dbus::{DeviceFormat, DeviceInfo};

use super::{Rate, rate, some_text};
use crate::output::{Output, Report};
use crate::table::{Align, Table};
use crate::units;

/// The devices of this machine, or those of some kinds.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Devices {
    pub devices: Vec<Device>,
}

/// A device.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Device {
    pub name: String,
    pub kind: String,
    pub node: String,
    pub card: String,
    pub driver: String,
    pub bus: String,
    pub path: Option<String>,
    pub unit: Option<String>,
    pub by_path: Option<String>,
    pub by_id: Option<String>,
    pub serial: Option<String>,
    pub multiplanar: bool,
    pub present: bool,
    pub problem: Option<String>,
    pub formats: Vec<Format>,
}

/// A format of a device.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Format {
    pub fourcc: String,
    pub description: String,
    pub sizes: Vec<Size>,
    pub size_range: Option<SizeRange>,
    /// Rates at the largest size.
    pub rates: Vec<Rate>,
    pub offers: Vec<Offer>,
}

/// A size, of a range the largest, and the rates at it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Offer {
    pub width: u32,
    pub height: u32,
    pub rates: Vec<RateRange>,
}

/// Rates from the slowest to the fastest; the same if it is only one.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RateRange {
    pub slowest: Rate,
    pub fastest: Rate,
}

/// A size in pixels.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

/// Sizes in pixels, in steps.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SizeRange {
    pub min_width: u32,
    pub max_width: u32,
    pub step_width: u32,
    pub min_height: u32,
    pub max_height: u32,
    pub step_height: u32,
}

impl From<&DeviceInfo> for Device {
    fn from(info: &DeviceInfo) -> Self {
        Self {
            name: info.name.clone(),
            kind: info.kind.clone(),
            node: info.node.clone(),
            card: info.card.clone(),
            driver: info.driver.clone(),
            bus: info.bus.clone(),
            path: some_text(&info.path),
            unit: some_text(&info.unit),
            by_path: some_text(&info.by_path),
            by_id: some_text(&info.by_id),
            serial: some_text(&info.serial),
            multiplanar: info.multiplanar,
            present: info.present,
            problem: some_text(&info.problem),
            formats: info.formats.iter().map(Format::from).collect(),
        }
    }
}

impl From<&DeviceFormat> for Format {
    fn from(format: &DeviceFormat) -> Self {
        let (min_width, max_width, step_width, min_height, max_height, step_height) = format.size_range;
        let range = SizeRange { min_width, max_width, step_width, min_height, max_height, step_height };
        Self {
            fourcc: format.fourcc.clone(),
            description: format.description.clone(),
            sizes: format.sizes.iter().map(|&(width, height)| Size { width, height }).collect(),
            size_range: (max_width > 0 && max_height > 0).then_some(range),
            rates: format.rates.iter().copied().filter_map(rate).collect(),
            offers: format.offers.iter().map(Offer::from).collect(),
        }
    }
}

impl From<&(u32, u32, Vec<(u32, u32, u32, u32)>)> for Offer {
    fn from((width, height, rates): &(u32, u32, Vec<(u32, u32, u32, u32)>)) -> Self {
        let range = |&(slow, slow_in, fast, fast_in): &(u32, u32, u32, u32)| {
            Some(RateRange { slowest: rate((slow, slow_in))?, fastest: rate((fast, fast_in))? })
        };
        Self { width: *width, height: *height, rates: rates.iter().filter_map(range).collect() }
    }
}

impl Format {
    /// What it is, then a line for each size, with its rates.
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{}  {}", self.fourcc, self.description)];
        if let Some(range) = &self.size_range {
            let SizeRange { min_width, max_width, step_width, min_height, max_height, step_height } = range;
            let steps = format!("in steps of {step_width}x{step_height}");
            lines.push(format!("  {min_width}x{min_height} to {max_width}x{max_height} {steps}"));
        }
        let sizes = self.offers.iter().filter(|offer| self.size_range.is_none() || !offer.rates.is_empty());
        lines.extend(sizes.map(|offer| format!("  {}", offer.text())));
        lines
    }
}

impl Offer {
    fn text(&self) -> String {
        let Self { width, height, rates } = self;
        let rate = |RateRange { slowest, fastest }: &RateRange| match (units::fps(slowest.fps), units::fps(fastest.fps))
        {
            (slowest, fastest) if slowest == fastest => fastest,
            (slowest, fastest) => format!("{slowest} to {fastest}"),
        };
        match rates.iter().map(rate).collect::<Vec<_>>().join(" ") {
            none if none.is_empty() => format!("{width}x{height}"),
            rates => format!("{width}x{height} at {rates} fps"),
        }
    }
}

impl Report for Devices {
    fn text(&self, output: &Output) -> String {
        if self.devices.is_empty() && output.headings() {
            return "no devices\n".to_owned();
        }
        let mut table = Table::new([
            ("DEVICE", Align::Left),
            ("KIND", Align::Left),
            ("NODE", Align::Left),
            ("DRIVER", Align::Left),
            ("CARD", Align::Left),
            ("FORMATS", Align::Left),
        ]);
        for device in &self.devices {
            let formats: Vec<_> = device.formats.iter().map(|format| format.fourcc.trim_end()).collect();
            table.row([
                device.name.clone(),
                device.kind.clone(),
                if device.present { device.node.clone() } else { "absent".to_owned() },
                device.driver.clone(),
                device.card.clone(),
                summary(&formats, output.verbose),
            ]);
            if let Some(problem) = &device.problem {
                table.note(format!("problem: {problem}"));
            }
            if output.verbose {
                device.details().into_iter().for_each(|detail| table.note(detail));
            }
        }
        table.text(output.headings())
    }
}

/// As many formats as fit into a row next to the rest.
const FORMATS_IN_ROW: usize = 4;

fn summary(formats: &[&str], verbose: bool) -> String {
    match formats {
        // They follow below.
        _ if verbose => formats.len().to_string(),
        [first @ .., _] if formats.len() > FORMATS_IN_ROW => {
            let shown = &first[..FORMATS_IN_ROW.min(first.len())];
            format!("{} and {} more", shown.join(" "), formats.len() - shown.len())
        }
        all => all.join(" "),
    }
}

impl Device {
    fn details(&self) -> Vec<String> {
        let api = if self.multiplanar { "multi-planar" } else { "single-planar" };
        let path = self.path.as_ref().map(|path| format!(", path {path}")).unwrap_or_default();
        let mut details = vec![format!("bus {}{path}, {api} API", self.bus)];
        // In the words of the configuration, to be copied from here.
        let names =
            [("unit", &self.unit), ("by-path", &self.by_path), ("by-id", &self.by_id), ("serial", &self.serial)];
        details.extend(names.iter().filter_map(|(key, value)| Some(format!("{key} = \"{}\"", value.as_ref()?))));
        details.extend(self.formats.iter().flat_map(Format::lines));
        details
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_is_a_line_with_its_rates() {
        let lines = |size_range, offers| {
            let mut info = DeviceFormat::default();
            info.fourcc = "YUYV".to_owned();
            info.description = "YUYV 4:2:2".to_owned();
            info.size_range = size_range;
            info.offers = offers;
            Format::from(&info).lines()
        };
        assert_eq!(
            lines(
                Default::default(),
                vec![(640, 480, vec![(15, 1, 15, 1), (30000, 1001, 30000, 1001)]), (1280, 720, vec![])]
            ),
            ["YUYV  YUYV 4:2:2", "  640x480 at 15 29.97 fps", "  1280x720"]
        );
        assert_eq!(
            lines((48, 4096, 2, 32, 2160, 2), vec![(4096, 2160, vec![(1, 1, 30, 1)])]),
            ["YUYV  YUYV 4:2:2", "  48x32 to 4096x2160 in steps of 2x2", "  4096x2160 at 1 to 30 fps"]
        );
        assert_eq!(lines((48, 4096, 2, 32, 2160, 2), vec![(4096, 2160, vec![])]).len(), 2);
    }

    #[test]
    fn a_row_keeps_short() {
        assert_eq!(summary(&["A", "B"], false), "A B");
        assert_eq!(summary(&["A", "B", "C", "D", "E", "F"], false), "A B C D and 2 more");
        assert_eq!(summary(&["A", "B"], true), "2");
        assert_eq!(summary(&[], false), "");
    }
}
