//! Names of columns as headers write them.

use std::fmt::Write;

/// The names of a CSV header: without the spaces around them; one without a name is `column_3` by its place.
///
/// # Errors
/// A name stands twice, or the bytes are no text.
pub fn of_header<'a>(cells: impl Iterator<Item = &'a [u8]>) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = vec![];
    for (index, cell) in cells.enumerate() {
        if cell.contains(&0) {
            return Err("the header holds NUL bytes; is the file UTF-16? Save it as UTF-8".into());
        }
        let name = std::str::from_utf8(cell)
            .map_err(|_| "the header is not UTF-8 text; save the file as UTF-8".to_string())?
            .trim();
        let mut name = name.to_string();
        if name.is_empty() {
            write!(name, "column_{}", index + 1).map_err(|e| e.to_string())?;
        }
        if let Some(other) = names.iter().find(|n| same(n, &name)) {
            return Err(match *other == name {
                true => format!("the header names {name} twice"),
                false => format!("the header names {other} and {name}, which differ only in case"),
            });
        }
        names.push(name);
    }
    Ok(names)
}

/// Whether two names mean the same column: letters count whatever their case.
pub fn same(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}
