// SPDX-License-Identifier: Apache-2.0
//! The text format: families of samples, each sample with its labels.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4: all samples
//! of a family stand together behind its HELP and TYPE, no two have the same labels, and times
//! are in seconds.

use std::fmt::Write;

use vs_frame::clock::NS_PER_SEC;
use vs_ipc::histogram::Histogram;

/// The format's name in HTTP.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family is.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Only grows, until what it counts starts anew. Its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// Names and values of labels.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// A text in the making.
#[derive(Debug, Default)]
pub struct Exposition(String);

/// A family in the making.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    name: &'a str,
}

// Writing to a String cannot fail, so what `write!` returns is passed over throughout.
impl Exposition {
    /// Begins a family. `help` is one line without backslashes.
    pub fn family<'a>(&'a mut self, name: &'a str, kind: Kind, help: &str) -> Family<'a> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Family { text: &mut self.0, name }
    }

    /// The text.
    pub fn finish(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// Adds a sample.
    pub fn sample(&mut self, labels: Labels<'_>, value: u64) {
        self.line("", labels, None, &value.to_string());
    }

    /// Adds a distribution, with a bucket for each `step`th power of two.
    pub fn histogram(&mut self, labels: Labels<'_>, histogram: &Histogram, step: usize) {
        for (bound, count) in histogram.octaves().step_by(step) {
            self.line("_bucket", labels, Some(&seconds(bound)), &count.to_string());
        }
        let count = histogram.count().to_string();
        self.line("_bucket", labels, Some("+Inf"), &count);
        self.line("_sum", labels, None, &seconds(histogram.sum_ns()));
        self.line("_count", labels, None, &count);
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, le: Option<&str>, value: &str) {
        self.text.extend([self.name, suffix]);
        let mut before = '{';
        for (name, value) in labels.iter().copied().chain(le.map(|le| ("le", le))) {
            self.text.push(before);
            self.text.extend([name, "=\""]);
            escape(self.text, value);
            self.text.push('"');
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
        self.text.extend([" ", value, "\n"]);
    }
}

/// Names come from clients: whatever they hold, they stay inside their quotes.
fn escape(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

/// ns as seconds, to the last digit.
fn seconds(ns: u64) -> String {
    let text = format!("{}.{:09}", ns / NS_PER_SEC, ns % NS_PER_SEC);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact() {
        for (ns, text) in [(0, "0"), (1024, "0.000001024"), (1_500_000_000, "1.5"), (60_000_000_000, "60")] {
            assert_eq!(seconds(ns), text);
        }
        assert_eq!(seconds(u64::MAX), "18446744073.709551615");
    }

    #[test]
    fn names_cannot_break_out_of_their_quotes() {
        let mut text = Exposition::default();
        text.family("x", Kind::Gauge, "h").sample(&[("a", "1\"} 5\ny\\"), ("b", "ä")], 7);
        assert_eq!(text.finish(), "# HELP x h\n# TYPE x gauge\nx{a=\"1\\\"} 5\\ny\\\\\",b=\"ä\"} 7\n");
    }

    #[test]
    fn buckets_are_cumulative_and_end_with_all() {
        let mut histogram = Histogram::new();
        [500, 3000, 3000, 100_000_000_000].into_iter().for_each(|ns| histogram.record(ns));
        let mut text = Exposition::default();
        text.family("t_seconds", Kind::Histogram, "h").histogram(&[("s", "a")], &histogram, 2);
        let text = text.finish();
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(lines[0], "t_seconds_bucket{s=\"a\",le=\"0.000001024\"} 1");
        assert_eq!(lines[1], "t_seconds_bucket{s=\"a\",le=\"0.000004096\"} 3");
        assert_eq!(lines[13], "t_seconds_bucket{s=\"a\",le=\"68.719476736\"} 3");
        assert_eq!(
            lines[14..],
            [
                "t_seconds_bucket{s=\"a\",le=\"+Inf\"} 4",
                "t_seconds_sum{s=\"a\"} 100.0000065",
                "t_seconds_count{s=\"a\"} 4"
            ]
        );
    }
}
