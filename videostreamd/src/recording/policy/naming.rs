// SPDX-License-Identifier: Apache-2.0
//! What the files of a recording are called, and which files are its own.
//!
//! A name is a pattern in the manner of strftime(3) in which only conversions are allowed whose text can be told again
//! from other text: what the pattern can have made is the recording's own, and everything else in the directory is
//! somebody else's and is left alone. That needs no index that could be lost, and works on file systems that know
//! nothing but names.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// What finished files end with.
pub const FINISHED: &str = ".mp4";

/// What is appended to the name of a file that is being written.
pub const PART: &str = ".part";

/// What is appended to the name of a file that could not be repaired.
pub const BROKEN: &str = ".broken";

/// Directories and file together that a pattern may have: more would be a mistake, and each is walked at the start.
const DEPTH_MAX: usize = 8;

/// Bytes of one component: `NAME_MAX` of Linux less what may be appended, as `-99999.mp4.broken`.
const COMPONENT_MAX: usize = 255 - 24;

/// Digits of the number that tells files of one name apart.
const NUMBER_DIGITS: usize = 5;

/// See the module.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    /// Directories, and the file last.
    components: Vec<Vec<Piece>>,
    utc: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Time(Conversion),
}

/// A conversion of strftime, and what its text is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Conversion {
    spec: &'static str,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// So many digits.
    Digits(usize),
    /// Digits, as many as it takes.
    Number,
    /// Letters of an English name.
    Letters,
    /// A sign and four digits, as `+0100`.
    Offset,
    /// A time zone's abbreviation, as `CET` or `+03`.
    Zone,
}

/// What a file of the recording is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A finished recording.
    Finished,
    /// One that was being written.
    Part,
    /// One that could not be repaired.
    Broken,
}

const CONVERSIONS: [(char, Conversion); 18] = [
    ('Y', Conversion { spec: "%Y", shape: Shape::Digits(4) }),
    ('y', Conversion { spec: "%y", shape: Shape::Digits(2) }),
    ('m', Conversion { spec: "%m", shape: Shape::Digits(2) }),
    ('d', Conversion { spec: "%d", shape: Shape::Digits(2) }),
    ('j', Conversion { spec: "%j", shape: Shape::Digits(3) }),
    ('H', Conversion { spec: "%H", shape: Shape::Digits(2) }),
    ('I', Conversion { spec: "%I", shape: Shape::Digits(2) }),
    ('M', Conversion { spec: "%M", shape: Shape::Digits(2) }),
    ('S', Conversion { spec: "%S", shape: Shape::Digits(2) }),
    ('G', Conversion { spec: "%G", shape: Shape::Digits(4) }),
    ('V', Conversion { spec: "%V", shape: Shape::Digits(2) }),
    ('s', Conversion { spec: "%s", shape: Shape::Number }),
    ('p', Conversion { spec: "%p", shape: Shape::Letters }),
    ('a', Conversion { spec: "%a", shape: Shape::Letters }),
    ('b', Conversion { spec: "%b", shape: Shape::Letters }),
    ('B', Conversion { spec: "%B", shape: Shape::Letters }),
    ('z', Conversion { spec: "%z", shape: Shape::Offset }),
    ('Z', Conversion { spec: "%Z", shape: Shape::Zone }),
];

/// Conversions that stand for several others.
const SHORTHANDS: [(&str, &str); 3] = [("%F", "%Y-%m-%d"), ("%T", "%H:%M:%S"), ("%R", "%H:%M")];

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let stem = text.strip_suffix(FINISHED).unwrap_or(text);
        if text.starts_with('/') {
            return Err(format!("'{text}' begins with '/': names are relative; say the place in directory"));
        }
        if let Some(odd) = text.chars().find(|c| c.is_control()) {
            return Err(format!("{text:?} cannot name files: {odd:?} has no place in a name"));
        }
        let components = stem.split('/').map(component).collect::<Result<Vec<_>, _>>();
        let components = components.map_err(|why| format!("'{text}' cannot name files: {why}"))?;
        if components.len() > DEPTH_MAX {
            return Err(format!("'{text}' has {} directories, at most {DEPTH_MAX} fit", components.len() - 1));
        }
        Ok(Self { text: stem.to_owned(), components, utc: false })
    }
}

fn component(text: &str) -> Result<Vec<Piece>, String> {
    match text {
        "" => return Err("a part of it is empty".to_owned()),
        "." | ".." => return Err(format!("'{text}' would lead to another directory")),
        _ => {}
    }
    let text = SHORTHANDS.iter().fold(text.to_owned(), |text, (short, long)| replace(&text, short, long));
    let (mut pieces, mut literal) = (Vec::new(), String::new());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '%' {
            literal.push(char);
            continue;
        }
        let name = chars.next().ok_or("it ends with '%'; write '%%' for a percent sign")?;
        if name == '%' {
            literal.push('%');
            continue;
        }
        let known = CONVERSIONS.iter().find(|(known, _)| *known == name);
        let (_, conversion) = known.ok_or_else(|| format!("%{name} is not known: {}", conversions()))?;
        if !literal.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Time(*conversion));
    }
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    let longest: usize = pieces.iter().map(Piece::longest).sum();
    if longest > COMPONENT_MAX {
        return Err(format!("a part of it can have {longest} bytes, at most {COMPONENT_MAX} fit"));
    }
    Ok(pieces)
}

/// Replaces a shorthand, but not the end of `%%F`.
fn replace(text: &str, short: &str, long: &str) -> String {
    text.split("%%").map(|part| part.replace(short, long)).collect::<Vec<_>>().join("%%")
}

fn conversions() -> String {
    let names = CONVERSIONS.iter().map(|(name, _)| format!("%{name}"));
    let shorthands = SHORTHANDS.iter().map(|(short, _)| (*short).to_owned());
    format!("there are {} and %%", names.chain(shorthands).collect::<Vec<_>>().join(", "))
}

impl Piece {
    /// Bytes that it takes at most.
    fn longest(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Time(Conversion { shape, .. }) => shape.longest(),
        }
    }
}

impl Shape {
    fn longest(self) -> usize {
        match self {
            Self::Digits(digits) => digits,
            // Seconds until the year 9999.
            Self::Number => 12,
            // September.
            Self::Letters => 9,
            Self::Offset => 5,
            // POSIX knows names of any length; in the tz database none has more than 5.
            Self::Zone => 12,
        }
    }

    /// Lengths of what begins `text` and may be of this shape.
    fn lengths(self, text: &[u8]) -> impl Iterator<Item = usize> {
        let fits = move |at: usize, byte: &u8| match self {
            Self::Digits(_) | Self::Number => byte.is_ascii_digit(),
            Self::Letters => byte.is_ascii_alphabetic(),
            Self::Offset if at == 0 => matches!(byte, b'+' | b'-'),
            Self::Offset => byte.is_ascii_digit(),
            Self::Zone => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-'),
        };
        let shortest = match self {
            Self::Digits(digits) => digits,
            Self::Offset => self.longest(),
            Self::Number | Self::Letters | Self::Zone => 1,
        };
        let run = text.iter().take(self.longest()).enumerate().take_while(|(at, byte)| fits(*at, byte)).count();
        shortest..=run
    }
}

impl Pattern {
    /// Whether it is filled in with UTC, not with local time.
    pub fn in_utc(mut self, utc: bool) -> Self {
        self.utc = utc;
        self
    }

    /// Directories above a file, at most.
    pub fn depth(&self) -> usize {
        self.components.len().saturating_sub(1)
    }

    /// Name of a file that begins at this time, without its ending.
    ///
    /// # Errors
    /// If the calendar does not know the time.
    pub fn stem(&self, begins: SystemTime) -> Result<String, jiff::Error> {
        let zone = if self.utc { TimeZone::UTC } else { TimeZone::system() };
        self.stem_at(&Timestamp::try_from(begins)?.to_zoned(zone))
    }

    fn stem_at(&self, begins: &Zoned) -> Result<String, jiff::Error> {
        let mut stem = String::new();
        for (index, component) in self.components.iter().enumerate() {
            if index > 0 {
                stem.push('/');
            }
            for piece in component {
                match piece {
                    Piece::Text(text) => stem.push_str(text),
                    Piece::Time(conversion) => {
                        stem.push_str(&jiff::fmt::strtime::format(conversion.spec, begins)?);
                    }
                }
            }
        }
        Ok(stem)
    }

    /// Whether a directory may be the recording's: `path` is relative to its own one.
    pub fn is_directory(&self, path: &str) -> bool {
        let (mut parts, mut components) = (path.split('/'), self.components.iter().take(self.depth()));
        parts.all(|part| components.next().is_some_and(|component| is_made_by(component, part, false)))
    }

    /// What a file is; `None` if it is not the recording's.
    pub fn kind(&self, path: &str) -> Option<Kind> {
        let (name, kind) = match (path.strip_suffix(PART), path.strip_suffix(BROKEN)) {
            (Some(name), _) => (name, Kind::Part),
            (_, Some(name)) => (name, Kind::Broken),
            (None, None) => (path, Kind::Finished),
        };
        let stem = name.strip_suffix(FINISHED)?;
        let (directory, file) = stem.rsplit_once('/').unwrap_or(("", stem));
        let placed = match self.depth() {
            0 => directory.is_empty(),
            depth => directory.split('/').count() == depth && self.is_directory(directory),
        };
        let own = self.components.last().is_some_and(|component| is_made_by(component, file, true));
        (placed && own).then_some(kind)
    }
}

/// Whether the pieces can have made the text. Goes through the pieces with all places in the text at once that they
/// may have come to, so that no text takes long.
fn is_made_by(pieces: &[Piece], text: &str, numbered: bool) -> bool {
    let text = text.as_bytes();
    let rest = |from: usize| text.get(from..).unwrap_or_default();
    let mut places = vec![0];
    for piece in pieces {
        let step = |from: &usize| -> Vec<usize> {
            match piece {
                Piece::Text(literal) if rest(*from).starts_with(literal.as_bytes()) => vec![from + literal.len()],
                Piece::Text(_) => Vec::new(),
                Piece::Time(conversion) => conversion.shape.lengths(rest(*from)).map(|len| from + len).collect(),
            }
        };
        places = places.iter().flat_map(step).collect();
        places.sort_unstable();
        places.dedup();
    }
    places.iter().any(|place| rest(*place).is_empty() || (numbered && is_number(rest(*place))))
}

/// Whether it is what [`numbered`] appends.
fn is_number(text: &[u8]) -> bool {
    text.strip_prefix(b"-").is_some_and(|digits| {
        (1..=NUMBER_DIGITS).contains(&digits.len())
            && digits.iter().all(u8::is_ascii_digit)
            && digits.first() != Some(&b'0')
            && digits != b"1"
    })
}

/// The name of the file that is the `number`th one, from 1, whose name begins with `stem`; `None` if there are no more.
pub fn numbered(stem: &str, number: u32) -> Option<String> {
    match number {
        0 | 1 => Some(format!("{stem}{FINISHED}")),
        _ if number.to_string().len() <= NUMBER_DIGITS => Some(format!("{stem}-{number}{FINISHED}")),
        _ => None,
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    fn zoned(text: &str) -> Zoned {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_filled_in() {
        let at = zoned("2026-11-22T14:05:09[+01:00]");
        for (text, expected) in [
            ("%Y-%m-%d/garage-%H%M%S", "2026-11-22/garage-140509"),
            ("%F/%T.mp4", "2026-11-22/14:05:09"),
            ("%y%j %I%p %a %b %B %z", "26326 02PM Sun Nov November +0100"),
            ("%G-W%V/%s", "2026-W47/1795352709"),
            ("100%%F", "100%F"),
            ("video", "video"),
        ] {
            assert_eq!(pattern(text).stem_at(&at).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_names_no_file_is_refused() {
        for (text, expected) in [
            ("", "empty"),
            ("/var/%F", "begins with '/'"),
            ("../%F", "another directory"),
            ("%F/../../x", "another directory"),
            ("%F/", "empty"),
            ("%F//x", "empty"),
            ("a\0b", "no place in a name"),
            ("a\nb", "no place in a name"),
            ("%q", "%q is not known: there are %Y, "),
            ("%", "ends with '%'"),
            ("%D", "%D is not known"),
            ("a/b/c/d/e/f/g/h/i", "at most 8"),
        ] {
            let error = text.parse::<Pattern>().expect_err(text);
            assert!(error.contains(expected), "{error}");
        }
        assert!("x".repeat(240).parse::<Pattern>().unwrap_err().contains("240 bytes"));
    }

    #[test]
    fn it_knows_its_own() {
        let garage = pattern("%Y-%m-%d/garage-%H%M%S");
        for (path, kind) in [
            ("2026-11-22/garage-140509.mp4", Some(Kind::Finished)),
            ("2026-11-22/garage-140509-2.mp4", Some(Kind::Finished)),
            ("2026-11-22/garage-140509-17.mp4.part", Some(Kind::Part)),
            ("1970-01-01/garage-000000.mp4.broken", Some(Kind::Broken)),
            ("2026-11-22/garage-140509-1.mp4", None),
            ("2026-11-22/garage-140509-02.mp4", None),
            ("2026-11-22/garage-14050.mp4", None),
            ("2026-11-22/garage-1405091.mp4", None),
            ("2026-11-22/garage-140509.mp4.txt", None),
            ("2026-11-22/garage-140509 (copy).mp4", None),
            ("2026-11-22/garage-140509.mkv", None),
            ("2026-11-22/kept/garage-140509.mp4", None),
            ("garage-140509.mp4", None),
            ("party/garage-140509.mp4", None),
            ("", None),
        ] {
            assert_eq!(garage.kind(path), kind, "{path}");
        }
        assert!(garage.is_directory("2026-11-22") && !garage.is_directory("kept"));
        assert!(!garage.is_directory("2026-11-22/garage-140509"));
        assert_eq!(pattern("%B%Z%p%s").kind("MayCETPM5.mp4"), Some(Kind::Finished));
    }

    /// The hour that comes twice has names of its own with `%z`, and numbers without.
    #[test]
    fn the_hour_that_comes_twice() {
        let [summer, winter] = ["2026-10-25T02:30:00+02:00[Europe/Berlin]", "2026-10-25T02:30:00+01:00[Europe/Berlin]"];
        let stem = |text, at| pattern(text).stem_at(&zoned(at)).unwrap();
        assert_eq!(stem("%F-%H%M", summer), stem("%F-%H%M", winter));
        assert_ne!(stem("%F-%H%M%z", summer), stem("%F-%H%M%z", winter));
        assert_eq!(numbered("a", 1).unwrap(), "a.mp4");
        assert_eq!(numbered("a", 2).unwrap(), "a-2.mp4");
        assert_eq!((numbered("a", 99_999).is_some(), numbered("a", 100_000)), (true, None));
    }

    proptest! {
        #[test]
        fn it_knows_everything_that_it_makes(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "%Y", "%y", "%m", "%d", "%j", "%H", "%I", "%M", "%S", "%G", "%V", "%s", "%p", "%a", "%b", "%B", "%z",
                "%Z", "%F", "%T", "%%", "-", "x", "7", ".", "mp4", "é",
            ]), 1..12),
            directories in prop::collection::vec(prop::sample::select(vec!["%F", "%Y", "cam%j", "a-%Z"]), 0..3),
            seconds in 0_u64..253_402_200_000,
            number in 1_u32..100_000,
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"]),
        ) {
            let name = directories.into_iter().map(str::to_owned).chain([pieces.concat()]).collect::<Vec<_>>().join("/");
            let Ok(pattern) = name.parse::<Pattern>() else { return Ok(()) };
            let at = Timestamp::try_from(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
            let stem = pattern.stem_at(&at.in_tz(zone).unwrap()).unwrap();
            let made = numbered(&stem, number).unwrap();
            prop_assert_eq!(pattern.kind(&made), Some(Kind::Finished), "{}", made);
            prop_assert_eq!(pattern.kind(&format!("{made}{PART}")), Some(Kind::Part));
            prop_assert!(made.split('/').all(|part| !part.is_empty() && part != "." && part != ".." && part.len() <= 255));
            prop_assert!(!made.starts_with('/'));
        }

        #[test]
        fn no_text_takes_long(text in "[A-Z0-9+-]{0,200}") {
            let pattern = "%Z".repeat(19).parse::<Pattern>().unwrap();
            let _ = pattern.kind(&format!("{text}.mp4"));
        }
    }
}
