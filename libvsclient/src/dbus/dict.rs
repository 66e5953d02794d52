// SPDX-License-Identifier: Apache-2.0
//! Structs for dictionaries of the type `a{sv}`.
//!
//! zvariant's own derive wants every key to be there or an `Option`; here a missing key
//! means the default, so that programs and daemons of different age understand each other.

use serde::de::DeserializeOwned;
use zbus::zvariant::serialized::Context;
use zbus::zvariant::{self, LE, Type, Value, as_value, to_bytes};

/// Declares structs that are read from dictionaries, with the case of the keys in front of
/// the fields. They are serialised plainly, under the names of their fields.
macro_rules! dicts {
    ($($(#[$doc:meta])* $name:ident $case:literal {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Default, serde::Deserialize, serde::Serialize, zbus::zvariant::Type)]
        #[zvariant(signature = "a{sv}")]
        #[serde(default, rename_all(deserialize = $case))]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$field_doc])* #[serde(deserialize_with = "zbus::zvariant::as_value::deserialize")] pub $field: $type,)*
        }

        impl TryFrom<zbus::zvariant::OwnedValue> for $name {
            type Error = zbus::zvariant::Error;

            fn try_from(value: zbus::zvariant::OwnedValue) -> Result<Self, Self::Error> {
                $crate::dbus::dict::from_value(&value)
            }
        }

        impl TryFrom<zbus::zvariant::Value<'_>> for $name {
            type Error = zbus::zvariant::Error;

            fn try_from(value: zbus::zvariant::Value<'_>) -> Result<Self, Self::Error> {
                $crate::dbus::dict::from_value(&value)
            }
        }
    )*};
}
pub(super) use dicts;

/// Reads a value of a known type. A property arrives as a tree of variants; it is written
/// down once more and read as what it is.
pub(super) fn from_value<T: DeserializeOwned + Type>(value: &Value<'_>) -> zvariant::Result<T> {
    let bytes = to_bytes(Context::new_dbus(LE, 0), value)?;
    bytes.deserialize::<as_value::Deserialize<'_, T>>().map(|(value, _)| value.0)
}
