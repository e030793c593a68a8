//! Owns the catalog while this scheduler runs jobs: takes the lease at the start, renews it, gives it back.
//!
//! ```text
//!  start ── claim ──┬── granted: recover the jobs of the previous owner, serve, renew
//!             ▲     └── held by another that lives: a program waits and is not ready, a command reads only
//!             └────────────────┘
//! ```
//!
//! Two schedulers on one catalog would each take the other's running jobs for those of a process that has ended.

use std::time::{Duration, Instant};

use retail_lakehouse::{Claim, Lakehouse, LakehouseError, Lease, Owner};
use retail_telemetry::Readiness;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::catalog::WithoutCatalog;

/// Between two reads of somebody else's lease.
const POLL: Duration = Duration::from_millis(500);
/// How often waiting is logged.
const NOTICE: Duration = Duration::from_secs(10);
/// Renewals within one lease: it survives that all but one of them fail.
const RENEWALS: u32 = 5;

/// Whose the catalog is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// Ours, as long as the lease is renewed.
    Ours(Lease),
    /// Another scheduler's, as `held_by` describes: tables are read, jobs are refused.
    Others(String),
}

impl Ownership {
    /// The lease that a publish must hold.
    pub(crate) fn lease(&self) -> Option<Lease> {
        match self {
            Self::Ours(lease) => Some(*lease),
            Self::Others(_) => None,
        }
    }
}

/// Waits until the catalog is ours; with [`WithoutCatalog::Fail`] only as long as it takes to see that its owner lives.
///
/// # Errors
/// The catalog cannot be read or written.
pub(crate) async fn acquire(
    lake: &Lakehouse,
    described: &str,
    lease: Duration,
    without: WithoutCatalog,
    readiness: &Readiness,
) -> Result<Ownership, LakehouseError> {
    let mut lookout = Lookout::default();
    let mut noticed: Option<Instant> = None;
    loop {
        let expired = lookout.expired(Instant::now());
        let reason = match lake
            .claim(described, lease.as_millis() as u64, expired)
            .await
        {
            Ok(Claim::Granted(lease)) => {
                tracing::info!(epoch = lease.epoch, "this scheduler owns the catalog");
                return Ok(Ownership::Ours(lease));
            }
            Ok(Claim::Held(owner)) => {
                let reason = held_by(&owner);
                let lives = lookout.sees(owner, Instant::now());
                if without == WithoutCatalog::Fail && lives {
                    tracing::warn!(reason, "jobs are refused here");
                    return Ok(Ownership::Others(reason));
                }
                reason
            }
            Err(error) if error.retryable() && without == WithoutCatalog::Wait => {
                match &lookout.seen {
                    Some((owner, _)) => format!("{error}; {}", held_by(owner)),
                    None => error.to_string(),
                }
            }
            Err(error) => return Err(error),
        };
        readiness.not_ready(reason.clone());
        if noticed.is_none_or(|at| at.elapsed() >= NOTICE) {
            noticed = Some(Instant::now());
            tracing::warn!(reason, "waiting for the ownership of the catalog");
        }
        tokio::time::sleep(POLL).await;
    }
}

/// What was seen of somebody else's lease. Pure: no clocks are compared, only how long a beat stands still here.
#[derive(Debug, Default)]
struct Lookout {
    /// The owner, and since when its beat stands still.
    seen: Option<(Owner, Instant)>,
}

impl Lookout {
    /// The owner whose beat has stood still for its whole lease at `now`: it counts as gone.
    fn expired(&self, now: Instant) -> Option<&Owner> {
        let (owner, since) = self.seen.as_ref()?;
        let stood = now.saturating_duration_since(*since);
        (stood >= Duration::from_millis(owner.lease_ms)).then_some(owner)
    }

    /// Takes in who holds the lease at `now`. Whether that one is known to live.
    fn sees(&mut self, owner: Owner, now: Instant) -> bool {
        let before = self.seen.as_ref().map(|(old, _)| (old.epoch, old.beat));
        let stands_still = before == Some((owner.epoch, owner.beat));
        let lives = owner.is_alive_here || (before.is_some() && !stands_still);
        if !stands_still {
            self.seen = Some((owner, now));
        }
        lives
    }
}

/// `retail-scheduler at 10.0.0.7:50050 (process 1 on shop-0) owns the catalog since 2026-11-26T14:00:00Z`.
fn held_by(owner: &Owner) -> String {
    let since = chrono::DateTime::from_timestamp_micros(owner.since_us).unwrap_or_default();
    format!(
        "{} owns this catalog since {}; another one takes over when it stops, or {} s after it is gone",
        owner.described,
        since.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        owner.lease_ms.div_ceil(1000)
    )
}

/// This process's name in the messages of others that want the catalog.
pub(crate) fn described(addr: &str) -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let machine = match machine.trim() {
        "" => "a machine without a name",
        name => name,
    };
    let process = std::process::id();
    format!("the scheduler at {addr} (process {process} on {machine})")
}

/// Renews the lease until it is aborted. `lost` is cancelled when somebody else has taken over.
pub(crate) fn keep(
    lake: Lakehouse,
    lease: Lease,
    lasts: Duration,
    lost: CancellationToken,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(lasts / RENEWALS).await;
            match lake.renew(lease).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::error!(
                        epoch = lease.epoch,
                        "another scheduler has taken over the catalog"
                    );
                    lost.cancel();
                    return;
                }
                // Nobody can take over what nobody can reach.
                Err(error) => {
                    tracing::warn!(%error, "the lease on the catalog could not be renewed")
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(15);

    fn owner(epoch: i64, beat: i64) -> Owner {
        Owner {
            described: "the scheduler at 10.0.0.7:50050".to_owned(),
            since_us: 0,
            lease_ms: LEASE.as_millis() as u64,
            epoch,
            beat,
            is_alive_here: false,
        }
    }

    #[test]
    fn an_owner_is_gone_when_its_beat_has_stood_still_for_its_whole_lease() {
        let now = Instant::now();
        let mut lookout = Lookout::default();
        assert_eq!(lookout.expired(now + LEASE), None, "none was seen");
        for at in [0, 5, 10, 14] {
            lookout.sees(owner(1, 7), now + Duration::from_secs(at));
            assert_eq!(lookout.expired(now + Duration::from_secs(at)), None);
        }
        assert_eq!(lookout.expired(now + LEASE), Some(&owner(1, 7)));
    }

    #[test]
    fn a_beat_or_another_owner_begins_the_wait_anew() {
        let now = Instant::now();
        for next in [owner(1, 8), owner(2, 7)] {
            let mut lookout = Lookout::default();
            lookout.sees(owner(1, 7), now);
            lookout.sees(next.clone(), now + LEASE / 2);
            assert_eq!(lookout.expired(now + LEASE), None);
            assert_eq!(lookout.expired(now + LEASE * 3 / 2), Some(&next));
        }
    }

    #[test]
    fn an_owner_lives_if_its_beat_moves_or_its_process_is_seen() {
        let now = Instant::now();
        let mut lookout = Lookout::default();
        assert!(!lookout.sees(owner(1, 7), now), "it may be long gone");
        assert!(!lookout.sees(owner(1, 7), now));
        assert!(lookout.sees(owner(1, 8), now));
        let here = Owner {
            is_alive_here: true,
            ..owner(1, 8)
        };
        assert!(lookout.sees(here, now));
    }
}
