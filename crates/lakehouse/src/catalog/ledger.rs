//! The ledger of publishes: a row that the publish's own transaction writes, so that its outcome can be settled.
//!
//! ```text
//! retail_publishes   publish_id -> state 'published' | 'abandoned'
//!
//!   publisher   BEGIN  INSERT (id, 'published')  … swap tables …  COMMIT ──?──  the answer is lost
//!   settler     BEGIN  INSERT (id, 'abandoned')      waits until the publisher's transaction has ended, then
//!                        one row:  it did not happen, and can never happen any more
//!                        no row:   it is there already, with what happened
//! ```
//!
//! Both databases make the second insert of a key wait for the first one's transaction: PostgreSQL by the key,
//! SQLite by its one write lock.

use sqlx::{Any, AnyConnection, Connection, Row, Transaction};

use super::database::{Failure, kind};

pub(super) const CREATE: &str = "CREATE TABLE IF NOT EXISTS retail_publishes (
        publish_id VARCHAR(255) NOT NULL PRIMARY KEY,
        state VARCHAR(16) NOT NULL,
        epoch BIGINT NOT NULL,
        decided_at_us BIGINT NOT NULL)";
pub(super) const PROBE: &str = "SELECT publish_id FROM retail_publishes WHERE 1 = 0";
const INSERT: &str = "INSERT INTO retail_publishes (publish_id, state, epoch, decided_at_us) \
     VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
const STATE: &str = "SELECT state FROM retail_publishes WHERE publish_id = $1";

const PUBLISHED: &str = "published";
const ABANDONED: &str = "abandoned";

/// What became of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its transaction was committed.
    Published,
    /// It was not, and will not be.
    Abandoned,
}

/// Records in the publish's own transaction that it took place. False when somebody has settled it before.
pub(crate) async fn publish(
    transaction: &mut AnyConnection,
    id: &str,
    epoch: i64,
) -> sqlx::Result<bool> {
    insert(transaction, id, PUBLISHED, epoch).await
}

/// Finds out what became of a publish, and makes it so that the answer stays true.
///
/// # Errors
/// The database cannot be reached, or the publish's transaction has not ended yet: retry.
pub(crate) async fn settle(
    connection: &mut AnyConnection,
    begin: Option<&'static str>,
    id: &str,
) -> sqlx::Result<Outcome> {
    let mut transaction = match begin {
        Some(statement) => connection.begin_with(statement).await?,
        None => connection.begin().await?,
    };
    if let Some(outcome) = state(&mut transaction, id).await? {
        transaction.rollback().await?;
        return Ok(outcome);
    }
    match abandon(transaction, id).await {
        // We held SQLite's one write lock and there was no row: the transaction had ended without it. A disk that is
        // full keeps us from writing that down, and changes nothing about it.
        Err(e) if begin.is_some() && kind(&e) == Failure::Other => Ok(Outcome::Abandoned),
        done => done,
    }
}

async fn abandon(mut transaction: Transaction<'_, Any>, id: &str) -> sqlx::Result<Outcome> {
    if insert(&mut transaction, id, ABANDONED, 0).await? {
        transaction.commit().await?;
        return Ok(Outcome::Abandoned);
    }
    let outcome = state(&mut transaction, id).await?;
    transaction.rollback().await?;
    outcome.ok_or(sqlx::Error::RowNotFound)
}

async fn state(connection: &mut AnyConnection, id: &str) -> sqlx::Result<Option<Outcome>> {
    let row = sqlx::query(STATE)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.map(|row| match row.try_get::<String, _>(0)?.as_str() {
        PUBLISHED => Ok(Outcome::Published),
        _ => Ok(Outcome::Abandoned),
    })
    .transpose()
}

async fn insert(
    connection: &mut AnyConnection,
    id: &str,
    state: &str,
    epoch: i64,
) -> sqlx::Result<bool> {
    let insert = sqlx::query(INSERT)
        .bind(id)
        .bind(state)
        .bind(epoch)
        .bind(chrono::Utc::now().timestamp_micros());
    Ok(insert.execute(connection).await?.rows_affected() == 1)
}
