// SPDX-License-Identifier: Apache-2.0
//! Controls of a device, in the lines that users of `v4l2-ctl` know.

use std::fmt::Write;

use serde::{Serialize, Serializer};
use vsclient::dbus::{ControlInfo, ControlValue};

use crate::output::{Output, Report};

/// Some controls of a device.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Controls {
    pub device: String,
    pub controls: Vec<Control>,
    /// Only what was asked for: no titles of groups.
    #[serde(skip)]
    pub brief: bool,
}

/// A control.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Control {
    pub name: String,
    pub id: u32,
    pub title: String,
    pub class: String,
    pub r#type: String,
    pub min: i64,
    pub max: i64,
    pub step: u64,
    pub default: i64,
    #[serde(serialize_with = "plain")]
    #[cfg_attr(test, schemars(with = "Option<serde_json::Value>"))]
    pub value: Option<ControlValue>,
    pub flags: Vec<String>,
    pub menu: Vec<Choice>,
    pub dims: Vec<u32>,
    pub remembered: bool,
}

/// A choice of a menu.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Choice {
    pub value: i64,
    pub name: String,
}

/// A number as a number, a text as a text.
fn plain<S: Serializer>(value: &Option<ControlValue>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        None => to.serialize_none(),
        Some(ControlValue::Number(number)) => to.serialize_i64(*number),
        Some(ControlValue::Text(text)) => to.serialize_str(text),
    }
}

impl From<&ControlInfo> for Control {
    fn from(info: &ControlInfo) -> Self {
        Self {
            name: info.name.clone(),
            id: info.id,
            title: info.title.clone(),
            class: info.class.clone(),
            r#type: info.kind.clone(),
            min: info.min,
            max: info.max,
            step: info.step,
            default: info.default,
            value: info.value.clone(),
            flags: info.flags.clone(),
            menu: info.menu.iter().map(|(value, name)| Choice { value: *value, name: name.clone() }).collect(),
            dims: info.dims.clone(),
            remembered: info.remembered,
        }
    }
}

/// Right-aligned names, as `v4l2-ctl -l` has them.
const NAME_WIDTH: usize = 31;

impl Control {
    fn line(&self) -> String {
        let Self { name, id, r#type, min, max, step, default, .. } = self;
        let mut line = format!("{name:>NAME_WIDTH$} {id:#010x} {:<9}:", format!("({type})"));
        // Writing to a String cannot fail.
        let _ = match r#type.as_str() {
            "button" | "compound" => Ok(()),
            "bool" => write!(line, " default={default}"),
            "menu" | "intmenu" => write!(line, " min={min} max={max} default={default}"),
            "bitmask" => write!(line, " max={:#010x} default={:#010x}", *max as u32, *default as u32),
            "str" => write!(line, " min={min} max={max} step={step}"),
            _ => write!(line, " min={min} max={max} step={step} default={default}"),
        };
        if let Some(value) = &self.value {
            let _ = match (r#type.as_str(), value) {
                ("bitmask", ControlValue::Number(bits)) => write!(line, " value={bits:#010x}"),
                (_, ControlValue::Text(text)) => write!(line, " value='{text}'"),
                (_, number) => write!(line, " value={number}"),
            };
        }
        if let Some(choice) =
            self.menu.iter().find(|choice| Some(&ControlValue::Number(choice.value)) == self.value.as_ref())
        {
            let _ = write!(line, " ({})", choice.name);
        }
        if !self.dims.is_empty() {
            let dims: Vec<_> = self.dims.iter().map(|len| format!("[{len}]")).collect();
            let _ = write!(line, " dims={}", dims.concat());
        }
        if !self.flags.is_empty() {
            let _ = write!(line, " flags={}", self.flags.join(", "));
        }
        if self.remembered {
            line.push_str(" remembered");
        }
        line.trim_end_matches(':').trim_end().to_owned()
    }
}

impl Report for Controls {
    fn text(&self, output: &Output) -> String {
        if self.controls.is_empty() && output.headings() {
            return format!("{} has no controls\n", self.device);
        }
        let mut text = String::new();
        let mut class = None;
        for control in &self.controls {
            if output.headings() && !self.brief && class != Some(&control.class) {
                let gap = if class.is_some() { "\n" } else { "" };
                text.push_str(&format!("{gap}{}\n\n", control.class));
                class = Some(&control.class);
            }
            text.push_str(&control.line());
            text.push('\n');
            if output.verbose {
                for Choice { value, name } in &control.menu {
                    text.push_str(&format!("{:NAME_WIDTH$} {value}: {name}\n", ""));
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(kind: &str, value: Option<ControlValue>) -> Control {
        let mut info = ControlInfo::default();
        info.name = "gain".to_owned();
        info.id = 0x0098_0913;
        info.kind = kind.to_owned();
        (info.min, info.max, info.step, info.default) = (0, 255, 1, 100);
        info.value = value;
        Control::from(&info)
    }

    #[test]
    fn lines_are_those_of_v4l2_ctl() {
        let line = |kind, value| control(kind, value).line().trim_start().to_owned();
        let number = |number| Some(ControlValue::Number(number));
        assert_eq!(line("int", number(7)), "gain 0x00980913 (int)    : min=0 max=255 step=1 default=100 value=7");
        assert_eq!(line("bool", number(1)), "gain 0x00980913 (bool)   : default=100 value=1");
        assert_eq!(
            line("bitmask", number(255)),
            "gain 0x00980913 (bitmask): max=0x000000ff default=0x00000064 value=0x000000ff"
        );
        assert_eq!(
            line("str", Some(ControlValue::Text("a".to_owned()))),
            "gain 0x00980913 (str)    : min=0 max=255 step=1 value='a'"
        );
        assert_eq!(line("button", None), "gain 0x00980913 (button)");
        let mut menu = control("menu", number(1));
        menu.menu = vec![Choice { value: 1, name: "Manual Mode".to_owned() }];
        menu.flags = vec!["inactive".to_owned()];
        menu.remembered = true;
        assert!(menu.line().ends_with("value=1 (Manual Mode) flags=inactive remembered"), "{}", menu.line());
    }
}
