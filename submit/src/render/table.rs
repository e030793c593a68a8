//! Text tables that pipe: no borders, two spaces between columns, numbers to the right.

use crate::format;
use crate::term::Paint;

/// Where a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A heading and its alignment.
pub(crate) type Column<'a> = (&'a str, Align);

/// Spaces between columns.
const GAP: usize = 2;

/// The lines of a table with its heading first; cells are counted in characters.
pub(crate) fn lines(columns: &[Column<'_>], rows: &[Vec<String>], paint: Paint) -> Vec<String> {
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(i, (heading, _))| {
            rows.iter()
                .filter_map(|row| row.get(i))
                .map(|cell| chars(cell))
                .max()
                .unwrap_or(0)
                .max(chars(heading))
        })
        .collect();
    let aligns: Vec<Align> = columns.iter().map(|(_, align)| *align).collect();
    let headings: Vec<String> = columns
        .iter()
        .map(|(heading, _)| heading.to_string())
        .collect();
    std::iter::once(paint.bold(&line(&headings, &widths, &aligns)))
        .chain(rows.iter().map(|row| line(row, &widths, &aligns)))
        .collect()
}

fn line(cells: &[String], widths: &[usize], aligns: &[Align]) -> String {
    let mut out = String::new();
    for ((cell, width), align) in cells.iter().zip(widths).zip(aligns) {
        if !out.is_empty() {
            out.push_str(&" ".repeat(GAP));
        }
        let pad = " ".repeat(width.saturating_sub(chars(cell)));
        match align {
            Align::Left => {
                out.push_str(cell);
                out.push_str(&pad);
            }
            Align::Right => {
                out.push_str(&pad);
                out.push_str(cell);
            }
        }
    }
    out.trim_end().to_string()
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

/// Narrowest a column is squeezed to.
const NARROW: usize = 20;

/// A table made to fit `width` columns: the widest columns are cut first, then columns of the middle are left out.
///
/// Returns the lines and how many columns they show.
pub(crate) fn fitted(
    columns: &[Column<'_>],
    rows: &[Vec<String>],
    width: usize,
    paint: Paint,
) -> (Vec<String>, usize) {
    let mut widths: Vec<usize> = (0..columns.len())
        .map(|i| {
            rows.iter()
                .filter_map(|row| row.get(i))
                .map(|cell| chars(cell))
                .max()
                .unwrap_or(0)
                .max(chars(columns[i].0))
        })
        .collect();
    let total =
        |widths: &[usize]| widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
    while total(&widths) > width {
        let Some(widest) = widths.iter_mut().max().filter(|widest| **widest > NARROW) else {
            break;
        };
        *widest -= 1;
    }
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let mark = 1 + GAP;
    while shown.len() > 1
        && total(&shown.iter().map(|i| widths[*i]).collect::<Vec<_>>())
            + if shown.len() < columns.len() { mark } else { 0 }
            > width
    {
        shown.remove(shown.len() / 2);
    }
    let cut_at = (shown.len() < columns.len()).then(|| shown.len().div_ceil(2));
    let pick = |cells: &dyn Fn(usize) -> String, gap: &str| {
        let mut out: Vec<String> = shown
            .iter()
            .map(|i| format::fit(&cells(*i), widths[*i]))
            .collect();
        if let Some(at) = cut_at {
            out.insert(at, gap.to_string());
        }
        out
    };
    let headings = pick(&|i| columns[i].0.to_string(), "…");
    let mut aligns: Vec<Align> = shown.iter().map(|i| columns[*i].1).collect();
    if let Some(at) = cut_at {
        aligns.insert(at, Align::Left);
    }
    let columns: Vec<Column<'_>> = headings.iter().map(String::as_str).zip(aligns).collect();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| pick(&|i| row.get(i).cloned().unwrap_or_default(), "…"))
        .collect();
    (lines(&columns, &rows, paint), shown.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_right_and_no_line_ends_in_spaces() {
        let rows = vec![
            vec!["staging.stg_orders".into(), "1,000,000".into(), "x".into()],
            vec!["marts.été".into(), "7".into(), String::new()],
        ];
        let table = lines(
            &[
                ("TABLE", Align::Left),
                ("ROWS", Align::Right),
                ("BY", Align::Left),
            ],
            &rows,
            Paint::OFF,
        );
        assert_eq!(
            table,
            [
                "TABLE                    ROWS  BY",
                "staging.stg_orders  1,000,000  x",
                "marts.été                   7",
            ]
        );
    }

    #[test]
    fn a_wide_table_is_cut_to_the_terminal() {
        let rows = vec![vec!["1".into(), "a".repeat(60), "b".repeat(20)]];
        let columns = [
            ("id", Align::Right),
            ("long", Align::Left),
            ("other", Align::Left),
        ];
        let (table, shown) = fitted(&columns, &rows, 50, Paint::OFF);
        assert_eq!(shown, 3);
        assert!(
            table.iter().all(|line| line.chars().count() <= 50),
            "{table:?}"
        );
        assert!(table[1].contains('…'));
    }

    #[test]
    fn columns_of_the_middle_are_left_out_when_nothing_else_helps() {
        let names: Vec<String> = (0..9).map(|i| format!("column_{i}")).collect();
        let columns: Vec<Column<'_>> = names
            .iter()
            .map(|name| (name.as_str(), Align::Left))
            .collect();
        let (table, shown) = fitted(&columns, &[vec!["v".into(); 9]], 40, Paint::OFF);
        assert_eq!(shown, 3);
        assert_eq!(table[0], "column_0  column_1  …  column_8");
    }
}
