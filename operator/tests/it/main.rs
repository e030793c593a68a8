//! The operator against a real API server: etcd, kube-apiserver and the controllers of Kubernetes, without nodes.
//!
//! One file per promise. Each test has a namespace and an operator of its own, and that operator has no more rights
//! than `operator/rbac.yaml` gives it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod autoscaling;
mod bad_input;
mod convergence;
mod definition;
mod faults;
mod leadership;
mod leaving;
mod scale_by_hand;
mod support;
