//! The catalog at one point in time: the tables that SQL can name, staged by a run, published before it, or sources.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::SessionContext;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::RwLock;
use retail_api::TableName;
use retail_api::source::Source;
use retail_api::{Failure, FailureKind};
use retail_connect::files;
use retail_lakehouse::{LakeView, Lakehouse, Pin, Relation};

use crate::cluster::Cluster;
use crate::view_inputs::{ViewInputs, is_same};

/// The name under which it is registered; the session's default.
const CATALOG: &str = "retail";

/// One point in time of the lakehouse, with a run's own tables and sources over it.
///
/// Names resolve to what the run staged first, then to its sources, then to what was published at the pin.
/// Tables are loaded when a query names them.
pub struct PinnedCatalog {
    lake: Lakehouse,
    pin: Pin,
    cluster: Arc<dyn Cluster>,
    own: RwLock<HashMap<TableName, Arc<dyn TableProvider>>>,
    /// Sources over files that were opened: one definition is opened once, so that all see the same files.
    opened: RwLock<Vec<(Source, Arc<dyn TableProvider>)>>,
    /// Where names are looked for that are not here: these are a published view's own.
    around: Option<Arc<PinnedCatalog>>,
    me: Weak<PinnedCatalog>,
}

impl PinnedCatalog {
    /// The catalog at a pin.
    pub fn new(lake: Lakehouse, pin: Pin, cluster: Arc<dyn Cluster>) -> Arc<Self> {
        Self::inside(lake, pin, cluster, None)
    }

    fn inside(
        lake: Lakehouse,
        pin: Pin,
        cluster: Arc<dyn Cluster>,
        around: Option<Arc<PinnedCatalog>>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            lake,
            pin,
            cluster,
            own: RwLock::default(),
            opened: RwLock::default(),
            around,
            me: me.clone(),
        })
    }

    /// Puts a source that was opened over whatever was published; views that read the same definition read the same
    /// files.
    pub fn put_source(&self, source: &Source, table: &Arc<dyn TableProvider>) {
        self.put(source.table.clone(), Arc::clone(table));
        self.opened
            .write()
            .push((source.clone(), Arc::clone(table)));
    }

    /// The files of a source, opened once.
    async fn source(self: &Arc<Self>, source: &Source) -> Result<Arc<dyn TableProvider>> {
        if let Some(around) = &self.around {
            return Box::pin(around.source(source)).await;
        }
        let same = |known: &Source| is_same(known, source);
        if let Some((_, table)) = self.opened.read().iter().find(|(known, _)| same(known)) {
            return Ok(Arc::clone(table));
        }
        let session = self.session()?;
        let opened = files::provider(source, &session, self.lake.stores()).await;
        let table = opened.map_err(|failure| DataFusionError::External(Box::new(failure)))?;
        self.opened
            .write()
            .push((source.clone(), Arc::clone(&table)));
        Ok(table)
    }

    /// A view that an earlier run published: its query, over the sources and ephemeral models in its metadata.
    async fn published(self: &Arc<Self>, view: &LakeView) -> Result<Arc<dyn TableProvider>> {
        let Some(inputs) = ViewInputs::of(view)? else {
            return self.view(view.sql()).await;
        };
        let (lake, pin) = (self.lake.clone(), self.pin.clone());
        let inner = Self::inside(lake, pin, Arc::clone(&self.cluster), Some(Arc::clone(self)));
        for source in &inputs.sources {
            inner.put(source.table.clone(), self.source(source).await?);
        }
        for ephemeral in &inputs.ephemeral {
            let table = inner.view(&ephemeral.sql).await?;
            inner.put(ephemeral.table.clone(), table);
        }
        inner.view(view.sql()).await
    }

    /// The lakehouse at the run's point in time.
    pub fn pin(&self) -> &Pin {
        &self.pin
    }

    /// Puts a staged table, a planned schema or a source over whatever was published.
    pub fn put(&self, name: TableName, table: Arc<dyn TableProvider>) {
        self.own.write().insert(name, table);
    }

    /// A session whose SQL sees this catalog.
    ///
    /// # Errors
    /// The session cannot be built.
    pub fn session(self: &Arc<Self>) -> Result<SessionContext> {
        let session = self
            .cluster
            .session()
            .map_err(|e| DataFusionError::External(Box::new(e)))?;
        session.register_catalog(CATALOG, Arc::new(LakeCatalog(Arc::clone(self))));
        Ok(session)
    }

    /// [`Self::session`], with the failure that a person reads.
    ///
    /// # Errors
    /// The session cannot be built.
    pub fn open_session(self: &Arc<Self>) -> std::result::Result<SessionContext, Failure> {
        self.session().map_err(|e| {
            Failure::new(FailureKind::Internal, "cannot open a session")
                .cause(e.to_string())
                .caused_by(&e)
        })
    }

    /// A view: its SQL, planned against this catalog.
    ///
    /// # Errors
    /// The SQL does not plan.
    pub async fn view(self: &Arc<Self>, sql: &str) -> Result<Arc<dyn TableProvider>> {
        let session = self.session()?;
        let plan = retail_sql::plan(&session.state(), sql).await?;
        Ok(Arc::new(ViewTable::new(plan, Some(sql.to_string()))))
    }

    async fn resolve(&self, name: &TableName) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(own) = self.own.read().get(name) {
            return Ok(Some(Arc::clone(own)));
        }
        if let Some(around) = &self.around {
            return Box::pin(around.resolve(name)).await;
        }
        match self.lake.load(&self.pin, name).await? {
            None => Ok(None),
            Some(Relation::Table(table)) => Ok(Some(self.lake.scan(&table).await?)),
            Some(Relation::View(view)) => match self.me.upgrade() {
                Some(me) => Ok(Some(Box::pin(me.published(&view)).await?)),
                None => Ok(None),
            },
        }
    }

    fn names(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut names = self.around.as_ref().map(|a| a.names()).unwrap_or_default();
        let own = self.own.read();
        for name in own.keys().cloned().chain(self.pin.names().cloned()) {
            names.entry(name.namespace).or_default().insert(name.name);
        }
        names
    }
}

impl std::fmt::Debug for PinnedCatalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PinnedCatalog")
            .field("own", &self.own.read().len())
            .finish_non_exhaustive()
    }
}

/// A session over the published tables as they are now, for queries outside jobs.
///
/// # Errors
/// The catalog cannot be read.
pub async fn catalog_session(
    cluster: Arc<dyn Cluster>,
    lake: &Lakehouse,
) -> std::result::Result<SessionContext, Failure> {
    let pin = lake
        .pin()
        .await
        .map_err(|e| e.to_failure("cannot read the catalog"))?;
    PinnedCatalog::new(lake.clone(), pin, cluster).open_session()
}

#[derive(Debug)]
struct LakeCatalog(Arc<PinnedCatalog>);

impl CatalogProvider for LakeCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.0.names().into_keys().collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        Some(Arc::new(Namespace {
            catalog: Arc::clone(&self.0),
            name: name.to_string(),
        }))
    }
}

#[derive(Debug)]
struct Namespace {
    catalog: Arc<PinnedCatalog>,
    name: String,
}

impl Namespace {
    fn table_name(&self, name: &str) -> TableName {
        TableName {
            namespace: self.name.clone(),
            name: name.to_string(),
        }
    }

    fn resolve(&self, name: TableName) -> BoxFuture<'_, Result<Option<Arc<dyn TableProvider>>>> {
        async move { self.catalog.resolve(&name).await }.boxed()
    }
}

// Boxed by hand, not by `async_trait`: see docs/decisions/0025-first-build.md.
impl SchemaProvider for Namespace {
    fn table_names(&self) -> Vec<String> {
        self.catalog
            .names()
            .remove(&self.name)
            .into_iter()
            .flatten()
            .collect()
    }

    fn table<'namespace, 'name, 'all>(
        &'namespace self,
        name: &'name str,
    ) -> BoxFuture<'all, Result<Option<Arc<dyn TableProvider>>>>
    where
        'namespace: 'all,
        'name: 'all,
        Self: 'all,
    {
        self.resolve(self.table_name(name))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.catalog
            .names()
            .get(&self.name)
            .is_some_and(|tables| tables.contains(name))
    }
}
