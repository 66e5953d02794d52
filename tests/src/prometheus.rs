// SPDX-License-Identifier: Apache-2.0
//! A strict reader of the exposition format 0.0.4: it refuses what Prometheus refuses, and what
//! `promtool check metrics` warns of.

use std::collections::{BTreeMap, BTreeSet};

/// Name and labels of a sample, `le` apart.
type Key = (String, BTreeMap<String, String>);

/// A text that was found to be right.
#[derive(Debug)]
pub struct Samples {
    samples: BTreeMap<Key, f64>,
    kinds: BTreeMap<String, String>,
}

impl Samples {
    /// Reads a text.
    ///
    /// # Panics
    /// Where it is wrong.
    #[allow(clippy::must_use_candidate, reason = "to read it is to check it")]
    pub fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line must end");
        let mut all = Self { samples: BTreeMap::new(), kinds: BTreeMap::new() };
        let mut family = String::new();
        let mut helped = BTreeSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect(line);
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect(line);
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(helped.contains(name), "no HELP before {line}");
                assert!(name.starts_with("videostream_") && is_name(name), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert!(kind != "histogram" || name.ends_with("_seconds"), "a unit: {line}");
                assert!(all.kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
                name.clone_into(&mut family);
            } else {
                all.sample(line, &family);
            }
        }
        all.check_histograms();
        all
    }

    fn sample(&mut self, line: &str, family: &str) {
        let end = line.find(['{', ' ']).expect(line);
        let name = &line[..end];
        let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} is not of {family}"));
        let allowed: &[&str] = if self.kinds[family] == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(allowed.contains(&suffix), "{line}");
        let (labels, rest) = match line[end..].strip_prefix('{') {
            Some(rest) => labels(rest),
            None => (BTreeMap::new(), &line[end..]),
        };
        let value: f64 = rest.strip_prefix(' ').expect(line).parse().expect(line);
        assert!(value >= 0.0, "{line}");
        assert_eq!(labels.contains_key("le"), suffix == "_bucket", "{line}");
        assert!(self.samples.insert((name.to_owned(), labels), value).is_none(), "twice: {line}");
    }

    /// Buckets grow, and the last of them has all.
    fn check_histograms(&self) {
        let mut series: BTreeMap<Key, Vec<(f64, f64)>> = BTreeMap::new();
        for ((name, labels), value) in &self.samples {
            if let Some(le) = labels.get("le") {
                let mut labels = labels.clone();
                labels.remove("le");
                let le = if le == "+Inf" { f64::INFINITY } else { le.parse().unwrap() };
                let name = name.trim_end_matches("_bucket").to_owned();
                series.entry((name, labels)).or_default().push((le, *value));
            }
        }
        for ((name, labels), mut buckets) in series {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{name}{labels:?}: {buckets:?}");
            let (last, count) = buckets[buckets.len() - 1];
            let of_all = self.samples.get(&(format!("{name}_count"), labels.clone()));
            assert_eq!((last, Some(&count)), (f64::INFINITY, of_all), "{name}{labels:?}");
            assert!(self.samples.contains_key(&(format!("{name}_sum"), labels)), "{name} has no sum");
        }
    }

    /// The one sample of this name that has these labels, among others.
    ///
    /// # Panics
    /// If there is none, or more than one.
    #[must_use]
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |of: &BTreeMap<String, String>| {
            labels.iter().all(|(name, value)| of.get(*name).is_some_and(|found| found == value))
        };
        let found: Vec<f64> =
            self.samples.iter().filter(|((n, of), _)| n == name && fits(of)).map(|(_, value)| *value).collect();
        assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
        found[0]
    }

    /// The names of all families.
    pub fn families(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }

    /// Makes sure that nothing that was counted `earlier` is not counted here.
    ///
    /// # Panics
    /// If a counter has gone back.
    pub fn is_not_behind(&self, earlier: &Self) {
        for ((name, labels), before) in &earlier.samples {
            let counts = name.ends_with("_total") || name.ends_with("_bucket") || name.ends_with("_count");
            if let (true, Some(now)) = (counts, self.samples.get(&(name.clone(), labels.clone()))) {
                assert!(now >= before, "{name}{labels:?} went back from {before} to {now}");
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Labels behind the `{`, and what follows the `}`.
fn labels(mut rest: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    loop {
        let (name, after) = rest.split_once("=\"").expect(rest);
        assert!(is_name(name), "{name}");
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().expect(after) {
                (end, '"') => break end,
                (_, '\\') => value.push(match chars.next().expect(after).1 {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    c => panic!("\\{c} is no escape"),
                }),
                (_, c) => value.push(c),
            }
        };
        assert!(labels.insert(name.to_owned(), value).is_none(), "{name} twice");
        rest = &after[end + 1..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return (labels, rest.strip_prefix('}').expect(rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# HELP videostream_x_seconds h\n# TYPE videostream_x_seconds histogram\n\
        videostream_x_seconds_bucket{a=\"\\\"}\\n\",le=\"1\"} 1\nvideostream_x_seconds_bucket{a=\"\\\"}\\n\",le=\"+Inf\"} 2\n\
        videostream_x_seconds_sum{a=\"\\\"}\\n\"} 3.5\nvideostream_x_seconds_count{a=\"\\\"}\\n\"} 2\n";

    #[test]
    fn a_right_text_is_read() {
        let samples = Samples::parse(GOOD);
        assert_eq!(samples.get("videostream_x_seconds_sum", &[("a", "\"}\n")]), 3.5);
        assert_eq!(samples.families().collect::<Vec<_>>(), ["videostream_x_seconds"]);
    }

    #[test]
    fn wrong_texts_are_refused() {
        let wrong = [
            GOOD.trim_end().to_owned(),
            GOOD.replace("} 2\n", "} 0\n"),
            GOOD.replace("_count{a=\"\\\"}\\n\"} 2", "_count{a=\"\\\"}\\n\"} 1"),
            GOOD.replace(",le=\"+Inf\"", ",le=\"2\""),
            GOOD.replace("# HELP videostream_x_seconds h\n", ""),
            GOOD.replace("_seconds", "_time"),
            GOOD.replace("} 3.5", "} 3,5"),
            format!("{GOOD}{GOOD}"),
            format!("{GOOD}videostream_y 1\n"),
        ];
        for text in wrong {
            assert!(std::panic::catch_unwind(|| Samples::parse(&text)).is_err(), "{text}");
        }
    }
}
