// SPDX-License-Identifier: Apache-2.0
//! Holds `config/videostreamd.toml` to the structures of this module: it explains every option,
//! nothing else, and the defaults that it names are the defaults.

use std::cell::Cell;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor, value};
use vs_ipc::host::HostOptions;

use super::load::{Loaded, read_text};
use super::{
    Config, DEFAULT_BUFFERS, DEFAULT_LINGER, DEFAULT_SOCKET_DIR, Daemon, Device, Metrics, Publication, Stream,
};
use crate::bus::Address;
use crate::devices::Match;
use crate::recording::policy::config::Section;
use crate::stream::spec::{SourceSpec, StreamSpec};

const DOCUMENTED: &str = include_str!("../../../config/videostreamd.toml");

/// The file with every option switched on: a `#` before a letter or a section.
fn switched_on() -> String {
    let option = |line: &str| line.starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
    let switch_on = |line| match str::strip_prefix(line, "#") {
        Some(rest) if option(rest) => rest,
        _ => line,
    };
    DOCUMENTED.lines().map(switch_on).collect::<Vec<_>>().join("\n")
}

fn load(text: &str) -> Loaded {
    read_text(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Learns the names of a structure's fields: serde tells them to whom it asks for a value.
#[derive(Default)]
struct Fields(Cell<&'static [&'static str]>);

impl<'de> Deserializer<'de> for &Fields {
    type Error = value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.set(fields);
        Err(Self::Error::custom("there is no value"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom("not a structure"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn keys<T: Deserialize<'static>>() -> &'static [&'static str] {
    let fields = Fields::default();
    assert!(T::deserialize(&fields).is_err());
    assert!(!fields.0.get().is_empty());
    fields.0.get()
}

#[test]
fn as_it_lies_it_changes_nothing() {
    let loaded = load(DOCUMENTED);
    assert!(loaded.streams.is_empty());
    let Config { daemon, defaults, metrics, device, stream, recording } = loaded.config;
    assert_eq!(format!("{daemon:?}"), format!("{:?}", Daemon::default()));
    assert_eq!(format!("{defaults:?}"), format!("{:?}", Publication::default()));
    assert!(metrics.listen.is_none());
    assert!(device.is_empty());
    assert!(stream.is_empty());
    assert!(recording.is_empty());
}

#[test]
fn every_option_can_be_switched_on() {
    let loaded = load(&switched_on());
    assert_eq!(loaded.streams.len(), 7);
    assert!(loaded.streams.iter().any(|stream| stream.always_on));
}

#[test]
fn every_option_is_there() {
    let documented: toml::Table = switched_on().parse().unwrap();
    for section in keys::<Config>() {
        assert!(documented.contains_key(*section), "there is no [{section}]");
    }
    let sections = [("daemon", keys::<Daemon>()), ("defaults", keys::<Publication>()), ("metrics", keys::<Metrics>())];
    for (section, keys) in sections {
        for key in keys {
            assert!(documented[section].get(key).is_some(), "[{section}] does not explain {key}");
        }
    }
    let devices = documented["device"].as_table().unwrap();
    for key in keys::<Match>() {
        let explained = |device: &toml::Value| device.get("match").is_some_and(|wish| wish.get(key).is_some());
        assert!(devices.values().any(explained), "no [device.NAME] explains {key}");
    }
    for key in keys::<Device>() {
        assert!(devices.values().any(|device| device.get(key).is_some()), "no [device.NAME] explains {key}");
    }
    let recordings = documented["recording"].as_table().unwrap();
    for key in keys::<Section>() {
        let explained = recordings.values().any(|recording| recording.get(key).is_some());
        assert!(explained, "no [recording.NAME] explains {key}");
    }
    let streams = documented["stream"].as_table().unwrap();
    for key in keys::<Stream>() {
        let explained = keys::<Publication>().contains(key) || streams.values().any(|stream| stream.get(key).is_some());
        assert!(explained, "no [stream.NAME] explains {key}");
    }
}

#[test]
fn the_defaults_that_it_names_are_the_defaults() {
    let recording = |text: &str, name: &str| {
        let found = load(text).recordings.into_iter().find(|recording| recording.name == name);
        found.unwrap_or_else(|| panic!("no recording {name}"))
    };
    let unasked = recording("[recording.garage]\nstream = \"door\"\n", "garage");
    let described = recording(&switched_on(), "garage");
    assert_eq!((described.enabled, described.rules.pattern), (unasked.enabled, unasked.rules.pattern));
    assert_eq!(described.options.segment, unasked.options.segment);
    let built_in = vs_mux::mp4::Options::default();
    assert_eq!((described.options.fragment, described.options.sync), (Some(built_in.fragment), built_in.sync));

    let Config { daemon, defaults, .. } = load(&switched_on()).config;
    assert_eq!(daemon.bus.map(|bus| bus.0), Some(Address::System));
    assert_eq!(daemon.socket_dir.as_deref(), Some(Path::new(DEFAULT_SOCKET_DIR)));
    assert_eq!(defaults.buffers(&SourceSpec::Pattern), DEFAULT_BUFFERS);
    assert_eq!(defaults.linger(), DEFAULT_LINGER);

    let built_in = HostOptions::new("a", "/a");
    let mut documented = built_in.clone();
    documented.mode = 0;
    defaults.apply(&mut documented, &SourceSpec::Pattern, None);
    assert_eq!(format!("{documented:?}"), format!("{built_in:?}"));

    // A pattern that the file describes is the pattern that one gets unasked.
    let unasked = load("[stream.pattern0]\npattern = \"bars\"\n").streams.remove(0);
    let described = load(&switched_on()).streams.into_iter().find(|stream| stream.name == unasked.name).unwrap();
    let format = |stream: &StreamSpec| StreamSpec::pattern_format(stream.shape).unwrap();
    assert_eq!(format(&described), format(&unasked));
    assert_eq!(described.memory, unasked.memory);
}

#[test]
fn it_lists_every_format_that_can_be_painted() {
    let section = DOCUMENTED.split("#[stream.pattern0]").nth(1).unwrap();
    for fourcc in vs_pattern::Pattern::formats() {
        assert!(section.contains(&fourcc.to_string()), "{fourcc} is not listed");
    }
}
