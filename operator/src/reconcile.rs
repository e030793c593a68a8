//! One look at a cluster: see, decide, apply, tell.
//!
//! ```text
//! RetailCluster ── being deleted? ── leave.rs
//!   └ finalizer ─ GET /work ─ decide ─ render ─ apply Service, budget, StatefulSet ─ pods' trouble ─ status, events
//! ```
//!
//! It may end anywhere, at any request: the next look begins from what it finds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::{DeserializeGuard, error_boundary::InvalidObject};
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::conditions::{self, Seen, conditions};
use crate::context::{Context, Memory};
use crate::crd::{RetailCluster, RetailClusterStatus};
use crate::error::{Error, Result, chain};
use crate::observe::{config_hash, config_hash_of, pod_trouble, read_demand, spec_trouble};
use crate::render::{self, MANAGER};
use crate::scale::{self, History, Policy};
use crate::{apply, finalizer, leave};
use retail_telemetry::metrics;

/// A look that could not be finished is tried again after this long, twice as long each time.
const RETRY_MIN: Duration = Duration::from_millis(200);
/// A scheduler counts as unreachable when it did not answer so often in a row.
const UNANSWERED_MAX: u32 = 2;

/// Looks after one cluster.
///
/// # Errors
/// It could not be finished; the next look goes on.
pub(crate) async fn reconcile(
    object: Arc<DeserializeGuard<RetailCluster>>,
    context: Arc<Context>,
) -> Result<Action> {
    let cluster = match &object.0 {
        Ok(cluster) => cluster,
        Err(invalid) => return refuse(invalid, &context).await,
    };
    let memory = context.memories.of(cluster);
    let mut memory = memory.lock().await;
    if memory.uid != cluster.uid().unwrap_or_default() {
        *memory = Memory {
            uid: cluster.uid().unwrap_or_default(),
            ..Memory::default()
        };
    }
    let timer = metrics().operator_reconcile_seconds.start_timer();
    let seconds = context.timeout.as_secs_f64();
    let look = tokio::time::timeout(context.timeout, look_after(cluster, &context, &mut memory));
    let done = look.await.unwrap_or(Err(Error::Timeout { seconds }));
    timer.observe_duration();
    let outcome = match &done {
        Ok(_) => "ok",
        Err(Error::Blocked { .. }) => "blocked",
        Err(Error::Timeout { .. }) => "timeout",
        Err(_) => "error",
    };
    metrics()
        .operator_reconciles_total
        .with_label_values(&[outcome])
        .inc();
    memory.failures = if done.is_ok() {
        0
    } else {
        memory.failures.saturating_add(1)
    };
    done
}

/// When to look again at a cluster whose look failed.
pub(crate) fn retry(
    object: Arc<DeserializeGuard<RetailCluster>>,
    error: &Error,
    context: Arc<Context>,
) -> Action {
    let failures = match &object.0 {
        Ok(cluster) => context
            .memories
            .of(cluster)
            .try_lock()
            .map_or(1, |m| m.failures),
        Err(_) => 8,
    };
    let name = object.name_any();
    match error {
        Error::Leaving { .. } => {
            tracing::debug!(cluster = %name, error = %chain(error), "looked after later")
        }
        _ => tracing::warn!(cluster = %name, error = %chain(error), failures, "looked after later"),
    }
    let wait = RETRY_MIN.saturating_mul(1 << failures.clamp(1, 8).saturating_sub(1));
    Action::requeue(wait.min(context.retry_max))
}

/// An object that this operator cannot read was stored under another definition.
async fn refuse(invalid: &InvalidObject, context: &Context) -> Result<Action> {
    let reference = k8s_openapi::api::core::v1::ObjectReference {
        api_version: Some("retail.dev/v1alpha1".to_owned()),
        kind: Some("RetailCluster".to_owned()),
        name: invalid.metadata.name.clone(),
        namespace: invalid.metadata.namespace.clone(),
        uid: invalid.metadata.uid.clone(),
        ..Default::default()
    };
    let event = kube::runtime::events::Event {
        type_: kube::runtime::events::EventType::Warning,
        reason: "SpecUnreadable".to_owned(),
        note: Some(format!(
            "this operator cannot read the spec: {}; bring the definition {} and this object up to date",
            invalid.error,
            crate::crd::document::NAME
        )),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    context
        .recorder
        .publish(&event, &reference)
        .await
        .map_err(Error::api(
            "write an event about",
            invalid.metadata.name.clone().unwrap_or_default(),
        ))?;
    Ok(Action::await_change())
}

async fn look_after(
    cluster: &RetailCluster,
    context: &Context,
    memory: &mut Memory,
) -> Result<Action> {
    if cluster.metadata.deletion_timestamp.is_some() {
        return leave::leave(cluster, context, memory).await;
    }
    ensure_finalizer(cluster, context).await?;

    let demand = read_demand(cluster, context, memory).await;
    let name = render::object_name(&cluster.name_any());
    let sets: Api<StatefulSet> = context.api(cluster);
    let live = apply::find(&sets, &context.stores.stateful_sets, &name).await?;
    let history = match memory.history.take() {
        Some(history) => history,
        None => History::starting_with(last_decision(cluster, live.as_ref())),
    };
    let from = history.current;
    let (decision, history) = scale::decide(
        &Policy::of(&cluster.spec),
        demand.as_ref().ok(),
        &history,
        Instant::now(),
    );
    memory.history = Some(history);

    let config = config_hash(cluster, context, memory).await?;
    let mut trouble = spec_trouble(cluster).or_else(|| config.as_ref().err().cloned());
    let known = live.as_ref().and_then(config_hash_of);
    let set = match (spec_trouble(cluster), config.ok().or(known)) {
        (None, Some(hash)) => {
            match apply_all(cluster, context, memory, decision.desired, &hash).await {
                Ok(set) => Some(set),
                Err(Error::Blocked { trouble: why }) => {
                    trouble = Some(why);
                    live
                }
                Err(error) => return Err(error),
            }
        }
        // Without a usable spec or configuration nothing new starts, and what runs stays.
        _ => live,
    };
    if let Some(from) = from.filter(|from| *from != decision.desired) {
        let direction = if decision.desired > from {
            "up"
        } else {
            "down"
        };
        metrics()
            .operator_scaling_decisions_total
            .with_label_values(&[direction, decision.reason.name()])
            .inc();
        if let Some(news) = conditions::scaled(from, decision, &demand) {
            context.tell(cluster, &news).await;
        }
    }

    let status = set
        .as_ref()
        .and_then(|s| s.status.clone())
        .unwrap_or_default();
    let ready = status.ready_replicas.unwrap_or(0);
    let desired = i32::try_from(decision.desired).unwrap_or(i32::MAX);
    if trouble.is_none() && (ready < desired || status.replicas < desired) {
        trouble = pod_trouble(cluster, context, memory, status.replicas < desired).await?;
    } else {
        memory.pods = None;
    }
    // The set's own numbers are of an older spec until its controller has seen the newest one.
    let rolled =
        status.update_revision.is_none() || status.update_revision == status.current_revision;
    let seen = Seen {
        generation: cluster.metadata.generation.unwrap_or_default(),
        decision,
        max: u32::try_from(cluster.spec.autoscaling.max).unwrap_or(0),
        executors: status.replicas,
        ready,
        updated: if rolled {
            status.replicas
        } else {
            status.updated_replicas.unwrap_or(0)
        },
        demand: &demand,
        trouble: trouble.as_ref(),
    };
    memory.executors = [desired, status.replicas, ready];
    // One answer that stays out is no news yet.
    if memory.unanswered == 0 || memory.unanswered >= UNANSWERED_MAX || cluster.status.is_none() {
        write_status(cluster, context, &seen).await?;
    }
    Ok(Action::requeue(context.poll))
}

async fn ensure_finalizer(cluster: &RetailCluster, context: &Context) -> Result<()> {
    if finalizer::is_on(cluster) {
        return Ok(());
    }
    context
        .clusters(cluster)
        .patch(
            &cluster.name_any(),
            &PatchParams::default(),
            &finalizer::addition(cluster),
        )
        .await
        .map_err(Error::api("add the finalizer to", cluster.name_any()))?;
    Ok(())
}

/// What was decided last, by this operator or the one before it.
fn last_decision(cluster: &RetailCluster, live: Option<&StatefulSet>) -> Option<u32> {
    let told = cluster
        .status
        .as_ref()
        .filter(|s| s.observed_generation > 0)
        .map(|s| s.desired);
    let is = || live.and_then(|s| s.spec.as_ref()).and_then(|s| s.replicas);
    told.or_else(is).and_then(|n| u32::try_from(n).ok())
}

async fn apply_all(
    cluster: &RetailCluster,
    context: &Context,
    memory: &mut Memory,
    replicas: u32,
    config_hash: &str,
) -> Result<StatefulSet> {
    let wanted = render::objects(cluster, replicas, config_hash);
    let uid = cluster.uid().unwrap_or_default();
    let stores = &context.stores;
    // The budget first: pods are never without it. The set last: its pods look up the Service.
    apply::apply(
        &context.api(cluster),
        &stores.disruption_budgets,
        &uid,
        &wanted.disruption_budget,
        &mut memory.disruption_budget,
    )
    .await?;
    apply::apply(
        &context.api(cluster),
        &stores.services,
        &uid,
        &wanted.service,
        &mut memory.service,
    )
    .await?;
    apply::apply(
        &context.api(cluster),
        &stores.stateful_sets,
        &uid,
        &wanted.stateful_set,
        &mut memory.stateful_set,
    )
    .await
}

/// Writes the status where it changed, and tells what changed.
async fn write_status(cluster: &RetailCluster, context: &Context, seen: &Seen<'_>) -> Result<()> {
    let before = cluster.status.clone().unwrap_or_default();
    let after = conditions(seen, &before.conditions, Timestamp::now());
    let count = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let demand = seen.demand.as_ref().ok();
    let status = RetailClusterStatus {
        ready: seen.ready,
        executors: seen.executors,
        desired: count(seen.decision.desired),
        running_tasks: demand.map(|d| count(d.tasks_running)),
        queued_tasks: demand.map(|d| count(d.tasks_queued)),
        selector: render::selector_text(&cluster.name_any()),
        observed_generation: seen.generation,
        conditions: after,
    };
    if Some(&status) == cluster.status.as_ref() {
        return Ok(());
    }
    let news = conditions::news(&before.conditions, &status.conditions);
    let patch = json!({
        "apiVersion": "retail.dev/v1alpha1",
        "kind": "RetailCluster",
        "metadata": { "name": cluster.name_any(), "uid": cluster.uid() },
        "status": status,
    });
    context
        .clusters(cluster)
        .patch_status(
            &cluster.name_any(),
            &PatchParams::apply(MANAGER).force(),
            &Patch::Apply(patch),
        )
        .await
        .map_err(Error::api("write the status of", cluster.name_any()))?;
    for news in news {
        context.tell(cluster, &news).await;
    }
    Ok(())
}
