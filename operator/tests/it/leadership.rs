//! Of two operators one leads; when it dies the other takes over, and never do both act.

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use retail_operator::Error;
use serde_json::json;

use crate::support::kubernetes::Kubernetes;
use crate::support::operator::Operator;
use crate::support::scheduler::Scheduler;
use crate::support::wait;

async fn contender(kubernetes: &Kubernetes, name: &str) -> Operator {
    Operator::start_with(kubernetes, |config| {
        config.leader.identity = name.to_owned();
        config.leader.lease_s = 2.0;
        config.leader.renew_s = 0.5;
    })
    .await
}

async fn holder(kubernetes: &Kubernetes) -> Option<String> {
    let leases: Api<Lease> = kubernetes.api();
    leases
        .get_opt("retail-operator")
        .await
        .unwrap()?
        .spec?
        .holder_identity
}

async fn wait_for_holder(kubernetes: &Kubernetes, name: &str) {
    let is = |holder: &Option<String>| holder.as_deref() == Some(name);
    wait::until(&format!("{name} leads"), || holder(kubernetes), is).await;
}

#[tokio::test]
async fn one_of_two_leads_and_the_other_takes_over_when_it_dies() {
    let Some(kubernetes) = Kubernetes::new("take-over").await else {
        return;
    };
    let scheduler = Scheduler::idle().await;
    let first = contender(&kubernetes, "first").await;
    wait_for_holder(&kubernetes, "first").await;
    let second = contender(&kubernetes, "second").await;
    wait::until(
        "the second is ready to take over",
        || async { second.readiness.reason() },
        Option::is_none,
    )
    .await;
    kubernetes
        .create("shop", scheduler.port, json!({ "replicas": 1 }))
        .await;
    kubernetes.wait_until_settled("shop", 1).await;
    assert_eq!(holder(&kubernetes).await.as_deref(), Some("first"));

    first.kill();
    kubernetes.edit("shop", json!({ "replicas": 3 })).await;
    wait_for_holder(&kubernetes, "second").await;
    kubernetes.wait_until_settled("shop", 3).await;

    // One that ends in order gives the lease back.
    second.stop().await;
    assert_eq!(holder(&kubernetes).await.as_deref(), Some(""));
    let third = contender(&kubernetes, "third").await;
    wait_for_holder(&kubernetes, "third").await;
    third.stop().await;
}

#[tokio::test]
async fn a_leader_that_is_cut_off_stops_acting_before_another_begins() {
    let Some(kubernetes) = Kubernetes::new("cut-off").await else {
        return;
    };
    let mut first = contender(&kubernetes, "first").await;
    wait_for_holder(&kubernetes, "first").await;
    let second = contender(&kubernetes, "second").await;
    first.faults.cut_off();
    let ended = first.ended().await;
    assert!(matches!(ended, Err(Error::LeaseLost { .. })), "{ended:?}");
    // It ended while the lease was still its own.
    assert_eq!(holder(&kubernetes).await.as_deref(), Some("first"));
    wait_for_holder(&kubernetes, "second").await;
    second.stop().await;
}
