use k8s_openapi::api::core::v1::PodStatus;
use serde_json::{Value, json};

use super::*;

fn pod(status: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": { "name": "shop-executor-0" },
        "spec": { "nodeName": "node1", "containers": [] },
        "status": status,
    }))
    .unwrap()
}

fn container(state: Value, last: Value, restarts: i32) -> Value {
    json!({
        "phase": "Running",
        "containerStatuses": [{
            "name": "executor", "image": "retail:9", "imageID": "", "ready": false,
            "restartCount": restarts, "state": state, "lastState": last,
        }],
    })
}

fn waiting(reason: &str) -> Value {
    json!({ "waiting": { "reason": reason, "message": "because" } })
}

fn ended(code: i32, reason: &str) -> Value {
    json!({ "terminated": { "exitCode": code, "reason": reason } })
}

#[test]
fn what_a_pod_suffers_from_has_a_reason_and_a_sentence() {
    let backoff = || waiting("CrashLoopBackOff");
    let running = json!({ "running": {} });
    for (status, reason, part) in [
        (
            container(waiting("ImagePullBackOff"), json!({}), 0),
            "ImagePullFailed",
            "image retail:9: because",
        ),
        (
            container(waiting("ErrImageNeverPull"), json!({}), 0),
            "ImagePullFailed",
            "check spec.image",
        ),
        (
            container(waiting("CreateContainerConfigError"), json!({}), 0),
            "StartFailed",
            "because",
        ),
        (
            container(ended(137, "OOMKilled"), json!({}), 0),
            "OutOfMemory",
            "killed once",
        ),
        (
            container(backoff(), ended(137, "OOMKilled"), 4),
            "OutOfMemory",
            "killed 4 times",
        ),
        (
            container(backoff(), ended(64, "Error"), 1),
            "ConfigRefused",
            "names the setting",
        ),
        (
            container(backoff(), ended(101, "Error"), 2),
            "CrashLoop",
            "exit code 101",
        ),
        (
            container(running, ended(137, "OOMKilled"), 1),
            "OutOfMemory",
            "killed once",
        ),
        (
            json!({ "phase": "Running", "conditions": [
                { "type": "Ready", "status": "False" },
                { "type": "ContainersReady", "status": "True" },
            ] }),
            "NodeLost",
            "`kubectl delete node node1` lets the pod start on another",
        ),
        (
            json!({ "phase": "Failed", "reason": "Evicted", "message": "too much on disk" }),
            "Evicted",
            "Evicted: too much on disk",
        ),
        (
            json!({ "phase": "Pending", "conditions": [
                { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes" },
            ] }),
            "Unschedulable",
            "no node takes pod shop-executor-0: 0/3 nodes",
        ),
    ] {
        let diagnosis = of_pods(&[pod(status)]).unwrap();
        assert_eq!(diagnosis.reason, reason);
        assert!(diagnosis.message.contains(part), "{}", diagnosis.message);
    }
}

#[test]
fn pods_that_start_or_run_need_no_diagnosis() {
    let mut ready = container(json!({ "running": {} }), ended(0, "Completed"), 1);
    ready["containerStatuses"][0]["ready"] = json!(true);
    for status in [
        json!({ "phase": "Pending" }),
        json!({ "phase": "Running", "conditions": [
            { "type": "Ready", "status": "False" },
            { "type": "ContainersReady", "status": "False" },
        ] }),
        container(waiting("ContainerCreating"), json!({}), 0),
        container(json!({ "running": {} }), json!({}), 0),
        ready,
    ] {
        assert_eq!(of_pods(&[pod(status)]), None);
    }
    let bare = Pod {
        status: Some(PodStatus::default()),
        ..Pod::default()
    };
    assert_eq!(of_pods(&[bare]), None);
}

#[test]
fn of_several_diagnoses_the_most_telling_is_named_with_its_number() {
    let crash = || pod(container(waiting("CrashLoopBackOff"), ended(1, "Error"), 2));
    let image = || pod(container(waiting("ErrImagePull"), json!({}), 0));
    let diagnosis = of_pods(&[crash(), image(), image()]).unwrap();
    assert_eq!(diagnosis.reason, "ImagePullFailed");
    assert!(
        diagnosis.message.contains("2 executors"),
        "{}",
        diagnosis.message
    );
}

fn event(reason: &str, message: &str, second: u32) -> Event {
    serde_json::from_value(json!({
        "metadata": { "name": "e" },
        "involvedObject": {},
        "reason": reason,
        "message": message,
        "lastTimestamp": format!("2026-01-01T00:00:{second:02}Z"),
    }))
    .unwrap()
}

#[test]
fn a_pod_that_waits_in_silence_is_explained_by_its_newest_event() {
    let creating = json!({ "phase": "Pending", "containerStatuses": [{
        "name": "executor", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
        "state": waiting("ContainerCreating"),
    }] });
    assert!(silent_pod(&[pod(creating)]).is_some());
    assert!(silent_pod(&[pod(container(json!({ "running": {} }), json!({}), 0))]).is_none());

    let mount = |what: &str| format!("MountVolume.SetUp failed for volume \"v\" : {what}");
    let secret = event("FailedMount", &mount("secret \"s3-keys\" not found"), 9);
    let older = event("FailedMount", &mount("configmap \"c\" not found"), 1);
    let other = event("Scheduled", "assigned", 30);
    let diagnosis = of_pod_events("p", &[older.clone(), secret, other]).unwrap();
    assert_eq!(diagnosis.reason, "SecretMissing");
    assert!(
        diagnosis.message.contains("no Secret s3-keys"),
        "{}",
        diagnosis.message
    );
    assert_eq!(
        of_pod_events("p", &[older]).unwrap().reason,
        "ConfigMapMissing"
    );
    assert_eq!(
        of_pod_events("p", &[event("FailedMount", "disk on fire", 1)]).unwrap(),
        Diagnosis::new("MountFailed", "pod p cannot start: disk on fire")
    );
    assert_eq!(of_pod_events("p", &[]), None);
}
