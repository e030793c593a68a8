//! One reconcile of a cluster: inspect, decide, apply, report.
//!
//! ```text
//! RetailCluster ── being deleted? ── teardown.rs
//!   └ finalizer ── inspect.rs ─────────── plan.rs ─────── apply.rs ──────────────── report.rs
//!                  GET /work, what runs   scale, config   budget, Service, set      status, events, metrics
//! ```
//!
//! It may end anywhere, at any request: the next one begins from what it finds.

use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::ResourceExt;
use kube::api::PatchParams;
use kube::core::{DeserializeGuard, error_boundary::InvalidObject};
use kube::runtime::controller::Action;
use retail_telemetry::metrics;

use crate::cluster_state::ClusterState;
use crate::context::Context;
use crate::crd::{RetailCluster, document};
use crate::error::{Error, Result, chain};
use crate::events::StatusEvent;
use crate::inspect::inspect;
use crate::plan::{Plan, decide};
use crate::report::report;
use crate::{apply, finalizer, render, teardown};

/// Reconciles one cluster, and counts how that ended.
///
/// # Errors
/// It could not be finished; the next one goes on.
pub(crate) async fn reconcile(
    object: Arc<DeserializeGuard<RetailCluster>>,
    context: Arc<Context>,
) -> Result<Action> {
    let cluster = match &object.0 {
        Ok(cluster) => cluster,
        Err(invalid) => return refuse(invalid, &context).await,
    };
    let state = context.states.of(cluster);
    let mut state = state.lock().await;
    if state.uid != cluster.uid().unwrap_or_default() {
        *state = ClusterState {
            uid: cluster.uid().unwrap_or_default(),
            ..ClusterState::default()
        };
    }
    let timer = metrics().operator_reconcile_seconds.start_timer();
    let seconds = context.timeout.as_secs_f64();
    let reconciled = reconcile_cluster(cluster, &context, &mut state);
    let done = tokio::time::timeout(context.timeout, reconciled)
        .await
        .unwrap_or(Err(Error::Timeout { seconds }));
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
    if done.is_ok() {
        state.backoff = None;
    }
    done
}

/// When to retry a failed reconcile.
pub(crate) fn retry(
    object: Arc<DeserializeGuard<RetailCluster>>,
    error: &Error,
    context: Arc<Context>,
) -> Action {
    let max = context.retry_max;
    let wait = match &object.0 {
        Ok(cluster) => context
            .states
            .of(cluster)
            .try_lock()
            .map_or(max, |mut state| state.next_retry(max)),
        Err(_) => max,
    };
    let (cluster, reason) = (object.name_any(), chain(error));
    match error {
        Error::Terminating { .. } => {
            tracing::debug!(%cluster, error = %reason, ?wait, "reconcile is retried");
        }
        _ => tracing::warn!(%cluster, error = %reason, ?wait, "reconcile is retried"),
    }
    Action::requeue(wait)
}

/// An object that this operator cannot read was stored under another definition.
async fn refuse(invalid: &InvalidObject, context: &Context) -> Result<Action> {
    let reference = ObjectReference {
        api_version: Some("retail.dev/v1alpha1".to_owned()),
        kind: Some("RetailCluster".to_owned()),
        name: invalid.metadata.name.clone(),
        namespace: invalid.metadata.namespace.clone(),
        uid: invalid.metadata.uid.clone(),
        ..Default::default()
    };
    let event = StatusEvent::warning(
        "SpecUnreadable",
        format!(
            "this operator cannot read the spec: {}; bring the definition {} and this object up to date",
            invalid.error,
            document::NAME
        ),
    );
    context
        .recorder
        .publish(&event.to_kubernetes(), &reference)
        .await
        .map_err(Error::api(
            "write an event about",
            invalid.metadata.name.clone().unwrap_or_default(),
        ))?;
    Ok(Action::await_change())
}

async fn reconcile_cluster(
    cluster: &RetailCluster,
    context: &Context,
    state: &mut ClusterState,
) -> Result<Action> {
    if cluster.metadata.deletion_timestamp.is_some() {
        return teardown::tear_down(cluster, context, state).await;
    }
    ensure_finalizer(cluster, context).await?;
    let inspection = inspect(cluster, context, state).await?;
    let (mut plan, history) = decide(cluster, &inspection, state.history.take(), Instant::now());
    state.history = Some(history);
    let live = inspection.stateful_set;
    let set = apply_plan(cluster, context, state, &mut plan, live).await?;
    report(
        cluster,
        context,
        state,
        &plan,
        &inspection.demand,
        set.as_ref(),
    )
    .await?;
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

/// Applies what was planned, and gives the StatefulSet as it is then. What stands in the way becomes the plan's diagnosis.
async fn apply_plan(
    cluster: &RetailCluster,
    context: &Context,
    state: &mut ClusterState,
    plan: &mut Plan,
    live: Option<StatefulSet>,
) -> Result<Option<StatefulSet>> {
    let Some(config_hash) = &plan.config_hash else {
        return Ok(live);
    };
    let objects = render::objects(cluster, plan.decision.desired, config_hash);
    match apply_objects(cluster, context, state, &objects).await {
        Ok(set) => Ok(Some(set)),
        Err(Error::Blocked { diagnosis }) => {
            plan.diagnosis = Some(diagnosis);
            Ok(live)
        }
        Err(error) => Err(error),
    }
}

async fn apply_objects(
    cluster: &RetailCluster,
    context: &Context,
    state: &mut ClusterState,
    wanted: &render::Objects,
) -> Result<StatefulSet> {
    let uid = cluster.uid().unwrap_or_default();
    let stores = &context.stores;
    // The budget first: pods are never without it. The set last: its pods look up the Service.
    apply::apply(
        &context.api(cluster),
        &stores.disruption_budgets,
        &uid,
        &wanted.disruption_budget,
        &mut state.disruption_budget,
    )
    .await?;
    apply::apply(
        &context.api(cluster),
        &stores.services,
        &uid,
        &wanted.service,
        &mut state.service,
    )
    .await?;
    apply::apply(
        &context.api(cluster),
        &stores.stateful_sets,
        &uid,
        &wanted.stateful_set,
        &mut state.stateful_set,
    )
    .await
}
