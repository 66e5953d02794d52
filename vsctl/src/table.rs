// SPDX-License-Identifier: Apache-2.0
//! Aligned columns without lines, for eyes and for `awk`: a cell is never empty.

/// On which side a column's cells are flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// A table that grows row by row.
#[derive(Debug)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Row>,
}

#[derive(Debug)]
enum Row {
    Cells(Vec<String>),
    /// A line of text that belongs to the row above.
    Note(String),
}

/// Blanks between columns.
const GAP: usize = 2;

/// Blanks in front of a note.
const INDENT: usize = 4;

impl Table {
    /// A table with these headings.
    pub fn new<const N: usize>(columns: [(&'static str, Align); N]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; `-` stands for what is empty.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        let dash = |cell: String| if cell.is_empty() { "-".to_owned() } else { cell };
        self.rows.push(Row::Cells(cells.map(dash).to_vec()));
    }

    /// Adds a line below the last row.
    pub fn note(&mut self, text: impl Into<String>) {
        self.rows.push(Row::Note(text.into()));
    }

    /// The table as text, each line with its end; nothing at all if it has no rows.
    pub fn text(&self, headings: bool) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let heading = Row::Cells(self.columns.iter().map(|(name, _)| (*name).to_owned()).collect());
        let lines: Vec<&Row> = headings.then_some(&heading).into_iter().chain(&self.rows).collect();
        let mut widths = vec![0; self.columns.len()];
        for line in &lines {
            if let Row::Cells(cells) = line {
                for (width, cell) in widths.iter_mut().zip(cells) {
                    *width = (*width).max(cell.chars().count());
                }
            }
        }
        let mut text = String::new();
        for line in lines {
            match line {
                Row::Note(note) => text.extend([&" ".repeat(INDENT), note.as_str()]),
                Row::Cells(cells) => text.push_str(&self.line(cells, &widths)),
            }
            text.push('\n');
        }
        text
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, width), (_, align)) in cells.iter().zip(widths).zip(&self.columns) {
            match align {
                Align::Left => line.push_str(&format!("{cell:<width$}")),
                Align::Right => line.push_str(&format!("{cell:>width$}")),
            }
            line.push_str(&" ".repeat(GAP));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new([("NAME", Align::Left), ("COUNT", Align::Right), ("WHY", Align::Left)]);
        table.row(["cam0".to_owned(), "7".to_owned(), String::new()]);
        table.note("a note");
        table.row(["türkamera".to_owned(), "123456".to_owned(), "no".to_owned()]);
        assert_eq!(
            table.text(true),
            "\
NAME        COUNT  WHY
cam0            7  -
    a note
türkamera  123456  no
"
        );
        assert!(table.text(false).starts_with("cam0 "));
    }

    #[test]
    fn nothing_has_no_headings() {
        assert_eq!(Table::new([("NAME", Align::Left)]).text(true), "");
    }
}
