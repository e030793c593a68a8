//! Object stores by URI, made when first needed.

use std::fmt;
use std::sync::Arc;

use dashmap::DashMap;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::{ObjectStoreRegistry, ObjectStoreUrl};
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use url::Url;

use crate::config::{S3Config, StorageConfig};
use crate::confined;
use crate::error::StorageError;
use crate::instrumented;
use crate::locations::Locations;
use crate::observe::StoreObserver;
use crate::uri::{invalid, locate, root_of};

/// Every object store this process uses: local files, and one S3 client per bucket.
///
/// A clone is another handle on the same stores.
#[derive(Clone, Default)]
pub struct ObjectStores {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    config: StorageConfig,
    observer: Option<StoreObserver>,
    /// None: every place.
    locations: Option<Arc<Locations>>,
    /// Keyed by the text of an [`ObjectStoreUrl`]: `file:///`, `s3://bucket/`.
    by_root: DashMap<String, Arc<dyn ObjectStore>>,
}

impl ObjectStores {
    /// Stores of every place: for code that reads and writes what it chose itself.
    pub fn new(config: StorageConfig) -> Self {
        Self::made(config, None, None)
    }

    /// Stores of the places allowed, whose requests are reported to an observer. What a process serves to others has these.
    pub fn confined(config: StorageConfig, locations: Locations, observer: StoreObserver) -> Self {
        Self::made(config, Some(locations), Some(observer))
    }

    fn made(
        config: StorageConfig,
        locations: Option<Locations>,
        observer: Option<StoreObserver>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                config,
                observer,
                locations: locations.map(Arc::new),
                by_root: DashMap::new(),
            }),
        }
    }

    /// Whether a place may be read. Each request for what lies there is checked again.
    ///
    /// # Errors
    /// [`StorageError::NotAllowed`], or [`StorageError::InvalidUri`].
    pub fn check(&self, uri: &str) -> Result<(), StorageError> {
        match &self.inner.locations {
            Some(locations) => locations.check(uri),
            None => Ok(()),
        }
    }

    /// The same stores as DataFusion looks them up.
    pub fn registry(&self) -> Arc<dyn ObjectStoreRegistry> {
        Arc::new(self.clone())
    }

    /// The store of a URI and the path inside it. `file:///x`, `file:/x` and `/x` are the same file.
    ///
    /// Paths are taken literally, as Iceberg does: a percent sign in a file's name is a percent sign.
    ///
    /// # Errors
    /// The URI names no place, or no client of its store can be made.
    pub fn resolve(
        &self,
        uri: &str,
    ) -> Result<(ObjectStoreUrl, Path, Arc<dyn ObjectStore>), StorageError> {
        let (url, path) = locate(uri)?;
        let store = self.store(url.as_str())?;
        Ok((url, path, store))
    }

    /// The store of one root, `file:///` or `s3://bucket/`.
    fn store(&self, root: &str) -> Result<Arc<dyn ObjectStore>, StorageError> {
        if let Some(store) = self.inner.by_root.get(root) {
            return Ok(Arc::clone(&store));
        }
        let store: Arc<dyn ObjectStore> = match root.split_once("://") {
            Some(("file", _)) => Arc::new(LocalFileSystem::new()),
            Some(("s3", bucket)) => s3(bucket.trim_end_matches('/'), &self.inner.config.s3)
                .map_err(|e| StorageError::InvalidConfig {
                    root: root.to_owned(),
                    reason: e.to_string(),
                })?,
            _ => return Err(invalid(root, "expected file:// or s3://")),
        };
        let store = match &self.inner.locations {
            Some(locations) => confined::store(store, root, Arc::clone(locations)),
            None => store,
        };
        let store = instrumented::store(store, root, self.inner.observer.clone());
        let entry = self.inner.by_root.entry(root.to_owned());
        Ok(Arc::clone(&entry.or_insert(store)))
    }
}

/// Only the roots: clients carry secrets.
impl fmt::Debug for ObjectStores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots = self.inner.by_root.iter().map(|store| store.key().clone());
        f.debug_set().entries(roots).finish()
    }
}

impl ObjectStoreRegistry for ObjectStores {
    fn register_store(
        &self,
        url: &Url,
        store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        self.inner.by_root.insert(root_of(url), store)
    }

    fn deregister_store(&self, url: &Url) -> datafusion::error::Result<Arc<dyn ObjectStore>> {
        let root = root_of(url);
        match self.inner.by_root.remove(&root) {
            Some((_, store)) => Ok(store),
            None => Err(DataFusionError::Plan(format!("no object store at {root}"))),
        }
    }

    fn get_store(&self, url: &Url) -> datafusion::error::Result<Arc<dyn ObjectStore>> {
        self.store(&root_of(url)).map_err(DataFusionError::from)
    }
}

fn s3(bucket: &str, config: &S3Config) -> object_store::Result<Arc<dyn ObjectStore>> {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_region(&config.region)
        .with_virtual_hosted_style_request(!config.path_style);
    if config.allow_http {
        builder = builder.with_allow_http(true);
    }
    if let Some(endpoint) = &config.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(key) = &config.access_key_id {
        builder = builder.with_access_key_id(key);
    }
    if let Some(secret) = &config.secret_access_key {
        builder = builder.with_secret_access_key(secret);
    }
    if let Some(token) = &config.session_token {
        builder = builder.with_token(token);
    }
    Ok(Arc::new(builder.build()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_spellings_of_a_local_file_are_one_file() {
        let stores = ObjectStores::default();
        let (url, path, store) = stores.resolve("file:///data/a b/x=%20/f.parquet").unwrap();
        assert_eq!(url.as_str(), "file:///");
        assert_eq!(path.as_ref(), "data/a b/x=%20/f.parquet");
        for same in [
            "file:/data/a b/x=%20/f.parquet",
            "/data/a b/x=%20/f.parquet",
            "file://localhost/data/a b/x=%20/f.parquet",
        ] {
            let (other_url, other_path, other_store) = stores.resolve(same).unwrap();
            assert_eq!(
                (other_url, other_path),
                (url.clone(), path.clone()),
                "{same}"
            );
            assert!(Arc::ptr_eq(&other_store, &store));
        }
    }

    #[test]
    fn a_bucket_has_one_client_whatever_the_scheme_is_called() {
        let stores = ObjectStores::default();
        let (url, path, store) = stores.resolve("s3a://lake/raw/orders.csv").unwrap();
        assert_eq!(
            (url.as_str(), path.as_ref()),
            ("s3://lake/", "raw/orders.csv")
        );
        let registry = stores.registry();
        let again = registry.get_store(&Url::parse("s3://lake/other").unwrap());
        assert!(Arc::ptr_eq(&again.unwrap(), &store));
        let (_, _, other) = stores.resolve("s3://lake2/raw").unwrap();
        assert!(!Arc::ptr_eq(&other, &store));
    }

    #[test]
    fn a_location_that_names_no_place_is_refused() {
        let stores = ObjectStores::default();
        for uri in [
            "data/x",
            "file://data/x",
            "s3:bucket/x",
            "s3:///x",
            "gs://b/x",
            "/a/../b",
        ] {
            let error = stores.resolve(uri).unwrap_err();
            assert!(
                matches!(error, StorageError::InvalidUri { .. }),
                "{uri}: {error}"
            );
        }
    }

    #[test]
    fn secrets_are_not_in_debug_output() {
        let stores = ObjectStores::new(StorageConfig {
            s3: S3Config {
                access_key_id: Some("hunter1".to_owned()),
                secret_access_key: Some("hunter2".to_owned()),
                session_token: Some("hunter3".to_owned()),
                ..S3Config::default()
            },
        });
        stores.resolve("s3://lake/x").unwrap();
        let shown = format!("{stores:?} {:?}", stores.inner.config);
        assert!(
            shown.contains("s3://lake/") && !shown.contains("hunter"),
            "{shown}"
        );
    }
}
