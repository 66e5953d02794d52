// SPDX-License-Identifier: Apache-2.0
//! `docs/schema`: what each command writes with `--json`, as JSON Schema 2020-12. Made from the structs, so that the two
//! cannot part; this test says so when they do, and with `UPDATE_SCHEMAS=1` writes the files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use super::{
    config, controls, convert, device, event, info, metrics, play, policy, receive, recording, repair, snapshot,
    status, stream, top,
};
use crate::cli::Cli;
use crate::output;

/// Commands that answer in more than one way.
macro_rules! either {
    ($($name:ident { $($way:ident($report:ty)),+ })+) => {
        $(
            #[derive(JsonSchema)]
            #[serde(untagged)]
            #[allow(dead_code, clippy::large_enum_variant, reason = "only its schema is wanted")]
            enum $name { $($way($report)),+ }
        )+
    };
}

either! {
    Record { Ended(recording::Ended), Detached(recording::Detached) }
    StopRecording { Ended(recording::Ended), All(recording::EndedAll), Parked(policy::Parked) }
    Play { Played(play::Played), Detached(play::Detached) }
}

/// Commands whose output is not JSON, whatever is asked for.
const PLAIN: [&str; 3] = ["completions", "man", "watch"];

fn all() -> Vec<(&'static str, Schema)> {
    vec![
        ("config-check", of::<config::Checked>()),
        ("config-reload", of::<config::Reloaded>()),
        ("controls", of::<controls::Controls>()),
        ("convert", of::<convert::Converted>()),
        ("devices", of::<device::Devices>()),
        ("error", of::<output::Failed>()),
        ("info", of::<info::Info>()),
        ("metrics", of::<metrics::Metrics>()),
        ("monitor", of::<event::Event>()),
        ("play", of::<Play>()),
        ("receive", of::<receive::Received>()),
        ("record", of::<Record>()),
        ("recordings", of::<recording::Recordings>()),
        ("repair", of::<repair::Repairs>()),
        ("snapshot", of::<snapshot::Snapped>()),
        ("start-recording", of::<policy::Started>()),
        ("start-stream", of::<stream::Started>()),
        ("status", of::<status::Status>()),
        ("stop-recording", of::<StopRecording>()),
        ("stop-stream", of::<stream::Stopped>()),
        ("top", of::<top::Top>()),
    ]
}

fn of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema").join(format!("{name}.json"))
}

#[test]
fn the_documented_schemas_are_those_of_the_reports() {
    for (name, schema) in all() {
        let title =
            if name == "error" { "any command that fails".to_owned() } else { name.replace("config-", "config ") };
        let mut whole = serde_json::Map::new();
        whole.insert("$comment".to_owned(), "SPDX-License-Identifier: Apache-2.0".into());
        whole.insert("title".to_owned(), format!("vsctl --json: {title}").into());
        let said = schema.as_object().cloned().unwrap_or_default();
        // schemars names it after the struct.
        whole.extend(said.into_iter().filter(|(key, _)| key != "title"));
        let whole = Value::Object(whole);
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(file(name), serde_json::to_string_pretty(&whole).unwrap() + "\n").unwrap();
        }
        let written = std::fs::read_to_string(file(name)).unwrap_or_default();
        // Whatever the order of keys: that depends on who else uses serde_json.
        let written: Value = serde_json::from_str(&written).unwrap_or_default();
        let remedy = "UPDATE_SCHEMAS=1 cargo test --package vsctl schema";
        assert!(written == whole, "docs/schema/{name}.json is not what is written: {remedy}");
    }
}

#[test]
fn every_command_has_a_schema() {
    let mut commands = BTreeSet::new();
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        let below: Vec<_> = command.get_subcommands().map(|below| format!("{name}-{}", below.get_name())).collect();
        commands.extend(if below.is_empty() { vec![name.to_owned()] } else { below });
    }
    commands.insert("error".to_owned());
    let schemas = all().into_iter().map(|(name, _)| name).chain(PLAIN).map(str::to_owned).collect();
    assert_eq!(commands, schemas);
}
