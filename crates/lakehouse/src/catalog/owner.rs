//! Who may run jobs on this database: one owner with a lease, counted by epochs.
//!
//! ```text
//! retail_owner   name 'scheduler' -> who, since when, epoch, beat
//!
//!   claim     a free row, one whose process has ended, or one whose beat stood still for its whole lease:
//!             epoch + 1
//!   renew     beat + 1 where the epoch is still ours
//!   publish   the same statement, last in its transaction: an owner that was replaced publishes nothing
//! ```
//!
//! No clocks are compared. Whoever waits measures with its own how long the beat stands still.

use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row};

pub(super) const CREATE: &str = "CREATE TABLE IF NOT EXISTS retail_owner (
        name VARCHAR(64) NOT NULL PRIMARY KEY,
        described VARCHAR(1000) NOT NULL,
        process VARCHAR(1000) NOT NULL,
        epoch BIGINT NOT NULL,
        beat BIGINT NOT NULL,
        lease_ms BIGINT NOT NULL,
        since_us BIGINT NOT NULL,
        released BIGINT NOT NULL)";
pub(super) const PROBE: &str = "SELECT epoch FROM retail_owner WHERE 1 = 0";
const READ: &str = "SELECT described, process, epoch, beat, lease_ms, since_us, released \
     FROM retail_owner WHERE name = 'scheduler'";
const FIRST: &str = "INSERT INTO retail_owner (name, described, process, epoch, beat, lease_ms, since_us, released) \
     VALUES ('scheduler', '', '', 0, 0, 0, 0, 1) ON CONFLICT DO NOTHING";
const TAKE: &str = "UPDATE retail_owner SET described = $1, process = $2, lease_ms = $3, since_us = $4, \
     released = 0, beat = 0, epoch = epoch + 1 WHERE name = 'scheduler' AND epoch = $5 AND beat = $6";
const RENEW: &str = "UPDATE retail_owner SET beat = beat + 1 WHERE name = 'scheduler' AND epoch = $1 AND released = 0";
const RELEASE: &str =
    "UPDATE retail_owner SET released = 1 WHERE name = 'scheduler' AND epoch = $1";

/// The right to run jobs and to publish, until somebody else has a higher epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    pub epoch: i64,
}

/// Who owns the database now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// For people: `retail-scheduler at 10.0.0.7:50050, process 1 on shop-scheduler-0`.
    pub described: String,
    /// Microseconds since the epoch, by its own clock.
    pub since_us: i64,
    /// How long its beat may stand still before it counts as gone.
    pub lease_ms: u64,
    pub epoch: i64,
    pub beat: i64,
    /// Whether its process is one of this machine that still runs.
    pub is_alive_here: bool,
}

/// What a claim came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    Granted(Lease),
    Held(Owner),
}

/// Renews a lease, inside a publish's transaction or out of one. False when it is lost.
pub(crate) async fn holds(connection: &mut AnyConnection, lease: Lease) -> sqlx::Result<bool> {
    let renew = sqlx::query(RENEW).bind(lease.epoch);
    Ok(renew.execute(connection).await?.rows_affected() == 1)
}

/// Gives the ownership up.
pub(crate) async fn release(connection: &mut AnyConnection, lease: Lease) -> sqlx::Result<()> {
    let release = sqlx::query(RELEASE).bind(lease.epoch);
    release.execute(connection).await?;
    Ok(())
}

pub(crate) struct OwnerRow {
    described: String,
    process: Option<Process>,
    epoch: i64,
    beat: i64,
    lease_ms: i64,
    since_us: i64,
    released: bool,
}

impl OwnerRow {
    fn owner(&self) -> Owner {
        Owner {
            described: self.described.clone(),
            since_us: self.since_us,
            lease_ms: self.lease_ms.max(0) as u64,
            epoch: self.epoch,
            beat: self.beat,
            is_alive_here: self.process.as_ref().and_then(Process::lives) == Some(true),
        }
    }

    /// The owner; none when the last one released it.
    pub(crate) fn unreleased(&self) -> Option<Owner> {
        (!self.released).then(|| self.owner())
    }

    fn is_free(&self, expired: Option<&Owner>) -> bool {
        self.released
            || self.process.as_ref().and_then(Process::lives) == Some(false)
            || expired.is_some_and(|owner| (owner.epoch, owner.beat) == (self.epoch, self.beat))
    }
}

/// Takes the ownership where it is free, or from `expired`.
pub(crate) async fn take(
    connection: &mut AnyConnection,
    described: &str,
    me: &Process,
    lease_ms: u64,
    expired: Option<&Owner>,
) -> sqlx::Result<Claim> {
    let process = serde_json::to_string(me).unwrap_or_default();
    loop {
        let Some(row) = read(connection).await? else {
            sqlx::query(FIRST).execute(&mut *connection).await?;
            continue;
        };
        if !row.is_free(expired) {
            return Ok(Claim::Held(row.owner()));
        }
        let take = sqlx::query(TAKE)
            .bind(described)
            .bind(&process)
            .bind(lease_ms as i64)
            .bind(chrono::Utc::now().timestamp_micros())
            .bind(row.epoch)
            .bind(row.beat);
        if take.execute(&mut *connection).await?.rows_affected() == 1 {
            let epoch = row.epoch + 1;
            return Ok(Claim::Granted(Lease { epoch }));
        }
        // Somebody else was faster: see who.
    }
}

/// The row; none before the first claim.
pub(crate) async fn read(connection: &mut AnyConnection) -> sqlx::Result<Option<OwnerRow>> {
    let row = sqlx::query(READ).fetch_optional(connection).await?;
    row.map(|row| {
        Ok(OwnerRow {
            described: row.try_get(0)?,
            process: serde_json::from_str(&row.try_get::<String, _>(1)?).ok(),
            epoch: row.try_get(2)?,
            beat: row.try_get(3)?,
            lease_ms: row.try_get(4)?,
            since_us: row.try_get(5)?,
            released: row.try_get::<i64, _>(6)? != 0,
        })
    })
    .transpose()
}

/// A process, so that another one can see whether it has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Of the machine since it was started.
    boot: String,
    /// In which `pid` counts: each container has its own.
    namespace: String,
    pid: u32,
    /// Clock ticks after the machine's start: a pid may have been given again.
    started: u64,
}

impl Process {
    /// This one. Empty where the system does not report them, which proves nothing about it later.
    pub(crate) fn this() -> Self {
        Self {
            boot: boot(),
            namespace: namespace(),
            pid: std::process::id(),
            started: stat(std::process::id()).map_or(0, |(_, started)| started),
        }
    }

    /// Whether it lives; none when that cannot be seen from here.
    ///
    /// A namespace is known by a number that is taken while it exists. So a process of a namespace with our number is
    /// one of ours, or its namespace is gone and it with it.
    fn lives(&self) -> Option<bool> {
        let visible = !self.boot.is_empty()
            && !self.namespace.is_empty()
            && self.started > 0
            && self.boot == boot()
            && self.namespace == namespace();
        visible.then(|| match stat(self.pid) {
            Some((state, started)) => started == self.started && !['Z', 'X'].contains(&state),
            None => false,
        })
    }
}

fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.unwrap_or_default().trim().to_owned()
}

fn namespace() -> String {
    let link = std::fs::read_link("/proc/self/ns/pid");
    link.map_or_else(|_| String::new(), |link| link.display().to_string())
}

/// State and start of a process; none when there is none.
fn stat(pid: u32) -> Option<(char, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name comes first, in parentheses, and may hold anything.
    let mut rest = text.rsplit_once(')')?.1.split_whitespace();
    let state = rest.next()?.chars().next()?;
    Some((state, rest.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_gone_is_known_to_be_gone() {
        let me = Process::this();
        assert_eq!(me.lives(), Some(true));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        let started = stat(pid).map_or(1, |(_, started)| started);
        child.wait().unwrap();
        let gone = Process {
            pid,
            started,
            ..me.clone()
        };
        assert_eq!(gone.lives(), Some(false));
        let given_again = Process {
            started: me.started + 1,
            ..me.clone()
        };
        assert_eq!(given_again.lives(), Some(false));
        let elsewhere = Process {
            boot: "another machine".to_owned(),
            ..me
        };
        assert_eq!(elsewhere.lives(), None);
    }
}
