//! Brings objects to what was rendered: server-side apply, and only where something differs.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::diagnosis::Diagnosis;
use crate::error::{Error, Result};
use crate::render::{MANAGER, RENDERED};

/// What can be applied and watched.
pub(crate) trait Owned:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
    + 'static
{
}

impl<K> Owned for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize
        + Send
        + Sync
        + 'static
{
}

/// What was applied last, and the version that came of it: while both are the same, there is nothing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Applied {
    wanted: String,
    resource_version: Option<String>,
}

/// Brings one object to `wanted`, and returns it as it is then.
///
/// Deleted or edited by others, it comes back; fields that others added and `wanted` does not have stay. An object that
/// cannot be changed to `wanted` (its immutable fields differ) is deleted without its pods, and created anew.
///
/// # Errors
/// The name is taken by an object of others, the object is being deleted, or a request failed.
pub(crate) async fn apply<K: Owned>(
    api: &Api<K>,
    store: &Store<K>,
    owner_uid: &str,
    wanted: &Value,
    last: &mut Option<Applied>,
) -> Result<K> {
    let name = wanted["metadata"]["name"].as_str().unwrap_or_default();
    let what = format!("{} {name}", K::kind(&()));
    let live = find(api, store, name).await?;
    if let Some(live) = &live {
        check_owner(live, owner_uid, &what)?;
        if live.meta().deletion_timestamp.is_some() {
            return Err(Error::Terminating { what });
        }
        let unchanged = Applied {
            wanted: wanted.to_string(),
            resource_version: live.resource_version(),
        };
        let same = last.as_ref() == Some(&unchanged)
            || serde_json::to_value(live).is_ok_and(|live| covers(&live, wanted));
        if same {
            return Ok(live.clone());
        }
    }
    let params = PatchParams::apply(MANAGER).force();
    match api.patch(name, &params, &Patch::Apply(wanted)).await {
        Ok(applied) => {
            tracing::info!(object = %what, namespace = ?api.namespace(), "applied");
            *last = Some(Applied {
                wanted: wanted.to_string(),
                resource_version: applied.resource_version(),
            });
            Ok(applied)
        }
        Err(kube::Error::Api(status)) if immutable(&status.message) && live.is_some() => {
            tracing::warn!(object = %what, reason = %status.message, "deleted to be created anew, because it cannot be changed");
            delete(api, live.as_ref(), PropagationPolicy::Orphan).await?;
            *last = None;
            Err(Error::Terminating { what })
        }
        Err(kube::Error::Api(status)) if status.is_invalid() || status.code == 400 => {
            Err(Error::Blocked {
                diagnosis: Diagnosis::new(
                    "SpecRefused",
                    format!(
                        "the API server refuses the {what} that this spec makes: {}",
                        status.message
                    ),
                ),
            })
        }
        Err(source) => Err(Error::api("apply", what)(source)),
    }
}

/// The object as the watch last saw it. What the watch does not know may still be there under other labels.
pub(crate) async fn find<K: Owned>(
    api: &Api<K>,
    store: &Store<K>,
    name: &str,
) -> Result<Option<K>> {
    let namespace = api.namespace().unwrap_or_default();
    if let Some(live) = store.get(&ObjectRef::new(name).within(namespace)) {
        return Ok(Some((*live).clone()));
    }
    let what = || format!("{} {name}", K::kind(&()));
    api.get_opt(name).await.map_err(Error::api("read", what()))
}

/// Deletes an object that was seen, not one that took its name since. Gone already is fine.
pub(crate) async fn delete<K: Owned>(
    api: &Api<K>,
    live: Option<&K>,
    how: PropagationPolicy,
) -> Result<()> {
    let Some(live) = live else { return Ok(()) };
    let params = DeleteParams {
        propagation_policy: Some(how),
        preconditions: live.uid().map(|uid| Preconditions {
            uid: Some(uid),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match api.delete(&live.name_any(), &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        Err(source) => Err(Error::api(
            "delete",
            format!("{} {}", K::kind(&()), live.name_any()),
        )(source)),
    }
}

/// Whether an object is the cluster's own.
pub(crate) fn owned_by<K: Owned>(live: &K, owner_uid: &str) -> bool {
    live.owner_references().iter().any(|o| o.uid == owner_uid)
}

/// Ours are those with our owner reference, and those that lost it but carry our label or annotation.
fn check_owner<K: Owned>(live: &K, owner_uid: &str, what: &str) -> Result<()> {
    if owned_by(live, owner_uid) {
        return Ok(());
    }
    let owner = live
        .owner_references()
        .iter()
        .find(|o| o.controller == Some(true));
    let label = live.labels().get("app.kubernetes.io/managed-by");
    let marked = label.is_some_and(|by| by == MANAGER) || live.annotations().contains_key(RENDERED);
    match owner {
        None if marked => Ok(()),
        // Of a cluster of the same name that was deleted: the garbage collector takes it away.
        Some(owner) if owner.kind == "RetailCluster" => Err(Error::Terminating {
            what: what.to_owned(),
        }),
        owner => {
            let whose = match owner {
                Some(owner) => format!("belongs to {} {}", owner.kind, owner.name),
                None => "was made by somebody else".to_owned(),
            };
            Err(Error::Blocked {
                diagnosis: Diagnosis::new(
                    "NameTaken",
                    format!(
                        "{what} is there already and {whose}: delete it, or give the RetailCluster another name"
                    ),
                ),
            })
        }
    }
}

fn immutable(message: &str) -> bool {
    [
        "updates to statefulset spec for fields other than",
        "field is immutable",
        "may not change once set",
    ]
    .iter()
    .any(|part| message.contains(part))
}

/// Whether `live` has everything that `wanted` has. Defaults and what others added are ignored; lists are ours as a
/// whole.
pub(crate) fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| live.get(key).is_some_and(|live| covers(live, wanted))),
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len()
                && live
                    .iter()
                    .zip(wanted)
                    .all(|(live, wanted)| covers(live, wanted))
        }
        (live, wanted) => live == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_added_does_not_count_and_what_they_changed_does() {
        let wanted = json!({ "a": 1, "list": [{ "name": "x" }], "map": { "k": "v" } });
        for (live, expected) in [
            (
                json!({ "a": 1, "list": [{ "name": "x", "default": 3 }], "map": { "k": "v", "more": 1 }, "z": 0 }),
                true,
            ),
            (
                json!({ "a": 2, "list": [{ "name": "x" }], "map": { "k": "v" } }),
                false,
            ),
            (
                json!({ "a": 1, "list": [{ "name": "x" }, { "name": "y" }], "map": { "k": "v" } }),
                false,
            ),
            (
                json!({ "a": 1, "list": [{ "name": "x" }], "map": {} }),
                false,
            ),
            (json!({}), false),
        ] {
            assert_eq!(covers(&live, &wanted), expected, "{live}");
        }
    }

    #[test]
    fn only_immutable_fields_are_a_reason_to_make_an_object_anew() {
        assert!(immutable(
            "StatefulSet.apps \"a\" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas'"
        ));
        assert!(!immutable(
            "StatefulSet.apps \"a\" is invalid: spec.template.spec.containers[0].resources.requests: Invalid value"
        ));
    }
}
