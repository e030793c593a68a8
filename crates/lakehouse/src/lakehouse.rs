//! The lakehouse: a catalog, the stores its tables live in, and what readers of one moment see.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use iceberg::Runtime;
use iceberg::io::FileIO;
use iceberg::spec::TableMetadata;
use lru::LruCache;
use parking_lot::Mutex;
use retail_storage::ObjectStores;
use tracing::{debug, info};

use crate::catalog::database::{Db, Patience};
use crate::catalog::statements::{self, Entry, Kind};
use crate::config::CatalogConfig;
use crate::error::{LakehouseError, Result};
use crate::file_io;
use crate::observe::{self, CatalogOperation, Observer};
use crate::table::{LakeTable, Relation};
use crate::table::{metadata, view};
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
    /// Parsed metadata files by their location.
    relations: Mutex<LruCache<String, Relation>>,
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
                relations: Mutex::new(LruCache::new(RELATIONS_MAX)),
            }),
        })
    }

    pub fn stores(&self) -> &ObjectStores {
        &self.inner.stores
    }

    /// Connections to the catalog's database, for tables of one's own beside the catalog's: the job store.
    ///
    /// The one type of `sqlx` in this crate's API, on purpose: jobs and tables must be in one database, whose pool
    /// waits, notices a deleted file and hides passwords as this crate sets it up.
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
        if let Some(relation) = self.remembered(name, location) {
            return Ok(Some(relation));
        }
        let relation = match entry.kind {
            Kind::Table => {
                let (metadata, unreadable) = metadata::read(self.file_io(), name, location).await?;
                Relation::Table(self.table(name, location, metadata)?.without(unreadable))
            }
            Kind::View => Relation::View(view::read(name, location, self.file_io()).await?),
        };
        self.remember(relation.clone());
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
        let location = relation.metadata_location().to_owned();
        self.inner.relations.lock().put(location, relation);
    }

    fn remembered(&self, name: &TableName, location: &str) -> Option<Relation> {
        let mut relations = self.inner.relations.lock();
        // Two names may point at one file after a rename by another engine.
        let found = relations.get(location).filter(|r| r.name() == name);
        found.cloned()
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

/// Parsed metadata kept per process: some hundred tables, each at a few moments.
const RELATIONS_MAX: NonZeroUsize = NonZeroUsize::new(512).expect("it is not zero");

#[cfg(test)]
mod tests;
