//! Decides what a reconcile does about a cluster. Pure: what was read, what was decided before and the time go in.

use std::time::Instant;

use k8s_openapi::api::apps::v1::StatefulSet;

use crate::crd::RetailCluster;
use crate::diagnosis::{self, Diagnosis};
use crate::render::CONFIG_HASH;
use crate::scale::{self, Decision, History, Policy};
use retail_api::demand::Demand;

/// What a cluster is like before a reconcile changes anything.
#[derive(Debug)]
pub(crate) struct Inspection {
    /// What the scheduler reports, or why it is not known.
    pub demand: Result<Demand, String>,
    pub stateful_set: Option<StatefulSet>,
    /// Hash of the executors' configuration, or why there is none.
    pub config_hash: Result<String, Diagnosis>,
}

/// What a reconcile does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub decision: Decision,
    /// Executors that were decided on before; `None` for a cluster that has nothing yet.
    pub from: Option<u32>,
    /// Hash of the configuration that the executors get; `None`: nothing new starts, and what runs stays.
    pub config_hash: Option<String>,
    /// What a person has to change.
    pub diagnosis: Option<Diagnosis>,
}

/// Plans a reconcile, and gives what to remember for the next one.
pub(crate) fn decide(
    cluster: &RetailCluster,
    inspection: &Inspection,
    history: Option<History>,
    now: Instant,
) -> (Plan, History) {
    let live = inspection.stateful_set.as_ref();
    let history = history.unwrap_or_else(|| History::starting_with(last_decision(cluster, live)));
    let from = history.current;
    let (decision, history) = scale::decide(
        &Policy::of(&cluster.spec),
        inspection.demand.as_ref().ok(),
        &history,
        now,
    );
    let (config_hash, diagnosis) = match diagnosis::of_spec(&cluster.spec) {
        Some(invalid) => (None, Some(invalid)),
        None => match &inspection.config_hash {
            Ok(hash) => (Some(hash.clone()), None),
            Err(missing) => (live.and_then(running_config_hash), Some(missing.clone())),
        },
    };
    let plan = Plan {
        decision,
        from,
        config_hash,
        diagnosis,
    };
    (plan, history)
}

/// What was decided last, by this operator or the one before it.
fn last_decision(cluster: &RetailCluster, live: Option<&StatefulSet>) -> Option<u32> {
    let reported = cluster
        .status
        .as_ref()
        .filter(|s| s.observed_generation > 0)
        .map(|s| s.desired);
    let is = || live.and_then(|s| s.spec.as_ref()).and_then(|s| s.replicas);
    reported.or_else(is).and_then(|n| u32::try_from(n).ok())
}

/// The hash of the configuration that running executors were made with.
fn running_config_hash(set: &StatefulSet) -> Option<String> {
    let template = set.spec.as_ref()?.template.metadata.as_ref()?;
    template.annotations.as_ref()?.get(CONFIG_HASH).cloned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cluster(memory: &str) -> RetailCluster {
        serde_json::from_value(json!({
            "apiVersion": "retail.dev/v1alpha1",
            "kind": "RetailCluster",
            "metadata": { "name": "shop", "namespace": "retail" },
            "spec": {
                "schedulerService": "shop-scheduler",
                "image": "retail:0.1.0",
                "replicas": 3,
                "resources": { "limits": { "memory": memory } },
            },
        }))
        .unwrap()
    }

    fn running(replicas: i32) -> StatefulSet {
        serde_json::from_value(json!({
            "spec": {
                "replicas": replicas,
                "selector": {},
                "serviceName": "shop-executor",
                "template": { "metadata": { "annotations": { CONFIG_HASH: "old" } } },
            },
        }))
        .unwrap()
    }

    fn plan(
        cluster: &RetailCluster,
        live: Option<StatefulSet>,
        config_hash: Result<&str, &Diagnosis>,
    ) -> Plan {
        let inspection = Inspection {
            demand: Ok(Demand::default()),
            stateful_set: live,
            config_hash: config_hash.map(str::to_owned).map_err(Clone::clone),
        };
        decide(cluster, &inspection, None, Instant::now()).0
    }

    #[test]
    fn a_usable_cluster_gets_its_executors_with_its_configuration() {
        let plan = plan(&cluster("1Gi"), Some(running(2)), Ok("new"));
        assert_eq!((plan.from, plan.decision.desired), (Some(2), 3));
        assert_eq!(plan.config_hash.as_deref(), Some("new"));
        assert_eq!(plan.diagnosis, None);
    }

    #[test]
    fn without_its_configuration_a_cluster_keeps_the_one_it_runs_with_and_starts_nothing_anew() {
        let missing = diagnosis::config_map_missing("shop-config");
        let kept = plan(&cluster("1Gi"), Some(running(2)), Err(&missing));
        assert_eq!(kept.config_hash.as_deref(), Some("old"));
        assert_eq!(kept.diagnosis.as_ref(), Some(&missing));
        let nothing = plan(&cluster("1Gi"), None, Err(&missing));
        assert_eq!((nothing.config_hash, nothing.from), (None, None));
    }

    #[test]
    fn an_unusable_spec_leaves_what_runs_as_it_is() {
        let plan = plan(&cluster("lots"), Some(running(2)), Ok("new"));
        assert_eq!(plan.config_hash, None);
        assert_eq!(plan.diagnosis.unwrap().reason, "InvalidSpec");
    }

    #[test]
    fn a_new_leader_begins_with_what_the_status_reports() {
        let mut reported = cluster("1Gi");
        reported.status = Some(crate::crd::RetailClusterStatus {
            desired: 5,
            observed_generation: 1,
            ..Default::default()
        });
        assert_eq!(plan(&reported, Some(running(2)), Ok("new")).from, Some(5));
    }
}
