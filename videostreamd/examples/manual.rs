// SPDX-License-Identifier: Apache-2.0
//! The manual pages of the daemon: `cargo run --package videostreamd --example manual DIR` writes videostreamd.8, from
//! what `videostreamd --help` says, and videostreamd.toml.5, from the explanations in `config/videostreamd.toml`.
//!
//! The daemon itself carries no manual. `vsctl man DIR` writes the pages of the command line.

use std::error::Error;
use std::path::Path;

use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

#[allow(dead_code, reason = "only its names and texts are wanted")]
#[path = "../src/args.rs"]
mod args;

/// What `args` takes from the daemon.
pub mod bus {
    pub type Address = String;
}

/// The file in which every option is explained.
pub const CONFIG: &str = include_str!("../../config/videostreamd.toml");

const SOURCE: &str = concat!("videostreamd ", env!("CARGO_PKG_VERSION"));
const NAME: &str = "videostreamd";

#[allow(dead_code, reason = "the test calls what is below")]
fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os().nth(1).ok_or("where to? Give a directory")?;
    let date = std::env::args().nth(2).unwrap_or_default();
    write(Path::new(&directory), &date)
}

/// Writes both pages. The date is a day, such as 2030-01-31, or empty.
pub fn write(directory: &Path, date: &str) -> Result<(), Box<dyn Error>> {
    std::fs::write(directory.join("videostreamd.8"), daemon(date)?)?;
    std::fs::write(directory.join("videostreamd.toml.5"), configuration(CONFIG, date))?;
    Ok(())
}

/// videostreamd(8)
fn daemon(date: &str) -> Result<String, Box<dyn Error>> {
    let mut command = args::Args::command();
    command.build();
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let page = Man::new(command).title("VIDEOSTREAMD").section("8").date(date).source(SOURCE).manual(NAME);
    let mut out = Vec::new();
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    page.render_synopsis_section(&mut out)?;
    page.render_description_section(&mut out)?;
    page.render_options_section(&mut out)?;
    let mut roff = Roff::default();
    let (examples, status) = help.split_once("\n\n").unwrap_or((&help, ""));
    section(&mut roff, "EXAMPLES");
    verbatim(&mut roff, examples.lines().skip(1));
    section(&mut roff, "EXIT STATUS");
    roff.text([roman(status.replace('\n', " ").trim_start_matches("Exit status: "))]);
    section(&mut roff, "ENVIRONMENT");
    item(&mut roff, "VIDEOSTREAMD_LOG", "What to log, if --log does not say it.");
    section(&mut roff, "FILES");
    item(&mut roff, "/etc/videostream/videostreamd.toml", "Its configuration: videostreamd.toml(5).");
    item(&mut roff, "/run/videostream", "The sockets of its streams.");
    item(&mut roff, "/var/lib/videostream", "What it remembers across restarts, and what it records by itself.");
    see_also(&mut roff, "vsctl(1), videostreamd.toml(5)");
    out.extend_from_slice(roff.render().as_bytes());
    Ok(tidy(&String::from_utf8(out)?))
}

/// Without what linters complain of: blanks at the end of lines, and paragraphs that begin where there is one.
fn tidy(page: &str) -> String {
    let lines: Vec<_> = page.lines().map(str::trim_end).collect();
    let begins = |line: Option<&&str>| {
        line.is_none_or(|line| [".SH", ".SS", ".TP", ".PP"].iter().any(|macro_| line.starts_with(macro_)))
    };
    let headed = |line: Option<&&str>| line.is_some_and(|line| line.starts_with(".SH") || line.starts_with(".SS"));
    let kept = lines.iter().enumerate().filter(|(index, line)| {
        let before = index.checked_sub(1).and_then(|before| lines.get(before));
        **line != ".PP" || !(headed(before) || begins(lines.get(index + 1)))
    });
    kept.map(|(_, line)| format!("{line}\n")).collect()
}

/// videostreamd.toml(5): what each block of the file says, in the order of the file.
fn configuration(text: &str, date: &str) -> String {
    let mut roff = Roff::default();
    roff.control("TH", ["VIDEOSTREAMD.TOML", "5", date, SOURCE, NAME]);
    section(&mut roff, "NAME");
    roff.text([roman("videostreamd.toml - configuration of videostreamd")]);
    section(&mut roff, "DESCRIPTION");
    let mut pending: Option<Vec<Block<'_>>> = None;
    // Behind the licence line.
    for block in text.split("\n\n").map(Block::parse).skip_while(|block| block.text.is_empty()) {
        if block.begins {
            pending = Some(Vec::new());
        }
        match (&mut pending, block.tables.first()) {
            // The first table of a part names the part, with what is said of the part below.
            (Some(_), Some(table)) => {
                section(&mut roff, &format!("[{}]", table.split('.').next().unwrap_or(table)));
                pending.take().into_iter().flatten().for_each(|before| before.write(&mut roff));
                if table.contains('.') {
                    roff.control("SS", [format!("[{table}]").as_str()]);
                }
                block.write(&mut roff);
            }
            (Some(waiting), None) => waiting.push(block),
            (None, Some(table)) => {
                roff.control("SS", [format!("[{table}]").as_str()]);
                block.write(&mut roff);
            }
            (None, None) => block.write(&mut roff),
        }
    }
    see_also(&mut roff, "videostreamd(8), vsctl-config-check(1)");
    tidy(&roff.render())
}

/// Lines between two empty ones.
#[derive(Default)]
struct Block<'a> {
    /// A part of the file begins here.
    begins: bool,
    /// The explanation, paragraph or example a line.
    text: Vec<Said<'a>>,
    tables: Vec<&'a str>,
    /// `key = value`
    options: Vec<&'a str>,
}

enum Said<'a> {
    Text(&'a str),
    Example(&'a str),
    Gap,
}

impl<'a> Block<'a> {
    fn parse(text: &'a str) -> Self {
        let mut block = Self::default();
        for line in text.lines() {
            let active = line
                .strip_prefix('#')
                .filter(|rest| rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()))
                .unwrap_or(line);
            if line.starts_with("# ---") {
                block.begins = true;
            } else if let Some(table) = active.strip_prefix('[').and_then(|table| table.strip_suffix(']')) {
                block.tables.push(table);
            } else if !active.starts_with('#') {
                block.options.push(active);
            } else if let Some(example) = active.strip_prefix("#     ") {
                block.text.push(Said::Example(example));
            } else if let Some(said) = active.strip_prefix("# ").filter(|said| !said.starts_with("SPDX")) {
                block.text.push(Said::Text(said));
            } else if active == "#" && !block.text.is_empty() {
                block.text.push(Said::Gap);
            }
        }
        block
    }

    fn write(&self, roff: &mut Roff) {
        match self.options.split_first() {
            None => _ = roff.control("PP", []),
            Some(_) if self.text.is_empty() => return verbatim(roff, self.options.iter().copied()),
            Some((first, others)) => {
                roff.control("TP", []);
                roff.text(option(first));
                for other in others {
                    roff.control("TQ", []);
                    roff.text(option(other));
                }
            }
        };
        let mut example = false;
        for said in &self.text {
            let is_example = matches!(said, Said::Example(_));
            match (example, is_example) {
                (false, true) => _ = roff.control("EX", []),
                (true, false) => _ = roff.control("EE", []),
                _ => {}
            }
            example = is_example;
            match said {
                Said::Text(text) | Said::Example(text) => _ = roff.text([roman(*text)]),
                // Between a text and an example there is space enough.
                Said::Gap => _ = roff.control("sp", []),
            }
        }
        if example {
            roff.control("EE", []);
        }
    }
}

fn option(line: &str) -> Vec<Inline> {
    let (key, value) = line.split_once(" = ").unwrap_or((line, ""));
    vec![bold(key), roman(" = "), roman(value)]
}

fn section(roff: &mut Roff, name: &str) {
    roff.control("SH", [name]);
}

fn item(roff: &mut Roff, what: &str, text: &str) {
    roff.control("TP", []);
    roff.text([bold(what)]);
    roff.text([roman(text)]);
}

fn verbatim<'a>(roff: &mut Roff, lines: impl Iterator<Item = &'a str>) {
    roff.control("EX", []);
    lines.for_each(|line| _ = roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]));
    roff.control("EE", []);
}

fn see_also(roff: &mut Roff, pages: &str) {
    section(roff, "SEE ALSO");
    roff.text([roman(pages)]);
}
