//! Publish: everything that was staged becomes visible in one transaction, or nothing does.
//!
//! ```text
//!   BEGIN
//!     INSERT INTO retail_publishes …                                                by which the outcome can be settled
//!     for every table, in order of name:
//!       UPDATE … SET metadata_location = new WHERE … AND metadata_location = base     exactly one row, or
//!       INSERT …                                                                      a table that is new
//!     UPDATE retail_owner … WHERE epoch = ours                                      exactly one row
//!   COMMIT
//! ```
//!
//! A row that is not as expected ends the transaction: somebody else was there first.

use std::time::{Duration, Instant};

use backon::Retryable;
use sqlx::{AnyConnection, Connection};
use tracing::field::Empty;
use tracing::{Instrument, info, warn};
use uuid::Uuid;

use crate::catalog::database::{Failure, backoff, kind, no_answer};
use crate::catalog::ledger::{self, Outcome};
use crate::catalog::owner::{self, Lease};
use crate::catalog::statements::{self, Entry};
use crate::error::{LakehouseError, Result};
use crate::failpoint::failpoint;
use crate::lakehouse::Lakehouse;
use crate::observe::{self, CatalogOperation, record_failure};
use crate::stage::Staged;
use retail_api::TableName;

/// What became of one table in a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedTable {
    pub table: TableName,
    pub snapshot_id: i64,
    pub rows: u64,
    /// None for a table that did not exist before.
    pub rows_before: Option<u64>,
}

/// A publish, and what goes with it.
pub struct Publish<'a> {
    /// Names it in the ledger, once and for all: what became of an id is settled with it.
    pub id: &'a str,
    /// What the publisher must still hold at the commit; none for one without an owner.
    pub lease: Option<Lease>,
    /// Checked until the commit is sent.
    pub is_cancelled: &'a (dyn Fn() -> bool + Send + Sync),
    /// Gets what the publish waits for, as text.
    pub waiting: &'a (dyn Fn(String) + Send + Sync),
}

impl<'a> Publish<'a> {
    /// A publish that nobody cancels and whose waits nobody watches.
    pub fn of(id: &'a str) -> Self {
        Self {
            id,
            lease: None,
            is_cancelled: &|| false,
            waiting: &|_| {},
        }
    }
}

/// How one attempt ended without success.
enum Attempt {
    /// Nothing happened, and trying again would not help.
    Refused(LakehouseError),
    /// Nothing happened because of this, at the row of this table.
    Failed(sqlx::Error, Option<TableName>),
    /// The commit was sent and its answer was lost.
    Unanswered(sqlx::Error),
}

impl Attempt {
    fn is_contention(&self) -> bool {
        matches!(self, Self::Failed(error, _) if kind(error) == Failure::Contention)
    }
}

impl From<sqlx::Error> for Attempt {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error, None)
    }
}

impl Lakehouse {
    /// As [`Lakehouse::publish_as`], by an id that begins with `publish_id` and is used once.
    ///
    /// # Errors
    /// See there.
    pub async fn publish(
        &self,
        publish_id: &str,
        staged: &[Staged],
    ) -> Result<Vec<PublishedTable>> {
        let id = format!("{publish_id}/{}", Uuid::now_v7().simple());
        self.publish_as(&Publish::of(&id), staged).await
    }

    /// Makes all of `staged` visible at once. Returns the tables among them, in the order given.
    ///
    /// # Errors
    /// [`LakehouseError::PublishConflict`] when a table is no longer what it was staged from,
    /// [`LakehouseError::CatalogLocked`] when another writer does not let go, [`LakehouseError::CatalogGone`] when
    /// the catalog's file vanished, [`LakehouseError::OwnershipLost`] and [`LakehouseError::PublishAbandoned`] when
    /// the publisher was replaced, [`LakehouseError::PublishCancelled`]; in all of them nothing was published.
    /// [`LakehouseError::PublishUnknown`] when the answer to the commit was lost and the catalog does not answer.
    pub async fn publish_as(
        &self,
        publish: &Publish<'_>,
        staged: &[Staged],
    ) -> Result<Vec<PublishedTable>> {
        let ordered = in_order(staged)?;
        if ordered.is_empty() {
            return Ok(Vec::new());
        }
        failpoint("publish.begin");
        let span = tracing::info_span!(
            "publish",
            job = publish.id,
            relations = staged.len(),
            otel.status_code = Empty,
            otel.status_description = Empty,
        );
        let began = Instant::now();
        let attempts = self.publish_with_retries(publish, &ordered);
        let answer = attempts.instrument(span.clone()).await;
        let observer = self.observer();
        record_failure(
            &span,
            observe::catalog(observer, CatalogOperation::Publish, began, answer),
        )?;
        failpoint("publish.after_commit");
        info!(publish = publish.id, relations = staged.len(), "published");
        Ok(staged.iter().filter_map(published).collect())
    }

    async fn publish_with_retries(&self, publish: &Publish<'_>, ordered: &[&Staged]) -> Result<()> {
        let db = self.db();
        let started = Instant::now();
        let (mut attempts, allowed) = (1, db.patience.attempts);
        let outcome = (|| self.try_publish(publish, ordered))
            .retry(backoff().with_max_times(allowed.saturating_sub(1)))
            .when(Attempt::is_contention)
            .notify(|attempt, _| {
                let Attempt::Failed(error, table) = attempt else {
                    return;
                };
                warn!(publish = publish.id, attempts, %error, "catalog busy, publishing again");
                let row = match table {
                    Some(table) => format!("the catalog's row of {table}"),
                    None => "the catalog's write lock".to_owned(),
                };
                (publish.waiting)(format!(
                    "another session holds {row} in an open transaction; trying again to publish \
                     ({attempts} of {allowed}, {:.0} s)",
                    started.elapsed().as_secs_f64()
                ));
                attempts += 1;
            })
            .await;
        match outcome {
            Ok(()) => Ok(()),
            Err(Attempt::Refused(error)) => Err(error),
            Err(Attempt::Unanswered(error)) => {
                let unanswered = db.failed("publish", &error);
                warn!(publish = publish.id, error = %unanswered, "the commit's answer was lost, settling it");
                match self.settle(publish.id, publish.waiting).await? {
                    Outcome::Published => Ok(()),
                    Outcome::Abandoned => Err(unanswered),
                }
            }
            Err(Attempt::Failed(error, _)) if kind(&error) != Failure::Contention => {
                Err(db.failed("publish", &error))
            }
            Err(Attempt::Failed(_, table)) => Err(LakehouseError::CatalogLocked {
                uri: db.uri.clone(),
                table,
                attempts,
                waited_ms: started.elapsed().as_millis() as u64,
            }),
        }
    }

    async fn try_publish(
        &self,
        publish: &Publish<'_>,
        ordered: &[&Staged],
    ) -> std::result::Result<(), Attempt> {
        if (publish.is_cancelled)() {
            return Err(Attempt::Refused(LakehouseError::PublishCancelled {
                publish_id: publish.id.to_owned(),
            }));
        }
        let db = self.db();
        db.check_present().map_err(Attempt::Refused)?;
        let mut connection = db.answered(db.scratch()).await?;
        self.transaction(&mut connection, publish, ordered).await?;
        connection.done();
        // Deleted since: the commit went to a file that nobody will ever open again.
        db.check_present().map_err(Attempt::Refused)
    }

    async fn transaction(
        &self,
        connection: &mut AnyConnection,
        publish: &Publish<'_>,
        ordered: &[&Staged],
    ) -> std::result::Result<(), Attempt> {
        let db = self.db();
        let statements = async {
            let mut transaction = match db.begin_statement() {
                Some(statement) => connection.begin_with(statement).await?,
                None => connection.begin().await?,
            };
            self.statements(&mut transaction, publish, ordered).await?;
            Ok::<_, Attempt>(transaction)
        };
        // No commit was sent: whatever hangs here, nothing happened.
        let done = tokio::time::timeout(STATEMENTS, statements).await;
        let transaction = done.map_err(|_| no_answer(STATEMENTS))??;
        // Dropping the transaction rolls it back.
        db.check_present().map_err(Attempt::Refused)?;
        failpoint("publish.before_commit");
        let commit = tokio::time::timeout(COMMIT, transaction.commit()).await;
        match commit.unwrap_or_else(|_| Err(no_answer(COMMIT))) {
            Ok(()) => Ok(()),
            Err(error) => Err(match kind(&error) {
                Failure::Contention | Failure::Moved => error.into(),
                Failure::Connection | Failure::Other => Attempt::Unanswered(error),
            }),
        }
    }

    /// Everything between BEGIN and COMMIT.
    async fn statements(
        &self,
        transaction: &mut AnyConnection,
        publish: &Publish<'_>,
        ordered: &[&Staged],
    ) -> std::result::Result<(), Attempt> {
        let catalog = &self.config().name;
        let epoch = publish.lease.map_or(0, |lease| lease.epoch);
        if !ledger::publish(transaction, publish.id, epoch).await? {
            return Err(Attempt::Refused(LakehouseError::PublishAbandoned {
                publish_id: publish.id.to_owned(),
            }));
        }
        for (index, staged) in ordered.iter().enumerate() {
            if index > 0 {
                failpoint("publish.between_tables");
            }
            let (name, base) = (staged.name(), staged.base_entry());
            let new = staged.entry();
            let at = |error| Attempt::Failed(error, Some(name.clone()));
            if !statements::swap(transaction, catalog, name, base.as_ref(), &new)
                .await
                .map_err(at)?
            {
                let found = statements::entry(transaction, catalog, name).await?;
                return Err(Attempt::Refused(conflict(staged, found)));
            }
        }
        // Last, so that nobody waits for this row while we wait for others.
        if let Some(lease) = publish.lease
            && !owner::holds(transaction, lease).await?
        {
            return Err(Attempt::Refused(LakehouseError::OwnershipLost));
        }
        Ok(())
    }

    /// Finds out whether a publish took place, and rules it out if it did not. True when it did.
    ///
    /// # Errors
    /// [`LakehouseError::PublishUnknown`] when the catalog does not answer for a minute and a half.
    pub async fn settle_publish(
        &self,
        publish_id: &str,
        waiting: &(dyn Fn(String) + Send + Sync),
    ) -> Result<bool> {
        Ok(self.settle(publish_id, waiting).await? == Outcome::Published)
    }

    async fn settle(
        &self,
        publish_id: &str,
        waiting: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Outcome> {
        let patience = self.db().patience.settle;
        let started = Instant::now();
        let (mut attempt, mut noticed) = (1, None::<Instant>);
        let settled = (|| self.try_settle(publish_id))
            .retry(backoff())
            .when(|_| started.elapsed() < patience)
            .notify(|error, _| {
                warn!(publish = publish_id, attempt, %error, "what became of a publish is not settled yet");
                attempt += 1;
                if noticed.is_none_or(|at| at.elapsed() >= NOTICE) {
                    noticed = Some(Instant::now());
                    waiting(format!(
                        "the answer to the publish was lost; finding out what became of it ({:.0} s): {error}",
                        started.elapsed().as_secs_f64()
                    ));
                }
            })
            .await;
        let outcome = settled.map_err(|error| LakehouseError::PublishUnknown {
            publish_id: publish_id.to_owned(),
            reason: error.to_string(),
        })?;
        info!(
            publish = publish_id,
            ?outcome,
            attempt,
            "settled what became of a publish"
        );
        Ok(outcome)
    }

    async fn try_settle(&self, publish_id: &str) -> Result<Outcome> {
        let db = self.db();
        let settle = async {
            let mut connection = db.scratch().await?;
            let begin = db.begin_statement();
            let outcome = ledger::settle(&mut connection, begin, publish_id).await?;
            connection.done();
            Ok(outcome)
        };
        let settled = db.answered(settle).await;
        settled.map_err(|error| db.failed("settle a publish", &error))
    }
}

/// How long a publish's statements may take together before the commit is sent.
const STATEMENTS: Duration = Duration::from_secs(60);
/// How long the answer to a commit is waited for on its own connection.
const COMMIT: Duration = Duration::from_secs(20);
/// Between two notices that the outcome is still not known.
const NOTICE: Duration = Duration::from_secs(10);

/// Always in order of name, so that two publishers never wait for each other in a circle.
fn in_order(staged: &[Staged]) -> Result<Vec<&Staged>> {
    let mut ordered: Vec<_> = staged.iter().collect();
    ordered.sort_by_key(|staged| staged.name());
    match ordered
        .windows(2)
        .find(|pair| pair[0].name() == pair[1].name())
    {
        Some(twice) => Err(LakehouseError::StagedTwice {
            table: twice[0].name().clone(),
        }),
        None => Ok(ordered),
    }
}

fn conflict(staged: &Staged, found: Option<Entry>) -> LakehouseError {
    let table = staged.name().clone();
    match found {
        Some(found) if staged.base_entry().is_none() && found.kind != staged.entry().kind => {
            LakehouseError::WrongKind {
                table,
                wanted: staged.entry().kind.as_str().to_ascii_lowercase(),
                found: found.kind.as_str().to_ascii_lowercase(),
            }
        }
        found => LakehouseError::PublishConflict {
            table,
            expected: staged.base_location().map(str::to_owned),
            found: found.map(|entry| entry.metadata_location),
        },
    }
}

fn published(staged: &Staged) -> Option<PublishedTable> {
    let Staged::Table(staged) = staged else {
        return None;
    };
    let table = staged.table();
    Some(PublishedTable {
        table: table.name().clone(),
        snapshot_id: table.snapshot_id()?,
        rows: table.row_count(),
        rows_before: staged.rows_before(),
    })
}

#[cfg(test)]
mod tests;
