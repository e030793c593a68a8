//! What one look at a cluster finds out: the work, the configuration, and what keeps executors from running.

use std::time::Instant;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod};
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use crate::context::{Context, Memory};
use crate::crd::RetailCluster;
use crate::demand::Demand;
use crate::error::{Error, Result};
use crate::quantity;
use crate::render::{self, CONFIG_HASH};
use crate::trouble::{self, Trouble};
use retail_telemetry::metrics;

/// Reads the scheduler's demand.
pub(crate) async fn read_demand(
    cluster: &RetailCluster,
    context: &Context,
    memory: &mut Memory,
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
    let answer = context.demand.get(&host, spec.scheduler_admin_port).await;
    let outcome = if answer.is_ok() { "ok" } else { "unreachable" };
    metrics()
        .operator_work_polls_total
        .with_label_values(&[outcome])
        .inc();
    memory.unanswered = if answer.is_ok() {
        0
    } else {
        memory.unanswered.saturating_add(1)
    };
    answer.map_err(|error| error.to_string())
}

/// What is wrong with the spec that no rule of the API server could say.
pub(crate) fn spec_trouble(cluster: &RetailCluster) -> Option<Trouble> {
    let spec = &cluster.spec;
    let Some(bytes) = render::memory_bytes(spec) else {
        return Some(Trouble::new(
            "InvalidSpec",
            "spec.resources.limits.memory is no quantity; write it as 4Gi or 4000M",
        ));
    };
    let slot = bytes / u64::try_from(spec.slots).unwrap_or(1).max(1);
    (slot < render::SLOT_BYTES_MIN).then(|| {
        Trouble::new(
            "MemoryTooSmall",
            format!(
                "memoryFraction {} of the memory limit leaves {} for each of {} slots, and a task needs {}: raise \
                 spec.resources.limits.memory or spec.memoryFraction, or lower spec.slots",
                spec.memory_fraction,
                quantity::bytes(slot),
                spec.slots,
                quantity::bytes(render::SLOT_BYTES_MIN),
            ),
        )
    })
}

/// Hash of the executors' configuration file, or why there is none.
pub(crate) async fn config_hash(
    cluster: &RetailCluster,
    context: &Context,
    memory: &mut Memory,
) -> Result<Result<String, Trouble>> {
    let Some(name) = &cluster.spec.config_map else {
        return Ok(Ok("none".to_owned()));
    };
    if let Some((read, known)) = &memory.config
        && read.elapsed() < context.poll * 3
        && cluster
            .status
            .as_ref()
            .is_some_and(|s| Some(s.observed_generation) == cluster.metadata.generation)
    {
        return Ok(known.clone());
    }
    let map: Option<ConfigMap> = context
        .api(cluster)
        .get_opt(name)
        .await
        .map_err(Error::api("read", format!("ConfigMap {name}")))?;
    let found = match map {
        None => Err(trouble::config_map_missing(name)),
        Some(map) => match map.data.unwrap_or_default().get("config.toml") {
            Some(text) => Ok(render::hash(text)),
            None => Err(Trouble::new(
                "ConfigMapMissing",
                format!("ConfigMap {name}, which spec.configMap names, has no key config.toml"),
            )),
        },
    };
    memory.config = Some((Instant::now(), found.clone()));
    Ok(found)
}

/// The hash that running executors were made with.
pub(crate) fn config_hash_of(set: &StatefulSet) -> Option<String> {
    let template = set.spec.as_ref()?.template.metadata.as_ref()?;
    template.annotations.as_ref()?.get(CONFIG_HASH).cloned()
}

/// What keeps executors from taking tasks. Pods are read only then, and not at every look.
pub(crate) async fn pod_trouble(
    cluster: &RetailCluster,
    context: &Context,
    memory: &mut Memory,
    some_are_missing: bool,
) -> Result<Option<Trouble>> {
    if let Some((read, known)) = &memory.pods
        && read.elapsed() < context.poll * 3
    {
        return Ok(known.clone());
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
    let mut found = trouble::of_pods(&pods);
    if found.is_none()
        && let Some(pod) = trouble::silent_pod(&pods)
    {
        let name = pod.name_any();
        found = trouble::of_pod_events(&name, &warnings(cluster, context, "Pod", &name).await?);
    }
    if found.is_none() && some_are_missing {
        let name = render::object_name(&cluster.name_any());
        found = trouble::of_set_events(&warnings(cluster, context, "StatefulSet", &name).await?);
    }
    memory.pods = Some((Instant::now(), found.clone()));
    Ok(found)
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
