// SPDX-License-Identifier: Apache-2.0
//! `vsctl controls`

use std::collections::HashMap;

use clap::Args;
use vsclient::dbus::{Bus, ControlInfo, ControlOptions, ControlsProxy, NoOptions};
use zbus::zvariant::Value;

use crate::daemon::{self, answer};
use crate::exit::Usage;
use crate::output::Output;
use crate::report::controls::{Control, Controls as Report};

/// List and set what can be adjusted at a camera
///
/// Controls have the names that v4l2-ctl gives them. Several are set all or nothing, automatics
/// before what they rule. What is set is remembered: the camera gets it again each time before
/// it streams.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl controls cam0                                    all of them, with ranges and values
  vsctl controls cam0 -v                                 with the choices of menus
  vsctl controls cam0 brightness                         one of them
  vsctl controls cam0 brightness=140 hflip=on            set two
  vsctl controls cam0 auto_exposure=manual\\ mode exposure_time_absolute=200
  vsctl controls cam0 focus_now=                         press a button
  vsctl controls cam0 --reset                            defaults for all, and forget them
  vsctl controls cam0 --json | jq '.controls[] | select(.name == \"gain\").value'")]
pub struct Controls {
    /// Name of the camera
    #[arg(value_name = "CAMERA")]
    device: String,

    /// Controls to show, and to set if they have a value. A choice is a number or its name
    #[arg(value_name = "CONTROL[=VALUE]")]
    controls: Vec<String>,

    /// Give the named controls their defaults, or all, and forget what they were set to
    #[arg(long)]
    reset: bool,

    /// Set them for now only: whatever is remembered stays
    #[arg(long, conflicts_with = "reset")]
    no_remember: bool,
}

impl Controls {
    pub async fn run(self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        let parsed: Vec<_> = self.controls.iter().map(|argument| parse(argument)).collect();
        let names: Vec<&str> = parsed.iter().map(|(name, _)| *name).collect();
        let values: Vec<_> = parsed.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect();
        if let Some((name, _)) = values.first().filter(|_| self.reset) {
            return Err(Usage(format!("--reset sets '{name}' to its default: write its name only")).into());
        }
        if self.no_remember && values.is_empty() {
            return Err(Usage("--no-remember says how to set controls: write NAME=VALUE".to_owned()).into());
        }
        let daemon = daemon::connect(bus).await?;
        daemon::device(&daemon, &self.device).await?;
        let controls = answer(daemon.controls(&self.device)).await?;
        if self.reset {
            let refused = answer(daemon::call(controls.reset_controls(&names, &NoOptions::default()))).await?;
            for (name, why) in refused {
                output.note(&format!("'{name}' stays as it is: {why}"));
            }
        } else if !values.is_empty() {
            set(&controls, &values, self.no_remember).await?;
        }
        // The daemon says which names are wrong, and what they might have been.
        let readable = |name: &&str| !values.iter().any(|(set, _)| set == name);
        let asked: Vec<&str> = names.iter().copied().filter(readable).collect();
        if !asked.is_empty() && !self.reset {
            answer(daemon::call(controls.get_controls(&asked, &NoOptions::default()))).await?;
        }
        let all = answer(daemon::call(controls.list_controls(&NoOptions::default()))).await?;
        let wanted = |control: &&ControlInfo| names.is_empty() || names.iter().any(|name| is_called(control, name));
        let shown = all.iter().filter(wanted).map(Control::from).collect();
        let brief = !names.is_empty();
        let report = Report { device: self.device.clone(), controls: shown, brief };
        if values.is_empty() && !self.reset { output.answer(&report) } else { output.done(&report) }
    }
}

async fn set(controls: &ControlsProxy<'_>, values: &[(&str, &str)], no_remember: bool) -> anyhow::Result<()> {
    let mut wishes = HashMap::new();
    for (name, value) in values {
        if wishes.insert(*name, Value::from(*value)).is_some() {
            return Err(Usage(format!("'{name}' is given two values: write it once")).into());
        }
    }
    let options = ControlOptions { remember: no_remember.then_some(false) };
    answer(daemon::call(controls.set_controls(&wishes, &options))).await?;
    Ok(())
}

/// A name, and a value if there is a `=`. Texts may have more of them.
fn parse(argument: &str) -> (&str, Option<&str>) {
    argument.split_once('=').map_or((argument, None), |(name, value)| (name, Some(value)))
}

/// Whether somebody who writes this means the control. The daemon understands titles, too.
fn is_called(control: &ControlInfo, name: &str) -> bool {
    let letters =
        |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    control.name == name || letters(&control.name) == letters(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_have_a_name_and_maybe_a_value() {
        assert_eq!(parse("gain"), ("gain", None));
        assert_eq!(parse("gain=7"), ("gain", Some("7")));
        assert_eq!(parse("focus_now="), ("focus_now", Some("")));
        assert_eq!(parse("text=a=b"), ("text", Some("a=b")));
    }
}
