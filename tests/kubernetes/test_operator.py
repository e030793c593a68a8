"""The chart with the operator on a real node: executors follow `kubectl scale` and the work, to zero and back."""

import json
import os
import time
import unittest

import cluster
from cluster import executors, get, install, kubectl, wait_for
from test_chart import Chart


def cluster_status():
    return json.loads(kubectl("get", "retailcluster/retail", "-o", "json")).get("status", {})


class WithOperator(Chart):
    settings = ("--set", "executors.drainGraceSeconds=30", "--set", "executors.replicas=null", "--set-json", "operator.config.scaling.poll_s=0.5")

    @classmethod
    def setUpClass(cls):
        cluster.needs()
        if not os.path.exists(os.path.join(os.environ["RETAIL_TEST_BINARIES"], "retail-operator")):
            raise unittest.SkipTest("no retail-operator in RETAIL_TEST_BINARIES")
        cls.addClassCleanup(cluster.remove)
        cluster.stores()
        took = install(*cls.settings)
        print(f"\n{cls.__name__}: helm install --wait took {took:.1f} s", flush=True)
        kubectl("scale", "retailcluster/retail", "--replicas=2")
        wait_for("two executors", 90, lambda: executors() == 2)
        cls.shop = cluster.Shop(os.environ.get("RETAIL_TEST_ORDERS", "5000"))

    def test_1_helm_test_runs_a_job_and_reads_its_table(self):
        out = cluster.helm("test", "retail", "--logs").stdout
        self.assertIn("Phase:          Succeeded", out)
        self.assertIn("total\n60", out)

    def test_2_kubectl_shows_what_there_is(self):
        wait_for("status", 60, lambda: cluster_status().get("ready") == 2)
        table = kubectl("get", "retailclusters").splitlines()
        self.assertEqual(table[0].split(), ["NAME", "READY", "EXECUTORS", "DESIRED", "RUNNING-TASKS", "QUEUED-TASKS", "AGE"])
        self.assertEqual(table[1].split()[:4], ["retail", "2", "2", "2"])
        for kind in ("statefulset", "service", "poddisruptionbudget"):
            self.assertEqual(get(f"{kind}/retail-executor", ".metadata.ownerReferences[0].kind"), "RetailCluster")

    def test_3_the_executors_take_the_settings_of_the_chart(self):
        pod = json.loads(kubectl("get", "pod/retail-executor-0", "-o", "json"))
        container = pod["spec"]["containers"][0]
        self.assertEqual(pod["spec"]["serviceAccountName"], "retail-executor")
        self.assertFalse(pod["spec"]["automountServiceAccountToken"])
        self.assertEqual(container["resources"]["limits"]["memory"], "1Gi")
        self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"])
        self.assertIn("/etc/retail/secrets/retail-s3", [mount["mountPath"] for mount in container["volumeMounts"]])
        self.assertEqual(pod["metadata"]["labels"]["app.kubernetes.io/component"], "executor")

    def test_4_kubectl_scale_adds_and_removes_executors_and_an_upgrade_leaves_them(self):
        started = time.monotonic()
        kubectl("scale", "retailcluster/retail", "--replicas=3")
        wait_for("three executors", 90, lambda: executors() == 3)
        print(f"\nscale to 3 took {time.monotonic() - started:.1f} s")
        done = cluster.helm("upgrade", "retail", cluster.CHART, "-f", cluster.CHART / "values-kind.yaml", *self.settings, "--wait", "--timeout", "120s")
        self.assertEqual(done.returncode, 0, "no conflict over the number of executors")
        self.assertEqual(get("retailcluster/retail", ".spec.replicas"), "3")
        kubectl("scale", "retailcluster/retail", "--replicas=2")
        wait_for("two executors", 120, lambda: executors() == 2)

    def test_5_a_retail_job_while_an_executor_is_evicted(self):
        job = self.shop.start()
        self.shop.in_the_middle(job)
        kubectl("delete", "pod", "retail-executor-1", "--wait=false")
        self.shop.finish(job)
        self.shop.verify()
        wait_for("two executors", 120, lambda: executors() == 2)

    def test_6_an_idle_cluster_goes_to_zero_and_comes_back_for_a_job(self):
        install(*self.settings, "--set", "executors.autoscaling.enabled=true", "--set", "executors.autoscaling.min=0",
                "--set", "executors.autoscaling.max=3", "--set", "executors.autoscaling.stabilizationSeconds=2",
                "--set", "executors.autoscaling.idleSeconds=3")
        wait_for("no executors", 120, lambda: executors() == 0)
        started = time.monotonic()
        job = self.shop.start()
        wait_for("an executor", 120, lambda: executors() > 0)
        print(f"\nfrom zero to the first executor took {time.monotonic() - started:.1f} s")
        self.shop.finish(job)
        self.shop.verify()
        wait_for("no executors", 180, lambda: executors() == 0)

    def test_7_a_removed_release_leaves_no_executors(self):
        # In this order: the operator lets the executors go, and a removed operator can do that no more.
        kubectl("delete", "retailcluster/retail", "--timeout=120s")
        cluster.helm("uninstall", "retail", "--wait", "--timeout", "120s")
        wait_for("nothing of the release", 120, lambda: not kubectl("get", "statefulsets,pods", "-l", "app.kubernetes.io/instance=retail", "-o", "name").strip())
        install(*self.settings)
        kubectl("scale", "retailcluster/retail", "--replicas=2")
        wait_for("two executors", 120, lambda: executors() == 2)
        self.shop.verify()


del Chart  # it is run where it is defined

if __name__ == "__main__":
    unittest.main()
