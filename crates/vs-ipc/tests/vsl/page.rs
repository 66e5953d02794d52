// SPDX-License-Identifier: Apache-2.0
//! `docs/vsl.md` says what the structs and codes do.

use std::mem::offset_of;

use vs_frame::{Format, FourCc, Rate};
use vs_ipc::vsl::picture::Picture;
use vs_ipc::vsl::wire::{Control, Event, Outcome, Request};

/// Cells of the table rows behind a heading.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/vsl.md")).unwrap();
    let (_, rest) = page.split_once(&format!("# {heading}\n")).expect(heading);
    let section = rest.split("\n##").next().unwrap();
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    section.lines().filter(|line| line.starts_with("| ")).map(cells).skip(1).collect()
}

fn check(heading: &str, fields: &[(&str, usize)], size: usize) {
    let mut end = 0;
    for (row, (name, offset)) in rows(heading).iter().zip(fields) {
        assert_eq!((row[0].parse(), row[2].as_str()), (Ok(end), *name), "{heading}");
        assert_eq!(end, *offset, "{heading}: {name}");
        end += if row[1].ends_with("64") { 8 } else { 4 };
    }
    assert_eq!((rows(heading).len(), end), (fields.len(), size), "{heading}");
}

macro_rules! fields {
    ($type:ident: $($field:ident)*) => { &[$((stringify!($field), offset_of!($type, $field))),*] };
}

#[test]
fn tables_are_the_structs() {
    let event = fields!(Event: error padding serial timestamp duration pts dts expires locked fourcc width height
        address size offset stride padding2);
    check("Event, host → client, 104 bytes", event, size_of::<Event>());
    let request = fields!(Request: message padding serial);
    check("Request, client → host, 16 bytes", request, size_of::<Request>());
}

#[test]
fn codes_are_the_enums() {
    let page = |heading| rows(heading).iter().map(|row| (row[0].parse().unwrap(), row[1].clone())).collect::<Vec<_>>();
    let ours: Vec<(u32, String)> = Control::ALL.iter().map(|code| (code.code(), code.name().to_owned())).collect();
    assert_eq!(page("Control"), ours);
    let ours: Vec<(u32, String)> = Outcome::ALL.iter().map(|code| (code.code(), code.name().to_owned())).collect();
    assert_eq!(page("Outcome"), ours);
}

#[test]
fn formats_are_those_that_can_be_told() {
    let rows = rows("Formats");
    for row in &rows {
        let name = row[0].split(' ').next().unwrap();
        let format = Format::packed(name.parse().unwrap(), 64, 16, Rate::UNKNOWN).unwrap();
        let code = FourCc::from_u32(Picture::of(&format).unwrap().fourcc);
        assert_eq!(row[1], format!("`{code}`"), "{name}");
    }
    let told = vs_frame::fourcc::PIXEL_FORMATS.iter().filter(|info| {
        Format::packed(info.fourcc, 64, 16, Rate::UNKNOWN).is_ok_and(|format| Picture::of(&format).is_ok())
    });
    assert_eq!(told.count(), rows.len());
}
