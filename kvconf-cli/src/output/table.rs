//! Aligned columns that fit the terminal.

use super::style::{Style, Tone};
use super::value::{cut, width_of};

/// Between two columns.
const GAP: usize = 2;

/// Narrower than this no column is made; what does not fit then is wrapped by the terminal.
const LEAST: usize = 8;

/// How a column behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) heading: &'static str,
    pub(crate) tone: Tone,
    /// Whether it may be cut when the terminal is narrow.
    pub(crate) can_shrink: bool,
}

impl Column {
    /// A column that is never cut.
    pub(crate) const fn fixed(heading: &'static str, tone: Tone) -> Self {
        Self { heading, tone, can_shrink: false }
    }

    /// A column that gives way.
    pub(crate) const fn flexible(heading: &'static str, tone: Tone) -> Self {
        Self { heading, tone, can_shrink: true }
    }
}

/// Columns, and how wide the texts are that were seen of them. For rows that nobody keeps; [`Table`] keeps them.
#[derive(Debug)]
pub(crate) struct Frame {
    columns: Vec<Column>,
    /// 0 for a column without a text so far.
    widest: Vec<usize>,
}

impl Frame {
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Self {
        let columns = columns.into();
        Self { widest: vec![0; columns.len()], columns }
    }

    /// Takes the widths of a row into account.
    pub(crate) fn measure(&mut self, row: &[String]) {
        for (widest, cell) in self.widest.iter_mut().zip(row) {
            *widest = (*widest).max(width_of(cell));
        }
    }

    /// The width of each column in so many in all; 0 for one that is left out.
    pub(super) fn fit(&self, limit: Option<usize>) -> Vec<usize> {
        let mut widths = self.widest.clone();
        for (width, column) in widths.iter_mut().zip(&self.columns) {
            if *width > 0 {
                *width = (*width).max(width_of(column.heading));
            }
        }
        let Some(limit) = limit else { return widths };
        // The widest that may shrink gives way first.
        loop {
            let used = widths.iter().filter(|width| **width > 0).map(|width| width + GAP).sum::<usize>();
            let over = used.saturating_sub(GAP).saturating_sub(limit);
            let widest = widths
                .iter_mut()
                .zip(&self.columns)
                .filter(|(width, column)| column.can_shrink && **width > LEAST)
                .map(|(width, _)| width)
                .max_by_key(|width| **width);
            match widest {
                Some(width) if over > 0 => *width -= 1,
                _ => return widths,
            }
        }
    }

    /// Adds a row with its line end to a text.
    pub(super) fn push(&self, text: &mut String, style: Style, widths: &[usize], row: &[String]) {
        let cells = self.columns.iter().map(|column| column.tone).zip(row.iter().map(String::as_str));
        push_row(text, style, cells.zip(widths));
    }
}

/// Rows of texts under columns. A column without a text in any row is left out.
#[derive(Debug)]
pub(crate) struct Table {
    frame: Frame,
    rows: Vec<Row>,
}

#[derive(Debug)]
enum Row {
    Cells(Vec<String>),
    /// A line that keeps to no column.
    Line(String),
}

impl Table {
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self { frame: Frame::new(columns), rows: Vec::new() }
    }

    /// Adds a row, a text for each column.
    pub(crate) fn row(&mut self, cells: impl Into<Vec<String>>) {
        let cells = cells.into();
        self.frame.measure(&cells);
        self.rows.push(Row::Cells(cells));
    }

    /// Adds a line below the last row, as long as it is.
    pub(crate) fn line(&mut self, text: String) {
        self.rows.push(Row::Line(text));
    }

    /// The table with a line end after each row; headings only where a column has one.
    pub(crate) fn render(&self, style: Style, width: Option<usize>) -> String {
        let widths = self.frame.fit(width);
        let columns = &self.frame.columns;
        let mut text = String::new();
        if columns.iter().any(|column| !column.heading.is_empty()) {
            let headings = columns.iter().map(|column| (Tone::Heading, column.heading));
            push_row(&mut text, style, headings.zip(&widths));
        }
        for row in &self.rows {
            match row {
                Row::Cells(cells) => self.frame.push(&mut text, style, &widths, cells),
                Row::Line(line) => {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
        text
    }
}

fn push_row<'a>(text: &mut String, style: Style, cells: impl Iterator<Item = ((Tone, &'a str), &'a usize)>) {
    let mut pending = 0;
    for ((tone, cell), width) in cells.filter(|(_, width)| **width > 0) {
        let cell = cut(cell, *width);
        if !cell.is_empty() {
            text.extend(std::iter::repeat_n(' ', pending));
            pending = 0;
            text.push_str(&style.paint(tone, &cell));
        }
        // No blanks at the end of a line.
        pending += width.saturating_sub(width_of(&cell)) + GAP;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([
            Column::fixed("KEY", Tone::Key),
            Column::flexible("VALUE", Tone::Plain),
            Column::flexible("NOTE", Tone::Dim),
            Column::fixed("", Tone::Dim),
        ]);
        table.row(["a.b".into(), "日本語".into(), String::new(), "end".into()]);
        table.row(["a.bcd".into(), "a long value that is cut".into(), String::new(), String::new()]);
        table
    }

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let text = table().render(Style::new(false), None);
        assert_eq!(
            text,
            "KEY    VALUE\na.b    日本語                    end\na.bcd  a long value that is cut\n"
        );
    }

    #[test]
    fn a_line_below_a_row_keeps_to_no_column() {
        let mut table = table();
        table.line("  a line that is longer than all columns of the table".to_owned());
        table.row(["a".into(), "b".into(), String::new(), String::new()]);
        let text = table.render(Style::new(false), Some(24));
        assert_eq!(
            text,
            "KEY    VALUE\na.b    日本語        end\na.bcd  a long valu…\n  a line that is longer than all columns of the table\na      b\n"
        );
    }

    #[test]
    fn a_narrow_terminal_cuts_what_may_shrink() {
        let text = table().render(Style::new(false), Some(24));
        assert_eq!(text, "KEY    VALUE\na.b    日本語        end\na.bcd  a long valu…\n");
    }
}
