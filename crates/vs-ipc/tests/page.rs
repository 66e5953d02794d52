// SPDX-License-Identifier: Apache-2.0
//! `docs/protocol.md` and `docs/codec-sessions.md` say what the structs and codes of `wire` do:
//! offsets, sizes, kinds, names, limits.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::mem::offset_of;

use vs_ipc::wire::{self, GoodbyeReason, LockStatus, LossCause, Message, Mode, RevokeReason, SkipReason, StreamState};

fn page(name: &str) -> String {
    std::fs::read_to_string(format!("{}/../../docs/{name}.md", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Both pages, cut at their third-level headings.
fn sections() -> BTreeMap<String, String> {
    let pages = [page("protocol"), page("codec-sessions")].join("\n");
    let sections = pages.split("\n### ").skip(1).map(|section| {
        let (heading, body) = section.split_once('\n').unwrap();
        (heading.to_owned(), body.split("\n## ").next().unwrap().to_owned())
    });
    sections.collect()
}

/// Cells of the rows of a table whose first cell is a number.
fn rows(section: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let tables = section.lines().filter(|line| line.starts_with('|')).map(cells);
    tables.filter(|row| row[0].parse::<usize>().is_ok()).collect()
}

fn size_of_type(name: &str) -> usize {
    let (element, count) = match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
        Some((element, count)) => (element, count.parse().unwrap()),
        None => (name, 1),
    };
    let size = match element {
        "u8" | "char" => 1,
        "u16" => 2,
        "u32" => 4,
        "u64" | "i64" => 8,
        "Plane" | "Entry" => 16,
        other => panic!("no type: {other}"),
    };
    size * count
}

/// Rows follow each other without gaps, name the fields in order, and end where the struct does.
fn check_table(heading: &str, fields: &[(&str, usize)], begin: usize, size: usize) {
    let sections = sections();
    let (_, body) = sections.iter().find(|(name, _)| name.starts_with(heading)).expect(heading);
    let mut end = begin;
    let rows = rows(body);
    for row in &rows {
        assert_eq!(row[0].parse::<usize>().unwrap(), end, "{heading}: {row:?}");
        end += size_of_type(&row[1]);
    }
    assert_eq!(end, size, "{heading}");
    let page: Vec<_> = rows.iter().map(|row| (row[2].as_str(), row[0].parse::<usize>().unwrap())).collect();
    assert_eq!(page, fields, "{heading}");
}

macro_rules! check_message {
    ($heading:literal, $type:ty: $($field:ident)*) => {
        let kind = <$type as Message>::KIND;
        let heading = format!("{} {kind:#04x}, ", $heading);
        let size = size_of::<$type>();
        let full = sections().into_keys().find(|name| name.starts_with(&heading)).expect(&heading);
        assert!(full.contains(&format!(", {size} bytes")), "{full}");
        let fields = [$((stringify!($field), offset_of!($type, $field))),*];
        check_table(&heading, &fields, 8, size);
    };
}

#[test]
fn tables_are_the_structs() {
    use vs_ipc::wire::*;

    check_message!("HELLO", Hello: magic major minor mode reserved credits reserved2 lease_ns name);
    check_message!("WELCOME", Welcome: major minor credits mode reserved client epoch lease_ns lease_max_ns lifespan_ns stream);
    check_message!("STATE", State: state text_len);
    check_message!("FORMAT", FormatMessage: format fourcc width height rate_num rate_den modifier colorspace transfer
        encoding quantization field plane_count rotation planes parameter_sets_len reserved2);
    check_message!("FRAME_EVENT", FrameEvent: serial buffer format flags sequence memories memory_kind fds leased
        capture_ns publish_ns pts dts duration expires_ns bytes_used skipped);
    check_message!("LOCK_REQUEST", LockRequest: request serial lease_ns);
    check_message!("LOCK_RESPONSE", LockResponse: request serial status reserved deadline_ns);
    check_message!("UNLOCK_REQUEST", UnlockRequest: serial);
    check_message!("REVOKED", Revoked: serial reason reserved);
    check_message!("BUFFER_RETIRED", BufferRetired: buffer);
    check_message!("GOODBYE", Goodbye: reason major minor text_len reserved);
    check_message!("UNLOCK_PAGE", UnlockPage: entries reserved);
    let plane = [
        ("offset", offset_of!(wire::WirePlane, offset)),
        ("stride", offset_of!(wire::WirePlane, stride)),
        ("size", offset_of!(wire::WirePlane, size)),
        ("memory", offset_of!(wire::WirePlane, memory)),
    ];
    check_table("Plane, 16 bytes", &plane, 0, size_of::<wire::WirePlane>());
    let header = [
        ("kind", offset_of!(wire::Header, kind)),
        ("reserved", offset_of!(wire::Header, reserved)),
        ("length", offset_of!(wire::Header, length)),
    ];
    check_table("Header, 8 bytes", &header, 0, size_of::<wire::Header>());
}

#[test]
fn tables_of_exchanges_are_the_structs() {
    use vs_ipc::wire::exchange::*;

    check_message!("OPENED", Opened: major minor inputs outputs);
    check_message!("LEND", Lend: number origin buffer format flags sequence memories memory_kind fds reserved capture_ns pts
        dts duration bytes_used);
    check_message!("RETURN", Return: number);
    check_message!("LOST", Lost: origin cause text_len);
    check_message!("DRAIN", Drain: request);
    check_message!("DRAINED", Drained: request);
    check_message!("FLUSH", Flush: request);
    check_message!("FLUSHED", Flushed: request);
    check_message!("ADJUST", Adjust: request bitrate keyframe_interval_ns flags reserved);
    check_message!("ADJUSTED", Adjusted: request bitrate keyframe_interval_ns refused text_len);
}

fn check_codes<T: Copy>(heading: &str, all: &[T], code: impl Fn(T) -> u32, name: impl Fn(T) -> &'static str) {
    let sections = sections();
    let rows = rows(&sections[heading]);
    let page: Vec<(u32, &str)> = rows.iter().map(|row| (row[0].parse().unwrap(), row[1].as_str())).collect();
    let ours: Vec<(u32, &str)> = all.iter().map(|value| (code(*value), name(*value))).collect();
    assert_eq!(page, ours, "{heading}");
}

#[test]
fn codes_are_the_enums() {
    check_codes("Mode", Mode::ALL, |code| code.code().into(), Mode::name);
    check_codes("State", StreamState::ALL, StreamState::code, StreamState::name);
    check_codes("Lock status", LockStatus::ALL, LockStatus::code, LockStatus::name);
    check_codes("Skip reason", SkipReason::ALL, SkipReason::code, SkipReason::name);
    check_codes("Revoke reason", RevokeReason::ALL, RevokeReason::code, RevokeReason::name);
    check_codes("Goodbye reason", GoodbyeReason::ALL, GoodbyeReason::code, GoodbyeReason::name);
    check_codes("Loss cause", LossCause::ALL, LossCause::code, LossCause::name);
    let flags: Vec<_> = vs_frame::FrameFlags::all().iter_names().collect();
    let bit = |(_, flag): (&str, vs_frame::FrameFlags)| flag.bits().trailing_zeros();
    check_codes("Frame flags", &flags, bit, |(name, _)| match name {
        "KEYFRAME" => "keyframe",
        "GAP" => "gap",
        "TOP_FIELD" => "top-field",
        "BOTTOM_FIELD" => "bottom-field",
        other => other,
    });
}

#[test]
fn limits_are_the_constants() {
    let page = page("protocol");
    for line in [
        format!("# The stream protocol, version {}.{}", wire::VERSION_MAJOR, wire::VERSION_MINOR),
        format!("| message of a client | {} bytes |", wire::MAX_CLIENT_MESSAGE),
        format!("| message of a host | {} bytes |", wire::MAX_HOST_MESSAGE),
        format!("| text of STATE and GOODBYE | {} bytes |", wire::MAX_TEXT),
        format!("| parameter sets in FORMAT | {} bytes |", wire::MAX_PARAMETER_SETS),
        format!("| planes, and memories of a buffer | {} |", vs_frame::MAX_PLANES),
        format!("| width and height | {} pixels |", vs_frame::format::MAX_DIMENSION),
        format!("| 8 | u8[4] | magic | `{}` |", String::from_utf8_lossy(&wire::MAGIC)),
    ] {
        assert!(page.contains(&line), "the page does not say: {line}");
    }
    assert_eq!(wire::UNKNOWN_TIME, i64::MIN);
    assert_eq!(wire::NAME_LEN, 64);
}

#[test]
fn limits_of_exchanges_are_the_constants() {
    use vs_ipc::exchange::{DEFAULT_CREDITS, MAX_BUFFERS, MAX_CREDITS, MAX_QUEUED, MAX_REQUESTS};
    use vs_ipc::wire::exchange::{VERSION_MAJOR, VERSION_MINOR};

    let page = page("codec-sessions");
    for line in [
        format!("# Codec sessions, version {VERSION_MAJOR}.{VERSION_MINOR}"),
        format!("| frames that a side may lend at once | {MAX_CREDITS}, and {DEFAULT_CREDITS} unless it is said |"),
        format!("| buffers introduced and not retired | {MAX_BUFFERS} |"),
        format!("| messages waiting, beside what the socket holds | {MAX_QUEUED} |"),
        format!("| requests without an answer | {MAX_REQUESTS} |"),
    ] {
        assert!(page.contains(&line), "the page does not say: {line}");
    }
}
