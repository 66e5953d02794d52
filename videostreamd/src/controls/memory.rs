// SPDX-License-Identifier: Apache-2.0
//! The controls that a device was given, written down so that it gets them again after a
//! restart.
//!
//! Each device has a file. It is replaced as a whole, so it is never torn; one that cannot be
//! understood costs what was in it and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vs_v4l2::ControlValue;

use crate::state_file;

const HEAD: &str = "# What the controls of this device were set to. videostreamd writes this and gives the device\n\
                    # these values before it streams; `vsctl controls NAME --reset` forgets them.\n\n";

/// Values by the names of their controls.
pub type Values = BTreeMap<String, ControlValue>;

#[derive(Serialize, Deserialize, Default)]
struct Contents {
    #[serde(default)]
    controls: BTreeMap<String, Stored>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Number(i64),
    Text(String),
}

/// The values of one device and the file that they lie in; without a state directory they are
/// not written down.
#[derive(Debug)]
pub struct Memory {
    file: Option<PathBuf>,
    values: Values,
    /// The last attempt to write failed.
    failing: bool,
}

impl Memory {
    /// Reads the file.
    pub fn open(file: Option<PathBuf>) -> Self {
        let values = match file.as_deref().map(read) {
            None => Values::default(),
            Some(Ok(values)) => values,
            Some(Err(error)) => {
                let file = file.as_deref().map(Path::display).map(tracing::field::display);
                tracing::warn!(
                    file,
                    error = format!("{error:#}"),
                    "cannot read the remembered controls: they are lost"
                );
                Values::default()
            }
        };
        Self { file, values, failing: false }
    }

    /// What is remembered.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Changes what is remembered, and writes it down.
    pub fn change(&mut self, change: impl FnOnce(&mut Values)) {
        let before = self.values.clone();
        change(&mut self.values);
        if self.values == before && !self.failing {
            return;
        }
        let Some(file) = &self.file else { return };
        match write(file, &self.values) {
            Ok(()) => self.failing = false,
            Err(error) => {
                if !self.failing {
                    let file = file.display();
                    tracing::warn!(%file, error = format!("{error:#}"), "cannot write down controls: they are forgotten when the daemon ends");
                }
                self.failing = true;
            }
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Values> {
    let Some(text) = state_file::read(path)? else { return Ok(Values::default()) };
    let Contents { controls } = toml::from_str(&text)?;
    let value = |stored| match stored {
        Stored::Number(number) => ControlValue::Number(number),
        Stored::Text(text) => ControlValue::Text(text),
    };
    Ok(controls.into_iter().map(|(name, stored)| (name, value(stored))).collect())
}

fn write(path: &Path, values: &Values) -> anyhow::Result<()> {
    let stored = |value: &ControlValue| match value {
        ControlValue::Number(number) => Stored::Number(*number),
        ControlValue::Text(text) => Stored::Text(text.clone()),
    };
    let controls = values.iter().map(|(name, value)| (name.clone(), stored(value))).collect();
    let text = HEAD.to_owned() + &toml::to_string(&Contents { controls })?;
    Ok(state_file::replace(path, &text)?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn some_value() -> impl Strategy<Value = ControlValue> {
        prop_oneof![any::<i64>().prop_map(ControlValue::Number), any::<String>().prop_map(ControlValue::Text)]
    }

    proptest! {
        // Each case waits for a disk.
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn what_is_written_is_read(values in proptest::collection::btree_map("[a-z0-9_]{1,12}", some_value(), 0..6)) {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("controls/cam0.toml");
            let mut memory = Memory::open(Some(file.clone()));
            memory.change(|all| all.extend(values.clone()));
            let again = Memory::open(Some(file));
            prop_assert_eq!(again.values(), &values);
        }
    }

    #[test]
    fn a_torn_or_foreign_file_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("cam0.toml");
        let set = |memory: &mut Memory| memory.change(|all| drop(all.insert("gain".to_owned(), 7.into())));
        set(&mut Memory::open(Some(file.clone())));
        let whole = fs::read(&file).unwrap();
        let torn = (0..whole.len()).map(|len| &whole[..len]);
        let foreign = [&b"\xff\xfe"[..], b"controls = 3", b"[controls]\ngain = []", b"[controls]\ngain = 1.5"];
        for contents in foreign.into_iter().chain(torn) {
            fs::write(&file, contents).unwrap();
            let mut memory = Memory::open(Some(file.clone()));
            memory.change(Values::clear);
            set(&mut memory);
            assert_eq!(Memory::open(Some(file.clone())).values()["gain"], 7.into());
        }
    }

    #[test]
    fn without_a_place_to_write_it_is_remembered_until_the_end() {
        let dir = tempfile::tempdir().unwrap();
        // A file where the directory should be.
        let obstacle = dir.path().join("controls");
        fs::write(&obstacle, "").unwrap();
        for file in [None, Some(obstacle.join("cam0.toml"))] {
            let mut memory = Memory::open(file);
            memory.change(|all| drop(all.insert("gain".to_owned(), 7.into())));
            assert_eq!(memory.values()["gain"], 7.into());
        }
    }
}
