"""The chart on a real node: installed, tested with `helm test`, and a retail job that survives what happens to pods.

Every number of the tables is compared with the generator's truth after each mishap."""

import os
import time
import unittest

import cluster
from cluster import Shop, executors, get, helm, install, kubectl, submit, wait_for

ORDERS = os.environ.get("RETAIL_TEST_ORDERS", "5000")


class Chart(unittest.TestCase):
    """What both ways of running executors share."""

    settings = ()

    @classmethod
    def setUpClass(cls):
        cluster.needs()
        cls.addClassCleanup(cluster.remove)
        cluster.stores()
        took = install(*cls.settings)
        print(f"\n{cls.__name__}: helm install --wait took {took:.1f} s", flush=True)
        wait_for("two executors", 60, lambda: executors() == 2)
        cls.shop = Shop(ORDERS)

    def setUp(self):
        wait_for("scheduler", 120, lambda: executors() >= 0)


class PlainStatefulSet(Chart):
    settings = ("--set", "operator.enabled=false", "--set", "executors.drainGraceSeconds=30", "--set", "scheduler.shutdownGraceSeconds=5")

    def test_1_helm_test_runs_a_job_and_reads_its_table(self):
        started = time.monotonic()
        out = helm("test", "retail", "--logs").stdout
        print(f"\nhelm test took {time.monotonic() - started:.1f} s")
        self.assertIn("Phase:          Succeeded", out)
        self.assertIn("total\n60", out)

    def test_2_a_retail_job_with_postgresql_and_s3(self):
        started = time.monotonic()
        self.shop.finish(self.shop.start())
        print(f"\na retail job of {ORDERS} orders took {time.monotonic() - started:.1f} s")
        self.shop.verify()

    def test_3_kubectl_scale_adds_and_removes_executors(self):
        kubectl("scale", "statefulset/retail-executor", "--replicas=3")
        wait_for("three executors", 60, lambda: executors() == 3)
        kubectl("scale", "statefulset/retail-executor", "--replicas=2")
        wait_for("two executors", 90, lambda: executors() == 2)

    def test_4_a_job_survives_the_loss_of_an_executor(self):
        job = self.shop.start()
        self.shop.in_the_middle(job)
        kubectl("delete", "pod", "retail-executor-0", "--grace-period=0", "--force", "--wait=false")
        self.shop.finish(job)
        self.shop.verify()

    def test_5_a_changed_setting_rolls_the_executors_in_mid_job(self):
        before = get("pods", ".items[*].metadata.uid").split()
        job = self.shop.start()
        self.shop.in_the_middle(job)
        install(*self.settings, "--set", "executors.config.scheduler.heartbeat_s=4")
        self.shop.finish(job)
        self.shop.verify()
        wait_for("new executors", 120, lambda: executors() == 2 and kubectl("rollout", "status", "statefulset/retail-executor", "--timeout=1s", check=False).startswith("partitioned roll out complete") or
                 "complete" in kubectl("rollout", "status", "statefulset/retail-executor", "--timeout=1s", check=False))
        after = get("pods", ".items[*].metadata.uid").split()
        self.assertEqual(len(set(before) & set(after)), 3, "stores and scheduler stay, the two executors are new ones")

    def test_6_a_deleted_scheduler_comes_back_and_publishes_nothing_by_half(self):
        self.shop.verify()
        tables = submit("tables", "--json").stdout
        job = self.shop.start()
        self.shop.in_the_middle(job)
        kubectl("delete", "pod", "retail-scheduler-0")
        wait_for("scheduler", 120, lambda: executors() == 2)
        self.assertEqual(self.shop.state(job)["state"], "interrupted")
        self.assertEqual(submit("tables", "--json").stdout, tables)
        self.shop.finish(self.shop.start())
        self.shop.verify()

    def test_7_what_is_missing_is_said_where_an_operator_looks(self):
        done = helm("upgrade", "retail", cluster.CHART, "-f", cluster.CHART / "values-kind.yaml", *self.settings,
                    "--set", "s3.existingSecret=forgotten", "--force-conflicts", "--wait", "--timeout", "8s", check=False)
        self.assertNotEqual(done.returncode, 0)
        wait_for("event", 60, lambda: 'secret "forgotten" not found' in kubectl("describe", "pods"))
        install(*self.settings)
        wait_for("two executors", 120, lambda: executors() == 2)


if __name__ == "__main__":
    unittest.main()
