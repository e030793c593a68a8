//! The finalizer that keeps the API server from dropping a deleted cluster before its executors have drained.

use kube::ResourceExt;
use kube::api::Patch;
use serde_json::{Value, json};

use crate::render::TERMINATION_MARGIN_S;

/// Its name.
pub(crate) const FINALIZER: &str = "retail.dev/executors";
/// Seconds beyond a pod's own end after which its cluster waits no longer.
const MARGIN_S: i64 = 30;

/// Whether the object has our finalizer.
pub(crate) fn is_on(object: &impl ResourceExt) -> bool {
    object.finalizers().iter().any(|f| f == FINALIZER)
}

/// Adds it to the object as it was read, so that a finalizer that somebody else added meanwhile is not lost.
pub(crate) fn addition(object: &impl ResourceExt) -> Patch<Value> {
    let mut finalizers = object.finalizers().to_vec();
    finalizers.push(FINALIZER.to_owned());
    Patch::Merge(json!({ "metadata": {
        "finalizers": finalizers,
        "resourceVersion": object.resource_version(),
    } }))
}

/// Takes it, and no other, from just this object as it was read.
pub(crate) fn removal(object: &impl ResourceExt) -> Patch<Value> {
    let rest: Vec<_> = object
        .finalizers()
        .iter()
        .filter(|f| *f != FINALIZER)
        .collect();
    Patch::Merge(json!({ "metadata": {
        "finalizers": rest,
        "uid": object.uid(),
        "resourceVersion": object.resource_version(),
    } }))
}

/// Seconds after its deletion for which a cluster keeps it at most, by the `drainGraceSeconds` of its spec.
pub(crate) fn held_max_s(drain_grace_s: i64) -> i64 {
    drain_grace_s + TERMINATION_MARGIN_S + MARGIN_S
}
