//! A table, as lines that a phone has room for.

use super::run::{Run, Style};

/// What a cell says.
pub(super) type Cell = Vec<Run>;

/// A table: what heads its columns, and its rows.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) header: Vec<Cell>,
    pub(super) rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Two columns are a line for each row; more of them are a line for each cell, behind what heads its column. `line`
    /// is what each line but the first begins with; `longest` is how long the whole may become in bytes with the heads
    /// repeated, else they stand once.
    pub(super) fn lines(self, line: &str, longest: usize) -> Vec<Run> {
        let heads: usize = self.header.iter().map(|cell| length(cell)).sum();
        let columns = self.header.len();
        let mut lines = TableLines { runs: Vec::new(), line };
        if columns <= 2 || heads.saturating_mul(self.rows.len()) > longest || self.rows.is_empty() {
            if self.header.iter().any(|cell| !is_empty(cell)) {
                lines.row(self.header.iter().map(|cell| bold(cell)).collect(), columns <= 2);
            }
            for row in self.rows {
                lines.row(row, columns <= 2);
            }
            return lines.runs;
        }
        for (number, row) in self.rows.into_iter().enumerate() {
            if number > 0 && !lines.runs.is_empty() {
                lines.runs.push(Run::words(format!("\n{}", line.trim_end()), Style::NONE));
            }
            for (column, cell) in row.into_iter().enumerate().filter(|(_, cell)| !is_empty(cell)) {
                lines.begin();
                let first = column == 0;
                if let Some(head) = self.header.get(column).filter(|head| !is_empty(head)) {
                    lines.runs.extend(if first { bold(head) } else { head.clone() });
                    lines.runs.push(Run::words(": ", Style { bold: first, ..Style::NONE }));
                }
                lines.runs.extend(if first { bold(&cell) } else { cell });
            }
        }
        lines.runs
    }
}

struct TableLines<'l> {
    runs: Vec<Run>,
    line: &'l str,
}

impl TableLines<'_> {
    fn begin(&mut self) {
        if !self.runs.is_empty() {
            self.runs.push(Run::words(format!("\n{}", self.line), Style::NONE));
        }
    }

    /// The cells of a row in one line.
    fn row(&mut self, cells: Vec<Cell>, is_pair: bool) {
        self.begin();
        let mut before = None;
        for cell in cells.into_iter().filter(|cell| !is_empty(cell)) {
            let begins = cell.first().map_or(Style::NONE, |run| run.style);
            if let Some(before) = before {
                self.runs.push(Run::words(if is_pair { ": " } else { " | " }, begins.and(before)));
            }
            before = cell.last().map(|run| run.style);
            self.runs.extend(cell);
        }
    }
}

fn bold(cell: &[Run]) -> Cell {
    cell.iter().map(|run| Run { style: Style { bold: true, ..run.style }, ..run.clone() }).collect()
}

fn length(cell: &[Run]) -> usize {
    cell.iter().map(|run| run.text.len()).sum()
}

fn is_empty(cell: &[Run]) -> bool {
    cell.iter().all(|run| run.text.trim().is_empty())
}
