// SPDX-License-Identifier: Apache-2.0
//! Why a control does not get a value.

use rustix::io::Errno;

use super::control::ControlValue;
use crate::node::NodeError;

/// Why a control cannot have a value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ValueError {
    /// It is no value of this type.
    #[error("'{text}' is not understood: it takes {expected}")]
    NotUnderstood {
        /// What was written.
        text: String,
        /// What would be right.
        expected: String,
    },
    /// It is too small, too large, or no choice that there is.
    #[error("{value} is out of range: it takes {expected}")]
    OutOfRange {
        /// What was asked for.
        value: ControlValue,
        /// What would be right.
        expected: String,
    },
    /// It is an array or a structure.
    #[error("arrays and structures cannot be set here: use v4l2-ctl while no stream runs")]
    Compound,
}

/// Why controls were not set. Unless it is [`Partly`](Self::Partly), none of them was.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ControlError {
    /// The device cannot be opened or does not answer.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The device has no control of this name.
    #[error("there is no control '{name}'{}", did_you_mean(nearest))]
    Unknown {
        /// What was asked for.
        name: String,
        /// Names that it may have meant.
        nearest: Vec<String>,
    },
    /// It has been asked for twice.
    #[error("control '{name}' is given two values: name it once")]
    Twice {
        /// The control.
        name: String,
    },
    /// The value does not fit.
    #[error("control '{name}': {source}")]
    Value {
        /// The control.
        name: String,
        /// Why, and what would.
        source: ValueError,
    },
    /// It can never be set.
    #[error("control '{name}' cannot be set: its driver only tells it")]
    ReadOnly {
        /// The control.
        name: String,
    },
    /// It cannot be read.
    #[error("control '{name}' has no value to be read: {why}")]
    Unreadable {
        /// The control.
        name: String,
        /// What it is instead.
        why: &'static str,
    },
    /// It cannot be set now.
    #[error("control '{name}' cannot be changed while the device streams: stop its stream first")]
    Grabbed {
        /// The control.
        name: String,
    },
    /// It would have no effect.
    #[error("control '{name}' is inactive: {}", rulers(autos))]
    Inactive {
        /// The control.
        name: String,
        /// The automatics that the device has for it.
        autos: Vec<String>,
    },
    /// The driver refused. No control was changed.
    #[error("the driver refuses {}: {source}; no control was changed", quoted(names))]
    Refused {
        /// The control that it refused; all of them if it does not say.
        names: Vec<String>,
        /// Its word.
        source: Errno,
    },
    /// The driver refused one when it had changed others already.
    #[error("the driver refuses {}: {source}; {}", quoted(names), aftermath(left))]
    Partly {
        /// The control that it refused; all of them if it does not say.
        names: Vec<String>,
        /// Its word.
        source: Errno,
        /// Controls that could not be set back to what they were.
        left: Vec<String>,
    },
}

fn did_you_mean(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        names => format!(": did you mean {}?", names.join(" or ")),
    }
}

fn rulers(autos: &[String]) -> String {
    match autos {
        [] => "another control rules it; look for its automatic".to_owned(),
        autos => format!("{} rules it; set that to manual first, or in the same call", autos.join(" or ")),
    }
}

fn quoted(names: &[String]) -> String {
    let word = if names.len() == 1 { "control" } else { "one of the controls" };
    format!("{word} '{}'", names.join("', '"))
}

fn aftermath(left: &[String]) -> String {
    match left {
        [] => "it had changed others before, which were set back".to_owned(),
        left => format!("it had changed others before, and does not set back {}", left.join(", ")),
    }
}
