//! An object store whose requests are traced and counted.
//!
//! ```text
//!   InstrumentedStore   each request   a span below the current one, and an observation of its outcome, time and bytes
//!                       or within      the span of the work that it is part of, and nothing else
//!     └─ store
//! ```
//!
//! Requests outside of any span, and all of them without tracing, cost next to nothing.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::future::ready;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result, UploadPart,
};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::observe::{StoreObservation, StoreObserver, StoreOperation, StoreOutcome};

/// `store` with a span around each request, reported to `observer`; `root` is what people call it, such as
/// `s3://bucket/`.
pub(crate) fn store(
    store: Arc<dyn ObjectStore>,
    root: &str,
    observer: Option<StoreObserver>,
) -> Arc<dyn ObjectStore> {
    let root = root.into();
    Arc::new(InstrumentedStore {
        store,
        instruments: Instruments::Each { root, observer },
    })
}

/// `store` with all requests made in `span`.
pub(crate) fn within(store: Arc<dyn ObjectStore>, span: Span) -> Arc<dyn ObjectStore> {
    Arc::new(InstrumentedStore {
        store,
        instruments: Instruments::Within { span },
    })
}

struct InstrumentedStore {
    store: Arc<dyn ObjectStore>,
    instruments: Instruments,
}

/// What is made of a request.
#[derive(Clone)]
enum Instruments {
    /// A span of its own below the one that is current, and an observation.
    Each {
        root: Arc<str>,
        observer: Option<StoreObserver>,
    },
    /// Part of the work that has this span.
    Within { span: Span },
}

/// A request to a store, as its span names it.
#[derive(Debug, Clone, Copy)]
enum Call {
    Get,
    Head,
    Put,
    PutMultipart,
    PutPart,
    PutComplete,
    PutAbort,
    List,
    Delete,
    Copy,
    Rename,
}

impl Call {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Head => "head",
            Self::Put => "put",
            Self::PutMultipart => "put_multipart",
            Self::PutPart => "put_part",
            Self::PutComplete => "put_complete",
            Self::PutAbort => "put_abort",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Copy => "copy",
            Self::Rename => "rename",
        }
    }

    fn operation(self) -> StoreOperation {
        match self {
            Self::Get => StoreOperation::Get,
            Self::Head => StoreOperation::Head,
            Self::Put | Self::PutMultipart | Self::PutPart | Self::PutComplete => {
                StoreOperation::Put
            }
            Self::List => StoreOperation::List,
            Self::Delete | Self::PutAbort => StoreOperation::Delete,
            Self::Copy | Self::Rename => StoreOperation::Copy,
        }
    }
}

impl Instruments {
    fn request(&self, parent: &Span, call: Call, path: Option<&Path>) -> Request {
        let (span, is_own, observer) = match self {
            Self::Within { span } => (span.clone(), false, None),
            Self::Each { root, observer } => {
                (own_span(parent, root, call, path), true, observer.clone())
            }
        };
        Request {
            operation: call.operation(),
            span,
            is_own,
            observer,
            began: Instant::now(),
        }
    }
}

fn own_span(parent: &Span, root: &str, call: Call, path: Option<&Path>) -> Span {
    if parent.is_none() {
        return Span::none();
    }
    tracing::debug_span!(
        parent: parent,
        "object_store",
        otel.kind = "client",
        otel.status_code = Empty,
        otel.status_description = Empty,
        operation = call.name(),
        store = root,
        path = path.map(Path::as_ref),
        bytes = Empty,
        objects = Empty,
        found = Empty,
    )
}

/// A request on its way.
struct Request {
    operation: StoreOperation,
    span: Span,
    /// Whether the span is about this request alone.
    is_own: bool,
    observer: Option<StoreObserver>,
    began: Instant,
}

impl Request {
    /// Runs the request; `bytes` are those that its span names when it succeeds.
    async fn run<T>(
        &self,
        call: impl Future<Output = Result<T>>,
        bytes: impl FnOnce(&T) -> Option<u64>,
    ) -> Result<T> {
        let outcome = call.instrument(self.span.clone()).await;
        self.observe(self.began, &outcome);
        self.record(&outcome, bytes);
        outcome
    }

    fn observe<T>(&self, began: Instant, outcome: &Result<T>) {
        self.report(|| StoreObservation::Request {
            operation: self.operation,
            outcome: StoreOutcome::of(outcome),
            took: began.elapsed(),
        });
    }

    fn report(&self, observation: impl FnOnce() -> StoreObservation) {
        if let Some(observer) = &self.observer {
            observer(observation());
        }
    }

    /// Records the outcome in the span. Of an error only its kind: its text may name more than a trace should hold.
    fn record<T>(&self, outcome: &Result<T>, bytes: impl FnOnce(&T) -> Option<u64>) {
        if !self.is_own {
            return;
        }
        let span = &self.span;
        match outcome {
            Ok(done) => {
                if let Some(bytes) = bytes(done) {
                    span.record("bytes", bytes);
                }
            }
            // A request is the way to find out.
            Err(Error::NotFound { .. }) => {
                span.record("found", false);
            }
            Err(error) => {
                span.record("otel.status_code", "ERROR");
                span.record("otel.status_description", kind(error));
            }
        }
    }

    fn record_objects(&self, objects: u64) {
        if self.is_own {
            self.span.record("objects", objects);
        }
    }

    /// Counts the bytes of an object as they come.
    fn count(&self, object: GetResult) -> GetResult {
        let Some(observer) = self.observer.clone() else {
            return object;
        };
        let payload = match object.payload {
            // The caller reads the file itself, and what it requested is all that can be known here.
            file @ GetResultPayload::File(..) => {
                observer(StoreObservation::Read {
                    bytes: length(&object.range),
                });
                file
            }
            GetResultPayload::Stream(chunks) => {
                let counted = chunks.inspect(move |chunk| {
                    if let Ok(chunk) = chunk {
                        let bytes = chunk.len() as u64;
                        observer(StoreObservation::Read { bytes });
                    }
                });
                GetResultPayload::Stream(counted.boxed())
            }
        };
        GetResult { payload, ..object }
    }

    /// A stream whose span lasts until its end, or until it is dropped.
    ///
    /// Each answer of a deletion is one request's. A list is one request, answered when its first entry comes, or its
    /// end.
    fn stream<T: Send + 'static>(
        self,
        begin: impl FnOnce() -> BoxStream<'static, Result<T>>,
    ) -> BoxStream<'static, Result<T>> {
        let items = self.span.in_scope(begin);
        if self.observer.is_none() && (self.span.is_none() || !self.is_own) {
            return items;
        }
        let is_each = self.operation == StoreOperation::Delete;
        let (mut began, mut is_observed, mut objects) = (self.began, false, 0_u64);
        let end = stream::once(ready(None));
        items
            .map(Some)
            .chain(end)
            .filter_map(move |item| {
                match &item {
                    Some(item) => {
                        if is_each || !is_observed {
                            self.observe(began, item);
                            began = Instant::now();
                        }
                        objects += u64::from(item.is_ok());
                        self.record_objects(objects);
                        self.record(item, |_| None);
                    }
                    None if !is_each && !is_observed => self.observe(began, &Ok(())),
                    None => {}
                }
                is_observed = true;
                ready(item)
            })
            .boxed()
    }
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::AlreadyExists { .. } => "already exists",
        Error::Precondition { .. } => "precondition failed",
        Error::NotModified { .. } => "not modified",
        Error::NotSupported { .. } | Error::NotImplemented { .. } => "not supported",
        Error::PermissionDenied { .. } => "permission denied",
        Error::Unauthenticated { .. } => "unauthenticated",
        Error::InvalidPath { .. } => "invalid path",
        _ => "failed",
    }
}

fn length(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

impl InstrumentedStore {
    fn request(&self, call: Call, path: Option<&Path>) -> Request {
        self.instruments.request(&Span::current(), call, path)
    }
}

impl fmt::Debug for InstrumentedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.store, f)
    }
}

impl fmt::Display for InstrumentedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.store, f)
    }
}

#[async_trait]
#[deny(
    clippy::missing_trait_methods,
    reason = "a default would go past the inner store's own"
)]
impl ObjectStore for InstrumentedStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let request = self.request(Call::Put, Some(location));
        let bytes = payload.content_length() as u64;
        let put = self.store.put_opts(location, payload, options);
        let put = request.run(put, |_| Some(bytes)).await?;
        request.report(|| StoreObservation::Written { bytes });
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let parent = Span::current();
        let request = self.request(Call::PutMultipart, Some(location));
        let begin = self.store.put_multipart_opts(location, options);
        Ok(Box::new(InstrumentedUpload {
            upload: request.run(begin, |_| None).await?,
            parent,
            instruments: self.instruments.clone(),
            path: location.clone(),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let is_head = options.head;
        let call = if is_head { Call::Head } else { Call::Get };
        let request = self.request(call, Some(location));
        let get = self.store.get_opts(location, options);
        let bytes = |got: &GetResult| (!is_head).then(|| length(&got.range));
        let got = request.run(get, bytes).await?;
        Ok(match is_head {
            true => got,
            false => request.count(got),
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let request = self.request(Call::Get, Some(location));
        let sum = |parts: &Vec<Bytes>| parts.iter().map(|part| part.len() as u64).sum();
        let get = self.store.get_ranges(location, ranges);
        let parts = request.run(get, |parts| Some(sum(parts))).await?;
        request.report(|| StoreObservation::Read { bytes: sum(&parts) });
        Ok(parts)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let request = self.request(Call::Delete, None);
        request.stream(|| self.store.delete_stream(locations))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let request = self.request(Call::List, prefix);
        request.stream(|| self.store.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let request = self.request(Call::List, prefix);
        request.stream(|| self.store.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let request = self.request(Call::List, prefix);
        let list = self.store.list_with_delimiter(prefix);
        let list = request.run(list, |_| None).await?;
        request.record_objects(list.objects.len() as u64);
        Ok(list)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let request = self.request(Call::Copy, Some(to));
        let copy = self.store.copy_opts(from, to, options);
        request.run(copy, |()| None).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let request = self.request(Call::Rename, Some(to));
        let rename = self.store.rename_opts(from, to, options);
        request.run(rename, |()| None).await
    }
}

/// An upload in parts: one request each, beside the one that began it.
struct InstrumentedUpload {
    upload: Box<dyn MultipartUpload>,
    parent: Span,
    instruments: Instruments,
    path: Path,
}

impl InstrumentedUpload {
    fn request(&self, call: Call) -> Request {
        self.instruments
            .request(&self.parent, call, Some(&self.path))
    }
}

impl fmt::Debug for InstrumentedUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.upload, f)
    }
}

#[async_trait]
impl MultipartUpload for InstrumentedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let request = self.request(Call::PutPart);
        let bytes = data.content_length() as u64;
        let part = self.upload.put_part(data);
        Box::pin(async move {
            request.run(part, |()| Some(bytes)).await?;
            request.report(|| StoreObservation::Written { bytes });
            Ok(())
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let request = self.request(Call::PutComplete);
        request.run(self.upload.complete(), |_| None).await
    }

    async fn abort(&mut self) -> Result<()> {
        let request = self.request(Call::PutAbort);
        request.run(self.upload.abort(), |()| None).await
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
    struct Observed {
        requests: Mutex<Vec<(StoreOperation, StoreOutcome)>>,
        bytes: Mutex<(u64, u64)>,
    }

    impl Observed {
        fn requests(&self) -> Vec<(StoreOperation, StoreOutcome)> {
            std::mem::take(&mut self.requests.lock().unwrap())
        }

        /// Read and written.
        fn bytes(&self) -> (u64, u64) {
            std::mem::take(&mut self.bytes.lock().unwrap())
        }
    }

    fn observed(inner: impl ObjectStore) -> (Arc<dyn ObjectStore>, Arc<Observed>) {
        let seen = Arc::new(Observed::default());
        let to = Arc::clone(&seen);
        let observer: StoreObserver = Arc::new(move |observation| match observation {
            StoreObservation::Request {
                operation, outcome, ..
            } => to.requests.lock().unwrap().push((operation, outcome)),
            StoreObservation::Read { bytes } => to.bytes.lock().unwrap().0 += bytes,
            StoreObservation::Written { bytes } => to.bytes.lock().unwrap().1 += bytes,
        });
        (
            super::store(Arc::new(inner), "memory:///", Some(observer)),
            seen,
        )
    }

    #[tokio::test]
    async fn every_request_is_observed_with_its_outcome_and_bytes() {
        let (store, seen) = observed(InMemory::new());
        let (a, b) = (Path::from("t/a"), Path::from("t/b"));
        store.put(&a, "12345".into()).await.unwrap();
        assert_eq!((seen.requests(), seen.bytes()), (vec![(Put, Fine)], (0, 5)));
        store.get(&a).await.unwrap().bytes().await.unwrap();
        store.get_range(&a, 1..3).await.unwrap();
        store.get_ranges(&a, &[0..1, 4..5]).await.unwrap();
        assert_eq!(
            (seen.requests(), seen.bytes()),
            (vec![(Get, Fine); 3], (9, 0))
        );
        store.head(&a).await.unwrap();
        store.head(&b).await.unwrap_err();
        store.get(&b).await.unwrap_err();
        assert_eq!(
            (seen.requests(), seen.bytes()),
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
            seen.requests(),
            [(Copy, Fine), (List, Fine), (List, Fine), (Delete, Fine)]
        );
    }

    #[tokio::test]
    async fn parts_of_an_upload_are_requests_of_their_own() {
        let (store, seen) = observed(InMemory::new());
        let mut upload = store.put_multipart(&Path::from("big")).await.unwrap();
        upload.put_part("123".into()).await.unwrap();
        upload.put_part("45".into()).await.unwrap();
        upload.complete().await.unwrap();
        assert_eq!(
            (seen.requests(), seen.bytes()),
            (vec![(Put, Fine); 4], (0, 5))
        );
    }

    #[tokio::test]
    async fn a_local_file_stays_a_file_for_its_reader() {
        let dir = tempfile::tempdir().unwrap();
        let (store, seen) = observed(LocalFileSystem::new_with_prefix(dir.path()).unwrap());
        store.put(&Path::from("a"), "12345".into()).await.unwrap();
        let answer = store.get(&Path::from("a")).await.unwrap();
        assert!(matches!(answer.payload, GetResultPayload::File(..)));
        assert_eq!(seen.bytes(), (5, 5));
    }
}
