//! What is kept of each cluster between two reconciles.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use kube::ResourceExt;
use retail_telemetry::metrics;

use crate::apply::Applied;
use crate::crd::RetailCluster;
use crate::diagnosis::Diagnosis;
use crate::scale::History;

/// A reconcile that failed for the first time is retried after this long.
const RETRY_MIN: Duration = Duration::from_millis(200);

/// What one reconcile of a cluster leaves for the next. All of it can be lost: a new leader begins without.
#[derive(Debug, Default)]
pub(crate) struct ClusterState {
    /// The object that this is about; one of the same name made later begins anew.
    pub uid: String,
    pub history: Option<History>,
    pub service: Option<Applied>,
    pub disruption_budget: Option<Applied>,
    pub stateful_set: Option<Applied>,
    /// Hash of the configuration, or why there is none.
    pub config_hash: Option<Cached<Result<String, Diagnosis>>>,
    /// What keeps the executors' pods from running.
    pub pods: Option<Cached<Option<Diagnosis>>>,
    /// Requests in a row that the scheduler did not answer.
    pub unanswered: u32,
    /// Waits before failed reconciles are retried; `None` after one that did not fail.
    pub backoff: Option<ExponentialBackoff>,
    /// Desired, existing and ready executors, for metrics.
    pub executors: [i32; 3],
}

impl ClusterState {
    /// Time until a failed reconcile is retried: twice as long each time, up to `max`.
    pub(crate) fn next_retry(&mut self, max: Duration) -> Duration {
        let start = || {
            ExponentialBuilder::new()
                .with_min_delay(RETRY_MIN.min(max))
                .with_max_delay(max)
                .without_max_times()
                .build()
        };
        self.backoff.get_or_insert_with(start).next().unwrap_or(max)
    }
}

/// A value that was read from the API server, and when.
#[derive(Debug)]
pub(crate) struct Cached<T> {
    read_at: Instant,
    value: T,
}

impl<T: Clone> Cached<T> {
    pub(crate) fn now(value: &T) -> Self {
        Self {
            read_at: Instant::now(),
            value: value.clone(),
        }
    }

    /// The value, if it was read less than `age_max` ago.
    pub(crate) fn fresh(&self, age_max: Duration) -> Option<T> {
        (self.read_at.elapsed() < age_max).then(|| self.value.clone())
    }
}

/// The states of all clusters. A clone shares them.
#[derive(Default, Clone)]
pub struct ClusterStates {
    all: Arc<Mutex<HashMap<String, SharedState>>>,
}

type SharedState = Arc<tokio::sync::Mutex<ClusterState>>;

impl ClusterStates {
    /// A cluster's state. Only one reconcile of a cluster runs at a time, so nobody waits for it.
    pub(crate) fn of(&self, cluster: &RetailCluster) -> SharedState {
        Arc::clone(self.lock().entry(key(cluster)).or_default())
    }

    pub(crate) fn forget(&self, cluster: &RetailCluster) {
        self.lock().remove(&key(cluster));
    }

    /// Brings the gauges up to date. A cluster that is being reconciled right now is not counted.
    pub(crate) fn count(&self) {
        let all = self.lock();
        let mut sums = [0_i64; 3];
        for state in all.values() {
            let Ok(state) = state.try_lock() else {
                continue;
            };
            for (sum, n) in sums.iter_mut().zip(state.executors) {
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

    fn lock(&self) -> MutexGuard<'_, HashMap<String, SharedState>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_reconcile_is_retried_later_each_time_up_to_the_longest_wait() {
        let mut state = ClusterState::default();
        let mut waits = |max_s| [(); 4].map(|()| state.next_retry(Duration::from_secs_f64(max_s)));
        assert_eq!(
            waits(1.0).map(|wait| wait.as_millis()),
            [200, 400, 800, 1000]
        );
        let mut state = ClusterState::default();
        let short = Duration::from_millis(50);
        assert_eq!([(); 2].map(|()| state.next_retry(short)), [short; 2]);
    }
}
