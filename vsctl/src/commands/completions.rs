// SPDX-License-Identifier: Apache-2.0
//! `vsctl completions`

use std::io::{self, Write};

use anyhow::Context;
use clap::{Args, ValueEnum};
use clap_complete::env::Shells;

use crate::complete::VARIABLE;

/// Print the completion script of a shell
///
/// With it, the Tab key knows all commands and options, and the names of streams, cameras, controls and recordings that
/// exist at this moment: the script asks `vsctl`, and that the daemon, if it runs, on the bus of the line or of
/// VIDEOSTREAM_BUS. Where none runs there are no names, and no message.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  source <(vsctl completions bash)      in this shell; in ~/.bashrc or ~/.zshrc in all of them
  vsctl completions fish | source       the same for fish

For all users:
  vsctl completions bash > /usr/share/bash-completion/completions/vsctl
  vsctl completions zsh  > /usr/share/zsh/vendor-completions/_vsctl
  vsctl completions fish > /usr/share/fish/vendor_completions.d/vsctl.fish")]
pub struct Completions {
    /// Shell to write it for
    shell: Shell,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    pub fn run(self) -> anyhow::Result<()> {
        let name = match self.shell {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
        };
        let shells = Shells::builtins();
        let shell = shells.completer(name).with_context(|| format!("no completions for {name}"))?;
        let mut script = Vec::new();
        // By its name, not by where it lies now: the script may outlive that.
        shell.write_registration(VARIABLE, "vsctl", "vsctl", "vsctl", &mut script)?;
        Ok(io::stdout().write_all(&script)?)
    }
}
