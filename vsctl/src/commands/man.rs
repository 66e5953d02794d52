// SPDX-License-Identifier: Apache-2.0
//! `vsctl man`, for whoever makes a package: the manual pages, from what `--help` says.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man as Page;
use clap_mangen::roff::{Roff, roman};

use crate::cli::Cli;

/// Write the manual pages into a directory
///
/// vsctl(1), and one page for each command. Their date is that of SOURCE_DATE_EPOCH, or today.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl man /usr/share/man/man1")]
pub struct Man {
    /// Where they are written to
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Man {
    pub fn run(self) -> anyhow::Result<()> {
        let mut cli = Cli::command();
        cli.build();
        write(&cli, &self.directory, &date())
    }
}

fn write(command: &Command, directory: &Path, date: &str) -> anyhow::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let path = directory.join(format!("{name}.1"));
    let mut page = Vec::new();
    render(command, name, date, &mut page)?;
    std::fs::write(&path, tidy(&String::from_utf8_lossy(&page)))
        .with_context(|| format!("cannot write {}: is there the directory?", path.display()))?;
    command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .try_for_each(|command| write(command, directory, date))
}

fn render(command: &Command, name: &str, date: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut plain = command.clone();
    // The section NAME says it already.
    if let (Some(short), Some(long)) = (command.get_about(), command.get_long_about()) {
        let (short, long) = (short.to_string(), long.to_string());
        let rest = long.strip_prefix(&short).unwrap_or(&long).trim_start().to_owned();
        if !rest.is_empty() {
            plain = plain.long_about(rest);
        }
    }
    let source = concat!("videostreamd ", env!("CARGO_PKG_VERSION"));
    let page =
        Page::new(plain).title(name.to_uppercase()).section("1").date(date).source(source).manual("videostreamd");
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    if command.has_subcommands() {
        page.render_subcommands_section(out)?;
    }
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut roff = Roff::default();
    more(&mut roff, &help);
    see_also(&mut roff, name);
    roff.to_writer(out)
}

/// Without what linters complain of in clap_mangen's pages: blanks at the end of lines, and breaks around empty lines.
fn tidy(page: &str) -> String {
    let lines: Vec<_> = page.lines().map(str::trim_end).collect();
    (lines.join("\n") + "\n").replace("\n.br\n\n.br\n", "\n.sp\n")
}

/// What stands below the options: paragraphs, those of which that have a heading with indented lines below it are
/// sections of lines that stay as they are.
fn more(roff: &mut Roff, help: &str) {
    for (index, paragraph) in help.split("\n\n").enumerate() {
        let lines: Vec<_> = paragraph.lines().collect();
        let Some((heading, below)) = lines.split_first().filter(|(first, _)| !first.is_empty()) else { continue };
        let listed = heading.ends_with(':') && below.iter().all(|line| line.starts_with("  ")) && !below.is_empty();
        if listed {
            roff.control("SH", [heading.trim_end_matches(':').to_uppercase().as_str()]);
            roff.control("EX", []);
            for line in below {
                roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
            }
            roff.control("EE", []);
        } else {
            roff.control(if index == 0 { "SH" } else { "PP" }, if index == 0 { vec!["NOTES"] } else { Vec::new() });
            for line in &lines {
                roff.text([roman(line.trim_start())]);
            }
        }
    }
}

fn see_also(roff: &mut Roff, name: &str) {
    roff.control("SH", ["SEE ALSO"]);
    let first = if name == "vsctl" { "" } else { "vsctl(1), " };
    roff.text([roman(format!("{first}videostreamd(8), videostreamd.toml(5)"))]);
    if !first.is_empty() {
        roff.control("PP", []);
        roff.text([roman("vsctl(1) lists what the exit status says.")]);
    }
}

/// A package that is built again shall be the same: <https://reproducible-builds.org/specs/source-date-epoch/>.
fn date() -> String {
    let said = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok());
    let time = said.map_or_else(SystemTime::now, |seconds| UNIX_EPOCH + Duration::from_secs(seconds));
    humantime::format_rfc3339_seconds(time).to_string().chars().take_while(|c| *c != 'T').collect()
}
