//! What reconciles of all clusters share: the API server, what the watches saw, and the clusters' states.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ObjectReference, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::Store;
use kube::{Api, Client, Resource, ResourceExt};

use crate::apply::Owned;
use crate::cluster_state::ClusterStates;
use crate::crd::RetailCluster;
use crate::demand_client::DemandClient;
use crate::error::chain;
use crate::events::StatusEvent;

/// What the watches saw last of the objects that we own.
pub(crate) struct Stores {
    pub stateful_sets: Store<StatefulSet>,
    pub services: Store<Service>,
    pub disruption_budgets: Store<PodDisruptionBudget>,
}

pub(crate) struct Context {
    pub client: Client,
    pub demand: DemandClient,
    pub stores: Stores,
    pub recorder: Recorder,
    /// Time between two reconciles of a cluster that nobody changes.
    pub poll: Duration,
    /// How long one reconcile may take.
    pub timeout: Duration,
    /// Longest wait before a failed reconcile is retried.
    pub retry_max: Duration,
    pub states: ClusterStates,
}

impl Context {
    /// The objects of one kind in a cluster's namespace.
    pub(crate) fn api<K: Owned>(&self, cluster: &RetailCluster) -> Api<K> {
        Api::namespaced(
            self.client.clone(),
            &cluster.namespace().unwrap_or_default(),
        )
    }

    pub(crate) fn clusters(&self, cluster: &RetailCluster) -> Api<RetailCluster> {
        self.api(cluster)
    }

    /// Logs an event and writes it under the cluster. It may get lost; nothing may depend on it.
    pub(crate) async fn record(&self, cluster: &RetailCluster, event: &StatusEvent) {
        let (name, StatusEvent { reason, note, .. }) = (cluster.name_any(), event);
        if event.warning {
            tracing::warn!(cluster = %name, %reason, %note, "status changed");
        } else {
            tracing::info!(cluster = %name, %reason, %note, "status changed");
        }
        let reference: ObjectReference = cluster.object_ref(&());
        if let Err(error) = self
            .recorder
            .publish(&event.to_kubernetes(), &reference)
            .await
        {
            tracing::warn!(cluster = %name, error = %chain(&error), "an event was not written");
        }
    }
}
