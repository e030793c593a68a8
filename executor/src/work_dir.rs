//! The folder of one executor's shuffle and spill files, below the folder that executors of a machine share.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// An executor's own folder, and beside it a file that is locked while the executor lives:
///
/// ```text
/// shared/01a21add….retail-lock    held by the process, and free when it ends, however it ends
/// shared/01a21add…/               shuffle and spill files
/// ```
#[derive(Debug)]
pub(crate) struct WorkDir {
    path: PathBuf,
    text: String,
    lock_path: PathBuf,
    /// Holds the lock.
    _lock: File,
}

impl WorkDir {
    /// Creates the folder of the executor `id` in `shared`, and removes those of executors that were killed: their files
    /// would fill the disk, which nobody else clears.
    ///
    /// # Errors
    /// The folder cannot be created, or its path is not UTF-8, which Ballista needs.
    pub(crate) fn create(shared: &Path, id: &str) -> anyhow::Result<Self> {
        let path = shared.join(id);
        let text = path
            .to_str()
            .context("the work folder's path is not UTF-8")?
            .to_owned();
        let lock_path = shared.join(format!("{id}{LOCK}"));
        let made = std::fs::create_dir_all(shared).and_then(|()| {
            reclaim(shared);
            let lock = locked(&lock_path)?;
            std::fs::create_dir(&path)?;
            Ok(lock)
        });
        let lock = made.with_context(|| format!("cannot use work folder {}", shared.display()))?;
        Ok(Self {
            path,
            text,
            lock_path,
            _lock: lock,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Removes the folder with all files in it. What cannot be removed is logged: the executor leaves all the same.
    pub(crate) fn remove(self) {
        remove(&self.path, &self.lock_path);
    }
}

/// Ending of the files that are locked; nobody else's files have it.
const LOCK: &str = ".retail-lock";

/// A new file, locked. Whoever reclaims folders may have come between its creation and its lock, and have removed it.
fn locked(path: &Path) -> std::io::Result<File> {
    loop {
        let lock = File::create(path)?;
        if let Err(error) = lock.lock() {
            tracing::warn!(path = %path.display(), %error, "this file system has no locks: folders of killed executors stay");
            return Ok(lock);
        }
        if lock.metadata()?.nlink() > 0 {
            return Ok(lock);
        }
    }
}

/// Removes the folders whose executors are gone, which is known by their locks.
fn reclaim(shared: &Path) {
    let entries = match std::fs::read_dir(shared) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(dir = %shared.display(), %error, "folders of killed executors could not be listed");
            return;
        }
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|name| name.strip_suffix(LOCK)) else {
            continue;
        };
        // One that another executor has just removed is no longer there, or no longer linked.
        let Ok(lock) = File::open(entry.path()) else {
            continue;
        };
        if lock.try_lock().is_ok() && lock.metadata().is_ok_and(|file| file.nlink() > 0) {
            let path = shared.join(id);
            tracing::info!(dir = %path.display(), "shuffle files of an executor that was killed are removed");
            remove(&path, &entry.path());
        }
    }
}

/// The folder first: without its lock nobody would remove it later.
fn remove(path: &Path, lock_path: &Path) {
    let removed = match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => std::fs::remove_file(lock_path),
    };
    if let Err(error) = removed {
        tracing::warn!(dir = %path.display(), %error, "shuffle files could not be removed");
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn an_executor_that_leaves_takes_its_own_files_with_it_and_no_others() {
        let shared = tempfile::tempdir().unwrap();
        let one = WorkDir::create(shared.path(), "one").unwrap();
        let two = WorkDir::create(shared.path(), "two").unwrap();
        for own in [&one, &two] {
            let stage = Path::new(own.as_str()).join("query/1");
            std::fs::create_dir_all(&stage).unwrap();
            std::fs::write(stage.join("data-0.arrow"), b"rows").unwrap();
        }
        one.remove();
        assert_eq!(names(shared.path()), ["two", "two.retail-lock"]);
        assert!(shared.path().join("two/query/1/data-0.arrow").exists());
    }

    #[test]
    fn an_executor_that_was_killed_leaves_its_files_to_the_next_one_and_a_running_one_keeps_its_own()
     {
        let shared = tempfile::tempdir().unwrap();
        let killed = WorkDir::create(shared.path(), "killed").unwrap();
        let running = WorkDir::create(shared.path(), "running").unwrap();
        std::fs::write(Path::new(killed.as_str()).join("data-0.arrow"), b"rows").unwrap();
        std::fs::write(shared.path().join("Cargo.lock"), b"of somebody else").unwrap();
        std::fs::create_dir(shared.path().join("Cargo")).unwrap();
        std::fs::create_dir(shared.path().join("without-lock")).unwrap();
        drop(killed); // as the system does for a process that ends
        let next = WorkDir::create(shared.path(), "next").unwrap();
        assert_eq!(
            names(shared.path()),
            [
                "Cargo",
                "Cargo.lock",
                "next",
                "next.retail-lock",
                "running",
                "running.retail-lock",
                "without-lock"
            ]
        );
        running.remove();
        next.remove();
        assert_eq!(
            names(shared.path()),
            ["Cargo", "Cargo.lock", "without-lock"]
        );
    }

    #[test]
    fn executors_that_start_together_do_not_take_each_other_for_killed() {
        let shared = tempfile::tempdir().unwrap();
        let all: Vec<_> = std::thread::scope(|scope| {
            let start = |id: usize| WorkDir::create(shared.path(), &format!("executor-{id}"));
            let starts: Vec<_> = (0..32).map(|id| scope.spawn(move || start(id))).collect();
            starts
                .into_iter()
                .map(|start| start.join().unwrap())
                .collect()
        });
        for own in all {
            let own = own.unwrap();
            assert!(Path::new(own.as_str()).is_dir() && own.lock_path.exists());
        }
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries.map(|e| name(e).into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let refused = WorkDir::create(&file, "one").unwrap_err().to_string();
        assert_eq!(
            refused,
            format!("cannot use work folder {}", file.display())
        );
    }

    #[test]
    fn a_path_that_is_not_utf_8_is_refused_before_anything_is_created() {
        let dir = tempfile::tempdir().unwrap();
        let shared = dir.path().join(OsStr::from_bytes(b"caf\xe9"));
        let refused = WorkDir::create(&shared, "one").unwrap_err().to_string();
        assert_eq!(refused, "the work folder's path is not UTF-8");
        assert!(!shared.exists());
    }

    #[test]
    fn a_folder_that_is_gone_already_does_not_keep_an_executor() {
        let shared = tempfile::tempdir().unwrap();
        let own = WorkDir::create(shared.path(), "one").unwrap();
        std::fs::remove_dir_all(own.as_str()).unwrap();
        own.remove();
    }
}
