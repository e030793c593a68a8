//! A span around each request to a store, within the work that asks for it.
//!
//! Requests outside of any span, and all of them where nobody traces, cost next to nothing.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
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
    Arc::new(Traced {
        store,
        root: root.into(),
    })
}

#[derive(Debug)]
struct Traced {
    store: Arc<dyn ObjectStore>,
    root: Arc<str>,
}

impl fmt::Display for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

impl Traced {
    fn span(&self, operation: &'static str, path: Option<&Path>) -> Span {
        span(&Span::current(), &self.root, operation, path)
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

/// What a request came to. Of an error only its kind: its text may name more than a trace should hold.
fn ended<T>(span: &Span, outcome: &Result<T>, bytes: impl FnOnce(&T) -> Option<u64>) {
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
        let span = self.span("put", Some(location));
        let bytes = payload.content_length() as u64;
        let put = self.store.put_opts(location, payload, opts);
        let outcome = put.instrument(span.clone()).await;
        ended(&span, &outcome, |_| Some(bytes));
        outcome
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let parent = Span::current();
        let span = self.span("put_multipart", Some(location));
        let begin = self.store.put_multipart_opts(location, opts);
        let outcome = begin.instrument(span.clone()).await;
        ended(&span, &outcome, |_| None);
        Ok(Box::new(TracedUpload {
            upload: outcome?,
            parent,
            root: Arc::clone(&self.root),
            path: location.clone(),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let operation = if options.head { "head" } else { "get" };
        let span = self.span(operation, Some(location));
        let get = self.store.get_opts(location, options);
        let outcome = get.instrument(span.clone()).await;
        ended(&span, &outcome, |got| {
            (operation == "get").then(|| got.range.end - got.range.start)
        });
        outcome
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let span = self.span("get", Some(location));
        let get = self.store.get_ranges(location, ranges);
        let outcome = get.instrument(span.clone()).await;
        ended(&span, &outcome, |got| {
            Some(got.iter().map(|bytes| bytes.len() as u64).sum())
        });
        outcome
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let span = self.span("delete", None);
        counted(span, self.store.delete_stream(locations))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        counted(self.span("list", prefix), self.store.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let span = self.span("list", prefix);
        counted(span, self.store.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let span = self.span("list", prefix);
        let list = self.store.list_with_delimiter(prefix);
        let outcome = list.instrument(span.clone()).await;
        ended(&span, &outcome, |_| None);
        if let Ok(list) = &outcome {
            span.record("objects", list.objects.len() as u64);
        }
        outcome
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let span = self.span("copy", Some(to));
        let copy = self.store.copy_opts(from, to, options);
        let outcome = copy.instrument(span.clone()).await;
        ended(&span, &outcome, |()| None);
        outcome
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let span = self.span("rename", Some(to));
        let rename = self.store.rename_opts(from, to, options);
        let outcome = rename.instrument(span.clone()).await;
        ended(&span, &outcome, |()| None);
        outcome
    }
}

/// A stream whose span lasts until its end, or until nobody reads it any more.
fn counted<T: Send + 'static>(
    span: Span,
    items: BoxStream<'static, Result<T>>,
) -> BoxStream<'static, Result<T>> {
    if span.is_none() {
        return items;
    }
    let mut objects = 0_u64;
    items
        .inspect(move |item| {
            objects += u64::from(item.is_ok());
            span.record("objects", objects);
            ended(&span, item, |_| None);
        })
        .boxed()
}

/// An upload in parts: one span each, beside the one that began it.
#[derive(Debug)]
struct TracedUpload {
    upload: Box<dyn MultipartUpload>,
    parent: Span,
    root: Arc<str>,
    path: Path,
}

impl TracedUpload {
    fn span(&self, operation: &'static str) -> Span {
        span(&self.parent, &self.root, operation, Some(&self.path))
    }
}

#[async_trait]
impl MultipartUpload for TracedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let span = self.span("put_part");
        let bytes = data.content_length() as u64;
        let part = self.upload.put_part(data);
        Box::pin(async move {
            let outcome = part.instrument(span.clone()).await;
            ended(&span, &outcome, |()| Some(bytes));
            outcome
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let span = self.span("put_complete");
        let outcome = self.upload.complete().instrument(span.clone()).await;
        ended(&span, &outcome, |_| None);
        outcome
    }

    async fn abort(&mut self) -> Result<()> {
        let span = self.span("put_abort");
        let outcome = self.upload.abort().instrument(span.clone()).await;
        ended(&span, &outcome, |()| None);
        outcome
    }
}
