//! A running operator that may do no more than `operator/rbac.yaml` grants.

use std::sync::{Arc, Mutex};

use http::{Request, Response};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::client::{Body, ClientBuilder};
use retail_operator::ClusterStates;
use retail_operator::Config;
use retail_operator::Result;
use retail_telemetry::Readiness;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::faults::{FaultLayer, Faults};
use super::kubernetes::Kubernetes;

const RBAC: &str = include_str!("../../../rbac.yaml");

pub struct Operator {
    pub readiness: Readiness,
    pub faults: Faults,
    refused: Arc<Mutex<Vec<String>>>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<()>>,
}

impl Operator {
    /// Starts one that reconciles the clusters of the test's namespace, and acts at once.
    pub async fn start(kubernetes: &Kubernetes) -> Self {
        Self::start_with(kubernetes, |config| config.leader.enabled = false).await
    }

    /// Starts one that is shown this definition in place of the installed one.
    pub async fn start_seeing(
        kubernetes: &Kubernetes,
        definition: Option<serde_json::Value>,
    ) -> Self {
        let faults = Faults::none();
        faults.show(definition);
        Self::launch(kubernetes, |config| config.leader.enabled = false, faults).await
    }

    /// Starts one with other settings.
    pub async fn start_with(kubernetes: &Kubernetes, change: impl FnOnce(&mut Config)) -> Self {
        Self::launch(kubernetes, change, Faults::none()).await
    }

    async fn launch(
        kubernetes: &Kubernetes,
        change: impl FnOnce(&mut Config),
        faults: Faults,
    ) -> Self {
        let mut config = Config::default();
        config.kubernetes.namespace = kubernetes.namespace.clone();
        config.kubernetes.timeout_s = 5.0;
        config.kubernetes.retry_max_s = 1.0;
        config.leader.namespace = kubernetes.namespace.clone();
        config.scaling.poll_s = 0.2;
        config.scaling.timeout_s = 1.0;
        change(&mut config);
        let refused = Arc::new(Mutex::new(vec![]));
        let client = client(kubernetes, &faults, &refused).await;
        let readiness = Readiness::waiting("not started");
        let (stop, stopped) = oneshot::channel::<()>();
        let ready = readiness.clone();
        let task = tokio::spawn(async move {
            let stop = async {
                let _ = stopped.await;
            };
            retail_operator::run(client, &config, &ready, ClusterStates::default(), stop).await
        });
        Self {
            readiness,
            faults,
            refused,
            stop: Some(stop),
            task,
        }
    }

    /// Ends it as SIGTERM would.
    pub async fn stop(mut self) {
        let _ = self.stop.take().unwrap().send(());
        (&mut self.task).await.unwrap().unwrap();
        self.nothing_was_refused();
    }

    /// Ends it as a power cut would.
    pub fn kill(self) {
        self.task.abort();
    }

    /// How it ended.
    pub async fn ended(&mut self) -> Result<()> {
        (&mut self.task).await.unwrap()
    }

    fn nothing_was_refused(&self) {
        let refused = self.refused.lock().unwrap();
        assert!(
            refused.is_empty(),
            "rbac.yaml does not allow it: {refused:#?}"
        );
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.task.abort();
        if !std::thread::panicking() {
            self.nothing_was_refused();
        }
    }
}

/// A client with the rights of a service account that has the operator's roles, and with faults in its way.
async fn client(
    kubernetes: &Kubernetes,
    faults: &Faults,
    refused: &Arc<Mutex<Vec<String>>>,
) -> Client {
    let token = account(kubernetes).await;
    let mut config = kubernetes.config.clone();
    config.auth_info = kube::config::AuthInfo {
        token: Some(token.into()),
        ..Default::default()
    };
    config.default_namespace = kubernetes.namespace.clone();
    let refused = Arc::clone(refused);
    let watch_refusals = tower::layer::layer_fn(move |inner| Refusals {
        inner,
        refused: Arc::clone(&refused),
    });
    ClientBuilder::try_from(config)
        .unwrap()
        .with_layer(&watch_refusals)
        .with_layer(&FaultLayer(faults.clone()))
        .build()
}

/// Keeps every request that the API server refused for lack of rights.
#[derive(Clone)]
struct Refusals<S> {
    inner: S,
    refused: Arc<Mutex<Vec<String>>>,
}

impl<S, B> tower::Service<Request<Body>> for Refusals<S>
where
    S: tower::Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Send,
    B: Send,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = futures::future::BoxFuture<'static, std::result::Result<Response<B>, S::Error>>;

    fn poll_ready(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::result::Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let requested = format!("{} {}", request.method(), request.uri());
        let refused = Arc::clone(&self.refused);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            if answer.status() == http::StatusCode::FORBIDDEN {
                refused.lock().unwrap().push(requested);
            }
            Ok(answer)
        })
    }
}

async fn account(kubernetes: &Kubernetes) -> String {
    let namespace = &kubernetes.namespace;
    let accounts: Api<ServiceAccount> = kubernetes.api();
    let account =
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "operator" } });
    let params = PatchParams::apply("tests").force();
    accounts
        .patch("operator", &params, &Patch::Apply(account))
        .await
        .unwrap();
    let documents = serde_saphyr::from_multiple::<serde_json::Value>(RBAC).unwrap();
    let [cluster_role, role] = &documents[..] else {
        panic!("rbac.yaml holds two roles")
    };
    let roles: Api<ClusterRole> = Api::all(kubernetes.client.clone());
    roles
        .patch("retail-operator", &params, &Patch::Apply(cluster_role))
        .await
        .unwrap();
    kubernetes
        .api::<Role>()
        .patch("retail-operator", &params, &Patch::Apply(role))
        .await
        .unwrap();
    let subjects =
        json!([{ "kind": "ServiceAccount", "name": "operator", "namespace": namespace }]);
    let binding = |kind: &str, role: &str, name: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": { "name": name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": "retail-operator" },
            "subjects": subjects,
        })
    };
    let bindings: Api<ClusterRoleBinding> = Api::all(kubernetes.client.clone());
    let everywhere = binding("ClusterRoleBinding", "ClusterRole", namespace);
    bindings
        .patch(namespace, &params, &Patch::Apply(everywhere))
        .await
        .unwrap();
    let here = binding("RoleBinding", "Role", "operator");
    kubernetes
        .api::<RoleBinding>()
        .patch("operator", &params, &Patch::Apply(here))
        .await
        .unwrap();
    let wish = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: Some(3600),
            ..Default::default()
        },
        ..Default::default()
    };
    let token: TokenRequest = accounts
        .create_subresource("token", "operator", &PostParams::default(), &wish)
        .await
        .unwrap();
    token.status.unwrap().token
}
