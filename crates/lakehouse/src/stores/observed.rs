//! An object store whose requests are told to an observer.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
    UploadPart,
};

use crate::observe::{Observation, Observer, StoreOperation, StoreOutcome};

/// Passes everything on to `inner`, and tells what it was asked and what came of it.
pub(super) struct Observed {
    inner: Arc<dyn ObjectStore>,
    observer: Observer,
}

impl Observed {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, observer: Observer) -> Self {
        Self { inner, observer }
    }

    async fn asked<T>(
        &self,
        operation: StoreOperation,
        request: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        let answer = request.await;
        tell(&self.observer, operation, began, &answer);
        answer
    }
}

fn tell<T>(observer: &Observer, operation: StoreOperation, began: Instant, answer: &Result<T>) {
    observer(Observation::StoreRequest {
        operation,
        outcome: StoreOutcome::of(answer),
        took: began.elapsed(),
    });
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.inner, f)
    }
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

#[async_trait]
#[deny(
    clippy::missing_trait_methods,
    reason = "a default would go past the inner store's own"
)]
impl ObjectStore for Observed {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let bytes = payload.content_length() as u64;
        let put = self.inner.put_opts(location, payload, options);
        let answer = self.asked(StoreOperation::Put, put).await?;
        (self.observer)(Observation::StoreWritten { bytes });
        Ok(answer)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let begin = self.inner.put_multipart_opts(location, options);
        let inner = self.asked(StoreOperation::Put, begin).await?;
        Ok(Box::new(ObservedUpload {
            inner,
            observer: Arc::clone(&self.observer),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        let operation = match head {
            true => StoreOperation::Head,
            false => StoreOperation::Get,
        };
        let mut answer = self
            .asked(operation, self.inner.get_opts(location, options))
            .await?;
        if head {
            return Ok(answer);
        }
        answer.payload = match answer.payload {
            // The caller reads the file itself, and what it asked for is all that can be known here.
            file @ GetResultPayload::File(..) => {
                let bytes = answer.range.end.saturating_sub(answer.range.start);
                (self.observer)(Observation::StoreRead { bytes });
                file
            }
            GetResultPayload::Stream(stream) => {
                let observer = Arc::clone(&self.observer);
                let counted = stream.inspect(move |chunk| {
                    if let Ok(chunk) = chunk {
                        let bytes = chunk.len() as u64;
                        observer(Observation::StoreRead { bytes });
                    }
                });
                GetResultPayload::Stream(counted.boxed())
            }
        };
        Ok(answer)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let get = self.inner.get_ranges(location, ranges);
        let parts = self.asked(StoreOperation::Get, get).await?;
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        (self.observer)(Observation::StoreRead { bytes });
        Ok(parts)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        each(
            &self.observer,
            StoreOperation::Delete,
            self.inner.delete_stream(locations),
        )
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        whole(&self.observer, self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        whole(&self.observer, self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let list = self.inner.list_with_delimiter(prefix);
        self.asked(StoreOperation::List, list).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let copy = self.inner.copy_opts(from, to, options);
        self.asked(StoreOperation::Copy, copy).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let rename = self.inner.rename_opts(from, to, options);
        self.asked(StoreOperation::Copy, rename).await
    }
}

/// Every answer of a stream is one request's.
fn each<T: Send + 'static>(
    observer: &Observer,
    operation: StoreOperation,
    answers: BoxStream<'static, Result<T>>,
) -> BoxStream<'static, Result<T>> {
    let observer = Arc::clone(observer);
    let mut began = Instant::now();
    let told = answers.inspect(move |answer| {
        tell(&observer, operation, began, answer);
        began = Instant::now();
    });
    told.boxed()
}

/// A list is one request, answered when its first entry comes, or its end.
fn whole<T: Send + 'static>(
    observer: &Observer,
    mut answers: BoxStream<'static, Result<T>>,
) -> BoxStream<'static, Result<T>> {
    let observer = Arc::clone(observer);
    let began = Instant::now();
    let first = async move {
        let first = answers.next().await;
        match &first {
            Some(answer) => tell(&observer, StoreOperation::List, began, answer),
            None => tell(&observer, StoreOperation::List, began, &Ok(())),
        }
        futures::stream::iter(first).chain(answers)
    };
    first.into_stream().flatten().boxed()
}

struct ObservedUpload {
    inner: Box<dyn MultipartUpload>,
    observer: Observer,
}

impl fmt::Debug for ObservedUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.inner, f)
    }
}

#[async_trait]
impl MultipartUpload for ObservedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let bytes = data.content_length() as u64;
        let (part, observer) = (self.inner.put_part(data), Arc::clone(&self.observer));
        let began = Instant::now();
        part.inspect(move |answer| {
            tell(&observer, StoreOperation::Put, began, answer);
            if answer.is_ok() {
                observer(Observation::StoreWritten { bytes });
            }
        })
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let began = Instant::now();
        let answer = self.inner.complete().await;
        tell(&self.observer, StoreOperation::Put, began, &answer);
        answer
    }

    async fn abort(&mut self) -> Result<()> {
        let began = Instant::now();
        let answer = self.inner.abort().await;
        tell(&self.observer, StoreOperation::Delete, began, &answer);
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use object_store::ObjectStoreExt;
    use object_store::local::LocalFileSystem;
    use object_store::memory::InMemory;

    use super::*;
    use StoreOperation::{Copy, Delete, Get, Head, List, Put};
    use StoreOutcome::{NotFound, Ok as Fine};

    #[derive(Default)]
    struct Told {
        requests: Mutex<Vec<(StoreOperation, StoreOutcome)>>,
        bytes: Mutex<(u64, u64)>,
    }

    impl Told {
        fn requests(&self) -> Vec<(StoreOperation, StoreOutcome)> {
            std::mem::take(&mut self.requests.lock().unwrap())
        }

        /// Read and written.
        fn bytes(&self) -> (u64, u64) {
            std::mem::take(&mut self.bytes.lock().unwrap())
        }
    }

    fn observed(inner: impl ObjectStore) -> (Observed, Arc<Told>) {
        let told = Arc::new(Told::default());
        let to = Arc::clone(&told);
        let observer: Observer = Arc::new(move |observation| match observation {
            Observation::StoreRequest {
                operation, outcome, ..
            } => to.requests.lock().unwrap().push((operation, outcome)),
            Observation::StoreRead { bytes } => to.bytes.lock().unwrap().0 += bytes,
            Observation::StoreWritten { bytes } => to.bytes.lock().unwrap().1 += bytes,
            _ => {}
        });
        (Observed::new(Arc::new(inner), observer), told)
    }

    #[tokio::test]
    async fn every_request_is_told_with_its_outcome_and_bytes() {
        let (store, told) = observed(InMemory::new());
        let (a, b) = (Path::from("t/a"), Path::from("t/b"));
        store.put(&a, "12345".into()).await.unwrap();
        assert_eq!((told.requests(), told.bytes()), (vec![(Put, Fine)], (0, 5)));
        store.get(&a).await.unwrap().bytes().await.unwrap();
        store.get_range(&a, 1..3).await.unwrap();
        store.get_ranges(&a, &[0..1, 4..5]).await.unwrap();
        assert_eq!(
            (told.requests(), told.bytes()),
            (vec![(Get, Fine); 3], (9, 0))
        );
        store.head(&a).await.unwrap();
        store.head(&b).await.unwrap_err();
        store.get(&b).await.unwrap_err();
        assert_eq!(
            (told.requests(), told.bytes()),
            (
                vec![(Head, Fine), (Head, NotFound), (Get, NotFound)],
                (0, 0)
            )
        );
        store.copy(&a, &b).await.unwrap();
        assert_eq!(store.list(None).count().await, 2);
        assert_eq!(store.list(Some(&Path::from("none"))).count().await, 0);
        store.delete(&a).await.unwrap();
        assert_eq!(
            told.requests(),
            [(Copy, Fine), (List, Fine), (List, Fine), (Delete, Fine)]
        );
    }

    #[tokio::test]
    async fn parts_of_an_upload_are_requests_of_their_own() {
        let (store, told) = observed(InMemory::new());
        let mut upload = store.put_multipart(&Path::from("big")).await.unwrap();
        upload.put_part("123".into()).await.unwrap();
        upload.put_part("45".into()).await.unwrap();
        upload.complete().await.unwrap();
        assert_eq!(
            (told.requests(), told.bytes()),
            (vec![(Put, Fine); 4], (0, 5))
        );
    }

    #[tokio::test]
    async fn a_local_file_stays_a_file_for_its_reader() {
        let dir = tempfile::tempdir().unwrap();
        let (store, told) = observed(LocalFileSystem::new_with_prefix(dir.path()).unwrap());
        store.put(&Path::from("a"), "12345".into()).await.unwrap();
        let answer = store.get(&Path::from("a")).await.unwrap();
        assert!(matches!(answer.payload, GetResultPayload::File(..)));
        assert_eq!(told.bytes(), (5, 5));
    }
}
