//! A store that refuses every request about a place that is not allowed.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::future::ready;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use crate::locations::Locations;

/// `store`, whose root is `file:///` or `s3://bucket/`, within `locations`.
pub(crate) fn store(
    store: Arc<dyn ObjectStore>,
    root: &str,
    locations: Arc<Locations>,
) -> Arc<dyn ObjectStore> {
    Arc::new(ConfinedStore {
        store,
        bounds: Bounds {
            root: root.into(),
            locations,
        },
    })
}

struct ConfinedStore {
    store: Arc<dyn ObjectStore>,
    bounds: Bounds,
}

#[derive(Clone)]
struct Bounds {
    root: Arc<str>,
    locations: Arc<Locations>,
}

impl Bounds {
    fn check(&self, path: &Path) -> Result<()> {
        let checked = self.locations.check_in(&self.root, path.as_ref());
        checked.map_err(|error| Error::PermissionDenied {
            path: path.to_string(),
            source: Box::new(error),
        })
    }

    /// A list's prefix; none is the whole store.
    fn check_prefix(&self, prefix: Option<&Path>) -> Result<()> {
        self.check(prefix.unwrap_or(&Path::default()))
    }

    /// A local list follows links out of what it is a list of.
    fn entries(
        &self,
        prefix: Option<&Path>,
        list: impl FnOnce() -> BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        if let Err(error) = self.check_prefix(prefix) {
            return stream::iter([Err(error)]).boxed();
        }
        let bounds = self.clone();
        let above = prefix.map_or(0, |prefix| prefix.as_ref().len());
        list()
            .filter_map(move |entry| {
                let checked = entry.and_then(|entry| match bounds.check(&entry.location) {
                    Ok(()) => Ok(Some(entry)),
                    // What tools leave behind, which no pattern takes.
                    Err(_) if is_hidden(&entry.location.as_ref()[above..]) => Ok(None),
                    Err(refused) => Err(refused),
                });
                ready(checked.transpose())
            })
            .boxed()
    }
}

/// Whether a segment below a list's prefix begins as the names that globs leave out.
fn is_hidden(below: &str) -> bool {
    below.split('/').any(|part| part.starts_with(['.', '_']))
}

impl fmt::Debug for ConfinedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.store, f)
    }
}

impl fmt::Display for ConfinedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.store, f)
    }
}

#[async_trait]
#[deny(
    clippy::missing_trait_methods,
    reason = "a default would go past the check, or past the inner store's own"
)]
impl ObjectStore for ConfinedStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.bounds.check(location)?;
        self.store.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.bounds.check(location)?;
        self.store.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.bounds.check(location)?;
        self.store.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.bounds.check(location)?;
        self.store.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let bounds = self.bounds.clone();
        let checked = locations.map(move |location| {
            let location = location?;
            bounds.check(&location)?;
            Ok(location)
        });
        self.store.delete_stream(checked.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.bounds.entries(prefix, || self.store.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.bounds
            .entries(prefix, || self.store.list_with_offset(prefix, offset))
    }

    /// What a folder holds is listed by name, links among it; where they lead is checked when they are followed.
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.bounds.check_prefix(prefix)?;
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.bounds.check(from)?;
        self.bounds.check(to)?;
        self.store.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.bounds.check(from)?;
        self.bounds.check(to)?;
        self.store.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use futures::TryStreamExt;
    use object_store::ObjectStoreExt;
    use object_store::local::LocalFileSystem;

    use super::*;

    fn is_refused<T>(outcome: Result<T>) -> bool {
        matches!(outcome, Err(Error::PermissionDenied { .. }))
    }

    #[tokio::test]
    async fn no_request_of_a_confined_store_reaches_a_file_outside() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for folder in ["in", "out"] {
            std::fs::create_dir(root.join(folder)).unwrap();
            std::fs::write(root.join(folder).join("a"), folder).unwrap();
        }
        let locations = Locations::of([root.join("in").display().to_string()]).unwrap();
        let confined = store(
            Arc::new(LocalFileSystem::new()),
            "file:///",
            Arc::new(locations),
        );
        let path = |name: &str| Path::parse(root.join(name).to_str().unwrap()).unwrap();
        let (own, other) = (path("in/a"), path("out/a"));

        assert_eq!(
            confined.get(&own).await.unwrap().bytes().await.unwrap(),
            "in"
        );
        confined.put(&path("in/b"), "new".into()).await.unwrap();
        assert!(is_refused(confined.get(&other).await));
        assert!(is_refused(confined.head(&other).await));
        assert!(is_refused(confined.get_range(&other, 0..1).await));
        assert!(is_refused(confined.get_ranges(&other, &[0..1, 1..2]).await));
        assert!(is_refused(confined.put(&other, "lost".into()).await));
        assert!(is_refused(confined.put_multipart(&other).await));
        assert!(is_refused(confined.delete(&other).await));
        assert!(is_refused(confined.copy(&other, &path("in/c")).await));
        assert!(is_refused(confined.copy(&own, &path("out/c")).await));
        assert!(is_refused(confined.rename(&other, &path("in/c")).await));
        assert!(is_refused(confined.rename(&own, &path("out/c")).await));
        for prefix in [None, Some(path("out")), Some(path(""))] {
            let listed = confined.list_with_delimiter(prefix.as_ref()).await;
            assert!(is_refused(listed), "{prefix:?}");
            let listed = confined.list(prefix.as_ref()).try_collect::<Vec<_>>().await;
            assert!(is_refused(listed), "{prefix:?}");
        }
        // A link that leads out is seen where it stands, and not followed.
        symlink(root.join("out"), root.join("in/.hidden")).unwrap();
        let inside = path("in");
        let listed = confined.list(Some(&inside)).try_collect::<Vec<_>>().await;
        assert_eq!(listed.unwrap().len(), 2, "a and b");
        symlink(root.join("out"), root.join("in/link")).unwrap();
        let listed = confined.list_with_delimiter(Some(&inside)).await.unwrap();
        assert_eq!(
            listed.common_prefixes,
            [path("in/.hidden"), path("in/link")]
        );
        assert!(is_refused(confined.get(&path("in/link/a")).await));
        let listed = confined.list(Some(&inside)).try_collect::<Vec<_>>().await;
        assert!(is_refused(listed));
        assert_eq!(std::fs::read_to_string(root.join("out/a")).unwrap(), "out");
    }
}
