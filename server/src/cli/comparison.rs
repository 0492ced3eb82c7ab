//! A comparison as people read it.

use clap::ValueEnum;
use protocol::compare::{CellDifference, Comparison, CubeComparison};

use crate::cli::output::{print, print_line};
use crate::error::Result;

/// How a comparison is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Show {
    /// For people.
    #[default]
    Table,
    /// One object.
    Json,
}

/// Prints a comparison.
pub fn print_comparison(comparison: &Comparison, show: Show) -> Result<()> {
    if show == Show::Json {
        return print_line(serde_json::json!(comparison));
    }
    comparison.model.iter().try_for_each(print_line)?;
    for cube in &comparison.cubes {
        print(cube_text(comparison, cube))?;
    }
    if comparison.is_equal() {
        print_line(format_args!("{} and {} are equal", comparison.from, comparison.to))?;
    }
    Ok(())
}

fn cube_text(comparison: &Comparison, cube: &CubeComparison) -> String {
    if cube.is_equal() {
        return format!("{}: equal\n", cube.cube);
    }
    let (from, to) = (comparison.from.as_str(), comparison.to.as_str());
    let totals: Vec<Vec<String>> = (cube.totals.iter())
        .map(|total| {
            let numbers = [&total.from, &total.to, &total.difference].map(text);
            std::iter::once(total.measure.clone()).chain(numbers).collect()
        })
        .collect();
    let mut out = format!("{}\n", cube.cube);
    out += &text_table(&["total", from, to, "difference"], &totals, &[1, 2, 3]);
    out += &format!(
        "{} rows changed, {} only in {from}, {} only in {to}; {} cells differ\n",
        cube.rows_changed, cube.rows_only_in_from, cube.rows_only_in_to, cube.cells_differing
    );
    out + &cells_text(from, to, cube)
}

fn cells_text(from: &str, to: &str, cube: &CubeComparison) -> String {
    let (listed, all) = (cube.cells.len() as u64, cube.cells_beyond_tolerance);
    let mut out = match (listed == all, all == cube.cells_differing) {
        (true, true) => String::new(),
        (true, false) => format!("{all} of them by more than the tolerance\n"),
        (false, _) => format!("the {listed} largest of {all} follow; --limit lists more\n"),
    };
    if cube.cells.is_empty() {
        return out;
    }
    let keys = cube.key_columns.iter().map(String::as_str);
    let head: Vec<&str> = keys.chain(["cell", from, to, "difference"]).collect();
    let row = |cell: &CellDifference| {
        let values = [&cell.from, &cell.to, &cell.difference].map(text);
        cell.key.iter().cloned().chain([cell.column.clone()]).chain(values).collect()
    };
    let rows: Vec<Vec<String>> = cube.cells.iter().map(row).collect();
    let first = cube.key_columns.len() + 1;
    out += &text_table(&head, &rows, &[first, first + 1, first + 2]);
    out
}

fn text(value: &Option<String>) -> String {
    value.clone().unwrap_or_default()
}

/// Rows under a head, in columns as wide as they need; those of numbers are aligned right.
pub fn text_table(head: &[&str], rows: &[Vec<String>], numbers: &[usize]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(head[column].chars().count())
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let cells = cells.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if numbers.contains(&column) {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            }
        });
        format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    let body = rows.iter().map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(line(head.to_vec())).chain(body).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need() {
        let rows = [["ana", "5"], ["maximilian", "1000"]].map(|row| row.map(String::from).to_vec());
        let expected = "  rep         amount\n  ana              5\n  maximilian    1000\n";
        assert_eq!(text_table(&["rep", "amount"], &rows, &[1]), expected);
    }
}
