// SPDX-License-Identifier: Apache-2.0
//! What a control is, and which values it can have.

use std::fmt;

use bitflags::bitflags;
use v4l2r::bindings;

use super::error::ValueError;
use crate::sys::{RawControl, RawValue};

bitflags! {
    /// `V4L2_CTRL_FLAG_*` (kernel doc, "Control Flags"). Unknown bits are kept.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct ControlFlags: u32 {
        /// The device has it not, or not now.
        const DISABLED = bindings::V4L2_CTRL_FLAG_DISABLED;
        /// It cannot be changed for the time being, as a rule because the device streams.
        const GRABBED = bindings::V4L2_CTRL_FLAG_GRABBED;
        /// It can be read only.
        const READ_ONLY = bindings::V4L2_CTRL_FLAG_READ_ONLY;
        /// Changing it may change others.
        const UPDATE = bindings::V4L2_CTRL_FLAG_UPDATE;
        /// It has no effect for the time being: another one (an automatic) rules.
        const INACTIVE = bindings::V4L2_CTRL_FLAG_INACTIVE;
        /// Best shown as a slider.
        const SLIDER = bindings::V4L2_CTRL_FLAG_SLIDER;
        /// It can be set only.
        const WRITE_ONLY = bindings::V4L2_CTRL_FLAG_WRITE_ONLY;
        /// The device changes it by itself.
        const VOLATILE = bindings::V4L2_CTRL_FLAG_VOLATILE;
        /// Its value is more than a number.
        const HAS_PAYLOAD = bindings::V4L2_CTRL_FLAG_HAS_PAYLOAD;
        /// Each setting does something, also of the same value.
        const EXECUTE_ON_WRITE = bindings::V4L2_CTRL_FLAG_EXECUTE_ON_WRITE;
        /// It changes the layout of buffers.
        const MODIFY_LAYOUT = bindings::V4L2_CTRL_FLAG_MODIFY_LAYOUT;
        /// An array of any length.
        const DYNAMIC_ARRAY = bindings::V4L2_CTRL_FLAG_DYNAMIC_ARRAY;
        const _ = !0;
    }
}

impl ControlFlags {
    /// The flags' names as `v4l2-ctl` writes them.
    pub fn names(self) -> impl Iterator<Item = String> {
        self.iter_names().map(|(name, _)| name.to_ascii_lowercase().replace('_', "-"))
    }
}

/// Of which type a control is (kernel doc, "Control Types").
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ControlKind {
    /// A number of 32 bits.
    Integer,
    /// Off (0) or on (1).
    Boolean,
    /// One of several choices, each with a name.
    Menu,
    /// Setting it does something; it has no value.
    Button,
    /// A number of 64 bits.
    Integer64,
    /// A text.
    String,
    /// 32 bits, of which those in `max` may be set.
    Bitmask,
    /// One of several choices, each a number.
    IntegerMenu,
    /// An array or a structure, by its `V4L2_CTRL_TYPE_*`: listed, but not read or set here.
    Compound(u32),
}

impl ControlKind {
    /// `None` for the titles between controls (`V4L2_CTRL_TYPE_CTRL_CLASS`).
    fn of(raw: &RawControl) -> Option<Self> {
        if !raw.dims.is_empty() {
            return Some(Self::Compound(raw.kind));
        }
        Some(match raw.kind {
            bindings::v4l2_ctrl_type_V4L2_CTRL_TYPE_CTRL_CLASS => return None,
            bindings::v4l2_ctrl_type_V4L2_CTRL_TYPE_INTEGER => Self::Integer,
            bindings::v4l2_ctrl_type_V4L2_CTRL_TYPE_BOOLEAN => Self::Boolean,
            bindings::v4l2_ctrl_type_V4L2_CTRL_TYPE_MENU => Self::Menu,
            bindings::v4l2_ctrl_type_V4L2_CTRL_TYPE_BUTTON => Self::Button,
            bindings::v4l2_ctrl_type_V4L2_CTRL_TYPE_INTEGER64 => Self::Integer64,
            bindings::v4l2_ctrl_type_V4L2_CTRL_TYPE_STRING => Self::String,
            bindings::v4l2_ctrl_type_V4L2_CTRL_TYPE_BITMASK => Self::Bitmask,
            bindings::v4l2_ctrl_type_V4L2_CTRL_TYPE_INTEGER_MENU => Self::IntegerMenu,
            other => Self::Compound(other),
        })
    }

    /// A short word for it, most of them `v4l2-ctl`'s.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Integer => "int",
            Self::Boolean => "bool",
            Self::Menu => "menu",
            Self::Button => "button",
            Self::Integer64 => "int64",
            Self::String => "str",
            Self::Bitmask => "bitmask",
            Self::IntegerMenu => "intmenu",
            Self::Compound(_) => "compound",
        }
    }

    pub(super) fn is_menu(self) -> bool {
        matches!(self, Self::Menu | Self::IntegerMenu)
    }
}

/// One choice of a menu.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MenuItem {
    /// The control's value for it.
    pub index: i64,
    /// Its name; of an integer menu its number, in digits.
    pub label: String,
}

/// A control of a device. `min`, `max` and `step` are of a text its length in bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Control {
    /// `V4L2_CID_*`.
    pub id: u32,
    /// Its name as `v4l2-ctl` writes it; no two of a device are alike.
    pub name: String,
    /// The driver's words for it.
    pub title: String,
    /// The driver's words for the group of controls that it is in; empty if it has none.
    pub class: String,
    /// Its type.
    pub kind: ControlKind,
    /// Smallest value.
    pub min: i64,
    /// Largest value.
    pub max: i64,
    /// Values are `min` and any number of these; 0 and 1 are the same.
    pub step: u64,
    /// The value that the driver begins with; 0 of texts, which begin empty or with blanks.
    pub default: i64,
    /// What can be done with it now.
    pub flags: ControlFlags,
    /// Its choices; empty unless it is a menu.
    pub menu: Vec<MenuItem>,
    /// Elements in each dimension; empty if it is a single value.
    pub dims: Vec<u32>,
}

/// The value of a control.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ControlValue {
    /// Of every type but texts; 1 presses a button.
    Number(i64),
    /// Of a text.
    Text(String),
}

impl fmt::Display for ControlValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.pad(text),
        }
    }
}

impl From<i64> for ControlValue {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for ControlValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Control {
    /// `None` for the title of a class.
    pub(crate) fn new(raw: &RawControl, name: String, class: String, menu: Vec<MenuItem>) -> Option<Self> {
        Some(Self {
            id: raw.id,
            name,
            title: raw.title.clone(),
            class,
            kind: ControlKind::of(raw)?,
            min: raw.min,
            max: raw.max,
            step: raw.step,
            default: raw.default,
            flags: ControlFlags::from_bits_retain(raw.flags),
            menu,
            dims: raw.dims.clone(),
        })
    }

    /// Whether it has a value that can be read.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        let hidden = ControlFlags::WRITE_ONLY | ControlFlags::DISABLED;
        !self.flags.intersects(hidden) && !matches!(self.kind, ControlKind::Button | ControlKind::Compound(_))
    }

    /// Whether it could be set, if nothing else rules it.
    #[must_use]
    pub fn is_settable(&self) -> bool {
        let fixed = ControlFlags::READ_ONLY | ControlFlags::DISABLED;
        !self.flags.intersects(fixed) && !matches!(self.kind, ControlKind::Compound(_))
    }

    /// The value that it has after a reset; `None` if it has none worth setting.
    #[must_use]
    pub fn default_value(&self) -> Option<ControlValue> {
        let number = !matches!(self.kind, ControlKind::Button | ControlKind::String | ControlKind::Compound(_));
        number.then_some(ControlValue::Number(self.default))
    }

    /// The name of a choice.
    #[must_use]
    pub fn label(&self, value: &ControlValue) -> Option<&str> {
        let ControlValue::Number(number) = value else { return None };
        self.menu.iter().find(|item| item.index == *number).map(|item| item.label.as_str())
    }

    /// Reads a value as people write it: numbers in digits or as `0x1f`, booleans also as on
    /// and off, yes and no, true and false, choices by number or by name, a button as nothing,
    /// 1 or `press`.
    ///
    /// # Errors
    /// [`ValueError`] with what would be right. The range is looked at, too.
    pub fn parse(&self, text: &str) -> Result<ControlValue, ValueError> {
        let number = || parse_number(text).ok_or_else(|| self.not_understood(text));
        let word = text.trim().to_ascii_lowercase();
        let value = match self.kind {
            ControlKind::String => ControlValue::Text(text.to_owned()),
            ControlKind::Boolean => match word.as_str() {
                "on" | "yes" | "true" => 1.into(),
                "off" | "no" | "false" => 0.into(),
                _ => number()?.into(),
            },
            ControlKind::Button => match word.as_str() {
                "" | "1" | "press" => 1.into(),
                _ => return Err(self.not_understood(text)),
            },
            ControlKind::Menu => match self.menu.iter().find(|item| item.label.to_ascii_lowercase() == word) {
                Some(item) => item.index.into(),
                None => number()?.into(),
            },
            _ => number()?.into(),
        };
        self.check(&value)?;
        Ok(value)
    }

    fn not_understood(&self, text: &str) -> ValueError {
        ValueError::NotUnderstood { text: text.to_owned(), expected: self.expected() }
    }

    /// Whether it can have this value. One that is between two steps the driver rounds.
    ///
    /// # Errors
    /// [`ValueError`] with the range.
    pub fn check(&self, value: &ControlValue) -> Result<(), ValueError> {
        let fits = match (self.kind, value) {
            (ControlKind::Compound(_), _) => return Err(ValueError::Compound),
            (ControlKind::String, ControlValue::Text(text)) => {
                // A NUL would end it.
                let len = i64::try_from(text.len()).unwrap_or(i64::MAX);
                let on_step = (len - self.min).unsigned_abs().is_multiple_of(self.step.max(1));
                !text.contains('\0') && (self.min..=self.max).contains(&len) && on_step
            }
            (ControlKind::String, ControlValue::Number(_)) | (_, ControlValue::Text(_)) => false,
            (ControlKind::Button, ControlValue::Number(_)) => true,
            (ControlKind::Bitmask, ControlValue::Number(bits)) => {
                u32::try_from(*bits).is_ok_and(|bits| u64::from(bits) & !self.mask() == 0)
            }
            (kind, ControlValue::Number(number)) => {
                let in_menu = !kind.is_menu() || self.menu.iter().any(|item| item.index == *number);
                let in_type = kind == ControlKind::Integer64 || i32::try_from(*number).is_ok();
                in_menu && in_type && (self.min..=self.max).contains(number)
            }
        };
        if fits { Ok(()) } else { Err(ValueError::OutOfRange { value: value.clone(), expected: self.expected() }) }
    }

    /// The bits that may be set.
    fn mask(&self) -> u64 {
        // Drivers fill it from 32 bits with and without sign.
        self.max as u64 & u64::from(u32::MAX)
    }

    /// The values that it can have, in words.
    #[must_use]
    pub fn expected(&self) -> String {
        let (min, max) = (self.min, self.max);
        match self.kind {
            ControlKind::Boolean => "0 (off) or 1 (on)".to_owned(),
            ControlKind::Button => "nothing, for it is a button".to_owned(),
            ControlKind::Bitmask => format!("bits of {:#x}", self.mask()),
            ControlKind::Compound(_) => "an array or a structure".to_owned(),
            ControlKind::String => match self.step {
                0 | 1 => format!("a text of {min} to {max} bytes"),
                step => format!("a text of {min} to {max} bytes in steps of {step}"),
            },
            ControlKind::Menu | ControlKind::IntegerMenu => {
                let items = self.menu.iter().map(|item| format!("{} ({})", item.index, item.label));
                format!("one of {}", items.collect::<Vec<_>>().join(", "))
            }
            ControlKind::Integer | ControlKind::Integer64 => match self.step {
                0 | 1 => format!("{min} to {max}"),
                step => format!("{min} to {max} in steps of {step}"),
            },
        }
    }

    /// A value as the driver takes it. It must have been checked.
    pub(super) fn raw(&self, value: &ControlValue) -> RawValue {
        match (self.kind, value) {
            (ControlKind::Integer64, ControlValue::Number(number)) => RawValue::Large(*number),
            (_, ControlValue::Text(text)) => RawValue::Text(text.clone(), self.text_max()),
            // A bitmask uses all 32 bits; everything else has been checked against its range.
            (_, ControlValue::Number(number)) => RawValue::Small(*number as i32),
        }
    }

    /// A value of its type, to be filled by the driver.
    pub(super) fn blank(&self) -> RawValue {
        match self.kind {
            ControlKind::Integer64 => RawValue::Large(0),
            ControlKind::String => RawValue::Text(String::new(), self.text_max()),
            _ => RawValue::Small(0),
        }
    }

    /// A value as the driver gave it.
    pub(super) fn value(&self, raw: RawValue) -> ControlValue {
        match raw {
            RawValue::Small(bits) if self.kind == ControlKind::Bitmask => i64::from(bits as u32).into(),
            RawValue::Small(number) => i64::from(number).into(),
            RawValue::Large(number) => number.into(),
            RawValue::Text(text, _) => ControlValue::Text(text),
        }
    }

    fn text_max(&self) -> usize {
        usize::try_from(self.max).unwrap_or(0).min(TEXT_MAX)
    }
}

/// The longest text that a control may have, in bytes: what a driver claims is allocated here.
const TEXT_MAX: usize = 64 * 1024;

fn parse_number(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    // A sign within the digits is none of ours.
    let unsigned = |digits: &str, radix| {
        Some(digits).filter(|d| !d.starts_with(['+', '-'])).map(|d| i128::from_str_radix(d, radix))
    };
    let number = match hexadecimal {
        Some(digits) => unsigned(digits, 16)?,
        None => unsigned(digits, 10)?,
    };
    i64::try_from(if negative { number.ok()?.checked_neg()? } else { number.ok()? }).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{self, sample};
    use super::*;

    #[test]
    fn values_are_read_as_people_write_them() {
        let parsed = |kind, text: &str| sample("x", kind).parse(text).map(|value| value.to_string());
        assert_eq!(parsed(ControlKind::Integer, "-7"), Ok("-7".to_owned()));
        assert_eq!(parsed(ControlKind::Integer, " 0x1F "), Ok("31".to_owned()));
        assert_eq!(parsed(ControlKind::Boolean, "On"), Ok("1".to_owned()));
        assert_eq!(parsed(ControlKind::Boolean, "0"), Ok("0".to_owned()));
        assert_eq!(parsed(ControlKind::Menu, "manual mode"), Ok("1".to_owned()));
        assert_eq!(parsed(ControlKind::IntegerMenu, "2"), Ok("2".to_owned()));
        assert_eq!(parsed(ControlKind::Button, ""), Ok("1".to_owned()));
        assert_eq!(parsed(ControlKind::String, " two words "), Ok(" two words ".to_owned()));
        assert_eq!(parsed(ControlKind::Bitmask, "0x80000001"), Ok("2147483649".to_owned()));
        for (kind, text) in [
            (ControlKind::Integer, "256"),
            (ControlKind::Integer, "+1"),
            (ControlKind::Integer, "--1"),
            (ControlKind::Integer, ""),
            (ControlKind::Boolean, "2"),
            (ControlKind::Menu, "3"),
            (ControlKind::Menu, "no such mode"),
            (ControlKind::Bitmask, "-1"),
            (ControlKind::Bitmask, "0x2"),
            (ControlKind::Button, "2"),
            (ControlKind::String, "longer than it may be"),
            (ControlKind::Compound(0x106), "1"),
        ] {
            assert!(sample("x", kind).parse(text).is_err(), "{kind:?} {text}");
        }
    }

    #[test]
    fn a_refusal_says_what_would_be_right() {
        let refused = |kind, text: &str| sample("x", kind).parse(text).unwrap_err().to_string();
        assert_eq!(refused(ControlKind::Integer, "256"), "256 is out of range: it takes -128 to 255");
        assert_eq!(refused(ControlKind::Integer, "much"), "'much' is not understood: it takes -128 to 255");
        assert_eq!(
            refused(ControlKind::Menu, "9"),
            "9 is out of range: it takes one of 0 (Auto Mode), 1 (Manual Mode), 2 (Shutter)"
        );
    }

    proptest! {
        #[test]
        fn no_text_does_harm(control in samples::any_control(), text: String) {
            if let Ok(value) = control.parse(&text) {
                prop_assert_eq!(control.check(&value), Ok(()));
                let raw = control.raw(&value);
                if control.kind != ControlKind::Button {
                    prop_assert_eq!(control.value(raw), value);
                }
            }
        }

        #[test]
        fn what_is_shown_can_be_set(control in samples::any_control(), number: i64) {
            let value = ControlValue::Number(number);
            if control.check(&value).is_ok() && control.kind != ControlKind::Button {
                prop_assert_eq!(control.parse(&value.to_string()), Ok(value));
            }
        }
    }
}
