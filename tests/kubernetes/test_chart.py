"""The chart on a real node without the operator: installed, tested with `helm test`, and a retail job that survives what
happens to pods.

After each mishap every table is compared with that of a run that nothing disturbed, whose numbers were all compared with
the generator's truth."""

import time
import unittest

import cluster
from cluster import Marketplace, executors, get, helm, install, kubectl, wait_for


class Chart(unittest.TestCase):
    """What both ways of running executors share."""

    settings = ()

    @classmethod
    def setUpClass(cls):
        cluster.prerequisites()
        cls.addClassCleanup(cluster.remove)
        cluster.stores()
        print(f"\n{cls.__name__}: helm install --wait took {install(*cls.settings):.1f} s", flush=True)
        wait_for("two executors", 90, lambda: executors() == 2)
        cls.marketplace = Marketplace(cluster.ORDERS)
        started = time.monotonic()
        cls.marketplace.run_quietly()
        print(f"{cls.__name__}: a retail job of {cluster.ORDERS} orders, compared with the truth, took {time.monotonic() - started:.1f} s", flush=True)

    def setUp(self):
        wait_for("two executors", 120, lambda: executors() == 2)
        self.marketplace.look()


def uids(pods):
    return {get(f"pod/{pod}", ".metadata.uid") for pod in pods}


class WithoutOperator(Chart):
    settings = ("--set", "operator.enabled=false", "--set", "executors.drainGraceSeconds=30", "--set", "scheduler.shutdownGraceSeconds=1")
    pods = ("retail-executor-0", "retail-executor-1")

    def test_helm_test_runs_a_job_and_reads_its_table(self):
        out = helm("test", "retail", "--logs").stdout
        self.assertIn("Phase:          Succeeded", out)
        self.assertIn("total\n60", out)

    def test_kubectl_scale_adds_and_removes_executors(self):
        kubectl("scale", "statefulset/retail-executor", "--replicas=3")
        wait_for("three executors", 60, lambda: executors() == 3)
        kubectl("scale", "statefulset/retail-executor", "--replicas=2")
        wait_for("two executors", 90, lambda: executors() == 2)

    def test_a_job_survives_the_loss_of_an_executor(self):
        job = self.marketplace.start()
        self.marketplace.in_the_middle(job)
        kubectl("delete", "pod", "retail-executor-0", "--grace-period=0", "--force", "--wait=false")
        self.marketplace.was_under_way(job)
        self.marketplace.finish(job)
        self.marketplace.published_anew()

    def test_a_changed_setting_rolls_the_executors_in_mid_job(self):
        self.addCleanup(kubectl, "rollout", "status", "statefulset/retail-executor", "--timeout=120s")
        self.addCleanup(install, *self.settings)
        before = uids(self.pods)
        scheduler = uids(["retail-scheduler-0"])
        job = self.marketplace.start()
        self.marketplace.in_the_middle(job)
        install(*self.settings, "--set", "executors.config.scheduler.heartbeat_s=4")
        self.marketplace.finish(job)
        self.marketplace.published_anew()
        kubectl("rollout", "status", "statefulset/retail-executor", "--timeout=120s")
        self.assertFalse(before & uids(self.pods), "both executors are new ones")
        self.assertEqual(uids(["retail-scheduler-0"]), scheduler, "the scheduler is not concerned")

    def test_a_deleted_scheduler_comes_back_and_publishes_nothing_by_half(self):
        job = self.marketplace.start()
        self.marketplace.in_the_middle(job)
        kubectl("delete", "pod", "retail-scheduler-0")
        wait_for("executors at the new scheduler", 120, lambda: executors() == 2)
        self.assertEqual(self.marketplace.state(job)["state"], "interrupted")
        self.marketplace.published_nothing()
        self.marketplace.finish(self.marketplace.start())
        self.marketplace.published_anew()

    def test_a_missing_secret_is_named_and_mended_by_the_next_upgrade(self):
        done = helm("upgrade", "retail", cluster.CHART, "-f", cluster.CHART / "values-kind.yaml", *self.settings,
                    "--set", "s3.existingSecret=forgotten", "--force-conflicts", "--wait", "--timeout", "8s", check=False)
        self.assertNotEqual(done.returncode, 0)
        for pod in ("retail-scheduler-0", "retail-executor-1"):
            wait_for("event", 60, lambda: 'secret "forgotten" not found' in kubectl("describe", "pod", pod))
        install(*self.settings)
        wait_for("two executors", 120, lambda: executors() == 2)
        self.marketplace.published_nothing()


if __name__ == "__main__":
    unittest.main()
