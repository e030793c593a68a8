//! Finds the files of a pattern, on disk or in a bucket, folder by folder.
//!
//! `*`, `?` and `[…]` stay within a segment; `**` is any number of folders. Names that start with `.` or `_` are not
//! taken by a glob: tools leave them behind.

mod refusal;

use std::sync::Arc;

use crate::text_scan::names;
use datafusion::execution::object_store::ObjectStoreUrl;
use futures::TryStreamExt;
use globset::{GlobBuilder, GlobMatcher};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use retail_storage::ObjectStores;

pub(super) use refusal::unreadable;
use refusal::{is_not_there, not_allowed};

use retail_api::source::Source;
use retail_api::suggest::nearest;
use retail_api::{Failure, FailureKind};

/// The files of a source, by path.
pub(super) struct Listing {
    pub url: ObjectStoreUrl,
    pub store: Arc<dyn ObjectStore>,
    pub files: Vec<ObjectMeta>,
    /// `s3://bucket/` or `/`: what a person writes before a path.
    pub root: String,
    /// Names of `key=…` segments of the pattern, in order.
    pub keys: Vec<String>,
}

impl Listing {
    /// The path of a file as a person would write it.
    pub(super) fn shown(&self, path: &Path) -> String {
        format!("{}{path}", self.root)
    }
}

/// Lists the files that match `pattern`. No file, and anything that cannot be read, is a failure.
pub(super) async fn list(
    source: &Source,
    pattern: &str,
    stores: &ObjectStores,
) -> Result<Listing, Failure> {
    let (root, inside) = root_and_path(pattern);
    let cannot = |cause: String| failure(source, pattern).cause(cause);
    let (url, _, store) = stores
        .resolve(&root)
        .map_err(|error| cannot(error.to_string()).caused_by(&error))?;
    let segments: Vec<&str> = inside
        .split('/')
        .filter(|s| !s.is_empty() && *s != ".")
        .collect();
    let literal: Vec<&str> = segments
        .iter()
        .copied()
        .take_while(|s| !is_glob(s))
        .collect();
    stores
        .check(&format!("{root}{}", literal.join("/")))
        .map_err(|error| not_allowed(source, pattern, &error))?;
    let keys: Vec<String> = segments
        .iter()
        .filter_map(|s| s.split_once('='))
        .map(|(key, _)| key.to_string())
        .collect();
    if let Some(key) = keys.iter().find(|key| is_glob(key)) {
        return Err(Failure::new(
            FailureKind::Project,
            format!("source {}: {key}=… names no column", source.source_ref()),
        )
        .at(&source.defined_at.file, source.defined_at.line, 0)
        .cause(format!(
            "in {pattern} a folder's key is a pattern, and it is the name of a column"
        ))
        .note("write the key, as in day=*/*.csv; folders of several keys are several sources"));
    }
    if let Some((index, key)) = keys
        .iter()
        .enumerate()
        .find(|(i, key)| keys[..*i].iter().any(|k| names::same(k, key)))
    {
        let first = keys[..index].iter().find(|k| names::same(k, key));
        let first = first.unwrap_or(key);
        return Err(Failure::new(
            FailureKind::Project,
            format!("source {}: two folders say {key}", source.source_ref()),
        )
        .at(&source.defined_at.file, source.defined_at.line, 0)
        .cause(format!("{pattern} has {first}=… and {key}=…"))
        .note("write * for the one that is no column"));
    }
    let mut listing = Listing {
        url,
        store,
        files: vec![],
        root: shown_root(&root),
        keys,
    };
    let walk = Walk {
        source,
        pattern,
        listing: &listing,
    };
    let mut files = walk.all(&segments).await?;
    files.sort_by(|a, b| a.location.cmp(&b.location));
    files.dedup_by(|a, b| a.location == b.location);
    listing.files = files;
    Ok(listing)
}

/// Whether `pattern` would list a file at `path` if it were there; `path` as `Listing::shown` writes it.
pub fn would_list(pattern: &str, path: &str) -> bool {
    let (root, inside) = root_and_path(pattern);
    let Some(path) = path.strip_prefix(&shown_root(&root)) else {
        return false;
    };
    let segments = inside.split('/').filter(|s| !s.is_empty() && *s != ".");
    let mut glob = segments.collect::<Vec<_>>().join("/");
    if glob.ends_with("**") {
        glob.push_str("/*");
    }
    let built = GlobBuilder::new(&glob).literal_separator(true).build();
    glob == path || built.is_ok_and(|glob| glob.compile_matcher().is_match(path))
}

fn failure(source: &Source, pattern: &str) -> Failure {
    Failure::new(
        FailureKind::Source,
        format!("source {}: no file matches {pattern}", source.source_ref()),
    )
    .at(&source.defined_at.file, source.defined_at.line, 0)
}

/// `s3://bucket/a/*.csv` as (`s3://bucket/`, `a/*.csv`); `/a/*.csv` as (`/`, `a/*.csv`).
fn root_and_path(pattern: &str) -> (String, String) {
    if let Some((scheme, rest)) = pattern
        .split_once("://")
        .filter(|(scheme, _)| *scheme != "file")
    {
        let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
        return (format!("{scheme}://{bucket}/"), path.to_string());
    }
    let path = pattern
        .strip_prefix("file://localhost")
        .or_else(|| pattern.strip_prefix("file://"))
        .unwrap_or(pattern);
    ("/".to_string(), path.to_string())
}

fn shown_root(root: &str) -> String {
    if root == "/" {
        "/".to_string()
    } else {
        root.to_string()
    }
}

struct Walk<'a> {
    source: &'a Source,
    pattern: &'a str,
    listing: &'a Listing,
}

impl Walk<'_> {
    async fn all(&self, segments: &[&str]) -> Result<Vec<ObjectMeta>, Failure> {
        let mut folders = vec![Path::default()];
        let Some((last, before)) = segments.split_last() else {
            return Err(failure(self.source, self.pattern).cause("the pattern names no file"));
        };
        for (depth, segment) in before.iter().enumerate() {
            if *segment == "**" {
                return self.deep(&folders, &segments[depth..]).await;
            }
            if !is_glob(segment) {
                folders = folders.iter().map(|f| child(f, segment)).collect();
                continue;
            }
            let matcher = self.matcher(segment)?;
            let mut next = vec![];
            for folder in &folders {
                let (inner, _) = self.entries(folder).await?;
                self.refuse_broken_links(folder, &matcher).await?;
                next.extend(inner.into_iter().filter(|p| taken(&matcher, p)));
            }
            if next.is_empty() {
                return Err(self.nothing(&folders, segment, true).await);
            }
            folders = next;
        }
        if *last == "**" {
            return self.deep(&folders, &["**", "*"]).await;
        }
        let mut files = vec![];
        if is_glob(last) {
            let matcher = self.matcher(last)?;
            for folder in &folders {
                let (_, inner) = self.entries(folder).await?;
                self.refuse_broken_links(folder, &matcher).await?;
                files.extend(inner.into_iter().filter(|m| taken(&matcher, &m.location)));
            }
        } else {
            for folder in &folders {
                let path = child(folder, last);
                match self.listing.store.head(&path).await {
                    Ok(meta) => files.push(meta),
                    Err(object_store::Error::NotFound { .. }) => {}
                    // A folder on disk is no file; say so below.
                    Err(_)
                        if !self
                            .entries(&path)
                            .await
                            .is_ok_and(|(a, b)| a.is_empty() && b.is_empty()) => {}
                    Err(error) => return Err(self.unreadable(&path, &error)),
                }
            }
        }
        if files.is_empty() {
            Err(self.nothing(&folders, last, false).await)
        } else {
            Ok(files)
        }
    }

    /// `**`: everything below, matched as a whole.
    async fn deep(&self, folders: &[Path], segments: &[&str]) -> Result<Vec<ObjectMeta>, Failure> {
        let matcher = self.matcher(&segments.join("/"))?;
        let mut files = vec![];
        for folder in folders {
            let below: Vec<ObjectMeta> =
                match self.listing.store.list(Some(folder)).try_collect().await {
                    Ok(found) => found,
                    Err(error) if is_not_there(&error) => vec![],
                    Err(error) => return Err(self.unreadable(folder, &error)),
                };
            files.extend(below.into_iter().filter(|meta| {
                let inside = meta
                    .location
                    .as_ref()
                    .strip_prefix(folder.as_ref())
                    .unwrap_or_default();
                let inside = inside.trim_start_matches('/');
                let hidden = inside.split('/').any(|part| part.starts_with(['.', '_']));
                !hidden && matcher.is_match(inside)
            }));
        }
        if files.is_empty() {
            return Err(self.nothing(folders, &segments.join("/"), false).await);
        }
        Ok(files)
    }

    fn matcher(&self, glob: &str) -> Result<GlobMatcher, Failure> {
        let built = GlobBuilder::new(glob).literal_separator(true).build();
        built.map(|glob| glob.compile_matcher()).map_err(|error| {
            failure(self.source, self.pattern)
                .cause(format!("{glob} is no pattern: {}", error.kind()))
                .caused_by(&error)
        })
    }

    /// Folders and files directly in a folder; one that is not there is empty.
    async fn entries(&self, folder: &Path) -> Result<(Vec<Path>, Vec<ObjectMeta>), Failure> {
        match self.listing.store.list_with_delimiter(Some(folder)).await {
            Ok(found) => Ok((found.common_prefixes, found.objects)),
            Err(error) if is_not_there(&error) => Ok((vec![], vec![])),
            Err(error) => Err(self.unreadable(folder, &error)),
        }
    }

    /// A link on disk whose target is gone: a listing leaves it out without a word, and its day with it.
    /// The folder was listed before, so that it may be looked into.
    async fn refuse_broken_links(
        &self,
        folder: &Path,
        matcher: &GlobMatcher,
    ) -> Result<(), Failure> {
        let shown = with_slash(&self.listing.shown(folder));
        let (true, Ok(mut entries)) = (self.listing.root == "/", tokio::fs::read_dir(&shown).await)
        else {
            // The listing reports what cannot be listed.
            return Ok(());
        };
        while let Ok(Some(entry)) = entries.next_entry().await {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_link = entry.file_type().await.is_ok_and(|kind| kind.is_symlink());
            if !is_link || name.starts_with(['.', '_']) || !matcher.is_match(&name) {
                continue;
            }
            let path = entry.path();
            let target = tokio::fs::metadata(&path).await;
            if target.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
                let to = tokio::fs::read_link(&path).await.unwrap_or_default();
                return Err(Failure::new(
                    FailureKind::Source,
                    format!(
                        "source {}: cannot read {}",
                        self.source.source_ref(),
                        path.display()
                    ),
                )
                .at(path.display().to_string(), 0, 0)
                .cause(format!(
                    "it is a link to {}, which is not there",
                    to.display()
                ))
                .note("put the file back, or remove the link"));
            }
        }
        Ok(())
    }

    fn unreadable(&self, path: &Path, error: &object_store::Error) -> Failure {
        let shown = self.listing.shown(path);
        unreadable(self.source, &shown, &self.listing.root, error)
    }

    /// No file: which part of the pattern found nothing, and what is there instead.
    async fn nothing(&self, folders: &[Path], segment: &str, is_folder: bool) -> Failure {
        let failure = failure(self.source, self.pattern);
        let wanted = if is_folder { "folder" } else { "file" };
        let mut at = folders.first().cloned().unwrap_or_default();
        let mut missing = segment.to_string();
        // Up to the deepest folder that is there.
        loop {
            let names = match self.entries(&at).await {
                Ok((inner, files)) => names(&inner, &files),
                // Above what may be read.
                Err(refused) if missing != segment && refused.kind == FailureKind::Source => {
                    let above = with_slash(&self.listing.shown(&at));
                    return failure.cause(format!("there is no {above}{missing}"));
                }
                Err(failure) => return failure,
            };
            let shown = self.listing.shown(&at);
            let parent = at
                .as_ref()
                .rsplit_once('/')
                .map(|(parent, _)| Path::parse(parent).unwrap_or_default());
            if names.is_empty() && !at.as_ref().is_empty() {
                missing = at.filename().unwrap_or_default().to_string();
                if self.listing.root == "/" && std::path::Path::new(&shown).is_dir() {
                    return failure.cause(format!("{shown} is an empty folder"));
                }
                at = parent.unwrap_or_default();
                continue;
            }
            if names.is_empty() {
                return failure.cause(format!("{shown} is empty"));
            }
            let bare: Vec<&str> = names.iter().map(|n| n.trim_end_matches('/')).collect();
            let near = nearest(&missing, bare.iter().copied())
                .map(|n| format!("; did you mean {n}?"))
                .unwrap_or_default();
            if names
                .iter()
                .any(|n| n.strip_suffix('/') == Some(missing.as_str()))
            {
                return failure
                    .cause(format!("{}{missing} is a folder", with_slash(&shown)))
                    .note(format!(
                        "to read its files write {}/*",
                        self.pattern.trim_end_matches('/')
                    ));
            }
            let wanted = if missing == segment { wanted } else { "folder" };
            return failure
                .cause(format!("{shown} has no {wanted} {missing}{near}"))
                .note(format!("{shown} holds {}", holds(&names)));
        }
    }
}

fn names(folders: &[Path], files: &[ObjectMeta]) -> Vec<String> {
    let folders = folders
        .iter()
        .filter_map(|p| p.filename())
        .map(|n| format!("{n}/"));
    let files = files
        .iter()
        .filter_map(|m| m.location.filename())
        .map(str::to_string);
    folders.chain(files).collect()
}

/// Up to three names and how many more.
fn holds(names: &[String]) -> String {
    let shown = names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    match names.len() {
        0..=3 => shown,
        n => format!("{shown} and {} more", n - 3),
    }
}

fn with_slash(shown: &str) -> String {
    if shown.ends_with('/') {
        shown.to_string()
    } else {
        format!("{shown}/")
    }
}

fn is_glob(segment: &str) -> bool {
    segment.contains(['*', '?', '[', '{'])
}

fn taken(matcher: &GlobMatcher, path: &Path) -> bool {
    path.filename()
        .is_some_and(|name| !name.starts_with(['.', '_']) && matcher.is_match(name))
}

fn child(folder: &Path, segment: &str) -> Path {
    let text = if folder.as_ref().is_empty() {
        segment.to_string()
    } else {
        format!("{folder}/{segment}")
    };
    Path::parse(&text).unwrap_or_else(|_| Path::from(text))
}
