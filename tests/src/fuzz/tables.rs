//! The tables that generated queries ask: a shop of few rows with NULLs, duplicates and an empty table.
//!
//! | table | rows | files |
//! |---|---|---|
//! | sales | 96 | one per day |
//! | returns | 24 | one per reason |
//! | products, customers, stores | 12, 10, 4 | one each |
//! | promotions | 0 | none |
//! | web_sales, movements | | views |

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};

use super::choices::Choices;

/// What a value is, as far as a generator has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Int,
    Money,
    Text,
    Date,
    Time,
    Bool,
    Float,
}

/// A table, or a view where `sql` is not empty.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    /// A column without NULLs or duplicates; empty where there is none.
    pub key: &'static str,
    /// About as many.
    pub rows: u64,
    /// Name, kind, and type as both engines spell it.
    pub columns: &'static [(&'static str, Kind, &'static str)],
    /// How files are cut.
    partition_by: &'static str,
    /// The SQL of a view.
    sql: &'static str,
}

/// The namespace of all tables.
pub const NAMESPACE: &str = "shop";

pub const TABLES: &[Table] = &[
    Table {
        name: "products",
        key: "product_id",
        rows: 12,
        columns: &[
            ("product_id", Kind::Int, "bigint"),
            ("sku", Kind::Text, "varchar"),
            ("category", Kind::Text, "varchar"),
            ("list_price", Kind::Money, "decimal(12,2)"),
            ("launched", Kind::Date, "date"),
        ],
        partition_by: "",
        sql: "",
    },
    Table {
        name: "sales",
        key: "sale_id",
        rows: 96,
        columns: &[
            ("sale_id", Kind::Int, "bigint"),
            ("product_id", Kind::Int, "bigint"),
            ("customer_id", Kind::Int, "bigint"),
            ("store_id", Kind::Int, "integer"),
            ("qty", Kind::Int, "integer"),
            ("price", Kind::Money, "decimal(12,2)"),
            ("discount", Kind::Money, "decimal(4,2)"),
            ("sold_on", Kind::Date, "date"),
            ("sold_at", Kind::Time, "timestamp"),
            ("channel", Kind::Text, "varchar"),
            ("weight", Kind::Float, "double"),
            ("gift", Kind::Bool, "boolean"),
        ],
        partition_by: "sold_on",
        sql: "",
    },
    Table {
        name: "customers",
        key: "customer_id",
        rows: 10,
        columns: &[
            ("customer_id", Kind::Int, "bigint"),
            ("name", Kind::Text, "varchar"),
            ("state", Kind::Text, "varchar"),
            ("joined", Kind::Date, "date"),
            ("credit", Kind::Money, "decimal(10,2)"),
        ],
        partition_by: "",
        sql: "",
    },
    Table {
        name: "stores",
        key: "store_id",
        rows: 4,
        columns: &[
            ("store_id", Kind::Int, "integer"),
            ("city", Kind::Text, "varchar"),
            ("opened", Kind::Date, "date"),
            ("main_store_id", Kind::Int, "integer"),
        ],
        partition_by: "",
        sql: "",
    },
    Table {
        name: "returns",
        key: "return_id",
        rows: 24,
        columns: &[
            ("return_id", Kind::Int, "bigint"),
            ("sale_id", Kind::Int, "bigint"),
            ("qty", Kind::Int, "integer"),
            ("refund", Kind::Money, "decimal(12,2)"),
            ("returned_at", Kind::Time, "timestamp"),
            ("reason", Kind::Text, "varchar"),
        ],
        partition_by: "reason",
        sql: "",
    },
    Table {
        name: "promotions",
        key: "promotion_id",
        rows: 0,
        columns: &[
            ("promotion_id", Kind::Int, "bigint"),
            ("product_id", Kind::Int, "bigint"),
            ("percent", Kind::Money, "decimal(4,2)"),
            ("starts", Kind::Date, "date"),
            ("label", Kind::Text, "varchar"),
        ],
        partition_by: "",
        sql: "",
    },
    Table {
        name: "web_sales",
        key: "sale_id",
        rows: 24,
        columns: &[
            ("sale_id", Kind::Int, "bigint"),
            ("product_id", Kind::Int, "bigint"),
            ("qty", Kind::Int, "integer"),
            ("price", Kind::Money, "decimal(12,2)"),
            ("sold_on", Kind::Date, "date"),
        ],
        partition_by: "",
        sql: "select sale_id, product_id, qty, price, sold_on from shop.sales where channel = 'web'",
    },
    Table {
        name: "movements",
        key: "",
        rows: 120,
        columns: &[
            ("sale_id", Kind::Int, "bigint"),
            ("qty", Kind::Int, "bigint"),
            ("what", Kind::Text, "varchar"),
        ],
        partition_by: "",
        sql: "select sale_id, cast(qty as bigint) as qty, 'sale' as what from shop.sales \
              union all select sale_id, cast(-qty as bigint), 'return' from shop.returns",
    },
];

impl Table {
    /// Whether it is a view.
    pub fn is_view(&self) -> bool {
        !self.sql.is_empty()
    }
}

/// Writes the project that publishes the tables, and its CSV files below `dir/input`.
///
/// # Errors
/// A file cannot be written.
pub fn write(dir: &Path) -> Result<()> {
    let models = dir.join("project/models");
    std::fs::create_dir_all(dir.join("input")).context("cannot write the input")?;
    std::fs::create_dir_all(&models).context("cannot write the project")?;
    let write = |path: &Path, text: &str| {
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    let project = format!(
        "name: fuzz\nmodels:\n  fuzz:\n    +materialized: table\n    +schema: {NAMESPACE}\n"
    );
    write(&dir.join("project/dbt_project.yml"), &project)?;
    let mut sources = "version: 2\nsources:\n  - name: raw\n    tables:\n".to_owned();
    for table in TABLES {
        let model = if table.is_view() {
            let sql = TABLES.iter().fold(table.sql.to_owned(), |sql, other| {
                sql.replace(
                    &format!("{NAMESPACE}.{}", other.name),
                    &format!("{{{{ ref('{}') }}}}", other.name),
                )
            });
            format!("{{{{ config(materialized='view') }}}}\n{sql}\n")
        } else {
            let file = dir.join("input").join(format!("{}.csv", table.name));
            write(&file, &rows(table))?;
            writeln!(
                sources,
                "      - name: {}\n        meta: {{external_location: \"{}\"}}\n        columns:",
                table.name,
                file.display()
            )?;
            for (name, _, data_type) in table.columns {
                writeln!(
                    sources,
                    "          - {{name: {name}, data_type: \"{data_type}\"}}"
                )?;
            }
            let config = match table.partition_by {
                "" => String::new(),
                by => format!("{{{{ config(partition_by=['{by}']) }}}}\n"),
            };
            format!(
                "{config}select * from {{{{ source('raw', '{}') }}}}\n",
                table.name
            )
        };
        write(&models.join(format!("{}.sql", table.name)), &model)?;
    }
    write(&models.join("sources.yml"), &sources)
}

/// Statements that make the same tables in DuckDB.
pub fn in_duckdb(dir: &Path) -> Vec<String> {
    let mut statements = vec![format!("create schema {NAMESPACE}")];
    for table in TABLES {
        let name = format!("{NAMESPACE}.{}", table.name);
        statements.push(if table.is_view() {
            format!("create view {name} as {}", table.sql)
        } else {
            let columns: Vec<String> = table
                .columns
                .iter()
                .map(|(name, _, data_type)| format!("'{name}': '{data_type}'"))
                .collect();
            format!(
                "create table {name} as select * from read_csv('{}', header = true, columns = {{{}}})",
                dir.join("input").join(format!("{}.csv", table.name)).display(),
                columns.join(", ")
            )
        });
    }
    statements
}

/// The table as CSV, the same in every run.
fn rows(table: &Table) -> String {
    let mut choices = Choices::seeded(table.columns.len() as u64);
    let names: Vec<_> = table.columns.iter().map(|(name, _, _)| *name).collect();
    let mut text = names.join(",") + "\n";
    for row in 1..=table.rows {
        let cells: Vec<String> = names
            .iter()
            .map(|name| cell(table, name, row, &mut choices))
            .collect();
        text += &cells.join(",");
        text.push('\n');
    }
    text
}

fn cell(table: &Table, column: &str, row: u64, choices: &mut Choices) -> String {
    let mut one_of =
        |values: &[&'static str]| choices.one_of(values).unwrap_or_default().to_owned();
    match (table.name, column) {
        (_, name) if name == table.key => row.to_string(),
        ("sales", "product_id") => {
            one_of(&["1", "1", "2", "3", "4", "5", "6", "7", "8", "9", "", "14"])
        }
        ("sales", "customer_id") => {
            one_of(&["1", "2", "2", "3", "4", "5", "6", "7", "8", "", "", "12"])
        }
        ("sales", "store_id") => one_of(&["1", "2", "3", "3", "", "9"]),
        (_, "qty") => one_of(&["1", "1", "2", "3", "5", ""]),
        ("sales", "discount") => one_of(&["0.00", "0.05", "0.10", "0.25", ""]),
        (_, "sold_on") => one_of(&[
            "2024-02-28",
            "2024-02-29",
            "2024-03-01",
            "2024-03-03",
            "2024-03-31",
            "",
        ]),
        (_, "sold_at" | "returned_at") => {
            let day = one_of(&["2024-02-28", "2024-02-29", "2024-03-01", "2024-03-31"]);
            match one_of(&[
                "00:00:00", "09:30:00", "09:30:00", "12:00:00", "23:59:59", "",
            ]) {
                time if time.is_empty() => time,
                time => format!("{day} {time}"),
            }
        }
        (_, "channel") => one_of(&["web", "web", "shop", "app", ""]),
        (_, "weight") => one_of(&["0.25", "0.5", "1.75", "2.5", "-1.25", ""]),
        (_, "gift") => one_of(&["true", "false", "false", ""]),
        (_, "sku") => format!("sku-{:02}", row % 11),
        (_, "category") => one_of(&["food", "toys", "books", ""]),
        (_, "launched" | "joined" | "opened") => one_of(&[
            "2023-01-15",
            "2023-12-31",
            "2024-02-28",
            "2024-02-29",
            "2024-03-01",
            "",
        ]),
        (_, "name") => [
            "Ana", "bob", "Çelik", "O'Neil", "", "anne", "Zoë", "50% off", "a_b", "Émile",
        ][row as usize % 10]
            .to_owned(),
        (_, "state") => one_of(&["CA", "NY", "TX", "", "web"]),
        (_, "city") => one_of(&["Lyon", "Oslo", "Rome", ""]),
        (_, "main_store_id") => one_of(&["1", "2", ""]),
        ("returns", "sale_id") => {
            one_of(&["1", "2", "3", "5", "8", "13", "21", "34", "55", "99", ""])
        }
        (_, "reason") => one_of(&["broken", "late", "wrong size", ""]),
        // Amounts that binary fractions do not have.
        _ => one_of(&[
            "8.55", "129.99", "0.10", "19.99", "9.99", "50.00", "1.10", "-3.35", "0.00", "",
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tables_rows_are_the_same_each_time_and_its_key_is_one() {
        for table in TABLES.iter().filter(|t| !t.is_view()) {
            let text = rows(table);
            assert_eq!(text, rows(table));
            assert_eq!(text.lines().count() as u64, table.rows + 1);
            assert!(table.columns.iter().any(|(name, _, _)| *name == table.key));
        }
    }
}
