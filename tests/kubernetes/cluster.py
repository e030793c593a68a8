"""The chart on a real Kubernetes node: what the tests say to kubectl, helm and retail-submit.

Needs RETAIL_TEST_KUBECONFIG (of a node on this machine, whose Service addresses can be reached from here),
RETAIL_TEST_CONTAINERD (its containerd's socket) and RETAIL_TEST_BINARIES (a folder with the programs)."""

import argparse
import base64
import functools
import glob
import json
import os
import pathlib
import secrets
import subprocess
import sys
import tempfile
import time
import unittest

import yaml

import images

ROOT = images.ROOT
sys.path.append(str(ROOT / "tests" / "interop"))  # lake.py, which sums tables up

IMAGE, NEXT_IMAGE = "retail:0.1.0", "retail:0.1.1"
CHART = ROOT / "helm" / "retail-cluster"
CACHE = pathlib.Path(os.environ.get("RETAIL_CACHE") or pathlib.Path.home() / ".cache" / "retail")
NAMESPACE = "retail"
SUMMARIES = {}
ORDERS = os.environ.get("RETAIL_TEST_ORDERS", "10000")


def prerequisites():
    """The environment, or a skip that names what is missing."""
    found = {}
    for name in ("RETAIL_TEST_KUBECONFIG", "RETAIL_TEST_CONTAINERD", "RETAIL_TEST_BINARIES"):
        if not os.environ.get(name):
            raise unittest.SkipTest(f"no Kubernetes node: {name} is not set")
        found[name.removeprefix("RETAIL_TEST_").lower()] = os.environ[name]
    return found


def run(*command, stdin=None, check=True, timeout=300, **env):
    done = subprocess.run([str(part) for part in command], input=stdin, capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, "KUBECONFIG": prerequisites()["kubeconfig"], **env})
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))[:300]}\nexit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done


@functools.cache
def kubectl_path():
    built = sorted(glob.glob(str(CACHE / "kubernetes-v*/kubectl")))
    return built[-1] if built else "kubectl"


@functools.cache
def helm_path():
    return run(ROOT / "services" / "helm.sh").stdout.strip()


def kubectl(*arguments, **options):
    return run(kubectl_path(), "-n", NAMESPACE, *arguments, **options).stdout


def helm(*arguments, **options):
    return run(helm_path(), "-n", NAMESPACE, *arguments, **options)


def get(what, path):
    return kubectl("get", what, "-o", f"jsonpath={{{path}}}")


def wait_for(what, seconds, condition):
    """Until condition() is true; its last value is returned."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s\n{look()}")
        time.sleep(0.5)


def look():
    """What a person would look at: pods, what Kubernetes reports of them, and the last lines of those that are not ready."""
    lines = [kubectl("get", "pods", "-o", "wide", check=False), kubectl("get", "retailclusters", "-o", "wide", check=False)]
    lines += [kubectl("get", "events", "--sort-by=.lastTimestamp", check=False)[-3000:]]
    for pod in json.loads(kubectl("get", "pods", "-o", "json"))["items"]:
        if not all(status["ready"] for status in pod["status"].get("containerStatuses", [])):
            name = pod["metadata"]["name"]
            lines += [f"--- {name}", kubectl("logs", name, "--tail=5", "--all-containers", check=False)]
    return "\n".join(lines)


def install(*settings, timeout=90):
    """helm upgrade --install --wait with the values of kind; gives the seconds it took."""
    started = time.monotonic()
    kubectl("apply", "--server-side", "--force-conflicts", "-f", CHART / "crds")
    done = helm("upgrade", "--install", "retail", CHART, "-f", CHART / "values-kind.yaml", *settings, "--force-conflicts",
                "--wait", "--timeout", f"{timeout}s", timeout=timeout + 30, check=False)
    if done.returncode:
        raise AssertionError(f"{done.stderr}\n{look()}")
    return time.monotonic() - started


@functools.cache
def load_images():
    """The programs under two tags, and the servers, in the node's containerd."""
    environment = prerequisites()
    programs = pathlib.Path(environment["binaries"])
    images.load(environment["containerd"], [IMAGE, NEXT_IMAGE], lambda root: images.retail(root, programs))
    gateway = sorted(CACHE.glob("versitygw-*/versitygw"))
    if not gateway:
        raise unittest.SkipTest("no S3 store for the node: services/versitygw.sh builds it")
    postgres, s3 = [doc["spec"]["template"]["spec"]["containers"][0]["image"]
                    for doc in yaml.safe_load_all((ROOT / "kind/stores.yaml").read_text()) if doc["kind"] == "StatefulSet"]
    images.load(environment["containerd"], [postgres, s3], lambda root: images.servers(root, gateway[-1]), ["bash", "/postgres.sh"])


def stores():
    """PostgreSQL and the S3 store of kind/, with fresh passwords and empty."""
    load_images()
    run(kubectl_path(), "create", "namespace", NAMESPACE)
    password, secret = secrets.token_hex(16), secrets.token_hex(16)
    for name, data in (
        ("retail-catalog", {"password": password, "uri": f"postgresql://retail:{password}@postgres/retail"}),
        ("retail-s3", {"access-key-id": "tests", "secret-access-key": secret}),
    ):
        manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
        kubectl("create", "-f", "-", stdin=yaml.safe_dump(manifest))
    kubectl("apply", "-f", ROOT / "kind/stores.yaml")
    wait_for("volumes", 60, lambda: get("pvc", ".items[*].status.phase").split() == ["Bound", "Bound"])
    # This node's volumes are folders that Kubernetes gives to nobody; a storage class does that on other clusters.
    for volume in get("pvc", ".items[*].spec.volumeName").split():
        os.chmod(get(f"pv/{volume}", ".spec.hostPath.path"), 0o777)
    wait_for("stores", 120, lambda: get("statefulset/postgres", ".status.readyReplicas") == "1" and get("statefulset/s3", ".status.readyReplicas") == "1")


def remove():
    """Everything of the tests."""
    helm("uninstall", "retail", "--ignore-not-found", "--wait", "--timeout", "180s")
    run(kubectl_path(), "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
    kubectl("delete", "pods", "--all", "--grace-period=1", "--wait=false")  # nobody waits for a database that is thrown away
    run(kubectl_path(), "wait", "--for=delete", f"namespace/{NAMESPACE}", "--timeout=120s")


def address(service):
    return get(f"service/{service}", ".spec.clusterIP")


def submit(*arguments, check=True, timeout=300):
    programs = pathlib.Path(prerequisites()["binaries"])
    return run(programs / "retail-submit", *arguments, "--scheduler", f"http://{address('retail-scheduler')}:50050", check=check, timeout=timeout)


def executors():
    """Executors that the scheduler gives tasks to."""
    done = submit("executors", "--json", check=False)
    if done.returncode:
        return -1
    return sum(executor["state"] == "active" for executor in json.loads(done.stdout)["executors"])


def secret(name):
    """What a Secret holds, as text."""
    data = json.loads(kubectl("get", f"secret/{name}", "-o", "json"))["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def contents():
    """What every published table of the retail project holds: {name: (snapshot, {"rows", "checksum"})}.

    Read with PyIceberg, which knows nothing of the programs that wrote them."""
    import lake

    keys = secret("retail-s3")
    catalog = lake.open_catalog(argparse.Namespace(
        catalog=secret("retail-catalog")["uri"].replace("@postgres/", f"@{address('postgres')}/"), name="retail",
        s3_endpoint=f"http://{address('s3')}:7070", s3_key=keys["access-key-id"], s3_secret=keys["secret-access-key"]))
    tables = [(name, table.current_snapshot().snapshot_id, table) for name, table in lake.tables(catalog) if not name.startswith("helm_test.")]
    for _, snapshot, table in tables:
        if snapshot not in SUMMARIES:  # a snapshot never changes
            SUMMARIES[snapshot] = lake.summary(lake.read_with_pyiceberg(table))
    return {name: (snapshot, SUMMARIES[snapshot]) for name, snapshot, _ in tables}


def upload(folder):
    """Copies a folder into bucket `retail` as input/."""
    from pyarrow import fs

    plain = secret("retail-s3")
    store = fs.S3FileSystem(access_key=plain["access-key-id"], secret_key=plain["secret-access-key"], region="us-east-1",
                            endpoint_override=f"{address('s3')}:7070", scheme="http", allow_bucket_creation=False)
    fs.copy_files(str(folder), "retail/input", source_filesystem=fs.LocalFileSystem(), destination_filesystem=store)


class Marketplace:
    """Two generated days in the S3 store, their truth, and the tables of a run that nothing disturbed."""

    true_rows = {}

    def __init__(self, orders):
        self.folder = tempfile.TemporaryDirectory()
        self.input = pathlib.Path(self.folder.name) / "input"
        run(pathlib.Path(prerequisites()["binaries"]) / "retail-submit", "generate", "--orders", orders, "--days", "2", "--out", self.input)
        upload(self.input)
        self.rows, self.snapshots = {}, {}

    def run_quietly(self):
        """A run that nothing disturbs. Every number of its tables is compared with the truth, once: the same orders make
        the same rows in the next cluster."""
        self.finish(self.start())
        found = contents()
        self.rows = {name: summary for name, (_, summary) in found.items()}
        self.snapshots = {name: snapshot for name, (snapshot, _) in found.items()}
        truth = (self.input / "truth.json").read_text()
        if Marketplace.true_rows.get(truth) != self.rows:
            submit("verify", "--truth", self.input / "truth.json")
            Marketplace.true_rows[truth] = self.rows

    def start(self):
        """A job of the whole project; gives its id."""
        done = submit("run", "--project", ROOT / "jobs/retail", "--vars", "input=s3://retail/input", "--detach", "--json")
        return json.loads(done.stdout)["job_id"]

    def state(self, job):
        return json.loads(submit("job", job, "--json").stdout.splitlines()[0])

    def finish(self, job):
        """Waits for the end; fails where the job does. Returns what it printed on the way."""
        done = submit("watch", job, timeout=600)
        return done.stdout + done.stderr

    def in_the_middle(self, job):
        """Waits until the job has written some tables and not all."""
        deadline = time.monotonic() + 120
        while True:
            state = self.state(job)
            if state["state"] not in ("queued", "running"):
                raise AssertionError(f"the job was over before anything could be done to it: {state['state']} {state['failure']}")
            if state["models_done"] >= 8:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"the job does not get on: {state}\n{look()}")
            time.sleep(0.05)

    def was_under_way(self, job):
        """Fails when the job ended before the mishap was over: then nothing was shown."""
        state = self.state(job)["state"]
        if state != "running":
            raise AssertionError(f"the job was {state} before the mishap was over: use more orders (RETAIL_TEST_ORDERS)")

    def look(self):
        """Notes which snapshots there are, for the next comparison; their rows are those of the quiet run."""
        found = contents()
        rows = {name: summary for name, (_, summary) in found.items()}
        wrong = [f"{name}: {self.rows.get(name)} became {rows.get(name)}" for name in self.rows | rows if self.rows.get(name) != rows.get(name)]
        if wrong:
            raise AssertionError("tables differ from those of a quiet run:\n" + "\n".join(wrong))
        before, self.snapshots = self.snapshots, {name: snapshot for name, (snapshot, _) in found.items()}
        return [name for name in before if before[name] != self.snapshots[name]]

    def published_anew(self):
        """Every table has a new snapshot, and holds the rows of the quiet run."""
        changed = self.look()
        if len(changed) != len(self.rows):
            raise AssertionError(f"not published anew: {sorted(self.rows.keys() - changed)}")

    def published_nothing(self):
        """Every table is still the one that it was."""
        changed = self.look()
        if changed:
            raise AssertionError(f"something was published: {changed}")

    def published_all_or_nothing(self):
        """Whether every table is new; fails when only some are."""
        changed = self.look()
        if changed and len(changed) != len(self.rows):
            raise AssertionError(f"published by half, without {sorted(self.rows.keys() - changed)}")
        return bool(changed)


class Follow:
    """The log of a pod that runs or is about to, kept when the pod goes."""

    def __init__(self, pod):
        kubectl("wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=120s")
        self.file = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([str(kubectl_path()), "-n", NAMESPACE, "logs", "-f", pod], stdout=self.file,
                                        stderr=subprocess.STDOUT, env={**os.environ, "KUBECONFIG": prerequisites()["kubeconfig"]})

    def text(self):
        """All of it, once the container has ended."""
        self.process.wait(120)
        with self.file:
            self.file.seek(0)
            return self.file.read()
