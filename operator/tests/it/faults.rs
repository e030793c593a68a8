//! However the API server fails, the operator ends where it should, and nothing is left over.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, DeleteParams};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use retail_operator::crd::RetailCluster;
use serde_json::json;

use crate::support::kubernetes::Kubernetes;
use crate::support::operator::Operator;
use crate::support::scheduler::Scheduler;
use crate::support::wait;

const ROUNDS: u32 = 200;
/// Of all requests, so many fail while faults are on.
const SHARE: f64 = 0.3;
const NAMES: [&str; 3] = ["ash", "birch", "cedar"];

/// Each round a person or an accident changes something at random; every tenth round faults end for a while and the
/// world must be as it should be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_rounds_of_faults_leak_nothing_and_converge() {
    let Some(kubernetes) = Kubernetes::new("faults").await else {
        return;
    };
    let seed = std::env::var("RETAIL_TEST_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or_else(rand::random);
    println!("RETAIL_TEST_SEED={seed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let scheduler = Scheduler::idle().await;
    let operator = Operator::start_with(&kubernetes, |config| {
        config.leader.enabled = false;
        config.kubernetes.timeout_s = 1.0;
        config.scaling.poll_s = 0.05;
    })
    .await;
    wait::until(
        "it runs",
        || async { operator.readiness.reason() },
        Option::is_none,
    )
    .await;
    operator.faults.begin(seed, SHARE);
    let mut wanted: [Option<i32>; 3] = [None; 3];
    for round in 1..=ROUNDS {
        let at = rng.random_range(0..NAMES.len());
        disturb(
            &kubernetes,
            &scheduler,
            &mut rng,
            NAMES[at],
            &mut wanted[at],
        )
        .await;
        tokio::time::sleep(std::time::Duration::from_millis(rng.random_range(0..100))).await;
        if round % 10 == 0 {
            operator.faults.end();
            as_it_should_be(&kubernetes, &wanted).await;
            operator.faults.begin(seed ^ u64::from(round), SHARE);
        }
    }
    operator.faults.end();
    let seen = operator.faults.seen();
    println!("faults met: {seen:?}");
    assert!(
        seen.len() >= 5 && seen.iter().all(|(_, times)| *times >= 5),
        "too few faults: {seen:?}"
    );
    for name in NAMES {
        let _ = kubernetes
            .api::<RetailCluster>()
            .delete(name, &DeleteParams::default())
            .await;
    }
    as_it_should_be(&kubernetes, &[None; 3]).await;
    operator.stop().await;
}

/// One change; `wanted` is the number of executors that should follow, `None` where no cluster should be.
async fn disturb(
    kubernetes: &Kubernetes,
    scheduler: &Scheduler,
    rng: &mut ChaCha8Rng,
    name: &str,
    wanted: &mut Option<i32>,
) {
    let object = format!("{name}-executor");
    let delete = DeleteParams::background();
    let Some(replicas) = wanted else {
        // One that was deleted before may still be torn down.
        let gone = || async {
            kubernetes
                .api::<RetailCluster>()
                .get_opt(name)
                .await
                .unwrap()
                .is_none()
        };
        wait::until("the earlier cluster is gone", gone, |gone| *gone).await;
        let replicas = rng.random_range(0..4);
        kubernetes
            .create(name, scheduler.port, json!({ "replicas": replicas }))
            .await;
        *wanted = Some(replicas);
        return;
    };
    match rng.random_range(0..8) {
        0 | 1 => {
            *replicas = rng.random_range(0..4);
            kubernetes
                .edit(name, json!({ "replicas": *replicas }))
                .await;
        }
        2 => {
            kubernetes
                .edit(name, json!({ "slots": rng.random_range(1..5) }))
                .await
        }
        3 => drop(
            kubernetes
                .api::<StatefulSet>()
                .delete(&object, &delete)
                .await,
        ),
        4 => drop(kubernetes.api::<Service>().delete(&object, &delete).await),
        5 => drop(
            kubernetes
                .api::<PodDisruptionBudget>()
                .delete(&object, &delete)
                .await,
        ),
        6 if kubernetes.set(name).await.is_some() => {
            let sets: Api<StatefulSet> = kubernetes.api();
            let patch = json!({ "spec": { "replicas": 9 }, "metadata": { "labels": { "app.kubernetes.io/managed-by": null } } });
            let patch = kube::api::Patch::Merge(patch);
            let _ = sets
                .patch(&object, &kube::api::PatchParams::default(), &patch)
                .await;
        }
        6 => {}
        _ => {
            kubernetes.delete::<RetailCluster>(name).await;
            *wanted = None;
        }
    }
}

/// Exactly the wanted clusters with exactly their objects and pods, and nothing else in the namespace.
async fn as_it_should_be(kubernetes: &Kubernetes, wanted: &[Option<i32>; 3]) {
    let there: Vec<(&str, i32)> = NAMES
        .iter()
        .zip(wanted)
        .filter_map(|(name, wanted)| Some((*name, (*wanted)?)))
        .collect();
    let clusters: Vec<String> = there.iter().map(|(name, _)| (*name).to_owned()).collect();
    let objects: Vec<String> = there
        .iter()
        .map(|(name, _)| format!("{name}-executor"))
        .collect();
    let pods: Vec<String> = there
        .iter()
        .flat_map(|(name, replicas)| (0..*replicas).map(move |n| format!("{name}-executor-{n}")))
        .collect();
    let expected = [clusters, objects.clone(), objects.clone(), objects, pods];
    let read = || async {
        [
            kubernetes.names::<RetailCluster>().await,
            kubernetes.names::<StatefulSet>().await,
            kubernetes.names::<Service>().await,
            kubernetes.names::<PodDisruptionBudget>().await,
            kubernetes.names::<Pod>().await,
        ]
    };
    wait::until(&format!("there is exactly {expected:?}"), read, |seen| {
        *seen == expected
    })
    .await;
    for (name, replicas) in there {
        kubernetes.wait_until_settled(name, replicas).await;
    }
}
