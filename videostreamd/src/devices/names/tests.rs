// SPDX-License-Identifier: Apache-2.0
//! Names, whatever comes in whatever order.

use std::path::PathBuf;

use proptest::prelude::*;
use vs_v4l2::{Errno, NodeError, Planar};

use super::*;

/// A device at the `port`th place of its bus.
fn device(kind: Option<DeviceKind>, port: u32) -> DeviceInfo {
    let devnode = PathBuf::from(format!("/dev/video{port}"));
    let node = Node {
        devnode: devnode.clone(),
        by_path: Some(format!("/dev/v4l/by-path/usb-{port}").into()),
        serial: Some(format!("serial-{port}")),
        id_path: Some(format!("usb-{port}")),
        name: "camera".to_owned(),
        ..Node::default()
    };
    let function = kind.map(|kind| Function {
        kind,
        card: "Camera".to_owned(),
        driver: "uvcvideo".to_owned(),
        bus: format!("usb-0:{port}"),
        planar: Some(Planar::Single),
        formats: Vec::new(),
        output_formats: Vec::new(),
    });
    let silent = NodeError::Other { action: "open", devnode, source: Errno::IO };
    DeviceInfo { node, function: function.ok_or(silent) }
}

fn camera(port: u32) -> DeviceInfo {
    device(Some(DeviceKind::Camera), port)
}

fn named(configured: &BTreeMap<String, Match>, remembered: &mut Remembered, found: &[DeviceInfo]) -> Vec<String> {
    let found: Vec<_> = found.iter().collect();
    assign(configured, &mut BTreeMap::new(), remembered, &found).into_iter().map(Option::unwrap_or_default).collect()
}

fn serial(port: u32) -> Match {
    Match { serial: Some(format!("serial-{port}")), ..Match::default() }
}

#[test]
fn three_cameras_keep_their_names_in_every_order() {
    let none = BTreeMap::new();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut remembered = Remembered::default();
        let all = [camera(0), camera(1), camera(2)];
        assert_eq!(named(&none, &mut remembered, &all), ["cam0", "cam1", "cam2"]);
        let mut there = Vec::new();
        for port in order {
            there.push(camera(port));
            there.sort_by_key(|device| device.node.order_key());
            let expected: Vec<_> = there.iter().map(|device| device.node.id_path.clone().unwrap()).collect();
            let expected: Vec<_> = expected.iter().map(|path| path.replace("usb-", "cam")).collect();
            assert_eq!(named(&none, &mut remembered, &there), expected);
        }
    }
}

#[test]
fn a_name_of_the_configuration_goes_with_the_camera() {
    let configured = BTreeMap::from([("door".to_owned(), serial(7)), ("cam0".to_owned(), serial(8))]);
    let mut remembered = Remembered::default();
    let found = [camera(1), camera(7), camera(8)];
    assert_eq!(named(&configured, &mut remembered, &found), ["cam1", "door", "cam0"]);
    // Of an unplugged one the name stays free.
    assert_eq!(named(&configured, &mut remembered, &[camera(1), camera(2)]), ["cam1", "cam2"]);
}

/// Two of a model: the second one that is plugged in, before the first, takes nothing away.
#[test]
fn who_has_a_name_of_the_configuration_keeps_it() {
    let card = Match { card: Some("Camera".to_owned()), ..Match::default() };
    let configured = BTreeMap::from([("door".to_owned(), card)]);
    let (mut held, mut remembered) = (BTreeMap::new(), Remembered::default());
    let mut named = |found: &[DeviceInfo]| {
        let names = assign(&configured, &mut held, &mut remembered, &found.iter().collect::<Vec<_>>());
        names.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>()
    };
    assert_eq!(named(&[camera(5)]), ["door"]);
    assert_eq!(named(&[camera(1), camera(5)]), ["cam0", "door"]);
    assert_eq!(named(&[camera(1), device(None, 5)]), ["cam0", "door"]);
    assert_eq!(named(&[camera(1)]), ["door"], "better than none");
    assert_eq!(named(&[camera(1), camera(5)]), ["door", "cam1"]);
}

#[test]
fn what_is_given_must_all_be_so() {
    let device = camera(3);
    let text = |text: &str| Some(text.to_owned());
    for path in ["/dev/v4l/by-path/usb-3", "usb-3"] {
        assert!(Match { by_path: text(path), ..Match::default() }.fits(&device));
    }
    let whole = Match { driver: text("uvcvideo"), card: text("Camera"), bus: text("usb-0:3"), ..serial(3) };
    assert!(whole.fits(&device));
    assert!(!Match { driver: text("vivid"), ..whole.clone() }.fits(&device));
    assert!(!whole.fits(&super::tests::device(None, 3)), "its driver has not said anything");
}

#[test]
fn a_camera_that_cannot_be_asked_is_the_camera_that_it_was() {
    let (none, mut remembered) = (BTreeMap::new(), Remembered::default());
    assert_eq!(named(&none, &mut remembered, &[camera(0)]), ["cam0"]);
    assert_eq!(named(&none, &mut remembered, &[device(None, 0), device(None, 1)]), ["cam0", "dev0"]);
    assert_eq!(named(&none, &mut remembered, &[camera(0), camera(1)]), ["cam0", "cam1"]);
    let encoder = device(Some(DeviceKind::Encoder), 0);
    assert_eq!(named(&none, &mut remembered, &[encoder, device(Some(DeviceKind::Other), 9)]), ["enc0", ""]);
}

#[test]
fn what_was_written_down_may_be_nonsense() {
    let place = |port| Place::of(&camera(port).node);
    let remembered = Remembered::new([
        ("cam1".to_owned(), place(0)),
        ("cam1".to_owned(), place(1)),
        ("cam2".to_owned(), place(0)),
        ("cam03".to_owned(), place(3)),
        ("../cam4".to_owned(), place(4)),
        ("enc99999999999".to_owned(), place(5)),
    ]);
    assert_eq!(remembered.iter().collect::<Vec<_>>(), [("cam1", &place(0))]);
}

#[test]
fn the_memory_has_a_bound() {
    let (none, mut remembered) = (BTreeMap::new(), Remembered::default());
    for port in 0..2 * ABSENT_MAX as u32 {
        named(&none, &mut remembered, &[camera(port)]);
        assert!(remembered.iter().count() <= ABSENT_MAX + 1);
    }
}

proptest! {
    /// Devices come and go in any order, the daemon starts anew at any time, and some nodes
    /// cannot be asked for a while.
    #[test]
    fn a_camera_has_one_name_for_ever(
        steps in proptest::collection::vec(proptest::collection::btree_map(0..6u32, any::<bool>(), 0..6), 1..20),
        pinned in proptest::option::of(0..6u32),
    ) {
        let configured: BTreeMap<_, _> = pinned.iter().map(|port| ("cam0".to_owned(), serial(*port))).collect();
        let (mut remembered, mut known) = (Remembered::default(), BTreeMap::new());
        for there in steps {
            let found: Vec<_> = there.iter().map(|(port, asked)| device(asked.then_some(DeviceKind::Camera), *port)).collect();
            let names = named(&configured, &mut remembered, &found);
            let distinct: BTreeSet<_> = names.iter().collect();
            prop_assert_eq!(distinct.len(), names.len());
            for (name, (port, asked)) in names.iter().zip(&there) {
                if *asked {
                    prop_assert_eq!(known.entry(*port).or_insert(name.clone()), name);
                }
            }
            // A restart: what is written down is all that is left.
            remembered = Remembered::new(remembered.iter().map(|(name, place)| (name.to_owned(), place.clone())));
        }
    }
}
