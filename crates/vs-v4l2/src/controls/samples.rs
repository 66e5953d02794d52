// SPDX-License-Identifier: Apache-2.0
//! Controls for tests.

use proptest::prelude::*;

use super::control::{Control, ControlFlags, ControlKind, MenuItem};

/// A control of each type with plain values.
pub(super) fn sample(name: &str, kind: ControlKind) -> Control {
    let (min, max) = match kind {
        ControlKind::Boolean => (0, 1),
        ControlKind::Menu | ControlKind::IntegerMenu => (0, 2),
        ControlKind::String => (0, 16),
        ControlKind::Bitmask => (0, i64::from(0x8000_0001_u32 as i32)),
        _ => (-128, 255),
    };
    let labels = match kind {
        ControlKind::Menu => &["Auto Mode", "Manual Mode", "Shutter"][..],
        ControlKind::IntegerMenu => &["100", "200", "400"],
        _ => &[],
    };
    let item = |(index, label): (usize, &&str)| MenuItem { index: index as i64, label: (*label).to_owned() };
    Control {
        id: 1,
        name: name.to_owned(),
        title: name.to_owned(),
        class: String::new(),
        kind,
        min,
        max,
        step: 1,
        default: 0,
        flags: ControlFlags::empty(),
        menu: labels.iter().enumerate().map(item).collect(),
        dims: Vec::new(),
    }
}

/// Whatever a driver may claim.
pub(super) fn any_control() -> impl Strategy<Value = Control> {
    let kinds = [
        ControlKind::Integer,
        ControlKind::Boolean,
        ControlKind::Menu,
        ControlKind::Button,
        ControlKind::Integer64,
        ControlKind::String,
        ControlKind::Bitmask,
        ControlKind::IntegerMenu,
        ControlKind::Compound(0x200),
    ];
    let numbers = || prop_oneof![any::<i64>(), -300..300i64];
    (proptest::sample::select(kinds.to_vec()), any::<u32>(), numbers(), numbers(), any::<u64>(), any::<u32>()).prop_map(
        |(kind, id, min, max, step, flags)| Control {
            id,
            min,
            max,
            step,
            flags: ControlFlags::from_bits_retain(flags),
            ..sample("x", kind)
        },
    )
}
