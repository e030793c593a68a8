"""The chart with the operator on a real node: executors follow `kubectl scale` and the work, to zero and back, and a
removed release leaves nothing behind."""

import json
import re
import shutil
import time
import unittest
import urllib.parse
import urllib.request

import yaml

import cluster
import images
from cluster import executors, get, helm, install, kubectl, wait_for
from test_chart import Chart


def cluster_status():
    return json.loads(kubectl("get", "retailcluster/retail", "-o", "json")).get("status", {})


def targets():
    """Every port of every pod, as Prometheus' discovery of pods would name it."""
    found = []
    for pod in json.loads(kubectl("get", "pods", "-o", "json"))["items"]:
        labels = {"__meta_kubernetes_pod_name": pod["metadata"]["name"], "__meta_kubernetes_namespace": pod["metadata"]["namespace"]}
        for key, value in pod["metadata"]["labels"].items():
            labels["__meta_kubernetes_pod_label_" + re.sub(r"[^A-Za-z0-9]", "_", key)] = value
        for port in [port for container in pod["spec"]["containers"] for port in container.get("ports", [])]:
            labels["__meta_kubernetes_pod_container_port_name"] = port.get("name", "")
            found.append({"targets": [f"{pod['status'].get('podIP')}:{port['containerPort']}"], "labels": dict(labels)})
    return found


def condition(kind):
    """(status, reason, message) of a condition of the RetailCluster."""
    found = [c for c in cluster_status().get("conditions", []) if c["type"] == kind]
    return (found[0]["status"], found[0]["reason"], found[0]["message"]) if found else ("", "", "")


class WithOperator(Chart):
    settings = ("--set", "executors.drainGraceSeconds=30", "--set", "executors.replicas=null",
                "--set", "scheduler.shutdownGraceSeconds=60", "--set-json", "operator.config.scaling.poll_s=0.5")

    @classmethod
    def setUpClass(cls):
        # In the first seconds of a new cluster there is one executor: nobody has set how many.
        cluster.prerequisites()
        cls.addClassCleanup(cluster.remove)
        cluster.stores()
        print(f"\n{cls.__name__}: helm install --wait took {install(*cls.settings):.1f} s", flush=True)
        kubectl("scale", "retailcluster/retail", "--replicas=2")
        wait_for("two executors", 90, lambda: executors() == 2)
        cls.marketplace = cluster.Marketplace(cluster.ORDERS)
        cls.marketplace.run_quietly()

    def back(self):
        """To two executors and the settings of the class, whatever a test has changed."""
        install(*self.settings)
        kubectl("scale", "retailcluster/retail", "--replicas=2")


class Operated(WithOperator):
    def test_helm_test_runs_a_job_and_reads_its_table(self):
        out = helm("test", "retail", "--logs").stdout
        self.assertIn("Phase:          Succeeded", out)
        self.assertIn("total\n60", out)

    def test_kubectl_shows_what_there_is(self):
        wait_for("status", 60, lambda: cluster_status().get("ready") == 2)
        table = kubectl("get", "retailclusters").splitlines()
        self.assertEqual(table[0].split(), ["NAME", "READY", "EXECUTORS", "DESIRED", "RUNNING-TASKS", "QUEUED-TASKS", "AGE"])
        self.assertEqual(table[1].split()[:4], ["retail", "2", "2", "2"])
        for kind in ("statefulset", "service", "poddisruptionbudget"):
            self.assertEqual(get(f"{kind}/retail-executor", ".metadata.ownerReferences[0].kind"), "RetailCluster")

    def test_the_executors_take_the_settings_of_the_chart(self):
        pod = json.loads(kubectl("get", "pod/retail-executor-0", "-o", "json"))
        container = pod["spec"]["containers"][0]
        self.assertEqual(pod["spec"]["serviceAccountName"], "retail-executor")
        self.assertFalse(pod["spec"]["automountServiceAccountToken"])
        self.assertEqual(container["resources"]["limits"]["memory"], "1Gi")
        self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"])
        self.assertIn("/etc/retail/secrets/retail-s3", [mount["mountPath"] for mount in container["volumeMounts"]])
        self.assertEqual(pod["metadata"]["labels"]["app.kubernetes.io/component"], "executor")

    def test_kubectl_scale_adds_and_removes_executors_and_an_upgrade_leaves_them(self):
        kubectl("scale", "retailcluster/retail", "--replicas=3")
        wait_for("three executors", 90, lambda: executors() == 3)
        done = helm("upgrade", "retail", cluster.CHART, "-f", cluster.CHART / "values-kind.yaml", *self.settings, "--wait", "--timeout", "120s")
        self.assertEqual(done.returncode, 0, "no conflict over the number of executors")
        self.assertEqual(get("retailcluster/retail", ".spec.replicas"), "3")
        kubectl("scale", "retailcluster/retail", "--replicas=2")
        wait_for("two executors", 120, lambda: executors() == 2)

    def test_executors_follow_the_work_to_zero_and_back_under_a_job(self):
        self.addCleanup(self.back)
        install(*self.settings, "--set", "executors.autoscaling.enabled=true", "--set", "executors.autoscaling.min=0",
                "--set", "executors.autoscaling.max=3", "--set", "executors.autoscaling.stabilizationSeconds=2",
                "--set", "executors.autoscaling.idleSeconds=3", "--set", "executors.autoscaling.tasksPerExecutor=1")
        wait_for("no executors", 120, lambda: executors() == 0 and condition("Ready")[1] == "ScaledToZero")
        started = time.monotonic()
        job = self.marketplace.start()
        wait_for("an executor", 120, lambda: executors() > 0)
        print(f"\nfrom zero to the first executor took {time.monotonic() - started:.1f} s")
        most = wait_for("more executors than one", 120, lambda: cluster_status()["desired"] > 1 and cluster_status()["desired"])
        self.assertLessEqual(most, 3)
        # Not that it waited: the first executor may be there before its models are planned.
        self.assertIn("0 executors (0 slots)", self.marketplace.finish(job))
        self.marketplace.published_anew()
        wait_for("no executors", 180, lambda: executors() == 0 and cluster_status()["executors"] == 0)
        events = kubectl("get", "events", "--field-selector", "involvedObject.kind=RetailCluster")
        self.assertIn("0 to 1 executors", events)
        self.assertIn("there is no work", events)

    def test_prometheus_of_kind_scrapes_every_pod_and_its_alerts_load(self):
        program = shutil.which("prometheus")
        if not program:
            self.skipTest("Prometheus is not installed")
        manifests = list(yaml.safe_load_all((cluster.ROOT / "kind/monitoring.yaml").read_text()))
        ours = [thing for thing in manifests if thing["metadata"]["name"] == "prometheus"]
        [image] = [thing["spec"]["template"]["spec"]["containers"][0]["image"] for thing in ours if thing["kind"] == "Deployment"]
        images.load(cluster.prerequisites()["containerd"], image, lambda root: images.prometheus(root, program))
        [settings] = [thing for thing in ours if thing["kind"] == "ConfigMap"]
        known = yaml.safe_load(settings["data"]["prometheus.yml"])
        # Debian's Prometheus cannot look pods up itself. It is given them as it would find them: all, by port and label.
        for job in known["scrape_configs"]:
            self.assertEqual(job.pop("kubernetes_sd_configs"), [{"role": "pod", "namespaces": {"names": [cluster.NAMESPACE]}}])
            job["static_configs"] = targets()
        settings["data"]["prometheus.yml"] = yaml.safe_dump(known)
        alerts = [f"--from-file={file}" for file in sorted((cluster.ROOT / "grafana/alerts").glob("*.y*ml"))]
        kubectl("create", "configmap", "prometheus-alerts", *alerts)
        kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(ours))
        self.addCleanup(kubectl, "delete", "-f", "-", stdin=yaml.safe_dump_all(ours))
        self.addCleanup(kubectl, "delete", "configmap", "prometheus-alerts")
        kubectl("rollout", "status", "deployment/prometheus", "--timeout=90s")

        def ask(path):
            with urllib.request.urlopen(f"http://{cluster.address('prometheus')}:9090/api/v1/{path}", timeout=10) as answer:
                return json.load(answer)["data"]

        def scraped():
            try:
                found = ask("query?query=up")["result"]
            except OSError:  # the Service learns of its pod a moment later
                return False
            up = [(one["metric"]["job"], one["value"][1]) for one in found]
            return sorted(up) == [("retail-executor", "1"), ("retail-executor", "1"), ("retail-operator", "1"), ("retail-scheduler", "1")]

        wait_for("four targets", 60, scraped)
        rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
        self.assertGreater(len(rules), 3)
        wait_for("rules looked at", 60, lambda: all(rule["health"] == "ok" for group in ask("rules")["groups"] for rule in group["rules"]))
        firing = [alert["labels"]["alertname"] for alert in ask("alerts")["alerts"] if alert["state"] == "firing"]
        self.assertEqual(firing, [], "nothing is wrong")
        # The operator's count of executors and the scheduler's.
        for query in ("retail_operator_executors", "sum(retail_executors{state='active'})"):
            wait_for(query, 30, lambda: [one["value"][1] for one in ask("query?" + urllib.parse.urlencode({"query": query}))["result"]] == ["2"])

    def test_uninstall_lets_the_executors_drain_and_leaves_nothing(self):
        self.addCleanup(self.back)
        job = self.marketplace.start()
        self.marketplace.in_the_middle(job)
        log = cluster.Follow("retail-executor-0")
        started = time.monotonic()
        helm("uninstall", "retail", "--wait", "--timeout", "180s")
        print(f"\nhelm uninstall in mid-job took {time.monotonic() - started:.1f} s")
        kinds = "retailclusters,statefulsets,deployments,jobs,services,poddisruptionbudgets,roles,rolebindings,serviceaccounts,networkpolicies"
        left = kubectl("get", kinds, "-l", "app.kubernetes.io/instance=retail", "-o", "name").split()
        self.assertEqual(left, [])
        self.assertIn("executor left", log.text())
        # Nobody needs the pods of `helm test`; the scheduler gives the job its shutdownGraceSeconds to end.
        pods = "app.kubernetes.io/instance=retail,app.kubernetes.io/component!=test"
        wait_for("no pods", 120, lambda: not kubectl("get", "pods", "-l", pods, "-o", "name").strip())
        self.assertIn("is being deleted", kubectl("get", "events", "--field-selector", "involvedObject.kind=RetailCluster,reason=Draining"))
        # The executors stay for as long as the job needs their rows: it may have come to its end.
        self.marketplace.published_all_or_nothing()

    def test_uninstall_needs_no_operator_that_works(self):
        self.addCleanup(self.back)
        kubectl("delete", "deployment/retail-operator", "--wait")
        wait_for("the operator gone", 60, lambda: not kubectl("get", "pods", "-l", "app.kubernetes.io/component=operator", "-o", "name").strip())
        helm("uninstall", "retail", "--wait", "--timeout", "120s")
        self.assertEqual(kubectl("get", "retailclusters", "-o", "name").strip(), "")
        wait_for("no executors", 90, lambda: not kubectl("get", "pods,statefulsets", "-l", "app.kubernetes.io/component=executor", "-o", "name").strip())


if __name__ == "__main__":
    unittest.main()
