// SPDX-License-Identifier: Apache-2.0
//! A line that changes while something goes on: on a terminal only, and never in the way
//! of the answer, for it is on standard error.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a live line is brought up to date. Faster than that cannot be read.
pub const REFRESH: Duration = Duration::from_millis(250);

/// A live line.
pub struct Live(ProgressBar);

impl Live {
    /// A line without an end in sight.
    pub fn line(visible: bool) -> Self {
        Self::new(None, visible, "{msg}")
    }

    /// A bar on the way to `total`.
    pub fn bar(total: u64, visible: bool) -> Self {
        Self::new(Some(total), visible, "{bar:24} {percent:>3}%  {msg}")
    }

    fn new(total: Option<u64>, visible: bool, template: &str) -> Self {
        // indicatif hides this, too, where standard error is no terminal.
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }

    /// Whether anybody sees it.
    pub fn is_visible(&self) -> bool {
        !self.0.is_hidden()
    }

    /// How far it is, and what there is to say.
    pub fn show(&self, position: u64, text: String) {
        self.0.set_position(position);
        self.0.set_message(text);
    }

    /// Writes a line that stays, above this one.
    pub fn above<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }
}

impl Drop for Live {
    /// Leaves a clean line behind.
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
