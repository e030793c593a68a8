//! Of several operators, the one that holds the Lease acts.
//!
//! Whether the lease of another is over is judged by our own clock: it is, when its record did not change for the duration
//! in the record. Clocks of two machines are never compared.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::PostParams;

use crate::config::LeaderConfig;
use crate::error::{Error, Result, chain};

/// What to do about the Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No Lease exists.
    Create,
    /// It is ours.
    Renew,
    /// It was given back, or its holder is gone.
    Take,
    /// Another operator holds it.
    Wait,
}

/// The last record that was read, and since when it is unchanged.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastRecord {
    record: Option<(Option<LeaseSpec>, Instant)>,
}

/// Decides from a Lease as it was read just now.
pub(crate) fn judge(
    lease: Option<&Lease>,
    me: &str,
    seen: &mut LastRecord,
    now: Instant,
) -> Verdict {
    let Some(lease) = lease else {
        return Verdict::Create;
    };
    let since = match &seen.record {
        Some((record, since)) if *record == lease.spec => *since,
        _ => {
            seen.record = Some((lease.spec.clone(), now));
            now
        }
    };
    let spec = lease.spec.as_ref();
    let holder = spec
        .and_then(|s| s.holder_identity.as_deref())
        .unwrap_or_default();
    let holds = spec
        .and_then(|s| s.lease_duration_seconds)
        .unwrap_or(15)
        .max(1);
    match holder {
        "" => Verdict::Take,
        holder if holder == me => Verdict::Renew,
        _ if now.duration_since(since) >= Duration::from_secs(holds.unsigned_abs().into()) => {
            Verdict::Take
        }
        _ => Verdict::Wait,
    }
}

/// One operator's part in the election.
pub(crate) struct Leadership {
    api: Api<Lease>,
    name: String,
    me: String,
    lease: Duration,
    renew: Duration,
    seen: LastRecord,
    /// The Lease as we last wrote it; a write of anybody else makes our next one a conflict.
    held: Option<Lease>,
    /// Until when we may act on what we wrote: well before others may take over.
    until: Instant,
}

impl Leadership {
    pub(crate) fn new(api: Api<Lease>, config: &LeaderConfig, me: String) -> Self {
        Self {
            api,
            name: config.lease.clone(),
            me,
            lease: Duration::from_secs_f64(config.lease_s),
            renew: Duration::from_secs_f64(config.renew_s),
            seen: LastRecord::default(),
            held: None,
            until: Instant::now(),
        }
    }

    /// Waits until this operator leads.
    pub(crate) async fn acquire(&mut self) {
        loop {
            match self.step().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(lease = %self.name, error = %chain(&error), "cannot acquire the lease yet")
                }
            }
            tokio::time::sleep(self.renew).await;
        }
    }

    /// Renews for as long as that works; returns when this operator must not act any more.
    pub(crate) async fn hold(&mut self) -> Error {
        loop {
            tokio::time::sleep(self.renew).await;
            loop {
                match self.step().await {
                    Ok(true) => break,
                    Ok(false) => return self.lost(),
                    Err(error) => {
                        tracing::warn!(lease = %self.name, error = %chain(&error), "the lease was not renewed");
                        if Instant::now() >= self.until {
                            return self.lost();
                        }
                        tokio::time::sleep(self.renew / 4).await;
                    }
                }
            }
        }
    }

    /// Gives the Lease back, so that another operator need not wait for its end.
    pub(crate) async fn release(mut self) {
        let Some(mut lease) = self.held.take() else {
            return;
        };
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
        }
        let params = PostParams::default();
        let write = self.api.replace(&self.name, &params, &lease);
        match tokio::time::timeout(self.renew, write).await {
            Ok(Ok(_)) => tracing::info!(lease = %self.name, "lease given back"),
            _ => {
                tracing::warn!(lease = %self.name, "the lease was not given back; it ends by itself")
            }
        }
    }

    fn lost(&self) -> Error {
        Error::LeaseLost {
            lease: self.name.clone(),
        }
    }

    /// Reads, judges and writes once; whether we hold the Lease then.
    async fn step(&mut self) -> Result<bool> {
        let begin = Instant::now();
        // A holder can wait for a slow answer as long as it may act, and no longer.
        let limit = match self.held {
            Some(_) => self.until.saturating_duration_since(begin),
            None => self.renew,
        };
        let held = tokio::time::timeout(limit, self.try_step())
            .await
            .map_err(|_| Error::NoAnswer {
                what: format!("Lease {}", self.name),
                seconds: limit.as_secs_f64(),
            })??;
        if held {
            // Counted from before the write, and a third earlier than others count.
            self.until = begin + self.lease * 2 / 3;
        }
        Ok(held)
    }

    async fn try_step(&mut self) -> Result<bool> {
        let lease = self
            .api
            .get_opt(&self.name)
            .await
            .map_err(Error::api("read", format!("Lease {}", self.name)))?;
        let verdict = judge(lease.as_ref(), &self.me, &mut self.seen, Instant::now());
        let written = match verdict {
            Verdict::Wait => return Ok(false),
            Verdict::Create => {
                self.api
                    .create(&PostParams::default(), &self.record(None))
                    .await
            }
            Verdict::Renew | Verdict::Take => {
                let record = self.record(lease);
                self.api
                    .replace(&self.name, &PostParams::default(), &record)
                    .await
            }
        };
        match written {
            Ok(lease) => {
                self.held = Some(lease);
                Ok(true)
            }
            // Another was faster. For a holder that is no verdict yet: the next read shows who.
            Err(kube::Error::Api(status)) if status.is_conflict() && verdict != Verdict::Renew => {
                Ok(false)
            }
            Err(source) => Err(Error::api("write", format!("Lease {}", self.name))(source)),
        }
    }

    /// The Lease with us as its holder, made from the one that was read.
    fn record(&self, lease: Option<Lease>) -> Lease {
        let mut lease = lease.unwrap_or_else(|| Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: self.api.namespace().map(str::to_owned),
                ..ObjectMeta::default()
            },
            spec: None,
        });
        let now = MicroTime(Timestamp::now());
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&self.me) {
            spec.holder_identity = Some(self.me.clone());
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0) + 1);
        }
        spec.renew_time = Some(now);
        spec.lease_duration_seconds = Some(self.lease.as_secs_f64().ceil() as i32);
        lease
    }
}

#[cfg(test)]
mod tests;
