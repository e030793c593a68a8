//! The operator against a real API server: etcd, kube-apiserver and the controllers of Kubernetes, without nodes.
//!
//! One file per promise. Each test has a namespace and an operator of its own, and that operator has no more rights
//! than `operator/rbac.yaml` grants.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(unreachable_pub, reason = "a test program exports nothing")]

mod autoscaling;
mod bad_input;
mod convergence;
mod definition;
mod faults;
mod leadership;
mod scale_by_hand;
mod support;
mod teardown;
