//! What a reconcile reads: the demand, the executors that there are, their configuration, and why pods do not run.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use retail_telemetry::metrics;

use crate::apply;
use crate::cluster_state::{Cached, ClusterState};
use crate::context::Context;
use crate::crd::RetailCluster;
use crate::diagnosis::{self, Diagnosis};
use crate::error::{Error, Result};
use crate::plan::Inspection;
use crate::render;
use retail_api::demand::Demand;

/// Reads what is needed to decide about a cluster. A scheduler that does not answer is no error.
///
/// # Errors
/// A request to the API server failed.
pub(crate) async fn inspect(
    cluster: &RetailCluster,
    context: &Context,
    state: &mut ClusterState,
) -> Result<Inspection> {
    let demand = read_demand(cluster, context, state).await;
    let name = render::object_name(&cluster.name_any());
    let sets: Api<StatefulSet> = context.api(cluster);
    Ok(Inspection {
        demand,
        stateful_set: apply::find(&sets, &context.stores.stateful_sets, &name).await?,
        config_hash: read_config_hash(cluster, context, state).await?,
    })
}

async fn read_demand(
    cluster: &RetailCluster,
    context: &Context,
    state: &mut ClusterState,
) -> Result<Demand, String> {
    let spec = &cluster.spec;
    let host = match spec.scheduler_service.contains('.') {
        true => spec.scheduler_service.clone(),
        false => format!(
            "{}.{}.svc",
            spec.scheduler_service,
            cluster.namespace().unwrap_or_default()
        ),
    };
    let demand = context.demand.get(&host, spec.scheduler_admin_port).await;
    let outcome = if demand.is_ok() { "ok" } else { "unreachable" };
    metrics()
        .operator_work_polls_total
        .with_label_values(&[outcome])
        .inc();
    state.unanswered = if demand.is_ok() {
        0
    } else {
        state.unanswered.saturating_add(1)
    };
    demand.map_err(|error| error.to_string())
}

/// Hash of the executors' configuration file, or why there is none. Read at every third poll, and when the spec changed.
async fn read_config_hash(
    cluster: &RetailCluster,
    context: &Context,
    state: &mut ClusterState,
) -> Result<Result<String, Diagnosis>> {
    let Some(name) = &cluster.spec.config_map else {
        return Ok(Ok("none".to_owned()));
    };
    let reported = cluster.status.as_ref().map(|s| s.observed_generation);
    if let Some(cached) = &state.config_hash
        && let Some(known) = cached.fresh(age_max(context))
        && reported.is_some()
        && reported == cluster.metadata.generation
    {
        return Ok(known);
    }
    let map: Option<ConfigMap> = context
        .api(cluster)
        .get_opt(name)
        .await
        .map_err(Error::api("read", format!("ConfigMap {name}")))?;
    let found = match map {
        None => Err(diagnosis::config_map_missing(name)),
        Some(map) => match map.data.unwrap_or_default().get("config.toml") {
            Some(text) => Ok(render::hash(text)),
            None => Err(diagnosis::config_key_missing(name)),
        },
    };
    state.config_hash = Some(Cached::now(&found));
    Ok(found)
}

/// Diagnoses why executors do not take tasks; called only then, and pods are read at every third poll.
///
/// # Errors
/// A request to the API server failed.
pub(crate) async fn diagnose_pods(
    cluster: &RetailCluster,
    context: &Context,
    state: &mut ClusterState,
    some_are_missing: bool,
) -> Result<Option<Diagnosis>> {
    if let Some(cached) = &state.pods
        && let Some(known) = cached.fresh(age_max(context))
    {
        return Ok(known);
    }
    let pods: Api<Pod> = context.api(cluster);
    let list = ListParams::default()
        .labels(&render::selector_text(&cluster.name_any()))
        .limit(20);
    let pods = pods
        .list(&list)
        .await
        .map_err(Error::api("list", "pods"))?
        .items;
    let mut found = diagnosis::of_pods(&pods);
    if found.is_none()
        && let Some(pod) = diagnosis::silent_pod(&pods)
    {
        let name = pod.name_any();
        found = diagnosis::of_pod_events(&name, &warnings(cluster, context, "Pod", &name).await?);
    }
    if found.is_none() && some_are_missing {
        let name = render::object_name(&cluster.name_any());
        found = diagnosis::of_set_events(&warnings(cluster, context, "StatefulSet", &name).await?);
    }
    state.pods = Some(Cached::now(&found));
    Ok(found)
}

fn age_max(context: &Context) -> Duration {
    context.poll * 3
}

async fn warnings(
    cluster: &RetailCluster,
    context: &Context,
    kind: &str,
    name: &str,
) -> Result<Vec<Event>> {
    let events: Api<Event> = context.api(cluster);
    let fields = format!("type=Warning,involvedObject.kind={kind},involvedObject.name={name}");
    let list = ListParams::default().fields(&fields).limit(50);
    Ok(events
        .list(&list)
        .await
        .map_err(Error::api("list", "events"))?
        .items)
}
