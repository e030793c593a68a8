//! The `iceberg` crate's storage, on our object stores: metadata of local files and S3 goes one way.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use iceberg::io::{
    FileIO, FileIOBuilder, FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage,
    StorageConfig, StorageFactory,
};
use iceberg::{Error, ErrorKind, Result};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use retail_storage::{ObjectStores, is_transient};
use serde::{Deserialize, Serialize};

/// File IO of the `iceberg` crate on `stores`.
pub(crate) fn file_io(stores: &ObjectStores) -> FileIO {
    FileIOBuilder::new(Arc::new(StoresIo {
        stores: stores.clone(),
    }))
    .build()
}

/// Storage and its factory in one. Its wire form, which the trait requires, holds nothing: no secret leaves.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoresIo {
    #[serde(skip)]
    stores: ObjectStores,
}

impl StoresIo {
    fn resolve(&self, path: &str) -> Result<(Path, Arc<dyn ObjectStore>)> {
        let (_, key, store) = self.stores.resolve(path).map_err(|e| {
            Error::new(ErrorKind::DataInvalid, format!("cannot resolve {path}")).with_source(e)
        })?;
        Ok((key, store))
    }
}

#[typetag::serde(name = "retail-object-stores")]
impl StorageFactory for StoresIo {
    fn build(&self, _config: &StorageConfig) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
#[typetag::serde(name = "retail-object-stores")]
impl Storage for StoresIo {
    async fn exists(&self, path: &str) -> Result<bool> {
        let (key, store) = self.resolve(path)?;
        match store.head(&key).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(e) => Err(failed("look up", path, e)),
        }
    }

    async fn metadata(&self, path: &str) -> Result<FileMetadata> {
        let (key, store) = self.resolve(path)?;
        let meta = store.head(&key).await;
        let size = meta.map_err(|e| failed("look up", path, e))?.size;
        Ok(FileMetadata { size })
    }

    async fn read(&self, path: &str) -> Result<Bytes> {
        let (key, store) = self.resolve(path)?;
        let got = store.get(&key).await.map_err(|e| failed("read", path, e))?;
        got.bytes().await.map_err(|e| failed("read", path, e))
    }

    async fn reader(&self, path: &str) -> Result<Box<dyn FileRead>> {
        let (key, store) = self.resolve(path)?;
        Ok(Box::new(Reader {
            path: path.to_owned(),
            key,
            store,
        }))
    }

    async fn write(&self, path: &str, bytes: Bytes) -> Result<()> {
        let (key, store) = self.resolve(path)?;
        put(path, &key, &store, bytes.into()).await
    }

    async fn writer(&self, path: &str) -> Result<Box<dyn FileWrite>> {
        let (key, store) = self.resolve(path)?;
        Ok(Box::new(Writer {
            path: path.to_owned(),
            key,
            store,
            parts: Some(Vec::new()),
        }))
    }

    async fn delete(&self, path: &str) -> Result<()> {
        let (key, store) = self.resolve(path)?;
        match store.delete(&key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(failed("delete", path, e)),
        }
    }

    async fn delete_prefix(&self, path: &str) -> Result<()> {
        let (prefix, store) = self.resolve(path)?;
        let keys = store.list(Some(&prefix)).map_ok(|found| found.location);
        let deleted = store.delete_stream(keys.boxed()).try_collect::<Vec<_>>();
        match deleted.await {
            Ok(_) => Ok(()),
            Err(e) => Err(failed("delete", path, e)),
        }
    }

    async fn delete_stream(&self, mut paths: BoxStream<'static, String>) -> Result<()> {
        while let Some(path) = paths.next().await {
            self.delete(&path).await?;
        }
        Ok(())
    }

    fn new_input(&self, path: &str) -> Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), path.to_owned()))
    }

    fn new_output(&self, path: &str) -> Result<OutputFile> {
        Ok(OutputFile::new(Arc::new(self.clone()), path.to_owned()))
    }
}

struct Reader {
    path: String,
    key: Path,
    store: Arc<dyn ObjectStore>,
}

#[async_trait]
impl FileRead for Reader {
    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let bytes = self.store.get_range(&self.key, range).await;
        bytes.map_err(|e| failed("read", &self.path, e))
    }
}

/// Collects a metadata file, small as they are, and stores it in one atomic put at the end.
struct Writer {
    path: String,
    key: Path,
    store: Arc<dyn ObjectStore>,
    /// None once closed.
    parts: Option<Vec<Bytes>>,
}

impl Writer {
    fn closed(&self) -> Error {
        Error::new(
            ErrorKind::Unexpected,
            format!("{} is closed already", self.path),
        )
    }
}

#[async_trait]
impl FileWrite for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        match &mut self.parts {
            Some(parts) => parts.push(bytes),
            None => return Err(self.closed()),
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        let Some(parts) = self.parts.take() else {
            return Err(self.closed());
        };
        put(
            &self.path,
            &self.key,
            &self.store,
            parts.into_iter().collect(),
        )
        .await
    }
}

async fn put(
    path: &str,
    key: &Path,
    store: &Arc<dyn ObjectStore>,
    payload: PutPayload,
) -> Result<()> {
    match store.put(key, payload).await {
        Ok(_) => Ok(()),
        Err(e) => Err(failed("write", path, e)),
    }
}

fn failed(doing: &str, path: &str, source: object_store::Error) -> Error {
    let retryable = is_transient(&source);
    Error::new(ErrorKind::Unexpected, format!("cannot {doing} {path}"))
        .with_retryable(retryable)
        .with_source(source)
}
