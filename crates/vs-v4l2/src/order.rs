// SPDX-License-Identifier: Apache-2.0
//! An order of devices that does not depend on when they were found.
//!
//! The path of the bus a device sits on (udev's `ID_PATH`) stays when the machine boots
//! again; node numbers do not. Numbers within a path are compared as numbers, so that USB
//! port 0:2 comes before 0:10.

use std::cmp::Ordering;

/// Where a node stands among the others: by path, then by its index within its device, then
/// by name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderKey {
    id_path: Option<String>,
    index: u32,
    name: String,
    sysname: String,
}

impl OrderKey {
    /// The key of the node `sysname` ("video0") that calls itself `name` in sysfs, is number
    /// `index` of its device, and sits at `id_path`. Nodes without a path come last.
    #[must_use]
    pub fn new(id_path: Option<&str>, index: u32, name: &str, sysname: &str) -> Self {
        Self { id_path: id_path.map(str::to_owned), index, name: name.to_owned(), sysname: sysname.to_owned() }
    }
}

impl Ord for OrderKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_path = match (&self.id_path, &other.id_path) {
            (Some(a), Some(b)) => natural(a, b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        by_path
            .then(self.index.cmp(&other.index))
            .then_with(|| natural(&self.name, &other.name))
            .then_with(|| natural(&self.sysname, &other.sysname))
    }
}

impl PartialOrd for OrderKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Compares texts with runs of digits taken as numbers of any length. Texts that differ only
/// in leading zeros are ordered by their bytes, so that only equal texts are equal.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    while let (Some(&x), Some(&y)) = (left.first(), right.first()) {
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (m, n) = (take_number(&mut left), take_number(&mut right));
            m.len().cmp(&n.len()).then(m.cmp(n))
        } else {
            left = &left[1..];
            right = &right[1..];
            x.cmp(&y)
        };
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// Cuts the leading run of digits off and returns it without leading zeros.
fn take_number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|c| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let zeros = digits.iter().take_while(|c| **c == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(path: &str, index: u32) -> OrderKey {
        OrderKey::new(Some(path), index, "", "video0")
    }

    #[test]
    fn ports_are_numbers() {
        assert!(key("pci-0000:00:14.0-usb-0:2:1.0", 0) < key("pci-0000:00:14.0-usb-0:10:1.0", 0));
        assert!(key("pci-0000:00:14.0-usb-0:2:1.0", 0) < key("pci-0000:00:14.0-usb-0:2:1.0", 1));
        assert!(key("platform-vivid.0", 7) < OrderKey::new(None, 0, "", "video0"));
        assert!(OrderKey::new(None, 0, "", "video2") < OrderKey::new(None, 0, "", "video10"));
    }

    #[test]
    fn instances_on_one_path_are_told_apart_by_name() {
        let vivid = |name, node| OrderKey::new(Some("platform-vivid.0"), 0, name, node);
        assert!(vivid("vivid-002-vid-cap", "video9") < vivid("vivid-010-vid-cap", "video1"));
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in "[0-9a:.-]{0,8}", b in "[0-9a:.-]{0,8}", c in "[0-9a:.-]{0,8}") {
            prop_assert_eq!(natural(&a, &b), natural(&b, &a).reverse());
            prop_assert_eq!(natural(&a, &b).is_eq(), a == b);
            if natural(&a, &b).is_le() && natural(&b, &c).is_le() {
                prop_assert!(natural(&a, &c).is_le());
            }
        }
    }
}
