"""What happens to executors while a retail job runs, on a real node with the operator: the job goes on, or fails and
publishes nothing, and a person finds the reason where they look first.

After each mishap every table is compared with that of a run that nothing disturbed."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import cluster
from cluster import Follow, executors, get, install, kubectl, submit, wait_for
from test_operator import WithOperator, cluster_status, condition

PODS = ("retail-executor-0", "retail-executor-1")
EXECUTORS = "app.kubernetes.io/component=executor"


def pods():
    """The executors' pods as they are now, by name."""
    return {pod["metadata"]["name"]: pod for pod in json.loads(kubectl("get", "pods", "-l", EXECUTORS, "-o", "json"))["items"]}


def uids():
    return {pod["metadata"]["uid"] for pod in pods().values()}


def ready(pod):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def patch(spec):
    kubectl("patch", "retailcluster/retail", "--type=merge", "-p", json.dumps({"spec": spec}))


def events(reason):
    """Kubernetes events about the RetailCluster with this reason."""
    return kubectl("get", "events", "--field-selector", f"involvedObject.kind=RetailCluster,reason={reason}", "-o", "jsonpath={.items[*].message}{.items[*].note}")


class Mishaps(WithOperator):
    def test_kubectl_drain_moves_one_executor_after_the_other_in_mid_job(self):
        self.addCleanup(kubectl, "uncordon", "node1")
        before = uids()
        logs = [Follow(pod) for pod in PODS]
        job = self.marketplace.start()
        self.marketplace.in_the_middle(job)
        with tempfile.TemporaryFile("w+") as printed:
            started = time.monotonic()
            drain = subprocess.Popen(
                [str(cluster.kubectl_path()), "drain", "node1", "-v1", f"--pod-selector={EXECUTORS}", "--delete-emptydir-data", "--timeout=240s"],
                stdout=printed, stderr=subprocess.STDOUT, env={**os.environ, "KUBECONFIG": cluster.prerequisites()["kubeconfig"]})
            self.addCleanup(lambda: (drain.kill(), drain.wait()))

            def output():
                printed.seek(0)
                return printed.read()

            # The only node takes no pods now. The first executor leaves, its replacement finds no node, and the budget
            # keeps the second one running.
            wait_for("the budget holds", 120, lambda: "violate the pod's disruption budget" in output())
            wait_for("a pod without a node", 120, lambda: any("nodeName" not in pod["spec"] for pod in pods().values()))
            wait_for("one executor at work", 10, lambda: executors() == 1)
            self.marketplace.was_under_way(job)
            kubectl("uncordon", "node1")
            self.assertEqual(drain.wait(240), 0, output())
            print(f"\nkubectl drain of both executors took {time.monotonic() - started:.1f} s")
        self.marketplace.finish(job)
        self.marketplace.published_anew()
        for log in logs:
            text = log.text()
            self.assertIn('"message":"draining"', text)
            self.assertIn("executor left", text)
            self.assertNotIn("the time to drain is over", text)
        wait_for("two executors", 60, lambda: executors() == 2)
        self.assertFalse(before & uids())

    def test_an_executor_over_its_memory_limit_is_killed_and_the_job_goes_on(self):
        before = pods()["retail-executor-0"]
        job = self.marketplace.start()
        self.marketplace.in_the_middle(job)
        fill_memory(before)
        self.marketplace.was_under_way(job)

        def killed():
            status = pods()["retail-executor-0"]["status"]["containerStatuses"][0]
            return status.get("lastState", {}).get("terminated", {}).get("reason") == "OOMKilled" and status["restartCount"] == 1

        wait_for("OOMKilled", 60, killed)
        self.marketplace.finish(job)
        self.marketplace.published_anew()
        self.assertEqual(pods()["retail-executor-0"]["metadata"]["uid"], before["metadata"]["uid"], "the same pod, its container started again")
        self.assertIn("raise spec.resources.limits.memory", wait_for("event", 30, lambda: events("OutOfMemory")))
        self.assertIn("OOMKilled", kubectl("describe", "pod", "retail-executor-0"))

    def test_an_upgrade_replaces_one_executor_at_a_time_and_the_same_job_goes_on(self):
        before = uids()
        job = self.marketplace.start()
        self.marketplace.in_the_middle(job)
        patch({"image": cluster.NEXT_IMAGE})
        started = time.monotonic()
        fewest, first = 2, None

        def rolled():
            nonlocal fewest, first
            now = pods().values()
            fewest = min(fewest, sum(ready(pod) and "deletionTimestamp" not in pod["metadata"] for pod in now))
            if first is None and any(ready(pod) and pod["spec"]["containers"][0]["image"] == cluster.NEXT_IMAGE for pod in now):
                first = self.marketplace.state(job)["state"]
            return len(now) == 2 and all(ready(pod) and pod["spec"]["containers"][0]["image"] == cluster.NEXT_IMAGE for pod in now)

        wait_for("the new image everywhere", 180, rolled)
        print(f"\nthe upgrade of two executors took {time.monotonic() - started:.1f} s, the job was {first} when the first one was new")
        self.assertEqual(fewest, 1, "one was replaced while the other one worked")
        self.assertFalse(before & uids())
        self.marketplace.finish(job)
        self.assertEqual(self.marketplace.state(job)["attempts"], 1)
        self.marketplace.published_anew()
        self.assertIn("one at a time", events("RollingOut"))
        install(*self.settings)
        wait_for("the old image everywhere", 180, lambda: executors() == 2 and all(
            ready(pod) and pod["spec"]["containers"][0]["image"] == cluster.IMAGE for pod in pods().values()))

    def test_helm_upgrade_to_another_image_lets_the_running_job_end(self):
        job = self.marketplace.start()
        self.marketplace.in_the_middle(job)
        install(*self.settings, "--set", f"image.tag={cluster.NEXT_IMAGE.split(':')[1]}", timeout=180)
        self.addCleanup(install, *self.settings)
        wait_for("two executors", 120, lambda: executors() == 2)
        self.assertEqual(self.marketplace.state(job)["state"], "succeeded")
        self.marketplace.published_anew()
        self.assertEqual(get("pod/retail-scheduler-0", ".spec.containers[0].image"), cluster.NEXT_IMAGE)

    def test_a_cluster_deleted_in_mid_job_publishes_nothing_by_half(self):
        self.addCleanup(self.back)
        job = self.marketplace.start()
        self.marketplace.in_the_middle(job)
        kubectl("delete", "retailcluster/retail", "--timeout=120s")
        self.assertEqual(pods(), {}, "kubectl returns when the executors have gone")
        self.assertIn("is being deleted", events("Draining"))
        # Leaving executors stay for as long as the job needs their rows; it may have come to its end, or it waits.
        if not self.marketplace.published_all_or_nothing():
            self.assertEqual(self.marketplace.state(job)["state"], "running")
        # Made again, it brings executors for what waits.
        self.back()
        wait_for("two executors", 120, lambda: executors() == 2)
        self.marketplace.finish(job)
        self.marketplace.look()
        self.marketplace.finish(self.marketplace.start())
        self.marketplace.published_anew()

    def test_a_wrong_image_is_reported_in_a_condition_and_event_and_mended_in_place(self):
        patch({"image": "retail:forgotten"})
        self.addCleanup(patch, {"image": cluster.IMAGE})
        status, reason, message = wait_for("condition", 90, lambda: condition("Ready")[1] == "ImagePullFailed" and condition("Ready"))
        self.assertEqual(status, "False")
        self.assertIn("retail:forgotten", message)
        self.assertIn("check spec.image", message)
        described = kubectl("describe", "retailcluster/retail")
        self.assertIn("ImagePullFailed", described)
        self.assertEqual(executors(), 1, "the other executor works on")
        patch({"image": cluster.IMAGE})
        wait_for("ready again", 120, lambda: executors() == 2 and condition("Ready")[0] == "True")

    def test_a_missing_secret_is_reported_in_a_condition_and_event_and_mended_in_place(self):
        secrets = cluster_spec()["secrets"]
        self.addCleanup(patch, {"secrets": secrets})
        patch({"secrets": [*secrets, "forgotten"]})
        status, reason, message = wait_for("condition", 120, lambda: condition("Ready")[1] == "SecretMissing" and condition("Ready"))
        self.assertEqual(status, "False")
        self.assertIn("there is no Secret forgotten", message)
        self.assertIn("SecretMissing", kubectl("describe", "retailcluster/retail"))
        self.assertEqual(executors(), 1, "the other executor works on")
        patch({"secrets": secrets})
        wait_for("ready again", 120, lambda: executors() == 2 and condition("Ready")[0] == "True")

    def test_an_unreachable_object_store_fails_the_job_with_its_name_and_publishes_nothing(self):
        kubectl("scale", "statefulset/s3", "--replicas=0")
        self.addCleanup(self.stores_back)
        wait_for("no store", 60, lambda: not kubectl("get", "pods", "-l", "app=s3", "-o", "name").strip())
        done = submit("run", "--project", cluster.ROOT / "jobs/retail", "--vars", "input=s3://retail/input", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stdout + done.stderr, r"s3://retail|http://s3:7070")
        self.stores_back()
        self.marketplace.published_nothing()
        self.marketplace.finish(self.marketplace.start())
        self.marketplace.published_anew()

    def test_a_scheduler_without_its_catalog_is_not_ready_and_reports_why(self):
        kubectl("scale", "statefulset/postgres", "--replicas=0")
        self.addCleanup(self.stores_back)
        wait_for("no database", 60, lambda: not kubectl("get", "pods", "-l", "app=postgres", "-o", "name").strip())
        is_ready = lambda: get("pod/retail-scheduler-0", ".status.conditions[?(@.type=='Ready')].status")
        wait_for("not ready", 60, lambda: is_ready() == "False")
        # One that starts without it waits; the RetailCluster reports for what, without the password.
        kubectl("delete", "pod", "retail-scheduler-0")
        reason = wait_for("the reason", 90, lambda: "the catalog" in condition("SchedulerReachable")[2] and condition("SchedulerReachable")[2])
        self.assertRegex(reason, "not ready: cannot (reach|open) the catalog postgresql://")
        self.assertNotIn(cluster.secret("retail-catalog")["password"], reason)
        self.assertEqual(get("pod/retail-scheduler-0", ".status.containerStatuses[0].restartCount"), "0")
        self.stores_back()
        wait_for("ready again", 60, lambda: is_ready() == "True")
        wait_for("two executors", 180, lambda: executors() == 2)
        self.marketplace.published_nothing()

    def test_a_node_that_does_not_answer_is_reported_in_a_condition_and_the_job_goes_on(self):
        job = self.marketplace.start()
        self.marketplace.in_the_middle(job)
        kubelet = int((pathlib.Path(cluster.prerequisites()["containerd"]).parent / "kubelet/pid").read_text().split()[0])
        self.addCleanup(os.kill, kubelet, signal.SIGCONT)
        os.kill(kubelet, signal.SIGSTOP)
        reason = wait_for("the reason", 120, lambda: condition("Ready")[1] == "NodeLost" and condition("Ready")[2])
        self.assertIn("node node1 does not answer", reason)
        self.assertIn("`kubectl delete node node1`", reason)
        os.kill(kubelet, signal.SIGCONT)
        wait_for("ready again", 90, lambda: condition("Ready")[0] == "True")
        self.marketplace.finish(job)
        self.marketplace.published_anew()

    def stores_back(self):
        for store in ("postgres", "s3"):
            kubectl("scale", f"statefulset/{store}", "--replicas=1")
        for store in ("postgres", "s3"):
            wait_for(store, 120, lambda: get(f"statefulset/{store}", ".status.readyReplicas") == "1")
        # A ready pod is reached by its service's address a moment later, when the node has taken the new endpoint over.
        for store, port in (("postgres", 5432), ("s3", 7070)):
            wait_for(f"{store}'s address", 60, lambda: connects(cluster.address(store), port))


def connects(host, port):
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False


def cluster_spec():
    return json.loads(kubectl("get", "retailcluster/retail", "-o", "json"))["spec"]


# Joins the container's cgroup and takes memory there until the kernel has killed the container's own process; this one the
# kernel may not choose.
HOG = """
import os, sys

def lives():
    try:
        return open(f"/proc/{sys.argv[2]}/statm").read().split()[0] != "0"
    except OSError:
        return False

open("/proc/self/oom_score_adj", "w").write("-1000")
open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
held = []
while lives():
    held.append(bytearray(8 << 20))
"""


def fill_memory(pod):
    """Lets the pod's container go over its memory limit."""
    container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    tasks = cluster.run("ctr", "-a", cluster.prerequisites()["containerd"], "-n", "k8s.io", "tasks", "ls").stdout
    process = re.search(rf"^{container}\s+(\d+)", tasks, re.MULTILINE)[1]
    lines = pathlib.Path(f"/proc/{process}/cgroup").read_text().splitlines()
    paths = dict(line.split(":", 2)[1:] for line in lines)
    folder = f"/sys/fs/cgroup/memory{paths['memory']}" if "memory" in paths else f"/sys/fs/cgroup{paths['']}"
    done = subprocess.run([sys.executable, "-c", HOG, folder, process], capture_output=True, text=True, timeout=60)
    # The kernel may end the whole group, this program with it.
    if done.returncode not in (0, -9):
        raise AssertionError(f"{done.returncode}: {done.stderr}")


if __name__ == "__main__":
    unittest.main()
