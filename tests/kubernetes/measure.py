"""How long a person waits, on a real node: from nothing to ready, to the first job done, from no executor to one, and for
an executor to leave in mid-job. Prints every value and the median, in seconds.

    services/kubernetes_node.sh start DIR
    RETAIL_TEST_KUBECONFIG=DIR/kubeconfig RETAIL_TEST_CONTAINERD=DIR/containerd.sock RETAIL_TEST_BINARIES=target/release \\
        PYTHON tests/kubernetes/measure.py [--rounds 3] [--orders 50000]

Images are in the node beforehand: none is pulled. Times are those that the programs and this clock wrote down; what
Kubernetes writes is whole seconds and is not used."""

import argparse
import datetime
import json
import statistics
import time
import urllib.request

import cluster
from cluster import ROOT, Follow, Marketplace, executors, install, kubectl, submit

SETTINGS = ("--set", "executors.drainGraceSeconds=60", "--set-json", "operator.config.scaling.poll_s=1")
TO_ZERO = ("--set", "executors.autoscaling.enabled=true", "--set", "executors.autoscaling.min=0", "--set", "executors.autoscaling.idleSeconds=2",
           "--set", "executors.autoscaling.stabilizationSeconds=1")


def wait(what, condition, seconds=300, pause=0.02):
    """Until condition() is true; gives the time of this clock then."""
    deadline = time.time() + seconds
    while not condition():
        if time.time() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s\n{cluster.look()}")
        time.sleep(pause)
    return time.time()


def first_task(address):
    """When the scheduler first reports that a task runs; looks every few milliseconds."""
    while True:
        with urllib.request.urlopen(f"http://{address}:50080/work", timeout=5) as answer:
            work = json.load(answer)
        if work["tasks_running"]:
            return time.time()
        if not work["jobs_running"] and not work["jobs_queued"]:
            raise AssertionError("the job was over before a task of it was seen")
        time.sleep(0.005)


def first_events(job):
    """The job's history, by event; the first of each kind, as seconds of this machine's clock."""
    found = {}
    for line in submit("watch", job, "--json").stdout.splitlines():
        event = json.loads(line)
        found.setdefault(event["kind"]["event"], event["time_us"] / 1e6)
    return found


def small_job():
    done = submit("run", "--project", ROOT / "helm/retail-cluster/files/test-project", "--detach", "--json")
    return json.loads(done.stdout)["job_id"]


def from_nothing(figures):
    """Install, and the first job, in an empty namespace with running stores."""
    started = time.time()
    install(*SETTINGS)
    figures("helm install --wait returns", time.time() - started)
    ready = wait("two executors", lambda: executors() == 2)
    figures("install to two executors ready", ready - started)
    figures("install to the first job done", first_events(small_job())["finished"] - started)


def from_zero(figures):
    """A job that finds no executor."""
    install(*SETTINGS, *TO_ZERO)
    wait("no executors", lambda: executors() == 0 and not pods())
    address = cluster.address("retail-scheduler")
    submitted = time.time()
    job = small_job()
    running = first_task(address)
    events = first_events(job)
    joined = first_registration(submitted)
    figures("no executor: submit to an executor ready", joined - submitted)
    figures("no executor: submit to the first task seen", running - submitted)
    figures("no executor: submit to the job done", events["finished"] - submitted)
    if "waiting" not in events:
        raise AssertionError(f"the job did not say that it waits: {events}")
    install(*SETTINGS)
    wait("two executors", lambda: executors() == 2)


def pods():
    return kubectl("get", "pods", "-l", "app.kubernetes.io/component=executor", "-o", "name").split()


def first_registration(since):
    """When the scheduler first saw an executor. The executor's own log goes with it as soon as it has nothing to do."""
    lines = kubectl("logs", "retail-scheduler-0").splitlines()
    return next(at for line in lines if "executor came" in line and (at := stamp(line)) > since)


def stamp(line):
    return datetime.datetime.fromisoformat(json.loads(line)["timestamp"].replace("Z", "+00:00")).timestamp()


def drain(figures, marketplace):
    """An executor drains in mid-job."""
    log = Follow("retail-executor-0")
    job = marketplace.start()
    marketplace.in_the_middle(job)
    started = time.time()
    kubectl("delete", "pod", "retail-executor-0", "--wait=false")
    text = log.text().splitlines()
    times = {word: next(stamp(line) for line in text if word in line) for word in ('"message":"draining"', "executor left")}
    state = marketplace.state(job)["state"]
    figures("drain in mid-job: SIGTERM to exit", times["executor left"] - times['"message":"draining"'])
    back = wait("two executors", lambda: executors() == 2 and "retail-executor-0" in ready_pods())
    figures("drain in mid-job: SIGTERM to a new one in its place", back - started)
    marketplace.finish(job)
    took = marketplace.state(job)
    figures(f"the job of {marketplace.orders} orders meanwhile ({state} when the executor had left)", (took["finished_at_us"] - took["started_at_us"]) / 1e6)


def ready_pods():
    found = json.loads(kubectl("get", "pods", "-l", "app.kubernetes.io/component=executor", "-o", "json"))["items"]
    return {pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]
            and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))}


class Figures:
    def __init__(self):
        self.values = {}

    def __call__(self, name, seconds):
        self.values.setdefault(name, []).append(seconds)
        print(f"{name}: {seconds:.2f} s", flush=True)

    def table(self):
        lines = ["| what | median s | all |", "|---|---|---|"]
        for name, values in self.values.items():
            lines.append(f"| {name} | {statistics.median(values):.2f} | {', '.join(f'{value:.2f}' for value in values)} |")
        return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--orders", default="50000")
    options = parser.parse_args()
    figures = Figures()
    cluster.load_images()
    for _ in range(options.rounds):
        try:
            cluster.stores()
            from_nothing(figures)
            from_zero(figures)
            marketplace = Marketplace(options.orders)
            marketplace.orders = options.orders
            marketplace.finish(marketplace.start())
            drain(figures, marketplace)
        finally:
            started = time.time()
            cluster.remove()
            figures("helm uninstall and the namespace gone", time.time() - started)
    print(figures.table())


if __name__ == "__main__":
    main()
