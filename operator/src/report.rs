//! What a reconcile reports: the cluster's status, the events of its changes, and metrics.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use retail_telemetry::metrics;
use serde_json::json;

use crate::cluster_state::ClusterState;
use crate::conditions::{Findings, conditions};
use crate::context::Context;
use crate::crd::{RetailCluster, RetailClusterStatus};
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::render::{self, MANAGER};
use crate::{events, inspect};
use retail_api::demand::Demand;

/// A scheduler counts as unreachable when it did not answer so often in a row.
const UNANSWERED_MAX: u32 = 2;

/// Reports what was decided and what came of it: `set` is the executors' StatefulSet after the plan was applied.
///
/// # Errors
/// A request to the API server failed. Only events may get lost without one.
pub(crate) async fn report(
    cluster: &RetailCluster,
    context: &Context,
    state: &mut ClusterState,
    plan: &Plan,
    demand: &Result<Demand, String>,
    set: Option<&StatefulSet>,
) -> Result<()> {
    report_scaling(cluster, context, plan, demand).await;
    let status = set.and_then(|s| s.status.clone()).unwrap_or_default();
    let ready = status.ready_replicas.unwrap_or(0);
    let desired = i32::try_from(plan.decision.desired).unwrap_or(i32::MAX);
    let mut diagnosis = plan.diagnosis.clone();
    if diagnosis.is_none() && (ready < desired || status.replicas < desired) {
        let some_are_missing = status.replicas < desired;
        diagnosis = inspect::diagnose_pods(cluster, context, state, some_are_missing).await?;
    } else {
        state.pods = None;
    }
    // The set's own numbers are of an older spec until its controller has seen the newest one.
    let rolled =
        status.update_revision.is_none() || status.update_revision == status.current_revision;
    let findings = Findings {
        generation: cluster.metadata.generation.unwrap_or_default(),
        decision: plan.decision,
        max: u32::try_from(cluster.spec.autoscaling.max).unwrap_or(0),
        executors: status.replicas,
        ready,
        updated: if rolled {
            status.replicas
        } else {
            status.updated_replicas.unwrap_or(0)
        },
        demand,
        diagnosis: diagnosis.as_ref(),
    };
    state.executors = [desired, status.replicas, ready];
    // One request without an answer changes no status yet.
    if state.unanswered == 0 || state.unanswered >= UNANSWERED_MAX || cluster.status.is_none() {
        write_status(cluster, context, &findings).await?;
    }
    Ok(())
}

/// Counts a changed number of executors, and writes its event.
async fn report_scaling(
    cluster: &RetailCluster,
    context: &Context,
    plan: &Plan,
    demand: &Result<Demand, String>,
) {
    let decision = plan.decision;
    let Some(from) = plan.from.filter(|from| *from != decision.desired) else {
        return;
    };
    let up = decision.desired > from;
    metrics()
        .operator_scaling_decisions_total
        .with_label_values(&[if up { "up" } else { "down" }, decision.reason.into()])
        .inc();
    if let Some(event) = events::of_scaling(from, decision, demand) {
        context.record(cluster, &event).await;
    }
}

/// Writes the status where it changed, and the events of its changes.
async fn write_status(
    cluster: &RetailCluster,
    context: &Context,
    findings: &Findings<'_>,
) -> Result<()> {
    let before = cluster.status.clone().unwrap_or_default();
    let count = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let demand = findings.demand.as_ref().ok();
    let status = RetailClusterStatus {
        ready: findings.ready,
        executors: findings.executors,
        desired: count(findings.decision.desired),
        running_tasks: demand.map(|d| count(d.tasks_running)),
        queued_tasks: demand.map(|d| count(d.tasks_queued)),
        selector: render::selector_text(&cluster.name_any()),
        observed_generation: findings.generation,
        conditions: conditions(findings, &before.conditions, Timestamp::now()),
    };
    if Some(&status) == cluster.status.as_ref() {
        return Ok(());
    }
    let changes = events::of_conditions(&before.conditions, &status.conditions);
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
    for event in &changes {
        context.record(cluster, event).await;
    }
    Ok(())
}
