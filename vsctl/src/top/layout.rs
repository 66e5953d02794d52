// SPDX-License-Identifier: Apache-2.0
//! The table, as wide as the window. Columns stay where they are, whatever is in them: the eye compares, and does not search.

use unicode_width::UnicodeWidthChar;

use super::Sort;
use crate::report::top::{Client, Stream, Top};
use crate::units;

/// Widths of the columns behind the name, and blanks between all of them.
const STATE: usize = 7;
const FPS: usize = 6;
const SKIPS: usize = 6;
const HELD: usize = 5;
const TIME: usize = 7;
const CPU: usize = 5;
const FORMAT: usize = 16;
const GAP: usize = 2;

/// The columns behind the name, with their gaps.
const REST: usize = STATE + FPS + SKIPS + HELD + 2 * TIME + CPU + 7 * GAP;

/// A name is never narrower, and where there is room for all never wider.
const NAME_MIN: usize = 8;
const NAME_MAX: usize = 40;

/// From this width on, the format has a column.
const WITH_FORMAT: usize = 104;

/// SGR parameters (ECMA-48, 8.3.117).
const PLAIN: &str = "";
const HEADING: &str = "7";
const GOOD: &str = "32";
const ODD: &str = "33";
const BAD: &str = "31";

/// How to write.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Columns that there are.
    pub width: usize,
    pub color: bool,
}

/// A cell: text, and how it looks.
struct Cell(String, &'static str);

/// The table, line by line, none longer than the window is wide.
pub fn lines(top: &Top, style: Style) -> Vec<String> {
    let name = name_width(top, style.width);
    let mut lines = vec![style.line(&summary(top)), String::new()];
    let heading = ["STATE", "FPS", "SKIP/S", "HELD", "P50", "P99", "CPU%"].map(str::to_owned);
    let format = style.with_format().then(|| "FORMAT".to_owned());
    let heading = row(name, "STREAM / CLIENT", heading.map(|text| Cell(text, PLAIN)), format, |text, _| text);
    lines.push(style.paint(fit(heading.trim_end(), style.width), HEADING));
    for stream in &top.streams {
        lines.push(style.row(name, &stream.name, stream_cells(stream), Some(format_of(stream))));
        for client in &stream.clients {
            let who = format!("  {} [{}]", client.name, client.pid);
            lines.push(style.row(name, &who, client_cells(client), Some("-".to_owned())));
        }
    }
    lines
}

/// The line of what can be done.
pub fn help(sort: Sort, style: Style) -> String {
    let text = format!(
        "q ends, s sorts (by {}). P50, P99: streams, capture to publication; clients, hold of a frame",
        sort.name()
    );
    style.line(&text)
}

/// What there is of `lines` for so many rows, the last of which says what is not shown.
pub fn cut(mut lines: Vec<String>, rows: usize, style: Style) -> Vec<String> {
    if lines.len() > rows {
        let more = lines.len() - rows.saturating_sub(1);
        lines.truncate(rows.saturating_sub(1));
        lines.push(style.line(&format!("{more} more lines: make the window higher, or name streams")));
    }
    lines
}

fn summary(top: &Top) -> String {
    let daemon = &top.daemon;
    let running = top.streams.iter().filter(|stream| stream.state == "running").count();
    let clients = top.streams.iter().map(|stream| stream.clients.len()).sum::<usize>();
    format!(
        "videostreamd {}  pid {}  cpu {} %  mem {}  streams {running}/{}  clients {clients}",
        daemon.version,
        daemon.pid.map_or_else(dash, |pid| pid.to_string()),
        percent(daemon.cpu_percent),
        daemon.memory.map_or_else(dash, units::bytes),
        top.streams.len(),
    )
}

/// Names have what the others leave, and no more than they need.
fn name_width(top: &Top, width: usize) -> usize {
    let clients = |stream: &Stream| {
        stream.clients.iter().map(|client| client.name.chars().count() + client.pid.to_string().len() + 5).max()
    };
    let longest = top.streams.iter().flat_map(|stream| [Some(stream.name.chars().count()), clients(stream)]);
    let needed = longest.flatten().max().unwrap_or_default().max("STREAM / CLIENT".len()).min(NAME_MAX);
    let rest = if width >= WITH_FORMAT { REST + GAP + FORMAT } else { REST };
    needed.min(width.saturating_sub(rest)).max(NAME_MIN)
}

fn stream_cells(stream: &Stream) -> [Cell; 7] {
    let state = match stream.state.as_str() {
        "running" => GOOD,
        "waiting" => ODD,
        "failed" => BAD,
        _ => PLAIN,
    };
    let [p50, p99] = times(stream.latency_us.map(|latency| (latency.p50, latency.p99)));
    [
        Cell(stream.state.clone(), state),
        Cell(number(stream.fps), PLAIN),
        skips(stream.skipped_per_s),
        Cell(stream.held.to_string(), PLAIN),
        p50,
        p99,
        Cell(percent(stream.cpu_percent), PLAIN),
    ]
}

fn client_cells(client: &Client) -> [Cell; 7] {
    let [p50, p99] = times(client.hold_us.map(|hold| (hold.p50, hold.p99)));
    let held =
        Cell(format!("{}/{}", client.held, client.credits), if client.held >= client.credits { ODD } else { PLAIN });
    [
        Cell("-".to_owned(), PLAIN),
        Cell(number(client.fps), PLAIN),
        skips(client.skipped_per_s),
        held,
        p50,
        p99,
        Cell("-".to_owned(), PLAIN),
    ]
}

fn skips(per_s: Option<f64>) -> Cell {
    Cell(number(per_s), if per_s.is_some_and(|skips| skips > 0.0) { ODD } else { PLAIN })
}

fn times(us: Option<(f64, f64)>) -> [Cell; 2] {
    let text = |us: Option<f64>| Cell(us.map_or_else(dash, units::microseconds), PLAIN);
    [text(us.map(|us| us.0)), text(us.map(|us| us.1))]
}

fn format_of(stream: &Stream) -> String {
    stream.fourcc.as_ref().map_or_else(dash, |fourcc| format!("{fourcc} {}x{}", stream.width, stream.height))
}

fn dash() -> String {
    "-".to_owned()
}

/// A rate in six characters.
fn number(value: Option<f64>) -> String {
    match value {
        None => dash(),
        Some(value) if value < 999.5 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(dash, |value| format!("{value:.1}"))
}

/// A text in so many columns; `~` says that it goes on.
pub fn fit(text: &str, width: usize) -> String {
    // What a client calls itself must not move the cursor, nor what stands behind it.
    let plain = text.chars().map(|c| if c.width() == Some(1) { c } else { '?' });
    if text.chars().count() <= width {
        return plain.collect();
    }
    plain.take(width.saturating_sub(1)).chain((width > 0).then_some('~')).collect()
}

fn row(
    name: usize,
    first: &str,
    cells: [Cell; 7],
    format: Option<String>,
    paint: impl Fn(String, &'static str) -> String,
) -> String {
    let mut line = format!("{:<name$}", fit(first, name));
    let widths = [STATE, FPS, SKIPS, HELD, TIME, TIME, CPU];
    for (index, (Cell(text, look), width)) in cells.into_iter().zip(widths).enumerate() {
        line.push_str(&" ".repeat(GAP));
        let cell = if index == 0 { format!("{text:<width$}") } else { format!("{text:>width$}") };
        line.push_str(&paint(cell, look));
    }
    if let Some(format) = format {
        line.push_str(&format!("{}{:<FORMAT$}", " ".repeat(GAP), fit(&format, FORMAT)));
    }
    line
}

impl Style {
    fn with_format(self) -> bool {
        self.width >= WITH_FORMAT
    }

    fn row(self, name: usize, first: &str, cells: [Cell; 7], format: Option<String>) -> String {
        let format = format.filter(|_| self.with_format());
        if self.width < name + REST {
            // Too narrow for all: colours would be cut, too.
            return self.line(&row(name, first, cells, None, |text, _| text));
        }
        let line = row(name, first, cells, format, |text, look| self.paint(text, look));
        line.trim_end().to_owned()
    }

    fn line(self, text: &str) -> String {
        fit(text, self.width).trim_end().to_owned()
    }

    fn paint(self, text: String, look: &str) -> String {
        if self.color && !look.is_empty() { format!("\x1b[{look}m{text}\x1b[0m") } else { text }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::latency::Latency;
    use crate::report::top::DaemonUse;

    fn latency(us: f64) -> Latency {
        Latency { min: us, mean: us, p50: us, p95: us, p99: us * 10.0, max: us }
    }

    fn top(name: &str, client: &str, fps: f64, us: f64) -> Top {
        let client = Client {
            id: 1,
            name: client.to_owned(),
            pid: 4_194_304,
            uid: 0,
            fps: Some(fps),
            skipped_per_s: Some(fps / 3.0),
            held: 4,
            credits: 4,
            hold_us: Some(latency(us)),
        };
        let stream = Stream {
            name: name.to_owned(),
            state: "running".to_owned(),
            fourcc: Some("NV12".to_owned()),
            width: 1920,
            height: 1080,
            fps: Some(fps),
            skipped_per_s: None,
            held: 4,
            frames_live: 5,
            frames_max: 12,
            latency_us: Some(latency(us)),
            cpu_percent: Some(12.345),
            clients: vec![client],
        };
        let daemon =
            DaemonUse { version: "0.1.0".to_owned(), pid: Some(77), cpu_percent: None, memory: Some(12_345_678) };
        Top { wall_ns: 0, interval_ns: 1_000_000_000, daemon, streams: vec![stream] }
    }

    #[test]
    fn eighty_columns_show_all_that_counts() {
        let lines = lines(&top("cam0", "detector", 29.97, 1240.0), Style { width: 80, color: false });
        assert_eq!(
            lines,
            [
                "videostreamd 0.1.0  pid 77  cpu - %  mem 12.3 MB  streams 1/1  clients 1",
                "",
                "STREAM / CLIENT       STATE       FPS  SKIP/S   HELD      P50      P99   CPU%",
                "cam0                  running    30.0       -      4  1.24 ms  12.4 ms   12.3",
                "  detector [4194304]  -          30.0    10.0    4/4  1.24 ms  12.4 ms      -",
            ]
        );
    }

    #[test]
    fn wide_windows_show_the_format_and_colours() {
        let lines = lines(&top("cam0", "detector", 29.97, 1240.0), Style { width: 120, color: true });
        assert!(lines[3].ends_with("NV12 1920x1080"), "{lines:?}");
        assert!(lines[3].contains("\x1b[32mrunning\x1b[0m"), "{lines:?}");
        assert!(lines[4].contains("\x1b[33m  4/4\x1b[0m"), "{lines:?}");
    }

    #[test]
    fn what_has_no_room_is_said() {
        let style = Style { width: 80, color: false };
        let lines = (0..10).map(|n| n.to_string()).collect::<Vec<_>>();
        let shown = cut(lines.clone(), 4, style);
        assert!(shown.len() == 4 && shown[2] == "2" && shown[3].starts_with("7 more"), "{shown:?}");
        assert_eq!(cut(lines.clone(), 10, style), lines);
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_window(
            name in "[a-z0-9-]{1,64}", client in any::<String>(), fps in 0.0..100_000.0, us in 0.0..1e9, width in 1usize..200
        ) {
            let style = Style { width, color: false };
            for line in lines(&top(&name, &client, fps, us), style) {
                prop_assert!(line.chars().count() <= width, "{line:?} in {width}");
                prop_assert!(line.chars().all(|c| c.width() == Some(1)));
            }
        }
    }
}
