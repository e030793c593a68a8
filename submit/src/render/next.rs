//! What to try after the demo: queries, other engines on the same tables, a cluster that stays.

use std::path::Path;

/// What the advice is about.
#[derive(Debug, Clone)]
pub(crate) struct Demo<'a> {
    /// As given on the command line.
    pub dir: &'a str,
    /// The file of the SQLite catalog, absolute.
    pub catalog: &'a Path,
    /// `file:///abs/warehouse`.
    pub warehouse: &'a str,
    /// A table, and the metadata file of its current state.
    pub table: &'a str,
    pub metadata_location: &'a str,
    /// The truth that the generator wrote.
    pub truth: &'a Path,
}

/// The commands to try next, ready to paste.
pub(crate) fn lines(demo: &Demo<'_>) -> Vec<String> {
    let Demo {
        dir,
        warehouse,
        table,
        ..
    } = demo;
    let catalog = demo.catalog.display();
    let metadata = demo
        .metadata_location
        .strip_prefix("file://")
        .unwrap_or(demo.metadata_location);
    let truth = demo.truth.display();
    let input = demo.catalog.with_file_name("input");
    let input = input.display();
    [
        "query them:",
        &format!("  retail-submit sql --local --dir {dir} \"select * from {table} limit 10\""),
        &format!("  retail-submit tables --local --dir {dir}"),
        &format!("  retail-submit verify --local --dir {dir} --truth {truth}"),
        "the same tables in Python (pip install 'pyiceberg[sql-sqlite,pyarrow]'):",
        "  from pyiceberg.catalog import load_catalog",
        // Four slashes: SQLAlchemy takes what follows three for a relative path.
        &format!("  lake = load_catalog(\"retail\", type=\"sql\", uri=\"sqlite:///{catalog}\","),
        &format!("                      warehouse=\"{warehouse}\")"),
        &format!("  print(lake.load_table(\"{table}\").scan().to_arrow())"),
        "and in DuckDB:",
        "  INSTALL iceberg; LOAD iceberg;",
        &format!("  SELECT count(*) FROM iceberg_scan('{metadata}');"),
        "keep a cluster running on this folder, each in a terminal:",
        &format!("  retail-scheduler --data-dir {dir} --allow {input}"),
        "  retail-executor",
        "  retail-submit jobs",
    ]
    .map(str::to_string)
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_can_be_pasted() {
        let demo = Demo {
            dir: "./shop",
            catalog: Path::new("/home/ada/shop/catalog.db"),
            warehouse: "file:///home/ada/shop/warehouse",
            table: "marts.fact_order_summary",
            metadata_location: "file:///home/ada/shop/warehouse/marts/x/metadata/00002-a.metadata.json",
            truth: Path::new("./shop/input/truth.json"),
        };
        let text = lines(&demo).join("\n");
        for expected in [
            "retail-submit sql --local --dir ./shop \"select * from marts.fact_order_summary limit 10\"",
            "uri=\"sqlite:////home/ada/shop/catalog.db\"",
            "iceberg_scan('/home/ada/shop/warehouse/marts/x/metadata/00002-a.metadata.json')",
            "retail-scheduler --data-dir ./shop --allow /home/ada/shop/input",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
    }
}
