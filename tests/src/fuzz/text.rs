//! SQL that two engines spell differently in places, and whose tables can be cut to a few rows.

use std::collections::BTreeMap;

use super::tables::{NAMESPACE, TABLES};

const EITHER: char = '\u{1}';
const OR: char = '\u{2}';
const END: char = '\u{3}';
const TABLE: char = '\u{4}';

/// Who reads the SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Ours,
    DuckDb,
}

/// Of a table only the rows whose keys lie in this range, both ends included.
pub type Rows = BTreeMap<&'static str, (u64, u64)>;

/// A place that the two spell differently. May be nested.
pub fn either(ours: &str, duckdb: &str) -> String {
    format!("{EITHER}{ours}{OR}{duckdb}{END}")
}

/// A table, before its alias.
pub fn table(name: &str) -> String {
    format!("{TABLE}{name}{TABLE}")
}

/// The names of the tables that the text reads.
pub fn tables(text: &str) -> Vec<&'static str> {
    let named = |name: &str| text.contains(&table(name));
    TABLES
        .iter()
        .map(|t| t.name)
        .filter(|name| named(name))
        .collect()
}

/// The SQL for one of the two.
pub fn render(text: &str, dialect: Dialect, rows: &Rows) -> String {
    let mut out = String::with_capacity(text.len());
    // For each open place whether its second half is being read; a half is kept if all around it are.
    let mut open: Vec<bool> = vec![];
    let mut name: Option<String> = None;
    for c in text.chars() {
        match c {
            EITHER => open.push(false),
            OR => {
                if let Some(last) = open.last_mut() {
                    *last = true;
                }
            }
            END => {
                open.pop();
            }
            _ if open
                .iter()
                .any(|second| *second != (dialect == Dialect::DuckDb)) => {}
            TABLE => match name.take() {
                None => name = Some(String::new()),
                Some(name) => out += &named(&name, rows),
            },
            c => match &mut name {
                Some(name) => name.push(c),
                None => out.push(c),
            },
        }
    }
    out
}

fn named(name: &str, rows: &Rows) -> String {
    let key = TABLES.iter().find(|t| t.name == name).map_or("", |t| t.key);
    match rows.get(name) {
        Some((from, to)) if !key.is_empty() => {
            format!("(select * from {NAMESPACE}.{name} where {key} between {from} and {to})")
        }
        _ => format!("{NAMESPACE}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_engine_reads_its_own_half() {
        let inner = either("b", "c");
        let text = format!("a {} from {} as t", either(&inner, "d"), table("sales"));
        let all = Rows::new();
        assert_eq!(
            render(&text, Dialect::Ours, &all),
            "a b from shop.sales as t"
        );
        let few: Rows = [("sales", (1, 4))].into();
        assert_eq!(
            render(&text, Dialect::DuckDb, &few),
            "a d from (select * from shop.sales where sale_id between 1 and 4) as t"
        );
        assert_eq!(tables(&text), ["sales"]);
    }
}
