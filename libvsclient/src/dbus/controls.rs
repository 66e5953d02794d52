// SPDX-License-Identifier: Apache-2.0
//! Controls of devices.

use std::fmt;

use serde::{Deserialize, Deserializer};
use zbus::zvariant::{OwnedValue, Type, Value, as_value};

/// The value of a control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlValue {
    /// Of every type but texts.
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

/// A control of a device, as it is at one moment.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Type)]
#[zvariant(signature = "a{sv}")]
#[serde(default, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct ControlInfo {
    /// Its name as `v4l2-ctl` writes it.
    #[serde(with = "as_value")]
    pub name: String,
    /// `V4L2_CID_*`.
    #[serde(with = "as_value")]
    pub id: u32,
    /// The driver's words for it.
    #[serde(with = "as_value")]
    pub title: String,
    /// The driver's words for its group.
    #[serde(with = "as_value")]
    pub class: String,
    /// `int`, `bool`, `menu`, `button`, `int64`, `str`, `bitmask`, `intmenu` or `compound`.
    #[serde(with = "as_value", rename = "type")]
    pub kind: String,
    /// Smallest value; of a text its length in bytes.
    #[serde(with = "as_value")]
    pub min: i64,
    /// Largest value; of a text its length in bytes.
    #[serde(with = "as_value")]
    pub max: i64,
    /// Between two values that it can have.
    #[serde(with = "as_value")]
    pub step: u64,
    /// What the driver begins with.
    #[serde(with = "as_value")]
    pub default: i64,
    /// As `v4l2-ctl` names them.
    #[serde(with = "as_value")]
    pub flags: Vec<String>,
    /// Choices and their names.
    #[serde(with = "as_value")]
    pub menu: Vec<(i64, String)>,
    /// Elements in each dimension of an array.
    #[serde(with = "as_value")]
    pub dims: Vec<u32>,
    /// Its value; `None` if it has none that can be read now.
    #[serde(deserialize_with = "value")]
    pub value: Option<ControlValue>,
    /// The device gets its value again before it streams.
    #[serde(with = "as_value")]
    pub remembered: bool,
}

/// A value of a type that is not known before; what a later daemon may have is passed over.
fn value<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ControlValue>, D::Error> {
    Ok(match &*OwnedValue::deserialize(from)? {
        Value::I64(number) => Some(ControlValue::Number(*number)),
        Value::Str(text) => Some(ControlValue::Text(text.to_string())),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use zbus::zvariant::serialized::Context;
    use zbus::zvariant::{LE, to_bytes};

    use super::*;

    #[test]
    fn a_control_is_read_whatever_its_type() {
        let read = |value: Option<Value<'static>>| {
            let mut entry = HashMap::from([
                ("name", Value::from("gain")),
                ("type", Value::from("int")),
                ("max", Value::from(255i64)),
            ]);
            entry.extend(value.map(|value| ("value", value)));
            let bytes = to_bytes(Context::new_dbus(LE, 0), &entry).unwrap();
            let (control, _) = bytes.deserialize::<ControlInfo>().unwrap();
            assert_eq!((control.name.as_str(), control.kind.as_str(), control.max), ("gain", "int", 255));
            control.value
        };
        assert_eq!(read(Some(Value::from(7i64))), Some(ControlValue::Number(7)));
        assert_eq!(read(Some(Value::from("a text"))), Some(ControlValue::Text("a text".to_owned())));
        assert_eq!(read(Some(Value::from(vec![1u8]))), None);
        assert_eq!(read(None), None);
    }
}
