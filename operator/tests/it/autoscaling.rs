//! Executors follow the work that a scheduler reports.

use std::time::Duration;

use serde_json::json;

use crate::support::kubernetes::Kubernetes;
use crate::support::operator::Operator;
use crate::support::scheduler::Scheduler;
use crate::support::wait;

#[tokio::test]
async fn executors_come_from_nothing_with_the_work_and_go_with_it() {
    let Some(kubernetes) = Kubernetes::new("follow").await else {
        return;
    };
    let operator = Operator::start(&kubernetes).await;
    let scheduler = Scheduler::idle().await;
    let scaling =
        json!({ "enabled": true, "min": 0, "max": 6, "stabilizationSeconds": 1, "idleSeconds": 3 });
    kubernetes
        .create(
            "shop",
            scheduler.port,
            json!({ "autoscaling": scaling, "slots": 2 }),
        )
        .await;
    kubernetes.wait_until_settled("shop", 0).await;

    scheduler.reports(json!({ "jobs_running": 1, "queries_waiting": 1 }));
    kubernetes.wait_until_settled("shop", 1).await;
    kubernetes
        .wait_for_condition("shop", "Ready", "False", "Unschedulable")
        .await;

    scheduler.reports(
        json!({ "jobs_running": 1, "tasks_running": 2, "tasks_queued": 6, "widest_stage": 8 }),
    );
    kubernetes.wait_until_settled("shop", 4).await;
    let status = kubernetes.status("shop").await;
    assert_eq!(
        (status.running_tasks, status.queued_tasks),
        (Some(2), Some(6))
    );
    let event = kubernetes.wait_for_event("shop", "ScaledUp").await;
    assert!(event.contains("executors (FollowsWork): "), "{event}");

    scheduler.reports(
        json!({ "jobs_running": 1, "tasks_running": 2, "tasks_queued": 60, "widest_stage": 62 }),
    );
    kubernetes.wait_until_settled("shop", 6).await;
    let message = kubernetes
        .wait_for_condition("shop", "ScalingLimited", "True", "AtMaximum")
        .await;
    assert_eq!(message, "the work calls for 31; autoscaling.max is 6");
    kubernetes.wait_for_event("shop", "AtMaximum").await;
    // Each step has an event of its own, none is only counted.
    for step in ["0 to 1 executors", "1 to 4 executors", "4 to 6 executors"] {
        kubernetes.wait_for_events("shop", "ScaledUp", step).await;
    }

    scheduler.reports(json!({ "jobs_running": 1, "tasks_running": 3, "widest_stage": 3 }));
    kubernetes.wait_until_settled("shop", 2).await;
    scheduler.reports(json!({}));
    kubernetes.wait_until_settled("shop", 0).await;
    kubernetes
        .wait_for_condition("shop", "ScalingLimited", "False", "Idle")
        .await;
    operator.stop().await;
}

#[tokio::test]
async fn an_unreachable_scheduler_changes_nothing() {
    let Some(kubernetes) = Kubernetes::new("unreachable").await else {
        return;
    };
    let operator = Operator::start(&kubernetes).await;
    let scheduler = Scheduler::idle().await;
    let scaling =
        json!({ "enabled": true, "min": 0, "max": 6, "stabilizationSeconds": 0, "idleSeconds": 0 });
    kubernetes
        .create("shop", scheduler.port, json!({ "autoscaling": scaling }))
        .await;
    scheduler.reports(json!({ "jobs_running": 1, "tasks_running": 6, "widest_stage": 6 }));
    kubernetes.wait_until_settled("shop", 3).await;

    scheduler.becomes_unavailable();
    let why = kubernetes
        .wait_for_condition("shop", "SchedulerReachable", "False", "Unreachable")
        .await;
    assert!(
        why.contains("answered 503: not ready: because; the number of executors stays as it is"),
        "{why}"
    );
    kubernetes
        .wait_for_event("shop", "SchedulerUnreachable")
        .await;
    let replicas = || kubernetes.replicas("shop");
    wait::always(
        "three executors stay",
        Duration::from_secs(2),
        replicas,
        |n| *n == Some(3),
    )
    .await;
    assert_eq!(kubernetes.status("shop").await.running_tasks, None);

    // A new leader without any memory changes nothing either.
    operator.stop().await;
    let operator = Operator::start(&kubernetes).await;
    wait::always(
        "three executors stay",
        Duration::from_secs(2),
        replicas,
        |n| *n == Some(3),
    )
    .await;

    scheduler.reports(json!({}));
    kubernetes.wait_until_settled("shop", 0).await;
    kubernetes
        .wait_for_event("shop", "SchedulerReachable")
        .await;
    operator.stop().await;
}
