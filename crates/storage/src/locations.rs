//! Which places files may be read from and written to.
//!
//! ```text
//!   sources.allow, the warehouse ──▶ Locations ── check(uri) ──▶ Ok, or what is allowed instead
//!                                        │
//!                                        └─ every request of a store (`confined`), wherever a plan or a call makes it
//! ```

use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use crate::error::StorageError;
use crate::uri::locate;

/// Folders that are never read, whatever is allowed: what the kernel shows of processes, and where secrets are mounted.
const NEVER: [&str; 3] = ["/proc", "/sys", "/run/secrets"];

/// How often a path is looked at that comes into being meanwhile.
const ATTEMPTS_MAX: u32 = 10;

/// Places whose files may be read and written, all else is refused.
///
/// Local paths are compared with symbolic links resolved, at each request: a link inside an allowed folder that leads
/// out of it leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Locations {
    /// As they were written.
    allowed: Vec<String>,
    places: Vec<Place>,
    /// Files and folders within allowed places that are not: a file of a secret, the catalog's database.
    denied: Vec<LocalPlace>,
}

/// A file, or a folder and all below it.
#[derive(Debug, Clone)]
struct LocalPlace {
    /// Absolute.
    path: PathBuf,
    /// Without links, once it is there: it is compared at each request.
    found: OnceLock<PathBuf>,
}

/// Of one path, found or not.
impl PartialEq for LocalPlace {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for LocalPlace {}

impl LocalPlace {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            found: OnceLock::new(),
        }
    }

    /// Whether a path without links lies in it.
    fn holds(&self, path: &Path) -> bool {
        if let Some(found) = self.found.get() {
            return path.starts_with(found);
        }
        match self.path.canonicalize() {
            Ok(found) => path.starts_with(self.found.get_or_init(|| found)),
            Err(_) => resolved(&self.path).is_ok_and(|place| path.starts_with(place)),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Local(LocalPlace),
    /// Objects of a bucket, of any where there is none, whose keys begin with segments.
    Objects {
        bucket: Option<String>,
        prefix: String,
    },
}

impl Locations {
    /// Places as people write them: `/data/landing`, `file:///data/landing`, `s3://bucket/prefix`, `s3://` for every
    /// bucket. They are no patterns: `*` is a character of a name.
    ///
    /// # Errors
    /// [`StorageError::InvalidUri`].
    pub fn of<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, StorageError> {
        let mut locations = Self::default();
        for text in texts {
            locations.allow(text.as_ref())?;
        }
        Ok(locations)
    }

    /// Allows one more place.
    ///
    /// # Errors
    /// [`StorageError::InvalidUri`].
    pub fn allow(&mut self, text: &str) -> Result<(), StorageError> {
        let place = if text == "s3://" {
            Place::Objects {
                bucket: None,
                prefix: String::new(),
            }
        } else {
            let (root, path) = locate(text)?;
            match bucket_of(root.as_str()) {
                Some(bucket) => Place::Objects {
                    bucket: Some(bucket.to_owned()),
                    prefix: path.to_string(),
                },
                None => Place::Local(LocalPlace::new(absolute(path.as_ref()))),
            }
        };
        if !self.places.contains(&place) {
            self.places.push(place);
            self.allowed.push(text.to_owned());
        }
        Ok(())
    }

    /// Refuses a file, or a folder and what is below it, though a place that holds it is allowed.
    pub fn deny(&mut self, path: impl Into<PathBuf>) {
        self.denied.push(LocalPlace::new(path.into()));
    }

    /// The places that are allowed, as they were written.
    pub fn allowed(&self) -> &[String] {
        &self.allowed
    }

    /// What is not, though it lies within them.
    pub fn denied(&self) -> impl Iterator<Item = &Path> {
        self.denied.iter().map(|place| place.path.as_path())
    }

    /// Whether a location may be read and written.
    ///
    /// # Errors
    /// [`StorageError::NotAllowed`], or [`StorageError::InvalidUri`].
    pub fn check(&self, uri: &str) -> Result<(), StorageError> {
        let (root, path) = locate(uri)?;
        self.check_in(root.as_str(), path.as_ref())
    }

    /// As [`Locations::check`], of a path within a store's root: `file:///` or `s3://bucket/`.
    pub(crate) fn check_in(&self, root: &str, path: &str) -> Result<(), StorageError> {
        let refused = |reason: &str| StorageError::NotAllowed {
            uri: match bucket_of(root) {
                Some(bucket) => format!("s3://{bucket}/{path}"),
                None => format!("/{path}"),
            },
            reason: reason.to_owned(),
            allowed: self.to_string(),
        };
        if let Some(requested) = bucket_of(root) {
            let is_allowed = self.places.iter().any(|place| match place {
                Place::Objects { bucket, prefix } => {
                    bucket.as_deref().is_none_or(|bucket| bucket == requested)
                        && is_below(path, prefix)
                }
                Place::Local(_) => false,
            });
            return match is_allowed {
                true => Ok(()),
                false => Err(refused(
                    "it lies outside of what may be read and written here",
                )),
            };
        }
        let requested = match resolved(&absolute(path)) {
            Ok(requested) => requested,
            // Who cannot follow a path cannot open it either, and the store's own error shows why.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => absolute(path),
            Err(error) => {
                return Err(StorageError::NotResolved {
                    uri: format!("/{path}"),
                    reason: error.to_string(),
                });
            }
        };
        let is_never = NEVER.iter().any(|never| requested.starts_with(never));
        if is_never || self.denied.iter().any(|place| place.holds(&requested)) {
            return Err(refused(
                "it is never read or written for a job or a statement",
            ));
        }
        let is_allowed = self.places.iter().any(|place| match place {
            Place::Local(place) => place.holds(&requested),
            Place::Objects { .. } => false,
        });
        match is_allowed {
            true => Ok(()),
            false if requested != absolute(path) => Err(refused(&format!(
                "it leads to {}, outside of what may be read and written here",
                requested.display()
            ))),
            false => Err(refused(
                "it lies outside of what may be read and written here",
            )),
        }
    }
}

/// The places, as a message lists them.
impl fmt::Display for Locations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.allowed.is_empty() {
            true => f.write_str("nothing"),
            false => f.write_str(&self.allowed.join(", ")),
        }
    }
}

fn bucket_of(root: &str) -> Option<&str> {
    let bucket = root.strip_prefix("s3://")?;
    Some(bucket.trim_end_matches('/'))
}

/// Whether a key is a prefix or begins with its segments.
fn is_below(key: &str, prefix: &str) -> bool {
    match key.strip_prefix(prefix) {
        Some(rest) => prefix.is_empty() || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

fn absolute(path: &str) -> PathBuf {
    Path::new("/").join(path.trim_start_matches('/'))
}

/// A path without links. What does not exist yet is below something that does.
///
/// # Errors
/// A folder on the way cannot be looked into, or a link on the way leads to nothing: whoever writes would follow it.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it has .. in it",
        ));
    }
    let mut missing = vec![];
    let mut there = path;
    let mut attempts = 0;
    loop {
        match there.canonicalize() {
            Ok(found) => {
                return Ok(missing
                    .iter()
                    .rev()
                    .fold(found, |path, name| path.join(name)));
            }
            Err(error) => {
                let is_missing = matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                );
                let (Some(parent), Some(name)) = (there.parent(), there.file_name()) else {
                    return Err(error);
                };
                if !is_missing {
                    return Err(error);
                }
                match there.symlink_metadata() {
                    Ok(found) if found.is_symlink() => return Err(error),
                    // It came into being between the two looks.
                    Ok(_) if attempts < ATTEMPTS_MAX => {
                        attempts += 1;
                        continue;
                    }
                    Ok(_) => return Err(error),
                    Err(_) => {}
                }
                missing.push(name);
                there = parent;
            }
        }
    }
}

#[cfg(test)]
mod tests;
