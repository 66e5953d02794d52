// SPDX-License-Identifier: Apache-2.0
//! `vsctl config`

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use toml::{Table, Value};
use vsclient::dbus::{self, Bus, NoOptions};

use crate::daemon::{self, answer};
use crate::exit::NotFound;
use crate::output::Output;
use crate::report::config::{Checked, CheckedFile, Difference, Reloaded, Wrong};

/// What the daemon reads if nobody tells it otherwise (`videostreamd --help`).
const DEFAULT_FILE: &str = "/etc/videostream/videostreamd.toml";

/// The daemon's program, which alone knows what it understands.
const DAEMON: &str = "videostreamd";

/// Where it lies besides beside this program and in PATH, which for a user who is not root may be without `sbin`.
const ELSEWHERE: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec"];

/// Look after the daemon's configuration
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl config check                 is the daemon's file right, and does the daemon run with it?
  vsctl config check my.toml         before it is installed
  vsctl config reload                the daemon takes over what has changed in its file")]
pub struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    Check(Check),
    Reload(Reload),
}

/// Say what is wrong in a configuration, and what the running daemon has otherwise
///
/// Each file is read by the daemon's own program (videostreamd --check-config), which must be installed; it need not run. What is
/// wrong is said with file, line and column, and with what would be right. If the daemon runs, what differs between the file
/// and what it has read is listed: `vsctl config reload` takes it over. What was changed by commands since (`vsctl
/// start-stream`) is no matter of the configuration; `vsctl status` shows it.
///
/// The exit status is 0 if all files are right, and 1 otherwise; a difference is no fault.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl config check
  vsctl config check && vsctl config reload
  vsctl config check --json *.toml | jq '.files[] | select(.wrong)'")]
struct Check {
    /// Files to check [default: that of the running daemon, or /etc/videostream/videostreamd.toml]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Let the running daemon read its configuration anew
///
/// Comes back when what differs is done. Streams and recordings whose sections say the same go on as they are, with their clients
/// and files. One that differs ends and begins anew: clients that reconnect come back to it, and a recording goes on in another file.
/// If anything in the file is wrong, that is said, and nothing changes at all. `[daemon]`, `[metrics]` and `[device.NAME]` are
/// looked at when the daemon starts; if they differ, that is listed. `systemctl reload videostreamd` does the same.
///
/// The exit status is 0 if the configuration was taken over.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl config reload
  vsctl config reload --json | jq -r '.streams.changed[]'")]
struct Reload {}

impl Config {
    pub async fn run(self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        match self.action {
            Action::Check(check) => check.run(bus, output).await,
            Action::Reload(_) => reload(bus, output).await,
        }
    }
}

impl Check {
    async fn run(mut self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        let running = Running::ask(bus, output).await?;
        if self.files.is_empty() {
            self.files.push(default_file(running.as_ref())?);
        }
        let files = self.files.iter().map(|path| checked(path, running.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let (all, bad) = (files.len(), files.iter().filter(|file| file.wrong.is_some()).count());
        // Whoever wants no list still wants to know why.
        let why = files.iter().filter(|_| !output.headings()).find_map(CheckedFile::why);
        output.done(&Checked { daemon: running.map(|running| running.file), files })?;
        if let Some(why) = why {
            bail!("{why}");
        }
        match (bad, all) {
            (0, _) => Ok(()),
            (_, 1) => bail!("the daemon would not start with this file"),
            _ => bail!("the daemon would not start with {bad} of these {all} files"),
        }
    }
}

async fn reload(bus: &Bus, output: &Output) -> anyhow::Result<()> {
    let daemon = daemon::connect(bus).await?;
    let manager = daemon.manager().await?;
    let changes = answer(daemon::call(manager.reload(&NoOptions::default()))).await?;
    output.done(&Reloaded::new(changes))
}

/// What the daemon has read.
struct Running {
    file: String,
    table: Table,
}

impl Running {
    /// `None` if there is no daemon: that is no fault here.
    async fn ask(bus: &Bus, output: &Output) -> anyhow::Result<Option<Self>> {
        let Ok(Some(daemon)) = answer(dbus::connect_running(bus)).await else { return Ok(None) };
        let manager = daemon.manager().await?;
        let (file, text) = match answer(daemon::call(manager.configuration(&NoOptions::default()))).await {
            Ok(answer) => answer,
            Err(error) => {
                output.note(&format!("the running daemon does not say what it has read: {error}"));
                return Ok(None);
            }
        };
        let table =
            text.parse().context("the daemon's configuration is not understood: vsctl is older than the daemon")?;
        Ok(Some(Self { file, table }))
    }
}

fn default_file(running: Option<&Running>) -> anyhow::Result<PathBuf> {
    let file = running.map_or(Path::new(DEFAULT_FILE), |running| Path::new(&running.file));
    if file.exists() {
        return Ok(file.to_owned());
    }
    let text =
        format!("there is no {}: the daemon has its defaults. Name the file that is to be checked", file.display());
    Err(NotFound(text).into())
}

fn checked(path: &Path, running: Option<&Running>) -> anyhow::Result<CheckedFile> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => NotFound(format!("there is no file {file}")).into(),
        _ => anyhow!("cannot read {file}: {error}"),
    })?;
    let wrong = ask_program(path)?;
    let table = text.parse::<Table>().ok().filter(|_| wrong.is_none());
    let differs = running.zip(table).map(|(running, table)| differences(&running.table, &table));
    Ok(CheckedFile { wrong, file, differs })
}

/// Lets the daemon's program read the file.
fn ask_program(path: &Path) -> anyhow::Result<Option<Wrong>> {
    let mut command = Command::new(program());
    let outcome = command.arg("--config").arg(path).arg("--check-config").output();
    let outcome = outcome.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => anyhow!(
            "a configuration is checked by the daemon's own program, and there is no {DAEMON} beside vsctl or in PATH: \
             install it here, or check where the daemon is"
        ),
        _ => anyhow!("cannot run {}: {error}", command.get_program().display()),
    })?;
    if outcome.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&outcome.stderr);
    let said = said.trim().strip_prefix("videostreamd: ").unwrap_or(said.trim());
    Ok(Some(Wrong::new(path, said)))
}

/// The daemon's program: the one that was installed with this one, before others.
fn program() -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.to_owned()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = beside.into_iter().chain(std::env::split_paths(&path)).chain(ELSEWHERE.map(PathBuf::from));
    places.map(|place| place.join(DAEMON)).find(|program| program.is_file()).unwrap_or_else(|| DAEMON.into())
}

/// What is not the same, by key, in the order of keys.
fn differences(running: &Table, file: &Table) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", running, file, &mut found);
    found.sort_by(|a, b| a.key.cmp(&b.key));
    found
}

fn compare(prefix: &str, running: &Table, file: &Table, found: &mut Vec<Difference>) {
    let mut keys: Vec<_> = running.keys().chain(file.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let path = format!("{prefix}{key}");
        match (running.get(key), file.get(key)) {
            (Some(Value::Table(running)), Some(Value::Table(file))) => {
                compare(&format!("{path}."), running, file, found)
            }
            (running, file) if running == file => {}
            (running, file) => {
                let text = |value: &Value| value.to_string();
                found.push(Difference { key: path, running: running.map(text), file: file.map(text) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(running: &str, file: &str) -> Vec<(String, Option<String>, Option<String>)> {
        let found = differences(&running.parse().unwrap(), &file.parse().unwrap());
        found.into_iter().map(|Difference { key, running, file }| (key, running, file)).collect()
    }

    #[test]
    fn what_differs_is_told_by_its_key() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(diff("[a]\nb = 1\n", "# a comment\na.b = 1"), []);
        let found = diff(
            "[stream.a]\nsize = \"1x1\"\nrate = 5\n[old]\n",
            "[stream.a]\nsize = \"2x2\"\n[stream.b]\npattern = \"bars\"",
        );
        assert_eq!(
            found,
            [
                ("old".to_owned(), text("{}"), None),
                ("stream.a.rate".to_owned(), text("5"), None),
                ("stream.a.size".to_owned(), text("\"1x1\""), text("\"2x2\"")),
                ("stream.b".to_owned(), None, text("{ pattern = \"bars\" }")),
            ]
        );
    }
}
