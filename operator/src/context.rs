//! What looks at clusters share: the API server, what the watches saw, and what is remembered between two looks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::runtime::events::{Event, Recorder};
use kube::runtime::reflector::Store;
use kube::{Api, Client, Resource, ResourceExt};

use crate::apply::{Applied, Owned};
use crate::conditions::News;
use crate::crd::RetailCluster;
use crate::demand_client::DemandClient;
use crate::render::hash;
use crate::scale::History;
use crate::trouble::Trouble;
use retail_telemetry::metrics;

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
    /// Time between two looks at a cluster that nobody changes.
    pub poll: Duration,
    /// How long one look may take.
    pub timeout: Duration,
    /// Longest wait before a look that failed is tried again.
    pub retry_max: Duration,
    pub memories: Memories,
}

/// What one look at a cluster leaves for the next. All of it can be lost: a new leader begins without.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The object that this is about; one of the same name made later begins anew.
    pub uid: String,
    pub history: Option<History>,
    pub service: Option<Applied>,
    pub disruption_budget: Option<Applied>,
    pub stateful_set: Option<Applied>,
    /// Hash of the configuration, or why there is none, and when it was read.
    pub config: Option<(Instant, Result<String, Trouble>)>,
    /// What pods said, and when they were asked.
    pub pods: Option<(Instant, Option<Trouble>)>,
    /// How often in a row the scheduler did not answer.
    pub unanswered: u32,
    /// How often in a row a look failed.
    pub failures: u32,
    /// Desired, existing and ready executors, for metrics.
    pub executors: [i32; 3],
}

/// The memories of all clusters.
#[derive(Default, Clone)]
pub struct Memories {
    all: Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<Memory>>>>>,
}

impl Memories {
    /// A cluster's memory. Only one look at a cluster goes on at a time, so nobody waits for it.
    pub(crate) fn of(&self, cluster: &RetailCluster) -> Arc<tokio::sync::Mutex<Memory>> {
        Arc::clone(self.lock().entry(key(cluster)).or_default())
    }

    pub(crate) fn forget(&self, cluster: &RetailCluster) {
        self.lock().remove(&key(cluster));
    }

    /// Brings the gauges up to date.
    pub(crate) fn count(&self) {
        let all = self.lock();
        let mut sums = [0_i64; 3];
        for memory in all.values() {
            let Ok(memory) = memory.try_lock() else {
                continue;
            };
            for (sum, n) in sums.iter_mut().zip(memory.executors) {
                *sum += i64::from(n);
            }
        }
        let m = metrics();
        m.operator_clusters
            .set(i64::try_from(all.len()).unwrap_or(i64::MAX));
        m.operator_desired_executors.set(sums[0]);
        m.operator_executors.set(sums[1]);
        m.operator_ready_executors.set(sums[2]);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<Memory>>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(cluster: &RetailCluster) -> String {
    format!(
        "{}/{}",
        cluster.namespace().unwrap_or_default(),
        cluster.name_any()
    )
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

    /// Tells a person. What is told may get lost; what is done may not depend on it.
    pub(crate) async fn tell(&self, cluster: &RetailCluster, news: &News) {
        let event = Event {
            type_: news.event_type(),
            reason: news.reason.clone(),
            // Events hold 1024 bytes.
            note: Some(news.note.chars().take(900).collect()),
            // What is alike in all but its note counts as the first one again, and that one's note would stay.
            action: format!("Reconcile-{}", &hash(&news.note)[..8]),
            secondary: None,
        };
        if news.warning {
            tracing::warn!(cluster = %cluster.name_any(), reason = %news.reason, note = %news.note, "told");
        } else {
            tracing::info!(cluster = %cluster.name_any(), reason = %news.reason, note = %news.note, "told");
        }
        if let Err(error) = self
            .recorder
            .publish(&event, &cluster.object_ref(&()))
            .await
        {
            tracing::warn!(cluster = %cluster.name_any(), %error, "an event was not written");
        }
    }
}
