//! A catalog and its tables, looked at without any of the programs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use retail_api::TableName;
use retail_engine::EngineConfig;
use retail_lakehouse::{CatalogConfig, Lakehouse, Relation};
use retail_storage::{ObjectStores, S3Config, StorageConfig};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use super::checksum::{Summary, summary};
use super::prerequisites::S3;

/// Where a lake is.
#[derive(Debug, Clone)]
pub(crate) struct LakeAt {
    pub catalog: String,
    pub warehouse: String,
    pub s3: Option<S3>,
}

impl LakeAt {
    /// SQLite and a folder, below `dir`.
    pub(crate) fn local(dir: &Path) -> Self {
        let dir = dir.display();
        Self {
            catalog: format!("sqlite://{dir}/catalog.db"),
            warehouse: format!("file://{dir}/warehouse"),
            s3: None,
        }
    }

    pub(crate) fn catalog_config(&self) -> CatalogConfig {
        CatalogConfig {
            uri: self.catalog.clone(),
            name: "retail".to_owned(),
            warehouse: self.warehouse.clone(),
        }
    }

    pub(crate) fn storage_config(&self) -> StorageConfig {
        let Some(s3) = &self.s3 else {
            return StorageConfig::default();
        };
        StorageConfig {
            s3: S3Config {
                endpoint: Some(s3.endpoint.clone()),
                access_key_id: Some(s3.key.clone()),
                secret_access_key: Some(s3.secret.clone()),
                allow_http: true,
                ..S3Config::default()
            },
        }
    }

    /// Opens it as an embedder would.
    pub(crate) async fn open(&self) -> Lakehouse {
        Lakehouse::open(
            &self.catalog_config(),
            ObjectStores::new(self.storage_config()),
        )
        .await
        .unwrap()
    }

    /// What every table holds now, at one point in time. Views are not among them.
    pub(crate) async fn summaries(&self) -> BTreeMap<String, Summary> {
        let lake = self.open().await;
        let session = retail_engine::session(&EngineConfig::default(), 2, lake.stores()).unwrap();
        let pin = lake.pin().await.unwrap();
        let names: Vec<TableName> = pin.names().cloned().collect();
        let mut summaries = BTreeMap::new();
        for name in names {
            let Some(Relation::Table(table)) = lake.load(&pin, &name).await.unwrap() else {
                continue;
            };
            let provider = lake.scan(&table).await.unwrap();
            let rows = session
                .read_table(provider)
                .unwrap()
                .collect()
                .await
                .unwrap();
            summaries.insert(name.to_string(), summary(&rows));
        }
        summaries
    }

    /// The run that wrote each table's current snapshot, at one point in time.
    pub(crate) async fn publish_ids(&self) -> BTreeMap<String, String> {
        publish_ids(&self.open().await).await
    }

    /// Whether no process is in the middle of a transaction that writes to the catalog.
    pub(crate) async fn has_no_transaction(&self) -> bool {
        if self.catalog.starts_with("sqlite:") {
            return self.lock().await.is_some();
        }
        let mut connection = sqlx::PgConnection::connect(&self.catalog).await.unwrap();
        let open = "select count(*) from pg_stat_activity where datname = current_database() \
                    and xact_start is not null and pid <> pg_backend_pid()";
        let open: i64 = sqlx::query_scalar(open)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        open == 0
    }

    /// Holds the write lock of a SQLite catalog until it is dropped; none where another process holds it.
    pub(crate) async fn lock(&self) -> Option<SqliteConnection> {
        let path = self.catalog.strip_prefix("sqlite://").unwrap();
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(Duration::ZERO);
        let mut connection = options.connect().await.unwrap();
        let begun = sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut connection)
            .await;
        begun.is_ok().then_some(connection)
    }

    /// The options by which the interop scripts find this lake.
    pub(crate) fn options(&self) -> Vec<String> {
        let mut options = vec!["--catalog".to_owned(), self.catalog.clone()];
        if let Some(s3) = &self.s3 {
            for (name, value) in [
                ("endpoint", &s3.endpoint),
                ("key", &s3.key),
                ("secret", &s3.secret),
            ] {
                options.extend([format!("--s3-{name}"), value.clone()]);
            }
        }
        options
    }
}

/// As [`LakeAt::publish_ids`], of a lake that is open.
pub(crate) async fn publish_ids(lake: &Lakehouse) -> BTreeMap<String, String> {
    let pin = lake.pin().await.unwrap();
    let names: Vec<TableName> = pin.names().cloned().collect();
    let mut ids = BTreeMap::new();
    for name in names {
        let Some(Relation::Table(table)) = lake.load(&pin, &name).await.unwrap() else {
            continue;
        };
        let snapshots = table.snapshots();
        let current = snapshots.iter().find(|s| Some(s.id) == table.snapshot_id());
        let id = current
            .and_then(|s| s.summary.get("retail.publish-id"))
            .cloned()
            .unwrap_or_default();
        ids.insert(name.to_string(), id);
    }
    ids
}
