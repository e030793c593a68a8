"""The chart on a real Kubernetes node: what the tests say to kubectl, helm and retail-submit.

Needs RETAIL_TEST_KUBECONFIG (of a node on this machine, whose Service addresses can be reached from here),
RETAIL_TEST_CONTAINERD (its containerd's socket) and RETAIL_TEST_BINARIES (a folder with the programs)."""

import base64
import functools
import glob
import json
import os
import pathlib
import secrets
import subprocess
import tempfile
import time
import unittest

import yaml

import images

ROOT = images.ROOT
CHART = ROOT / "helm" / "retail-cluster"
CACHE = pathlib.Path(os.environ.get("RETAIL_CACHE") or pathlib.Path.home() / ".cache" / "retail")
NAMESPACE = "retail"


def needs():
    """The environment, or a skip that says what is missing."""
    found = {}
    for name in ("RETAIL_TEST_KUBECONFIG", "RETAIL_TEST_CONTAINERD", "RETAIL_TEST_BINARIES"):
        if not os.environ.get(name):
            raise unittest.SkipTest(f"no Kubernetes node: {name} is not set")
        found[name.removeprefix("RETAIL_TEST_").lower()] = os.environ[name]
    return found


def run(*command, stdin=None, check=True, timeout=300, **env):
    done = subprocess.run([str(part) for part in command], input=stdin, capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, "KUBECONFIG": needs()["kubeconfig"], **env})
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
    """What a person would look at: pods, what Kubernetes says of them, and the last lines of those that are not ready."""
    said = [kubectl("get", "pods", "-o", "wide", check=False), kubectl("get", "events", check=False)[-3000:]]
    for pod in json.loads(kubectl("get", "pods", "-o", "json"))["items"]:
        if not all(status["ready"] for status in pod["status"].get("containerStatuses", [])):
            name = pod["metadata"]["name"]
            said += [f"--- {name}", kubectl("logs", name, "--tail=5", "--all-containers", check=False)]
    return "\n".join(said)


def install(*settings, timeout=90):
    """helm upgrade --install --wait with the values of kind; gives the seconds it took."""
    started = time.monotonic()
    kubectl("apply", "--server-side", "--force-conflicts", "-f", CHART / "crds")
    done = helm("upgrade", "--install", "retail", CHART, "-f", CHART / "values-kind.yaml", *settings, "--force-conflicts",
                "--wait", "--timeout", f"{timeout}s", timeout=timeout + 30, check=False)
    if done.returncode:
        raise AssertionError(f"{done.stderr}\n{look()}")
    return time.monotonic() - started


def stores():
    """PostgreSQL and the S3 store of kind/, with fresh passwords and empty."""
    environment = needs()
    images.load(environment["containerd"], "retail:0.1.0", lambda root: images.retail(root, pathlib.Path(environment["binaries"])))
    gateway = sorted(CACHE.glob("versitygw-*/versitygw"))[-1]
    postgres, s3 = [doc["spec"]["template"]["spec"]["containers"][0]["image"]
                    for doc in yaml.safe_load_all((ROOT / "kind/stores.yaml").read_text()) if doc["kind"] == "StatefulSet"]
    images.load(environment["containerd"], [postgres, s3], lambda root: images.servers(root, gateway), ["bash", "/postgres.sh"])
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
    for volume in kubectl("get", "pv", "-o", "jsonpath={.items[*].spec.hostPath.path}").split():
        os.chmod(volume, 0o777)
    wait_for("stores", 120, lambda: get("statefulset/postgres", ".status.readyReplicas") == "1" and get("statefulset/s3", ".status.readyReplicas") == "1")


def remove():
    """Everything of the tests, in the order that a person would take."""
    kubectl("delete", "retailclusters", "--all", "--timeout=120s", check=False)
    helm("uninstall", "retail", "--wait", "--timeout", "120s", check=False)
    run(kubectl_path(), "delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s", check=False)


def address(service):
    return get(f"service/{service}", ".spec.clusterIP")


def submit(*arguments, check=True, timeout=300):
    programs = pathlib.Path(needs()["binaries"])
    return run(programs / "retail-submit", *arguments, "--scheduler", f"http://{address('retail-scheduler')}:50050", check=check, timeout=timeout)


def executors():
    """Executors that the scheduler gives tasks to."""
    done = submit("executors", "--json", check=False)
    if done.returncode:
        return -1
    return sum(executor["state"] == "active" for executor in json.loads(done.stdout)["executors"])


def upload(folder):
    """Copies a folder into bucket `retail` as input/."""
    from pyarrow import fs

    secret = json.loads(kubectl("get", "secret/retail-s3", "-o", "json"))["data"]
    plain = {key: base64.b64decode(value).decode() for key, value in secret.items()}
    store = fs.S3FileSystem(access_key=plain["access-key-id"], secret_key=plain["secret-access-key"], region="us-east-1",
                            endpoint_override=f"{address('s3')}:7070", scheme="http", allow_bucket_creation=False)
    fs.copy_files(str(folder), "retail/input", source_filesystem=fs.LocalFileSystem(), destination_filesystem=store)


class Shop:
    """Two days of a marketplace in the S3 store, and the truth about them."""

    def __init__(self, orders):
        self.folder = tempfile.TemporaryDirectory()
        self.input = pathlib.Path(self.folder.name) / "input"
        run(pathlib.Path(needs()["binaries"]) / "retail-submit", "generate", "--orders", orders, "--days", "2", "--out", self.input)
        upload(self.input)

    def start(self):
        """A job of the whole project; gives its id."""
        done = submit("run", "--project", ROOT / "jobs/retail", "--vars", "input=s3://retail/input", "--detach", "--json")
        return json.loads(done.stdout)["job_id"]

    def state(self, job):
        return json.loads(submit("job", job, "--json").stdout.splitlines()[0])

    def finish(self, job):
        """Waits for the end; fails where the job does."""
        submit("watch", job, timeout=600)

    def in_the_middle(self, job):
        """Waits until the job has written some tables and not all."""
        wait_for("job under way", 120, lambda: self.state(job)["models_done"] >= 4 or self.state(job)["state"] != "running")
        state = self.state(job)
        if state["state"] != "running":
            raise AssertionError(f"the job was over before anything could be done to it: {state['state']} {state['failure']}")

    def verify(self):
        """Every number of every table against the truth."""
        submit("verify", "--truth", self.input / "truth.json")
