//! What a test may need and a machine may lack. `./test` starts it and hands its address over in the environment;
//! a test that finds none reports it and returns: `let Some(server) = prerequisites::postgres() else { return };`

use std::io::Write;
use std::path::PathBuf;

use super::repository;

/// A PostgreSQL server that is ours alone; every test makes a database of its own in it.
#[derive(Debug, Clone)]
pub(crate) struct Postgres {
    /// `postgresql://user@host:port/postgres`
    pub url: String,
}

impl Postgres {
    /// Makes an empty database and returns its URL.
    pub(crate) async fn database(&self) -> String {
        let name = format!("t{}", uuid::Uuid::now_v7().simple());
        let pool = sqlx::PgPool::connect(&self.url).await.unwrap();
        sqlx::query(&format!("create database {name}"))
            .execute(&pool)
            .await
            .unwrap();
        pool.close().await;
        let (server, _) = self.url.rsplit_once('/').expect("a URL names its database");
        format!("{server}/{name}")
    }
}

/// An S3 server that is ours alone; every test takes a prefix of its own.
#[derive(Debug, Clone)]
pub(crate) struct S3 {
    pub endpoint: String,
    pub bucket: String,
    pub key: String,
    pub secret: String,
}

impl S3 {
    /// A prefix that no other test uses: `s3://bucket/…`.
    pub(crate) fn prefix(&self) -> String {
        format!("s3://{}/{}", self.bucket, uuid::Uuid::now_v7().simple())
    }
}

/// The Python of the interop scripts.
#[derive(Debug, Clone)]
pub(crate) struct Python {
    program: PathBuf,
}

impl Python {
    /// Runs a script of `tests/interop` and returns what it printed, parsed as JSON.
    pub(crate) fn run(&self, script: &str, arguments: &[&str]) -> serde_json::Value {
        let output = std::process::Command::new(&self.program)
            .arg("-B")
            .arg(repository::root().join("tests/interop").join(script))
            .args(arguments)
            .output()
            .expect("the test environment's Python starts");
        let (stdout, stderr) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(
            output.status.success(),
            "{script} {arguments:?} failed ({}):\n{stdout}{stderr}",
            output.status
        );
        serde_json::from_str(&stdout)
            .unwrap_or_else(|e| panic!("{script} printed no JSON ({e}):\n{stdout}{stderr}"))
    }
}

pub(crate) fn postgres() -> Option<Postgres> {
    Some(Postgres {
        url: variable("RETAIL_TEST_POSTGRES_URL", "PostgreSQL")?,
    })
}

pub(crate) fn s3() -> Option<S3> {
    Some(S3 {
        endpoint: variable("RETAIL_TEST_S3_ENDPOINT", "S3 server")?,
        bucket: variable("RETAIL_TEST_S3_BUCKET", "S3 server")?,
        key: variable("RETAIL_TEST_S3_KEY", "S3 server")?,
        secret: variable("RETAIL_TEST_S3_SECRET", "S3 server")?,
    })
}

pub(crate) fn python() -> Option<Python> {
    Some(Python {
        program: variable("RETAIL_TEST_PYTHON", "Python environment")?.into(),
    })
}

fn variable(name: &str, what: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    if value.is_none() {
        skipped(&format!("no {what} ({name} is not set)"));
    }
    value
}

/// Reports that this test was skipped: on stderr, which the harness captures, and in the list that `./test` counts.
pub(crate) fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("skipped: {test}: {why}");
    if let Some(list) = std::env::var_os("RETAIL_TEST_SKIPS") {
        let mut list = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(list)
            .unwrap();
        writeln!(list, "{test}: {why}").unwrap();
    }
}

/// A disk of its own that can be full: a file system in memory.
pub(crate) struct SmallDisk {
    folder: tempfile::TempDir,
}

/// A disk of so many mebibytes. Only root may mount one.
pub(crate) fn small_disk(mebibytes: u32) -> Option<SmallDisk> {
    let folder = tempfile::tempdir().unwrap();
    let size = format!("size={mebibytes}m");
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
        .arg(folder.path())
        .output();
    if mount.is_ok_and(|done| done.status.success()) {
        return Some(SmallDisk { folder });
    }
    skipped("a disk that is full: no right to mount one");
    None
}

impl SmallDisk {
    pub(crate) fn path(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Writes until nothing more fits.
    pub(crate) fn fill(&self) {
        let mut file = std::fs::File::create(self.path().join("ballast")).unwrap();
        for size in [64 * 1024, 4096, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }

    /// Makes room again.
    pub(crate) fn free(&self) {
        std::fs::remove_file(self.path().join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a program that is being killed may still have files open on it.
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(self.path())
            .status();
    }
}
