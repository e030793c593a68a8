//! A span around each request to a store, within the work that asks for it.
//!
//! Requests outside of any span, and all of them where nobody traces, cost next to nothing.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::execution::object_store::ObjectStoreRegistry;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
    UploadPart,
};
use tracing::field::Empty;
use tracing::{Instrument, Span};
use url::Url;

/// Passes an outcome on, and says in its span if it is an error; the error's own words may hold more than a trace should.
pub(crate) fn failed<T, E>(span: &Span, outcome: Result<T, E>) -> Result<T, E> {
    if outcome.is_err() {
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", "failed");
    }
    outcome
}

/// `store` with spans around its requests; `root` is what people call it, such as `s3://bucket/`.
pub(crate) fn wrap(store: Arc<dyn ObjectStore>, root: &str) -> Arc<dyn ObjectStore> {
    let spans = Spans::Each { root: root.into() };
    Arc::new(Traced { store, spans })
}

/// The same stores, asked from within `span` whoever asks: a plan's parts run on tasks of the runtime's own, which know
/// nothing of the span that they are part of.
pub fn stores_within(
    stores: Arc<dyn ObjectStoreRegistry>,
    span: Span,
) -> Arc<dyn ObjectStoreRegistry> {
    Arc::new(Within { stores, span })
}

#[derive(Debug)]
struct Within {
    stores: Arc<dyn ObjectStoreRegistry>,
    span: Span,
}

impl ObjectStoreRegistry for Within {
    fn register_store(
        &self,
        url: &Url,
        store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        self.stores.register_store(url, store)
    }

    fn deregister_store(&self, url: &Url) -> datafusion::error::Result<Arc<dyn ObjectStore>> {
        self.stores.deregister_store(url)
    }

    fn get_store(&self, url: &Url) -> datafusion::error::Result<Arc<dyn ObjectStore>> {
        let spans = Spans::Within {
            span: self.span.clone(),
        };
        let store = self.stores.get_store(url)?;
        Ok(Arc::new(Traced { store, spans }))
    }
}

#[derive(Debug)]
struct Traced {
    store: Arc<dyn ObjectStore>,
    spans: Spans,
}

/// Which span a request is made in.
#[derive(Debug, Clone)]
enum Spans {
    /// One of its own, below the one that is current.
    Each { root: Arc<str> },
    /// That of the work which it is part of.
    Within { span: Span },
}

impl fmt::Display for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

impl Traced {
    fn request(&self, operation: &'static str, path: Option<&Path>) -> Request {
        self.spans.request(&Span::current(), operation, path)
    }
}

impl Spans {
    fn request(&self, parent: &Span, operation: &'static str, path: Option<&Path>) -> Request {
        match self {
            Self::Within { span } => Request {
                span: span.clone(),
                is_own: false,
            },
            Self::Each { root } => Request {
                span: span(parent, root, operation, path),
                is_own: true,
            },
        }
    }
}

fn span(parent: &Span, root: &str, operation: &'static str, path: Option<&Path>) -> Span {
    if parent.is_none() {
        return Span::none();
    }
    tracing::debug_span!(
        parent: parent,
        "object_store",
        otel.kind = "client",
        otel.status_code = Empty,
        otel.status_description = Empty,
        operation,
        store = root,
        path = path.map(Path::as_ref),
        bytes = Empty,
        objects = Empty,
        found = Empty,
    )
}

/// A request on its way.
struct Request {
    span: Span,
    /// Whether the span is about this request alone.
    is_own: bool,
}

impl Request {
    async fn of<T>(&self, asked: impl Future<Output = Result<T>>) -> Result<T> {
        asked.instrument(self.span.clone()).await
    }

    /// What a request came to. Of an error only its kind: its text may name more than a trace should hold.
    fn ended<T>(&self, outcome: &Result<T>, bytes: impl FnOnce(&T) -> Option<u64>) {
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
            // Asking is the way to find out.
            Err(Error::NotFound { .. }) => {
                span.record("found", false);
            }
            Err(error) => {
                span.record("otel.status_code", "ERROR");
                span.record("otel.status_description", kind(error));
            }
        }
    }

    fn counted(&self, objects: u64) {
        if self.is_own {
            self.span.record("objects", objects);
        }
    }

    /// A stream whose span lasts until its end, or until nobody reads it any more.
    fn stream<T: Send + 'static>(
        self,
        begin: impl FnOnce() -> BoxStream<'static, Result<T>>,
    ) -> BoxStream<'static, Result<T>> {
        let items = self.span.in_scope(begin);
        if self.span.is_none() || !self.is_own {
            return items;
        }
        let mut objects = 0_u64;
        items
            .inspect(move |item| {
                objects += u64::from(item.is_ok());
                self.counted(objects);
                self.ended(item, |_| None);
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

#[async_trait]
impl ObjectStore for Traced {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let request = self.request("put", Some(location));
        let bytes = payload.content_length() as u64;
        let put = self.store.put_opts(location, payload, opts);
        let outcome = request.of(put).await;
        request.ended(&outcome, |_| Some(bytes));
        outcome
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let parent = Span::current();
        let request = self.request("put_multipart", Some(location));
        let begin = self.store.put_multipart_opts(location, opts);
        let outcome = request.of(begin).await;
        request.ended(&outcome, |_| None);
        Ok(Box::new(TracedUpload {
            upload: outcome?,
            parent,
            spans: self.spans.clone(),
            path: location.clone(),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let operation = if options.head { "head" } else { "get" };
        let request = self.request(operation, Some(location));
        let get = self.store.get_opts(location, options);
        let outcome = request.of(get).await;
        request.ended(&outcome, |got| {
            (operation == "get").then(|| got.range.end - got.range.start)
        });
        outcome
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let request = self.request("get", Some(location));
        let get = self.store.get_ranges(location, ranges);
        let outcome = request.of(get).await;
        request.ended(&outcome, |got| {
            Some(got.iter().map(|bytes| bytes.len() as u64).sum())
        });
        outcome
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let request = self.request("delete", None);
        request.stream(|| self.store.delete_stream(locations))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let request = self.request("list", prefix);
        request.stream(|| self.store.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let request = self.request("list", prefix);
        request.stream(|| self.store.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let request = self.request("list", prefix);
        let list = self.store.list_with_delimiter(prefix);
        let outcome = request.of(list).await;
        request.ended(&outcome, |_| None);
        if let Ok(list) = &outcome {
            request.counted(list.objects.len() as u64);
        }
        outcome
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let request = self.request("copy", Some(to));
        let copy = self.store.copy_opts(from, to, options);
        let outcome = request.of(copy).await;
        request.ended(&outcome, |()| None);
        outcome
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let request = self.request("rename", Some(to));
        let rename = self.store.rename_opts(from, to, options);
        let outcome = request.of(rename).await;
        request.ended(&outcome, |()| None);
        outcome
    }
}

/// An upload in parts: one span each, beside the one that began it.
#[derive(Debug)]
struct TracedUpload {
    upload: Box<dyn MultipartUpload>,
    parent: Span,
    spans: Spans,
    path: Path,
}

impl TracedUpload {
    fn request(&self, operation: &'static str) -> Request {
        self.spans
            .request(&self.parent, operation, Some(&self.path))
    }
}

#[async_trait]
impl MultipartUpload for TracedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let request = self.request("put_part");
        let bytes = data.content_length() as u64;
        let part = self.upload.put_part(data);
        Box::pin(async move {
            let outcome = request.of(part).await;
            request.ended(&outcome, |()| Some(bytes));
            outcome
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let request = self.request("put_complete");
        let outcome = request.of(self.upload.complete()).await;
        request.ended(&outcome, |_| None);
        outcome
    }

    async fn abort(&mut self) -> Result<()> {
        let request = self.request("put_abort");
        let outcome = request.of(self.upload.abort()).await;
        request.ended(&outcome, |()| None);
        outcome
    }
}
