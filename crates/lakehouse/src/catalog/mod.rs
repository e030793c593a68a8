//! The catalog: which metadata file each table and view has now.
//!
//! Its tables are those of Java's JdbcCatalog (schema version 1), which PyIceberg's SqlCatalog reads too:
//!
//! ```text
//! iceberg_tables                 catalog_name, table_namespace, table_name  -> metadata_location, …, iceberg_type
//! iceberg_namespace_properties   catalog_name, namespace, property_key      -> property_value
//! retail_publishes, retail_owner   ours alone: what became of a publish, and who may publish
//! ```
//!
//! The catalog's name is part of every key. `iceberg_type` is `TABLE`, `VIEW`, or NULL for a table that an older
//! engine wrote. A namespace exists when a table or a property names it.

mod database;
pub(crate) mod ledger;
pub(crate) mod owner;
pub(crate) mod statements;
mod uri;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use iceberg::Runtime;
use iceberg::io::FileIO;
use iceberg::spec::TableMetadata;
use parking_lot::Mutex;
use retail_storage::ObjectStores;
use tracing::{debug, info};

pub(crate) use database::{Db, Failure, Patience, backoff, kind, no_answer};
pub(crate) use statements::{Entry, Kind};

use crate::config::CatalogConfig;
use crate::error::{LakehouseError, Result};
use crate::observe::{self, CatalogOperation, Observer};
use crate::table::{LakeTable, Relation};
use crate::{file_io, metadata, view};
use retail_api::TableName;

/// A catalog and the stores its tables live in. A clone is another handle on the same.
#[derive(Clone)]
pub struct Lakehouse {
    inner: Arc<Inner>,
}

struct Inner {
    config: CatalogConfig,
    stores: ObjectStores,
    observer: Option<Observer>,
    db: Db,
    file_io: FileIO,
    runtime: Runtime,
    relations: Mutex<Relations>,
}

/// Which metadata file every table and view had at one moment: what one run reads, whatever others publish.
#[derive(Debug, Clone)]
pub struct Pin {
    entries: BTreeMap<TableName, Entry>,
}

impl Pin {
    /// Every table and view, in order of name.
    pub fn names(&self) -> impl Iterator<Item = &TableName> {
        self.entries.keys()
    }

    /// The pinned metadata file; none when there was no such table or view.
    pub fn metadata_location(&self, name: &TableName) -> Option<&str> {
        let entry = self.entries.get(name)?;
        Some(&entry.metadata_location)
    }
}

impl Lakehouse {
    /// Opens the catalog and creates its tables if they are absent.
    ///
    /// An SQLite file is created here and nowhere else. Needs a tokio runtime.
    pub async fn open(config: &CatalogConfig, stores: ObjectStores) -> Result<Self> {
        Self::open_with(config, stores, None, Patience::default()).await
    }

    /// As [`Lakehouse::open`]; the catalog's requests and what is staged are reported to `observer`.
    ///
    /// # Errors
    /// See there.
    pub async fn open_observed(
        config: &CatalogConfig,
        stores: ObjectStores,
        observer: Observer,
    ) -> Result<Self> {
        Self::open_with(config, stores, Some(observer), Patience::default()).await
    }

    pub(crate) async fn open_with(
        config: &CatalogConfig,
        stores: ObjectStores,
        observer: Option<Observer>,
        patience: Patience,
    ) -> Result<Self> {
        check_config(config, &stores)?;
        let db = Db::open(&config.uri, patience).await?;
        statements::create_tables(&db).await?;
        let runtime = Runtime::try_current().map_err(|e| LakehouseError::InvalidConfig {
            key: "catalog",
            reason: e.to_string(),
        })?;
        info!(catalog = %db.uri, name = %config.name, warehouse = %config.warehouse, "catalog opened");
        Ok(Self {
            inner: Arc::new(Inner {
                config: CatalogConfig {
                    warehouse: config.warehouse.trim_end_matches('/').to_owned(),
                    ..config.clone()
                },
                file_io: file_io::file_io(&stores),
                stores,
                observer,
                db,
                runtime,
                relations: Mutex::default(),
            }),
        })
    }

    pub fn stores(&self) -> &ObjectStores {
        &self.inner.stores
    }

    /// The catalog's database, for tables of one's own beside the catalog's.
    pub fn pool(&self) -> &sqlx::AnyPool {
        &self.inner.db.pool
    }

    /// Whether the catalog's database answers now, within five seconds.
    ///
    /// # Errors
    /// Why it does not; [`LakehouseError::CatalogGone`] when an SQLite file was deleted or replaced.
    pub async fn ping(&self) -> Result<()> {
        self.inner.db.ping().await
    }

    pub fn config(&self) -> &CatalogConfig {
        &self.inner.config
    }

    pub(crate) fn db(&self) -> &Db {
        &self.inner.db
    }

    pub(crate) fn observer(&self) -> Option<&Observer> {
        self.inner.observer.as_ref()
    }

    pub(crate) fn file_io(&self) -> &FileIO {
        &self.inner.file_io
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.inner.runtime
    }

    /// Reads every table's and view's metadata location in one statement.
    pub async fn pin(&self) -> Result<Pin> {
        let began = Instant::now();
        let read = statements::entries(&self.inner.db, &self.inner.config.name).await;
        let observer = self.observer();
        let entries = observe::catalog(observer, CatalogOperation::Pin, began, read)?;
        debug!(relations = entries.len(), "catalog pinned");
        Ok(Pin { entries })
    }

    /// The table or view as pinned; none when the pin has no such name.
    ///
    /// Metadata files never change, so each is read once and shared by all readers.
    pub async fn load(&self, pin: &Pin, name: &TableName) -> Result<Option<Relation>> {
        let Some(entry) = pin.entries.get(name) else {
            return Ok(None);
        };
        let location = &entry.metadata_location;
        if let Some(relation) = self.inner.relations.lock().get(name, location) {
            return Ok(Some(relation));
        }
        let relation = match entry.kind {
            Kind::Table => {
                let (metadata, unreadable) = metadata::read(self.file_io(), name, location).await?;
                Relation::Table(self.table(name, location, metadata)?.without(unreadable))
            }
            Kind::View => Relation::View(view::read(name, location, self.file_io()).await?),
        };
        self.inner.relations.lock().put(relation.clone());
        Ok(Some(relation))
    }

    /// A table with these metadata, wherever they come from.
    pub(crate) fn table(
        &self,
        name: &TableName,
        location: &str,
        metadata: TableMetadata,
    ) -> Result<LakeTable> {
        let metadata = Arc::new(metadata);
        LakeTable::new(
            name.clone(),
            location,
            metadata,
            self.file_io(),
            self.runtime(),
        )
    }

    /// Remembers a relation that was just written, since its readers come next.
    pub(crate) fn remember(&self, relation: Relation) {
        self.inner.relations.lock().put(relation);
    }

    /// Names of tables and views, of one namespace or all.
    pub async fn list(&self, namespace: Option<&str>) -> Result<Vec<TableName>> {
        let pin = self.pin().await?;
        let wanted = |name: &TableName| namespace.is_none_or(|wanted| name.namespace == wanted);
        Ok(pin.entries.into_keys().filter(wanted).collect())
    }

    /// Takes a table or view out of the catalog; its files stay. No error when there is none of that name.
    pub async fn drop_table(&self, name: &TableName) -> Result<()> {
        let began = Instant::now();
        let deleted = statements::delete(&self.inner.db, &self.inner.config.name, name).await;
        let observer = self.observer();
        let dropped = observe::catalog(observer, CatalogOperation::Drop, began, deleted)?;
        info!(table = %name, dropped, "table dropped from the catalog");
        Ok(())
    }
}

impl fmt::Debug for Lakehouse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lakehouse")
            .field(&self.inner.config)
            .finish()
    }
}

fn check_config(config: &CatalogConfig, stores: &ObjectStores) -> Result<()> {
    let invalid = |key, reason: String| LakehouseError::InvalidConfig { key, reason };
    if config.name.is_empty() {
        return Err(invalid("catalog.name", "it is empty".to_owned()));
    }
    match stores.resolve(&config.warehouse) {
        Ok((_, path, _)) if path.as_ref().is_empty() && config.warehouse.starts_with("file") => {
            let reason = "it is the root of the file system".to_owned();
            Err(invalid("catalog.warehouse", reason))
        }
        Ok(_) => Ok(()),
        Err(e) => Err(invalid("catalog.warehouse", e.to_string())),
    }
}

/// Relations by metadata location; when full, the one least recently used goes.
#[derive(Default)]
struct Relations {
    by_location: HashMap<String, (u64, Relation)>,
    clock: u64,
}

/// Parsed metadata kept per process: some hundred tables, each at a few moments.
const RELATIONS_MAX: usize = 512;

impl Relations {
    fn get(&mut self, name: &TableName, location: &str) -> Option<Relation> {
        self.clock += 1;
        let (used, relation) = self.by_location.get_mut(location)?;
        // Two names may point at one file after a rename by another engine.
        if relation_name(relation) != name {
            return None;
        }
        *used = self.clock;
        Some(relation.clone())
    }

    fn put(&mut self, relation: Relation) {
        self.clock += 1;
        if self.by_location.len() >= RELATIONS_MAX {
            let oldest = self.by_location.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(location) = oldest.map(|(location, _)| location.clone()) {
                self.by_location.remove(&location);
            }
        }
        let location = match &relation {
            Relation::Table(table) => table.metadata_location(),
            Relation::View(view) => view.metadata_location(),
        };
        self.by_location
            .insert(location.to_owned(), (self.clock, relation));
    }
}

fn relation_name(relation: &Relation) -> &TableName {
    match relation {
        Relation::Table(table) => table.name(),
        Relation::View(view) => view.name(),
    }
}

#[cfg(test)]
mod tests;
