//! The folder of one executor's shuffle and spill files, below the folder that executors of a machine share.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// An executor's own folder.
#[derive(Debug)]
pub(crate) struct WorkDir {
    path: PathBuf,
    text: String,
}

impl WorkDir {
    /// Creates the folder of the executor `id` in `shared`.
    ///
    /// # Errors
    /// The folder cannot be created, or its path is not UTF-8, which Ballista needs.
    pub(crate) fn create(shared: &Path, id: &str) -> anyhow::Result<Self> {
        let path = shared.join(id);
        let text = path
            .to_str()
            .context("the work folder's path is not UTF-8")?
            .to_owned();
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot use work folder {}", shared.display()))?;
        Ok(Self { path, text })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Removes the folder with all files in it. What cannot be removed is logged: the executor leaves all the same.
    pub(crate) fn remove(self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(dir = %self.path.display(), %error, "shuffle files could not be removed");
        }
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
        assert!(!shared.path().join("one").exists());
        assert!(shared.path().join("two/query/1/data-0.arrow").exists());
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
