// SPDX-License-Identifier: Apache-2.0
//! The interfaces in `dbus/` beside those that a running daemon really has.
//!
//! An interface is written down as a set of lines, one for each method, signal and property,
//! so that two of them can be compared both ways and the difference can be read.

use std::collections::{BTreeMap, BTreeSet};

use roxmltree::{Document, Node};
use zbus::Connection;
use zbus::fdo::{IntrospectableProxy, ObjectManagerProxy};

/// The files of `dbus/`.
const FILES: [&str; 6] = [
    include_str!("../../dbus/org.videostream.VideoStream1.Manager.xml"),
    include_str!("../../dbus/org.videostream.VideoStream1.Device.xml"),
    include_str!("../../dbus/org.videostream.VideoStream1.Controls.xml"),
    include_str!("../../dbus/org.videostream.VideoStream1.Stream.xml"),
    include_str!("../../dbus/org.videostream.VideoStream1.Playback.xml"),
    include_str!("../../dbus/org.videostream.VideoStream1.Recording.xml"),
];

const SERVICE: &str = "org.videostream.VideoStream1";
const ROOT: &str = "/org/videostream/VideoStream1";

/// The annotation of properties whose changes are told, or not (D-Bus specification,
/// "Introspection Data Format").
const EMITS: &str = "org.freedesktop.DBus.Property.EmitsChangedSignal";

/// Interfaces by name, each as the set of its members.
pub type Interfaces = BTreeMap<String, BTreeSet<String>>;

/// The interfaces that `dbus/` promises.
#[must_use]
pub fn promised() -> Interfaces {
    FILES.iter().flat_map(|xml| interfaces(xml)).collect()
}

/// The interfaces of the project that some introspection XML describes.
///
/// # Panics
/// If it is not XML.
#[must_use]
pub fn interfaces(xml: &str) -> Interfaces {
    // zbus writes the document type that the specification shows.
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let document = Document::parse_with_options(xml, options).unwrap();
    let found = document.descendants().filter(|node| node.has_tag_name("interface"));
    let named = found.map(|node| (attribute(node, "name"), node));
    named.filter(|(name, _)| name.starts_with(SERVICE)).map(|(name, node)| (name.to_owned(), members(node))).collect()
}

fn members(interface: Node<'_, '_>) -> BTreeSet<String> {
    interface.children().filter(Node::is_element).map(member).collect()
}

fn member(node: Node<'_, '_>) -> String {
    let (kind, name) = (node.tag_name().name(), attribute(node, "name"));
    match kind {
        "method" | "signal" => {
            let arguments = node.children().filter(|child| child.has_tag_name("arg")).map(|argument| {
                let (name, kind) = (attribute(argument, "name"), attribute(argument, "type"));
                let default = if node.has_tag_name("method") { "in" } else { "out" };
                format!("{} {kind} {name}", argument.attribute("direction").unwrap_or(default))
            });
            format!("{kind} {name}({})", arguments.collect::<Vec<_>>().join(", "))
        }
        "property" => {
            let notes = node.children().filter(|child| child.has_tag_name("annotation"));
            let mut emits = notes.filter(|note| attribute(*note, "name") == EMITS).map(|note| attribute(note, "value"));
            let emits = emits.next_back().unwrap_or("true");
            format!(
                "property {name}: {} {}, tells changes: {emits}",
                attribute(node, "type"),
                attribute(node, "access")
            )
        }
        other => format!("{other} {name}"),
    }
}

fn attribute<'a>(node: Node<'a, '_>, name: &str) -> &'a str {
    node.attribute(name).unwrap_or_default()
}

/// What a running daemon has: interfaces of all its objects, one object of each kind.
///
/// # Errors
/// What the bus says.
pub async fn kept(connection: &Connection) -> zbus::Result<Interfaces> {
    let manager = ObjectManagerProxy::builder(connection).destination(SERVICE)?.path(ROOT)?.build().await?;
    let objects = manager.get_managed_objects().await?;
    let mut all = Interfaces::new();
    for path in objects.keys().map(|path| path.as_str()).chain([ROOT]) {
        let object =
            IntrospectableProxy::builder(connection).destination(SERVICE)?.path(path.to_owned())?.build().await?;
        all.extend(interfaces(&object.introspect().await?));
    }
    Ok(all)
}

/// How two sets of interfaces differ, over those that both have, in lines.
#[must_use]
pub fn differences(promised: &Interfaces, kept: &Interfaces) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, members) in kept {
        let Some(page) = promised.get(name) else {
            lines.push(format!("{name} is not in dbus/"));
            continue;
        };
        lines.extend(page.difference(members).map(|member| format!("{name}: only dbus/ has `{member}`")));
        lines.extend(members.difference(page).map(|member| format!("{name}: only the daemon has `{member}`")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_whichever_way_it_is() {
        let interface =
            |member: &str| interfaces(&format!("<node><interface name='{SERVICE}.X'>{member}</interface></node>"));
        let method = interface("<method name='M'><arg name='a' type='s' direction='in'/></method>");
        assert_eq!(differences(&method, &method), Vec::<String>::new());
        let others = [
            "",
            "<method name='M'><arg name='a' type='s' direction='out'/></method>",
            "<method name='M'><arg name='a' type='t' direction='in'/></method>",
            "<method name='M'><arg name='b' type='s' direction='in'/></method>",
        ];
        for other in others.map(interface) {
            assert!(!differences(&method, &other).is_empty() && !differences(&other, &method).is_empty());
        }
        let told = interface("<property name='P' type='s' access='read'/>");
        let silent =
            format!("<property name='P' type='s' access='read'><annotation name='{EMITS}' value='false'/></property>");
        assert_eq!(differences(&told, &interface(&silent)).len(), 2);
    }

    #[test]
    fn the_pages_are_understood() {
        let promised = promised();
        assert_eq!(promised.len(), FILES.len());
        let manager = &promised["org.videostream.VideoStream1.Manager"];
        assert!(manager.contains("method StopStream(in s name, in a{sv} options)"), "{manager:#?}");
    }
}
