//! Takes a deleted cluster down: its executors drain, then its objects are deleted, then the cluster itself.
//!
//! Were the objects left to the garbage collector alone, the Service would be gone while executors still hand out
//! shuffle files to each other.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams, PropagationPolicy};
use kube::runtime::controller::Action;
use serde_json::json;

use crate::apply::{self, Owned};
use crate::cluster_state::ClusterState;
use crate::context::Context;
use crate::crd::RetailCluster;
use crate::error::{Error, Result};
use crate::events::StatusEvent;
use crate::finalizer;
use crate::render::{MANAGER, object_name};

/// Longest time between two steps while executors drain.
const STEP_INTERVAL_MAX: Duration = Duration::from_secs(2);

/// Takes one step; the cluster is gone when none is left.
///
/// # Errors
/// A request to the API server failed; the same step is taken at the next reconcile.
pub(crate) async fn tear_down(
    cluster: &RetailCluster,
    context: &Context,
    state: &mut ClusterState,
) -> Result<Action> {
    if !finalizer::is_on(cluster) {
        context.states.forget(cluster);
        return Ok(Action::await_change());
    }
    // With `kubectl delete --cascade=orphan` a person keeps the executors.
    if cluster.finalizers().iter().any(|f| f == "orphan") {
        return give_up_finalizer(cluster, context).await;
    }
    let uid = cluster.uid().unwrap_or_default();
    let sets: Api<StatefulSet> = context.api(cluster);
    let name = object_name(&cluster.name_any());
    // Read, not taken from the watch: a watch that lags would keep the cluster waiting for executors that are gone.
    let set = read(&sets, &name).await?;
    let set = set.filter(|set| apply::owned_by(set, &uid));
    if let Some(set) = &set
        && set.metadata.deletion_timestamp.is_none()
    {
        if set.spec.as_ref().is_some_and(|s| s.replicas != Some(0)) {
            drain(cluster, context, &sets, set).await?;
            return Ok(Action::requeue(context.poll.min(STEP_INTERVAL_MAX)));
        }
        let status = set.status.clone().unwrap_or_default();
        let seen = status.observed_generation == set.metadata.generation;
        if !seen || status.replicas > 0 {
            if !is_late(cluster) {
                state.executors = [0, status.replicas, status.ready_replicas.unwrap_or(0)];
                return Ok(Action::requeue(context.poll.min(STEP_INTERVAL_MAX)));
            }
            let event = StatusEvent::warning(
                "DrainDeadlinePassed",
                format!(
                    "{} executors had not ended in time; their unfinished tasks are lost",
                    status.replicas
                ),
            );
            context.record(cluster, &event).await;
        }
    }
    delete(&sets, cluster).await?;
    delete(&context.api::<Service>(cluster), cluster).await?;
    delete(&context.api::<PodDisruptionBudget>(cluster), cluster).await?;
    give_up_finalizer(cluster, context).await
}

/// Scales to no executors: each finishes its tasks and hands over its shuffle files before it ends.
async fn drain(
    cluster: &RetailCluster,
    context: &Context,
    sets: &Api<StatefulSet>,
    set: &StatefulSet,
) -> Result<()> {
    let patch = json!({ "spec": { "replicas": 0 }, "metadata": { "uid": set.uid() } });
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    sets.patch(&set.name_any(), &params, &Patch::Merge(patch))
        .await
        .map_err(Error::api(
            "scale down",
            format!("StatefulSet {}", set.name_any()),
        ))?;
    let executors = set.status.as_ref().map_or(0, |s| s.replicas);
    let event = StatusEvent::normal(
        "Draining",
        format!(
            "the RetailCluster is being deleted: its {executors} executors finish their tasks, for up to {} s",
            cluster.spec.drain_grace_seconds
        ),
    );
    context.record(cluster, &event).await;
    Ok(())
}

/// Whether every pod should have ended by now.
fn is_late(cluster: &RetailCluster) -> bool {
    let held_max_s = finalizer::held_max_s(cluster.spec.drain_grace_seconds.into());
    let deleted = cluster.metadata.deletion_timestamp.as_ref();
    deleted.is_some_and(|t| Timestamp::now().as_second() - t.0.as_second() > held_max_s)
}

async fn read<K: Owned>(api: &Api<K>, name: &str) -> Result<Option<K>> {
    let what = || format!("{} {name}", K::kind(&()));
    api.get_opt(name).await.map_err(Error::api("read", what()))
}

async fn delete<K: Owned>(api: &Api<K>, cluster: &RetailCluster) -> Result<()> {
    let live = read(api, &object_name(&cluster.name_any())).await?;
    let uid = cluster.uid().unwrap_or_default();
    let ours = live.filter(|live| apply::owned_by(live, &uid));
    apply::delete(api, ours.as_ref(), PropagationPolicy::Background).await
}

async fn give_up_finalizer(cluster: &RetailCluster, context: &Context) -> Result<Action> {
    let patched = context
        .clusters(cluster)
        .patch(
            &cluster.name_any(),
            &PatchParams::default(),
            &finalizer::removal(cluster),
        )
        .await;
    match patched {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.is_not_found() => {}
        Err(source) => {
            return Err(Error::api("remove the finalizer of", cluster.name_any())(
                source,
            ));
        }
    }
    context.states.forget(cluster);
    Ok(Action::await_change())
}
