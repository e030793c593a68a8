//! One namespace of the API server, and what a test does in it as its administrator.

use std::sync::atomic::{AtomicU32, Ordering};

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, ResourceExt};
use retail_operator::crd::{RetailCluster, RetailClusterStatus, document};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{prerequisites, wait};

static DEFINED: OnceCell<()> = OnceCell::const_new();

pub struct Kubernetes {
    pub config: Config,
    pub client: Client,
    pub namespace: String,
}

impl Kubernetes {
    /// A fresh namespace; `None` where there is no API server, and then the test reports so.
    pub async fn new(test: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let path = prerequisites::kubeconfig()?;
        let kubeconfig = Kubeconfig::read_from(path).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .unwrap();
        let client = Client::try_from(config.clone()).unwrap();
        DEFINED.get_or_init(|| define(client.clone())).await;
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let namespace = format!("{test}-{}-{count}", std::process::id());
        let object: Namespace =
            serde_json::from_value(json!({ "metadata": { "name": namespace } })).unwrap();
        Api::all(client.clone())
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
        let kubernetes = Self {
            config,
            client,
            namespace,
        };
        wait::until(
            "the namespace has its service account",
            || async {
                kubernetes
                    .api::<k8s_openapi::api::core::v1::ServiceAccount>()
                    .get_opt("default")
                    .await
                    .unwrap()
            },
            Option::is_some,
        )
        .await;
        Some(kubernetes)
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Makes a cluster whose scheduler is at a loopback port.
    pub async fn create(&self, name: &str, port: u16, more: Value) -> RetailCluster {
        let cluster: RetailCluster =
            serde_json::from_value(self.cluster(name, port, more)).unwrap();
        self.api()
            .create(&PostParams::default(), &cluster)
            .await
            .unwrap()
    }

    /// A cluster as a person would write it.
    pub fn cluster(&self, name: &str, port: u16, more: Value) -> Value {
        let mut spec = json!({
            "schedulerService": "127.0.0.1",
            "schedulerAdminPort": port,
            "image": "retail:test",
            "resources": { "limits": { "memory": "1Gi" } },
            "drainGraceSeconds": 1,
        });
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({
            "apiVersion": "retail.dev/v1alpha1",
            "kind": "RetailCluster",
            "metadata": { "name": name, "namespace": self.namespace },
            "spec": spec,
        })
    }

    /// Changes a cluster's spec.
    pub async fn edit(&self, name: &str, spec: Value) {
        self.patch::<RetailCluster>(name, json!({ "spec": spec }))
            .await;
    }

    pub async fn patch<K>(&self, name: &str, patch: Value)
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let params = PatchParams {
            field_manager: Some("a-person".to_owned()),
            ..PatchParams::default()
        };
        self.api::<K>()
            .patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap();
    }

    pub async fn delete<K>(&self, name: &str)
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        self.api::<K>()
            .delete(name, &DeleteParams::background())
            .await
            .unwrap();
    }

    pub async fn put<K>(&self, object: Value) -> K
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned
            + Serialize,
    {
        let object: K = serde_json::from_value(object).unwrap();
        self.api::<K>()
            .create(&PostParams::default(), &object)
            .await
            .unwrap()
    }

    pub async fn set(&self, cluster: &str) -> Option<StatefulSet> {
        self.api()
            .get_opt(&format!("{cluster}-executor"))
            .await
            .unwrap()
    }

    pub async fn service(&self, cluster: &str) -> Option<Service> {
        self.api()
            .get_opt(&format!("{cluster}-executor"))
            .await
            .unwrap()
    }

    pub async fn budget(&self, cluster: &str) -> Option<PodDisruptionBudget> {
        self.api()
            .get_opt(&format!("{cluster}-executor"))
            .await
            .unwrap()
    }

    /// Executors that the StatefulSet asks for; `None` without one.
    pub async fn replicas(&self, cluster: &str) -> Option<i32> {
        self.set(cluster)
            .await
            .and_then(|s| s.spec)
            .and_then(|s| s.replicas)
    }

    pub async fn wait_for_replicas(&self, cluster: &str, replicas: i32) {
        wait::until(
            "the number of executors is right",
            || self.replicas(cluster),
            |n| *n == Some(replicas),
        )
        .await;
    }

    pub async fn status(&self, cluster: &str) -> RetailClusterStatus {
        let cluster: Option<RetailCluster> = self.api().get_opt(cluster).await.unwrap();
        cluster.and_then(|c| c.status).unwrap_or_default()
    }

    /// Waits until a condition has a status and a reason, and returns its message.
    pub async fn wait_for_condition(
        &self,
        cluster: &str,
        type_: &str,
        status: &str,
        reason: &str,
    ) -> String {
        let found = wait::until(
            &format!("{type_} is {status} because of {reason}"),
            || async { self.status(cluster).await.conditions },
            |all| {
                all.iter()
                    .any(|c| c.type_ == type_ && c.status == status && c.reason == reason)
            },
        )
        .await;
        found
            .into_iter()
            .find(|c| c.type_ == type_)
            .unwrap()
            .message
    }

    /// Waits until the cluster has its event, and returns its text.
    pub async fn wait_for_event(&self, cluster: &str, reason: &str) -> String {
        self.wait_for_events(cluster, reason, "").await.remove(0)
    }

    /// Waits for an event of that reason whose text has `part`, and returns all of them.
    pub async fn wait_for_events(&self, cluster: &str, reason: &str, part: &str) -> Vec<String> {
        let fields = format!("involvedObject.name={cluster},reason={reason}");
        let read = || async {
            let events = self
                .api::<Event>()
                .list(&ListParams::default().fields(&fields))
                .await
                .unwrap();
            events
                .items
                .into_iter()
                .filter_map(|e| e.message)
                .collect::<Vec<_>>()
        };
        wait::until(&format!("event {reason} {part}"), read, |all| {
            all.iter().any(|text| text.contains(part))
        })
        .await
    }

    /// Waits until the set has as many pods as it asks for, and the status reports so.
    pub async fn wait_until_settled(&self, cluster: &str, replicas: i32) {
        self.wait_for_replicas(cluster, replicas).await;
        let read = || async { self.status(cluster).await };
        wait::until("the status follows", read, |s| {
            s.desired == replicas && s.executors == replicas
        })
        .await;
    }

    pub async fn wait_until_gone(&self, cluster: &str) {
        let read = || async {
            let names: Vec<String> = [
                self.api::<RetailCluster>()
                    .get_opt(cluster)
                    .await
                    .unwrap()
                    .map(|c| c.name_any()),
                self.set(cluster).await.map(|o| o.name_any()),
                self.service(cluster).await.map(|o| o.name_any()),
                self.budget(cluster).await.map(|o| o.name_any()),
            ]
            .into_iter()
            .flatten()
            .collect();
            names
        };
        wait::until("nothing of the cluster is left", read, Vec::is_empty).await;
    }

    pub async fn config_map(&self, name: &str, config: &str) {
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "config.toml": config },
        });
        self.api::<ConfigMap>()
            .patch(
                name,
                &PatchParams::apply("a-person").force(),
                &Patch::Apply(map),
            )
            .await
            .unwrap();
    }

    /// Everything of a kind in the namespace, by name.
    pub async fn names<K>(&self) -> Vec<String>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let list = self.api::<K>().list(&ListParams::default()).await.unwrap();
        let mut names: Vec<_> = list
            .items
            .iter()
            .map(|o| o.meta().name.clone().unwrap_or_default())
            .collect();
        names.sort();
        names
    }
}

/// Installs our definition, and waits until it is served.
async fn define(client: Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    api.patch(
        document::NAME,
        &PatchParams::apply("tests").force(),
        &Patch::Apply(document::definition()),
    )
    .await
    .unwrap();
    let read = || async {
        Api::<RetailCluster>::all(client.clone())
            .list(&ListParams::default())
            .await
            .is_ok()
    };
    wait::until("RetailClusters are served", read, |served| *served).await;
}
