//! Publish: everything that was staged becomes visible in one transaction, or nothing does.
//!
//! ```text
//!   BEGIN
//!     for every table, in order of name:
//!       UPDATE … SET metadata_location = new WHERE … AND metadata_location = base     exactly one row, or
//!       INSERT …                                                                      a table that is new
//!   COMMIT
//! ```
//!
//! A row that is not as expected ends the transaction: somebody else was there first.

use std::time::Instant;

use tracing::field::Empty;
use tracing::{Instrument, info, warn};

use crate::catalog::{Entry, Failure, Lakehouse, backoff, kind, statements};
use crate::error::{LakehouseError, Result};
use crate::fault::fault_point;
use crate::name::TableName;
use crate::observe::{self, CatalogOperation};
use crate::stage::Staged;
use crate::store_spans::failed;

/// What became of one table in a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedTable {
    pub table: TableName,
    pub snapshot_id: i64,
    pub rows: u64,
    /// None for a table that did not exist before.
    pub rows_before: Option<u64>,
}

/// How one attempt ended without success.
enum Attempt {
    /// Nothing happened, and trying again would not help.
    Refused(LakehouseError),
    /// Nothing happened because of this.
    Failed(sqlx::Error),
    /// The commit was sent and its answer was lost.
    Unanswered(sqlx::Error),
}

impl From<sqlx::Error> for Attempt {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error)
    }
}

impl Lakehouse {
    /// Makes all of `staged` visible at once. Returns the tables among them, in the order given.
    ///
    /// # Errors
    /// [`LakehouseError::PublishConflict`] when a table is no longer what it was staged from,
    /// [`LakehouseError::CatalogLocked`] when another writer does not let go, [`LakehouseError::CatalogGone`] when
    /// the catalog's file vanished; in all of them nothing was published. [`LakehouseError::PublishUnknown`] when
    /// the answer to the commit was lost and the catalog does not tell.
    pub async fn publish(
        &self,
        publish_id: &str,
        staged: &[Staged],
    ) -> Result<Vec<PublishedTable>> {
        let ordered = in_order(staged)?;
        if ordered.is_empty() {
            return Ok(Vec::new());
        }
        fault_point("publish.begin");
        let span = tracing::info_span!(
            "publish",
            job = publish_id,
            relations = staged.len(),
            otel.status_code = Empty,
            otel.status_description = Empty,
        );
        let began = Instant::now();
        let publish = self.publish_with_retries(publish_id, &ordered);
        let answer = publish.instrument(span.clone()).await;
        let observer = self.stores().observer();
        failed(
            &span,
            observe::catalog(observer, CatalogOperation::Publish, began, answer),
        )?;
        fault_point("publish.after_commit");
        info!(publish = publish_id, relations = staged.len(), "published");
        Ok(staged.iter().filter_map(published).collect())
    }

    async fn publish_with_retries(&self, publish_id: &str, ordered: &[&Staged]) -> Result<()> {
        let db = self.db();
        let started = Instant::now();
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.try_publish(ordered).await {
                Ok(()) => return Ok(()),
                Err(Attempt::Refused(error)) => return Err(error),
                Err(Attempt::Unanswered(error)) => {
                    return self.settle(publish_id, ordered, &error).await;
                }
                Err(Attempt::Failed(error)) if kind(&error) != Failure::Contention => {
                    return Err(db.failed("publish", &error));
                }
                Err(Attempt::Failed(_)) if attempts >= db.patience.attempts => {
                    return Err(LakehouseError::CatalogLocked {
                        uri: db.uri.clone(),
                        attempts,
                        waited_ms: started.elapsed().as_millis() as u64,
                    });
                }
                Err(Attempt::Failed(error)) => {
                    warn!(publish = publish_id, attempts, %error, "catalog busy, publishing again");
                    tokio::time::sleep(backoff(attempts)).await;
                }
            }
        }
    }

    async fn try_publish(&self, ordered: &[&Staged]) -> std::result::Result<(), Attempt> {
        let db = self.db();
        let catalog = &self.config().name;
        db.check_present().map_err(Attempt::Refused)?;
        let mut transaction = db.begin().await?;
        for (index, staged) in ordered.iter().enumerate() {
            if index > 0 {
                fault_point("publish.between_tables");
            }
            let (name, base) = (staged.name(), staged.base_location());
            let new = staged.entry();
            if !statements::swap(&mut transaction, catalog, name, base, &new).await? {
                let found = statements::entry(&mut transaction, catalog, name).await?;
                transaction.rollback().await?;
                return Err(Attempt::Refused(conflict(staged, found)));
            }
        }
        // Dropping the transaction rolls it back.
        db.check_present().map_err(Attempt::Refused)?;
        fault_point("publish.before_commit");
        if let Err(error) = transaction.commit().await {
            return Err(match kind(&error) {
                Failure::Contention | Failure::Moved => Attempt::Failed(error),
                Failure::Connection | Failure::Other => Attempt::Unanswered(error),
            });
        }
        // Deleted since: the commit went to a file that nobody will ever open again.
        db.check_present().map_err(Attempt::Refused)
    }

    /// Finds out by reading whether a commit without an answer took effect.
    async fn settle(
        &self,
        publish_id: &str,
        ordered: &[&Staged],
        lost: &sqlx::Error,
    ) -> Result<()> {
        let db = self.db();
        let unanswered = db.failed("publish", lost);
        warn!(publish = publish_id, error = %unanswered, "the commit's answer was lost, reading the catalog");
        let unknown = |reason: String| LakehouseError::PublishUnknown {
            publish_id: publish_id.to_owned(),
            reason,
        };
        let mut read = self.locations(ordered).await;
        for attempt in 1..SETTLE_ATTEMPTS {
            if read.is_ok() {
                break;
            }
            tokio::time::sleep(backoff(attempt)).await;
            read = self.locations(ordered).await;
        }
        let found = read.map_err(|e| unknown(db.failed("publish", &e).to_string()))?;
        let states = ordered.iter().zip(&found);
        match judge(states.map(|(staged, found)| state(staged, found.as_ref()))) {
            Verdict::TookEffect => Ok(()),
            Verdict::DidNot => Err(unanswered),
            Verdict::Unclear => {
                let now = ordered.iter().zip(found).map(|(staged, found)| {
                    let location = found.map_or_else(|| "none".to_owned(), |e| e.metadata_location);
                    format!("{} is at {location}", staged.name())
                });
                Err(unknown(now.collect::<Vec<_>>().join(", ")))
            }
        }
    }

    async fn locations(&self, ordered: &[&Staged]) -> sqlx::Result<Vec<Option<Entry>>> {
        let mut transaction = self.pool().begin().await?;
        let mut found = Vec::with_capacity(ordered.len());
        for staged in ordered {
            let catalog = &self.config().name;
            found.push(statements::entry(&mut transaction, catalog, staged.name()).await?);
        }
        transaction.rollback().await?;
        Ok(found)
    }
}

const SETTLE_ATTEMPTS: u32 = 5;

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
        Some(found) if found.kind != staged.entry().kind => LakehouseError::WrongKind {
            table,
            wanted: staged.entry().kind.as_str().to_ascii_lowercase(),
            found: found.kind.as_str().to_ascii_lowercase(),
        },
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

/// Where a table stands after a commit without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At what we staged.
    Ours,
    /// At what we staged from.
    Base,
    /// Somewhere else: another publisher came before us, or already after us.
    Elsewhere,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    TookEffect,
    DidNot,
    Unclear,
}

fn state(staged: &Staged, found: Option<&Entry>) -> State {
    let found = found.map(|entry| entry.metadata_location.as_str());
    if found == Some(staged.entry().metadata_location.as_str()) {
        State::Ours
    } else if found == staged.base_location() {
        State::Base
    } else {
        State::Elsewhere
    }
}

/// A transaction is whole: one table at our location proves the commit, one at its base disproves it.
fn judge(states: impl Iterator<Item = State>) -> Verdict {
    let (mut ours, mut base) = (false, false);
    for state in states {
        ours |= state == State::Ours;
        base |= state == State::Base;
    }
    match (ours, base) {
        (true, false) => Verdict::TookEffect,
        (false, true) => Verdict::DidNot,
        _ => Verdict::Unclear,
    }
}

#[cfg(test)]
mod tests;
