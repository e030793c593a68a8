//! The definition of `RetailCluster` that is installed in the API server.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use super::RetailCluster;

/// Name of the definition.
pub const NAME: &str = "retailclusters.retail.dev";

const HEADER: &str = "\
# Made by `retail-operator crd`; a test holds that it is what the code makes.
# Helm installs it once and never changes it: before an upgrade, `kubectl apply --server-side -f` this file.
";

/// The definition.
pub fn definition() -> CustomResourceDefinition {
    RetailCluster::crd()
}

/// The definition as the file that the chart brings along.
///
/// # Errors
/// It cannot be written as YAML, which a test rules out.
pub(crate) fn yaml() -> Result<String, serde_saphyr::ser::Error> {
    Ok(format!(
        "{HEADER}{}",
        serde_saphyr::to_string(&definition())?
    ))
}

/// The first thing that the code's schema has and the installed one lacks, as a path such as `spec.workVolume`.
/// An API server drops fields that it does not know without a word, so an older definition must not go unseen.
pub fn missing_in(installed: &CustomResourceDefinition) -> Option<String> {
    let ours = schema(&definition())?;
    match schema(installed) {
        Some(theirs) => missing(&ours, &theirs, ""),
        None => Some("version v1alpha1".to_owned()),
    }
}

fn schema(definition: &CustomResourceDefinition) -> Option<Value> {
    let version = definition
        .spec
        .versions
        .iter()
        .find(|v| v.name == "v1alpha1" && v.served)?;
    let schema = version.schema.as_ref()?.open_api_v3_schema.as_ref()?;
    serde_json::to_value(schema).ok()
}

fn missing(ours: &Value, theirs: &Value, path: &str) -> Option<String> {
    let properties = ours.get("properties").and_then(Value::as_object);
    for (name, schema) in properties.into_iter().flatten() {
        let path = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        match theirs.get("properties").and_then(|p| p.get(name)) {
            None => return Some(path),
            Some(theirs) => {
                if let Some(missing) = missing(schema, theirs, &path) {
                    return Some(missing);
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_definition_is_recognised_by_what_it_lacks() {
        assert_eq!(missing_in(&definition()), None);
        let mut older = serde_json::to_value(definition()).unwrap();
        older
            .pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/autoscaling/properties")
            .and_then(Value::as_object_mut)
            .and_then(|p| p.remove("idleSeconds"))
            .unwrap();
        let older = serde_json::from_value(older).unwrap();
        assert_eq!(
            missing_in(&older).as_deref(),
            Some("spec.autoscaling.idleSeconds")
        );
    }

    #[test]
    fn the_chart_brings_the_definition_that_the_code_makes() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../helm/retail-cluster/crds/retailclusters.yaml"
        );
        let file = std::fs::read_to_string(path).unwrap();
        assert!(
            file == yaml().unwrap(),
            "{path} is stale: cargo run -p retail-operator -- crd > helm/retail-cluster/crds/retailclusters.yaml"
        );
    }
}
