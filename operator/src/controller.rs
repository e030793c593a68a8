//! Runs the operator: wait for the definition, wait to lead, watch and reconcile clusters until it is stopped.

use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{
    Config as ControllerConfig, Controller, Predicate, WatchStreamExt, predicates, watcher,
};
use kube::{Api, Client, Resource, ResourceExt};
use retail_telemetry::Readiness;

use crate::apply::Owned;
use crate::cluster_state::ClusterStates;
use crate::config::Config;
use crate::context::{Context, Stores};
use crate::crd::{RetailCluster, document};
use crate::demand_client::DemandClient;
use crate::error::{Error, Result, chain};
use crate::events::StatusEvent;
use crate::leader::Leadership;
use crate::reconcile::{reconcile, retry};
use crate::render::MANAGER;
use retail_telemetry::metrics;

/// A watch sends something every minute. One that is silent for longer has lost its connection and begins anew; without
/// a limit, what it saw last would be taken for what is.
const READ_TIMEOUT: Duration = Duration::from_secs(90);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time between two reads of a definition that is missing or too old.
const DEFINITION_INTERVAL: Duration = Duration::from_secs(5);

/// A client of the API server that the pod's service account, or KUBECONFIG, leads to.
///
/// # Errors
/// Neither does.
pub(crate) async fn client() -> std::result::Result<Client, kube::Error> {
    let config = kube::Config::infer().await;
    let mut config = config.map_err(kube::Error::InferConfig)?;
    config.read_timeout = Some(READ_TIMEOUT);
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    Client::try_from(config)
}

/// Runs the operator until `stop`.
///
/// # Errors
/// The lease was lost: whoever runs this ends, so that no two operators act.
pub async fn run(
    client: Client,
    config: &Config,
    readiness: &Readiness,
    states: ClusterStates,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let mut stop = pin!(stop);
    let identity = identity(config);
    let reporter = Reporter {
        controller: MANAGER.to_owned(),
        instance: Some(identity.clone()),
    };
    let recorder = Recorder::new(client.clone(), reporter);
    tokio::select! {
        () = wait_for_definition(&client, config, readiness, &recorder) => {}
        () = &mut stop => return Ok(()),
    }
    readiness.ready();
    if !config.leader.enabled {
        metrics().operator_leader.set(1);
        return tokio::select! {
            ended = reconcile_all(client, config, recorder, states) => ended,
            () = stop => Ok(()),
        };
    }
    let namespace = match config.leader.namespace.as_str() {
        "" => client.default_namespace(),
        namespace => namespace,
    };
    let mut leadership = Leadership::new(
        Api::namespaced(client.clone(), namespace),
        &config.leader,
        identity.clone(),
    );
    metrics().operator_leader.set(0);
    tracing::info!(%identity, "waiting to lead");
    tokio::select! {
        () = leadership.acquire() => {}
        () = &mut stop => return Ok(()),
    }
    tracing::info!(%identity, "leading");
    metrics().operator_leader.set(1);
    let ended = tokio::select! {
        ended = reconcile_all(client, config, recorder, states) => ended,
        lost = leadership.hold() => Err(lost),
        () = stop => Ok(()),
    };
    metrics().operator_leader.set(0);
    // Nothing acts any more: another operator may begin at once.
    if !matches!(ended, Err(Error::LeaseLost { .. })) {
        leadership.release().await;
    }
    ended
}

fn identity(config: &Config) -> String {
    if !config.leader.identity.is_empty() {
        return config.leader.identity.clone();
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let seed = format!("{:?}{}", std::time::SystemTime::now(), std::process::id());
    format!("{}-{}", host.trim(), &crate::render::hash(&seed)[..6])
}

/// Waits until the API server knows our definition, and reports why not: readiness, log, and events under the clusters.
async fn wait_for_definition(
    client: &Client,
    config: &Config,
    readiness: &Readiness,
    recorder: &Recorder,
) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut reported = String::new();
    loop {
        let why = match definitions.get_opt(document::NAME).await {
            Ok(Some(installed)) => match document::missing_in(&installed) {
                None => return,
                Some(lacks) => format!(
                    "the definition {} is of another version: it lacks {lacks}; Helm does not upgrade it, so apply \
                     crds/retailclusters.yaml of this version's chart",
                    document::NAME
                ),
            },
            Ok(None) => format!(
                "there is no definition {}; apply crds/retailclusters.yaml",
                document::NAME
            ),
            Err(error) => format!(
                "cannot read the definition {}: {}",
                document::NAME,
                chain(&error)
            ),
        };
        readiness.not_ready(&why);
        if why != reported {
            tracing::error!(reason = %why, "no cluster is reconciled");
            record_everywhere(client, config, recorder, &why).await;
            reported = why;
        }
        tokio::time::sleep(DEFINITION_INTERVAL).await;
    }
}

/// Writes it as an event under every cluster, where a person looks first.
async fn record_everywhere(client: &Client, config: &Config, recorder: &Recorder, why: &str) {
    let clusters: Api<RetailCluster> = scoped(client, config);
    let all = match clusters.list_metadata(&Default::default()).await {
        Ok(all) => all,
        Err(error) => {
            tracing::warn!(error = %chain(&error), "cannot list the clusters to write events under");
            return;
        }
    };
    let event = StatusEvent::warning("DefinitionOutdated", why).to_kubernetes();
    for cluster in all {
        let reference = PartialObjectMeta::<RetailCluster>::object_ref(&cluster, &());
        if let Err(error) = recorder.publish(&event, &reference).await {
            tracing::warn!(cluster = %cluster.name_any(), error = %chain(&error), "an event was not written");
        }
    }
}

/// Watches clusters and what they own, and reconciles each when something changes and at every poll.
async fn reconcile_all(
    client: Client,
    config: &Config,
    recorder: Recorder,
    states: ClusterStates,
) -> Result<()> {
    let (clusters, writer) = reflector::store();
    let changes = watcher(
        scoped::<DeserializeGuard<RetailCluster>>(&client, config),
        watcher::Config::default(),
    )
    .default_backoff()
    .modify(drop_managed_fields)
    .reflect(writer)
    .applied_objects()
    // Our own status is no reason to reconcile.
    .predicate_filter(
        predicates::generation
            .combine(predicates::finalizers)
            .combine(uid),
        Default::default(),
    );
    let (stateful_sets, set_changes) = owned(&client, config);
    let (services, service_changes) = owned(&client, config);
    let (disruption_budgets, budget_changes) = owned(&client, config);
    let context = Arc::new(Context {
        demand: DemandClient::new(Duration::from_secs_f64(config.scaling.timeout_s)),
        stores: Stores {
            stateful_sets,
            services,
            disruption_budgets,
        },
        recorder,
        poll: Duration::from_secs_f64(config.scaling.poll_s),
        timeout: Duration::from_secs_f64(config.kubernetes.timeout_s),
        retry_max: Duration::from_secs_f64(config.kubernetes.retry_max_s),
        states,
        client,
    });
    Controller::for_stream(changes, clusters)
        .owns_stream(set_changes)
        .owns_stream(service_changes)
        .owns_stream(budget_changes)
        .with_config(ControllerConfig::default().concurrency(config.kubernetes.concurrency))
        .run(reconcile, retry, context)
        .for_each(|reconciled| {
            match reconciled {
                Ok((cluster, _)) => tracing::debug!(%cluster, "reconciled"),
                Err(kube::runtime::controller::Error::ReconcilerFailed(..)) => {} // `retry` logged it
                Err(kube::runtime::controller::Error::ObjectNotFound(_)) => {}    // gone since
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "a watch failed and is retried")
                }
            }
            ready(())
        })
        .await;
    Err(Error::WatchEnded)
}

fn uid<K: Resource>(object: &K) -> Option<u64> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    object.meta().uid.hash(&mut hasher);
    Some(hasher.finish())
}

/// Clusters of the namespace that the settings name, or of all.
fn scoped<K>(client: &Client, config: &Config) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    match config.kubernetes.namespace.as_str() {
        "" => Api::all(client.clone()),
        namespace => Api::namespaced(client.clone(), namespace),
    }
}

/// A watch of all objects of one kind that carry our label: what it saw last, and its changes.
fn owned<K: Owned>(
    client: &Client,
    config: &Config,
) -> (
    Store<K>,
    impl Stream<Item = std::result::Result<K, watcher::Error>> + Send + use<K>,
) {
    let (store, writer) = reflector::store();
    let ours =
        watcher::Config::default().labels(&format!("app.kubernetes.io/managed-by={MANAGER}"));
    let changes = watcher(scoped::<K>(client, config), ours)
        .default_backoff()
        .modify(drop_managed_fields)
        .reflect(writer)
        .touched_objects();
    (store, changes)
}

/// Half of an object's size is who wrote which field, and nobody here reads it.
fn drop_managed_fields<K: Resource>(object: &mut K) {
    object.managed_fields_mut().clear();
}
