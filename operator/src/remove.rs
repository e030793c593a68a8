//! Deletes one cluster and waits until its executors are gone: what `helm uninstall` does before it deletes the operator,
//! which alone can tear the cluster down.
//!
//! ```text
//! delete ── gone? ─────────────────────────────────────────▶ done
//!   └ an operator leads ─ it tears it down (teardown.rs) ─▶ read again
//!   └ none has led for a whole lease ─ give up the finalizer: the garbage collector removes, pods drain by SIGTERM
//! ```

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, PatchParams, Preconditions};
use kube::{Client, ResourceExt};

use crate::config::{Config, LeaderConfig};
use crate::crd::RetailCluster;
use crate::error::{Error, Result, chain};
use crate::finalizer;
use crate::leader::{self, Verdict};

/// Time between two reads of the cluster.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Time beyond the longest that an operator waits for executors.
const MARGIN: Duration = Duration::from_secs(30);
/// `drainGraceSeconds` of a cluster without one, as in the definition.
const DRAIN_GRACE_S: i64 = 60;

/// Deletes the cluster and returns when it is gone; that there is none is fine.
///
/// # Errors
/// It is still there when its executors should long have gone, or the API server does not let us.
pub async fn remove(client: Client, config: &Config, name: &str) -> Result<()> {
    let namespace = match config.kubernetes.namespace.as_str() {
        "" => client.default_namespace().to_owned(),
        namespace => namespace.to_owned(),
    };
    // As it is stored: an object of another version of the definition goes too.
    let kind = ApiResource::erase::<RetailCluster>(&());
    let clusters: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &kind);
    let mut operators = Operators::new(client, &config.leader, &namespace);
    let what = || format!("RetailCluster {name}");
    let read = || async { clusters.get_opt(name).await };

    let Some(first) = read().await.map_err(Error::api("read", what()))? else {
        tracing::info!(cluster = name, "there is no such cluster");
        return Ok(());
    };
    let uid = first.uid();
    let params = DeleteParams {
        preconditions: uid.clone().map(|uid| Preconditions {
            uid: Some(uid),
            resource_version: None,
        }),
        ..DeleteParams::background()
    };
    match clusters.delete(name, &params).await {
        Ok(_) => tracing::info!(cluster = name, "deleted; waiting for its executors"),
        Err(kube::Error::Api(status)) if status.is_not_found() => {}
        Err(source) => return Err(Error::api("delete", what())(source)),
    }

    let patience = patience(&first);
    let deadline = Instant::now() + patience;
    loop {
        match read().await {
            Ok(Some(live)) if live.uid() == uid => {
                if operators.none_leads().await && finalizer::is_on(&live) {
                    give_up_finalizer(&clusters, &live).await?;
                }
            }
            Ok(_) => {
                tracing::info!(cluster = name, "gone");
                return Ok(());
            }
            Err(error) => tracing::warn!(cluster = name, error = %chain(&error), "cannot be read"),
        }
        if Instant::now() >= deadline {
            return Err(Error::StillThere {
                what: what(),
                seconds: patience.as_secs(),
            });
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// How long its executors may take, by its own settings.
fn patience(cluster: &DynamicObject) -> Duration {
    let grace = cluster.data["spec"]["drainGraceSeconds"].as_i64();
    let held_max_s = finalizer::held_max_s(grace.unwrap_or(DRAIN_GRACE_S));
    Duration::from_secs(held_max_s.unsigned_abs()) + MARGIN
}

async fn give_up_finalizer(clusters: &Api<DynamicObject>, live: &DynamicObject) -> Result<()> {
    let name = live.name_any();
    tracing::warn!(
        cluster = %name,
        "no operator leads: what belongs to the cluster goes with it, its executors have their time to drain"
    );
    let patched = clusters
        .patch(&name, &PatchParams::default(), &finalizer::removal(live))
        .await;
    match patched {
        Ok(_) => Ok(()),
        // Another was faster; the next read shows what remains.
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        Err(source) => Err(Error::api("remove the finalizer of", name)(source)),
    }
}

/// Whether an operator is there to tear the cluster down, by its Lease.
struct Operators {
    leases: Api<Lease>,
    leader: LeaderConfig,
    seen: leader::LastRecord,
    /// Since when none leads.
    none_since: Option<Instant>,
}

impl Operators {
    fn new(client: Client, leader: &LeaderConfig, namespace: &str) -> Self {
        let namespace = match leader.namespace.as_str() {
            "" => namespace,
            other => other,
        };
        Self {
            leases: Api::namespaced(client, namespace),
            leader: leader.clone(),
            seen: leader::LastRecord::default(),
            none_since: None,
        }
    }

    /// Whether none has led for the duration of a lease. False where there is no election: an operator may be there.
    async fn none_leads(&mut self) -> bool {
        if !self.leader.enabled {
            return false;
        }
        let verdict = match self.leases.get_opt(&self.leader.lease).await {
            Ok(lease) => leader::judge(lease.as_ref(), "", &mut self.seen, Instant::now()),
            Err(source) => {
                let error = Error::api("read", format!("Lease {}", self.leader.lease))(source);
                tracing::warn!(error = %chain(&error), "whether an operator leads is not known");
                Verdict::Wait
            }
        };
        if verdict == Verdict::Wait {
            self.none_since = None;
            return false;
        }
        let since = *self.none_since.get_or_insert_with(Instant::now);
        since.elapsed() >= Duration::from_secs_f64(self.leader.lease_s)
    }
}
