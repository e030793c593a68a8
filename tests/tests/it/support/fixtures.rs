//! Projects and data for tests: a small shop of three models, and the retail project over generated files.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::repository;
use super::submit::Submit;

/// A small project whose files a test may change before it is written.
///
/// ```text
/// raw.orders (CSV) ─▶ staging.stg_orders ─▶ marts.totals ─▶ marts.best (view)
/// ```
#[derive(Debug, Clone)]
pub(crate) struct Project {
    files: BTreeMap<String, String>,
}

impl Project {
    /// The project over a CSV file that lies at `orders`.
    pub(crate) fn over(orders: &Path) -> Self {
        let sources = format!(
            "version: 2
sources:
  - name: raw
    tables:
      - name: orders
        meta:
          external_location: \"{}\"
        columns:
          - {{name: order_id, data_type: bigint}}
          - {{name: customer, data_type: text}}
          - {{name: amount, data_type: \"decimal(12,2)\"}}
          - {{name: order_date, data_type: date}}
",
            orders.display()
        );
        let files = [
            ("models/sources.yml", sources.as_str()),
            (
                "models/staging/stg_orders.sql",
                "SELECT order_id, customer, amount, order_date\nFROM {{ source('raw', 'orders') }}\n",
            ),
            (
                "models/marts/totals.sql",
                "SELECT customer, count(*) AS orders, sum(amount) AS total\nFROM {{ ref('stg_orders') }}\nGROUP BY customer\n",
            ),
            (
                "models/marts/best.sql",
                "{{ config(materialized='view') }}\nSELECT customer, total\nFROM {{ ref('totals') }}\nWHERE total > 100\n",
            ),
        ];
        let files = files.iter();
        files.fold(
            Self::empty(&["staging", "marts"]),
            |project, (path, text)| project.with(path, text),
        )
    }

    /// A project without models yet. Each of its folders of models has a namespace of the same name.
    pub(crate) fn empty(folders: &[&str]) -> Self {
        let mut settings = "name: shop
version: '1.0'
profile: retail
models:
  shop:
    +materialized: table
"
        .to_owned();
        for folder in folders {
            write!(settings, "    {folder}:\n      +schema: {folder}\n").unwrap();
        }
        let project = Self {
            files: BTreeMap::new(),
        };
        project.with("dbt_project.yml", &settings)
    }

    /// The project with one file more, or another one.
    #[must_use]
    pub(crate) fn with(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.to_owned(), text.to_owned());
        self
    }

    /// Writes the project's files to `dir/shop` and returns that folder.
    pub(crate) fn write(&self, dir: &Path) -> PathBuf {
        let folder = dir.join("shop");
        for (path, text) in &self.files {
            let file = folder.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        folder
    }
}

/// Writes a CSV file of `rows` orders of the shop.
pub(crate) fn orders(file: &Path, rows: u32) {
    let mut text = "order_id,customer,amount,order_date\n".to_owned();
    for id in 0..rows {
        writeln!(
            text,
            "{id},c{},{}.{:02},2024-{:02}-{:02}",
            id % 17,
            id % 90,
            id % 100,
            id % 12 + 1,
            id % 28 + 1
        )
        .unwrap();
    }
    std::fs::write(file, text).unwrap();
}

/// The project that ships.
pub(crate) fn retail_project() -> PathBuf {
    repository::root().join("jobs/retail")
}

/// Generates the marketplace's files into `dir/input` and returns that folder. The same arguments, the same files.
pub(crate) fn marketplace(dir: &Path, orders: u32, days: u32) -> PathBuf {
    let input = dir.join("input");
    let (orders, days, out) = (
        orders.to_string(),
        days.to_string(),
        input.to_str().unwrap().to_owned(),
    );
    let nowhere = Submit::new("http://127.0.0.1:1", dir);
    nowhere
        .run([
            "generate", "--orders", &orders, "--days", &days, "--out", &out,
        ])
        .succeeded();
    input
}
