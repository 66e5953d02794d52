// SPDX-License-Identifier: Apache-2.0
//! Names of controls as `v4l2-ctl` writes them: lower case, words joined by underscores.

use std::collections::BTreeSet;

/// The name for a title: "White Balance, Automatic" is `white_balance_automatic`.
#[must_use]
pub fn normalise(title: &str) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_ascii_lowercase()
}

/// The name for a title that is in none of `taken`: two controls may have one title, and a
/// title may have no letter at all.
pub(super) fn unique(title: &str, taken: &mut BTreeSet<String>) -> String {
    let plain = Some(normalise(title)).filter(|name| !name.is_empty()).unwrap_or_else(|| "control".to_owned());
    let numbered = (2u32..).map(|number| format!("{plain}_{number}"));
    // There are more numbers than controls.
    let name = std::iter::once(plain.clone()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or(plain);
    taken.insert(name.clone());
    name
}

/// How many names a suggestion has at most.
const SUGGESTIONS: usize = 3;

/// Bytes of the longest name that may be a slip of the pen: the kernel's titles have 31, and
/// whoever asks may have written anything.
const NAME_MAX: usize = 64;

/// Those of `names` that `wanted` was most likely to be: some letters different, or a part
/// of it.
#[must_use]
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    if wanted.len() > NAME_MAX {
        return Vec::new();
    }
    let wanted = normalise(wanted);
    // A third of the letters may be wrong.
    let bound = wanted.len().div_ceil(3);
    let mut near: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let part = !wanted.is_empty() && (name.contains(&wanted) || wanted.contains(name));
            let distance = distance(&wanted, name);
            if part { Some((distance.min(bound), name)) } else { (distance <= bound).then_some((distance, name)) }
        })
        .collect();
    near.sort_unstable();
    near.into_iter().take(SUGGESTIONS).map(|(_, name)| name).collect()
}

/// Levenshtein's: letters to insert, remove or change.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_those_of_v4l2_ctl() {
        for (title, name) in [
            ("Brightness", "brightness"),
            ("White Balance, Automatic", "white_balance_automatic"),
            ("Exposure Time, Absolute", "exposure_time_absolute"),
            ("  S32 2 Element-Array!", "s32_2_element_array"),
        ] {
            assert_eq!(normalise(title), name);
        }
    }

    #[test]
    fn a_slip_finds_what_was_meant() {
        let names = || ["brightness", "contrast", "gain", "gain_automatic", "exposure"].into_iter();
        assert_eq!(nearest("brigthness", names()), ["brightness"]);
        assert_eq!(nearest("Gain", names()), ["gain", "gain_automatic"]);
        assert_eq!(nearest("zoom", names()), Vec::<&str>::new());
        assert_eq!(nearest("", names()), Vec::<&str>::new());
        assert_eq!(nearest(&"gain".repeat(1 << 20), names()), Vec::<&str>::new());
    }

    proptest! {
        #[test]
        fn any_title_becomes_a_name(title: String) {
            let name = normalise(&title);
            prop_assert!(name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_'));
            prop_assert!(!name.starts_with('_') && !name.ends_with('_') && !name.contains("__"));
            prop_assert_eq!(normalise(&name), name);
        }

        #[test]
        fn no_two_names_are_alike(titles: Vec<String>) {
            let mut taken = BTreeSet::new();
            let names: BTreeSet<_> = titles.iter().map(|title| unique(title, &mut taken)).collect();
            prop_assert_eq!(names.len(), titles.len());
        }

        #[test]
        fn a_distance_is_one(a in "[ab]{0,6}", b in "[ab]{0,6}") {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
            prop_assert!(distance(&a, &b) <= a.len().max(b.len()));
        }
    }
}
