//! The catalog's database: SQLite or PostgreSQL behind one pool, its errors in our words.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use retail_storage::{passwords, redact_uri};
use sqlx::any::AnyPoolOptions;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Connection, Transaction, TransactionManager};

use super::uri::Database;
use crate::error::{LakehouseError, Result};

/// How long writers wait for each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// What one statement waits for a lock: SQLite's one write lock, a row's of PostgreSQL.
    pub(crate) busy_timeout_ms: u64,
    /// How often a publish is begun before it gives up.
    pub(crate) attempts: usize,
    /// How long it is tried to find out what became of a publish without an answer.
    pub(crate) settle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            busy_timeout_ms: 3_000,
            attempts: 10,
            settle: Duration::from_secs(90),
        }
    }
}

/// How long PostgreSQL lets a transaction stand idle whose client may be gone, in seconds. Until then it holds its
/// locks, and what became of it cannot be settled.
const IDLE_IN_TRANSACTION_S: u64 = 30;
/// How long one short piece of work on the catalog may take, without an answer from its database.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);

/// How long [`Db::ping`] waits.
const PING_PATIENCE: Duration = Duration::from_secs(5);

/// A pool of connections to the catalog's database.
#[derive(Debug)]
pub(crate) struct Db {
    pub(crate) pool: AnyPool,
    pub(crate) patience: Patience,
    /// For messages; without the password.
    pub(crate) uri: String,
    passwords: Vec<String>,
    /// The SQLite file as it was opened; none for PostgreSQL.
    file: Option<OpenedFile>,
}

#[derive(Debug)]
struct OpenedFile {
    path: PathBuf,
    /// Device and inode: a file deleted and made anew under the same path is another catalog.
    identity: (u64, u64),
}

impl Db {
    /// Connects, creating an SQLite file and its folder if they do not exist. Only here: later connections
    /// never create, so that a deleted catalog is an error and not an empty one.
    pub(crate) async fn open(uri: &str, patience: Patience) -> Result<Self> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let shown = redact_uri(uri);
        let (url, file) = match Database::parse(uri)? {
            Database::Postgres { url } => (url.to_string(), None),
            Database::Sqlite { file } => {
                create_sqlite(&file, &shown, patience).await?;
                let identity = identity(&file).map_err(|e| refused(&shown, e))?;
                let url = sqlite_url(&file, "rw");
                (
                    url,
                    Some(OpenedFile {
                        path: file,
                        identity,
                    }),
                )
            }
        };
        let passwords = passwords(uri);
        let refused = |e: sqlx::Error| {
            let reason = scrub(&e.to_string(), &passwords);
            match kind(&e) {
                Failure::Connection => unavailable(&shown, reason),
                _ => refused(&shown, reason),
            }
        };
        // A pool would hide for half a minute that nobody listens.
        let probe = AnyConnection::connect(&url).await.map_err(refused)?;
        probe.close().await.map_err(refused)?;
        let is_sqlite = file.is_some();
        let options = AnyPoolOptions::new()
            .max_connections(8)
            .acquire_timeout(Duration::from_secs(30));
        let pool = options
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    for setting in settings(is_sqlite, patience) {
                        sqlx::query(&setting).execute(&mut *connection).await?;
                    }
                    Ok(())
                })
            })
            .after_release(|connection, _| Box::pin(is_clean(connection)))
            .connect(&url)
            .await;
        Ok(Self {
            pool: pool.map_err(refused)?,
            patience,
            uri: shown,
            passwords,
            file,
        })
    }

    /// Runs `SELECT 1`.
    pub(crate) async fn ping(&self) -> Result<()> {
        self.check_present()?;
        let answer = sqlx::query("SELECT 1").execute(&self.pool);
        match tokio::time::timeout(PING_PATIENCE, answer).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.failed("ask for a sign of life", &error)),
            Err(_) => Err(unavailable(
                &self.uri,
                format!("no answer within {} s", PING_PATIENCE.as_secs()),
            )),
        }
    }

    /// Fails when the SQLite file is not the one that was opened: connections to a deleted file keep working
    /// on a file that nobody else will ever see.
    pub(crate) fn check_present(&self) -> Result<()> {
        let Some(opened) = &self.file else {
            return Ok(());
        };
        let reason = match identity(&opened.path) {
            Ok(now) if now == opened.identity => return Ok(()),
            Ok(_) => "its file was replaced by another one while it was open".to_owned(),
            Err(e) => format!("its file cannot be found any more ({e})"),
        };
        Err(LakehouseError::CatalogGone {
            uri: self.uri.clone(),
            reason,
        })
    }

    /// Begins a transaction that will write. SQLite takes its write lock at once, so that two writers never
    /// read the same state and then both try to change it.
    pub(crate) async fn begin(
        &self,
    ) -> std::result::Result<Transaction<'static, Any>, sqlx::Error> {
        match self.begin_statement() {
            Some(statement) => self.pool.begin_with(statement).await,
            None => self.pool.begin().await,
        }
    }

    /// A connection for one short piece of work.
    pub(crate) async fn scratch(&self) -> sqlx::Result<Scratch> {
        Ok(Scratch {
            connection: self.pool.acquire().await?,
            is_done: false,
        })
    }

    /// Waits for an answer, but not without end.
    pub(crate) async fn answered<T>(
        &self,
        work: impl Future<Output = sqlx::Result<T>>,
    ) -> sqlx::Result<T> {
        match tokio::time::timeout(ANSWER_PATIENCE, work).await {
            Ok(done) => done,
            Err(_) => Err(no_answer(ANSWER_PATIENCE)),
        }
    }

    /// How a transaction begins that will write; none for the database's own way.
    pub(crate) fn begin_statement(&self) -> Option<&'static str> {
        self.file.as_ref().map(|_| "BEGIN IMMEDIATE")
    }

    /// A statement's error in our words.
    pub(crate) fn failed(&self, doing: &'static str, error: &sqlx::Error) -> LakehouseError {
        let reason = scrub(&error.to_string(), &self.passwords);
        let uri = self.uri.clone();
        match kind(error) {
            Failure::Connection => LakehouseError::CatalogUnavailable { uri, reason },
            Failure::Moved => LakehouseError::CatalogGone { uri, reason },
            Failure::Contention => LakehouseError::CatalogQuery {
                uri,
                doing,
                reason: format!(
                    "{reason}; another process holds a transaction open on it: if this does not pass, end that process \
                     or its transaction"
                ),
                transient: true,
            },
            Failure::Other => LakehouseError::CatalogQuery {
                uri,
                doing,
                reason,
                transient: false,
            },
        }
    }
}

/// A connection that is thrown away unless its work is done: it may be in the middle of something.
pub(crate) struct Scratch {
    connection: PoolConnection<Any>,
    is_done: bool,
}

impl Scratch {
    /// Gives the connection back.
    pub(crate) fn done(mut self) {
        self.is_done = true;
    }
}

impl Deref for Scratch {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.connection
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.connection
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.is_done {
            self.connection.close_on_drop();
        }
    }
}

/// Settings of every new connection: bounded waits for locks and idle transactions.
fn settings(is_sqlite: bool, patience: Patience) -> Vec<String> {
    let wait_ms = patience.busy_timeout_ms;
    match is_sqlite {
        true => vec![format!("PRAGMA busy_timeout = {wait_ms}")],
        false => vec![
            format!("SET lock_timeout = '{wait_ms}ms'"),
            format!("SET idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_S}s'"),
        ],
    }
}

/// Whether a connection that comes back is in no transaction. SQLite ends one by itself where the disk is full, and
/// the driver, whose rollback then fails, counts on as if it were open: every later use would be refused.
async fn is_clean(connection: &mut AnyConnection) -> sqlx::Result<bool> {
    // A rollback may be under way still; this comes after it.
    connection.ping().await?;
    let depth = <Any as sqlx::Database>::TransactionManager::get_transaction_depth(connection);
    Ok(depth == 0)
}

/// The error of a database that does not answer in time.
pub(crate) fn no_answer(within: Duration) -> sqlx::Error {
    let reason = format!("no answer within {} s", within.as_secs());
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, reason))
}

/// What a database error means to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Another writer was in the way; the transaction did not happen and may be tried again.
    Contention,
    /// The connection is broken or was never made.
    Connection,
    /// SQLite found that its file was moved or deleted.
    Moved,
    Other,
}

pub(crate) fn kind(error: &sqlx::Error) -> Failure {
    match error {
        sqlx::Error::Database(database) => match database.code().as_deref() {
            // SQLite's extended result codes: busy and locked in their variants.
            Some("5" | "6" | "261" | "262" | "517" | "773") => Failure::Contention,
            Some("1032") => Failure::Moved,
            // PostgreSQL: serialization failure, deadlock, lock not available.
            Some("40001" | "40P01" | "55P03") => Failure::Contention,
            // Connection exceptions, and a server that is shutting down or starting.
            Some(code) if code.starts_with("08") || code.starts_with("57P") => Failure::Connection,
            _ => Failure::Other,
        },
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Failure::Connection,
        _ => Failure::Other,
    }
}

/// Exponential backoff with jitter, without end: from 30 to 60 ms after the first attempt to 480 to 960 ms.
pub(crate) fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(30))
        .with_max_delay(Duration::from_millis(480))
        .with_jitter()
        .without_max_times()
}

/// Makes the file and switches it to write-ahead logging, so that readers never wait for a writer.
async fn create_sqlite(file: &Path, shown: &str, patience: Patience) -> Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(|e| refused(shown, e))?;
    }
    // SQLite does not wait for others that switch at the same time.
    (|| switch_to_wal(file, patience))
        .retry(backoff().with_max_times(CREATE_RETRIES))
        .when(|e| kind(e) == Failure::Contention)
        .await
        .map_err(|e| refused(shown, e))
}

const CREATE_RETRIES: usize = 9;

async fn switch_to_wal(file: &Path, patience: Patience) -> std::result::Result<(), sqlx::Error> {
    let mut connection = AnyConnection::connect(&sqlite_url(file, "rwc")).await?;
    let wait = format!("PRAGMA busy_timeout = {}", patience.busy_timeout_ms);
    sqlx::query(&wait).execute(&mut connection).await?;
    let mode = sqlx::query("PRAGMA journal_mode = WAL");
    mode.execute(&mut connection).await?;
    connection.close().await
}

fn sqlite_url(file: &Path, mode: &str) -> String {
    // Reserved characters of a URL may occur in a folder's name.
    let path = file.to_string_lossy();
    let mut encoded = String::with_capacity(path.len());
    for c in path.chars() {
        match c {
            '%' => encoded.push_str("%25"),
            '?' => encoded.push_str("%3F"),
            '#' => encoded.push_str("%23"),
            c => encoded.push(c),
        }
    }
    format!("sqlite://{encoded}?mode={mode}")
}

fn identity(file: &Path) -> std::io::Result<(u64, u64)> {
    let metadata = fs::metadata(file)?;
    Ok((metadata.dev(), metadata.ino()))
}

fn unavailable(uri: &str, reason: impl ToString) -> LakehouseError {
    LakehouseError::CatalogUnavailable {
        uri: uri.to_owned(),
        reason: reason.to_string(),
    }
}

fn refused(uri: &str, reason: impl ToString) -> LakehouseError {
    LakehouseError::CatalogRefused {
        uri: uri.to_owned(),
        reason: reason.to_string(),
    }
}

fn scrub(text: &str, passwords: &[String]) -> String {
    passwords.iter().fold(text.to_owned(), |text, password| {
        text.replace(password, "***")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drivers_message_does_not_carry_the_password_on() {
        let known = passwords("postgresql://etl:s3%2Fcr3t@db/lake");
        let text = "cannot log in to postgresql://etl:s3%2Fcr3t@db/lake with s3/cr3t";
        let scrubbed = scrub(text, &known);
        assert_eq!(
            scrubbed,
            "cannot log in to postgresql://etl:***@db/lake with ***"
        );
    }

    #[test]
    fn a_path_is_one_path_whatever_is_in_its_name() {
        let url = sqlite_url(Path::new("/a b/50%#?/catalog.db"), "rw");
        assert_eq!(url, "sqlite:///a b/50%25%23%3F/catalog.db?mode=rw");
    }
}
