"""What kind/up.sh makes, from nothing to nothing: every step that it prints, and what it promises of a second run.

Needs RETAIL_TEST_KIND=1, RETAIL_TEST_BINARIES (a folder with the program retail), a Docker engine, kind, kubectl, helm, and
the ports of kind/cluster.yaml. Node and server images are pulled; RETAIL_KIND_NODE_IMAGE names another node image. The cluster
has a name of its own, and kubectl's settings for it lie in a temporary folder."""

import json
import os
import pathlib
import subprocess
import tempfile
import time
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLUSTER = f"retailtest{os.getpid()}"
# Prints the places (address:port) that answer.
TRY = """
for at in "$@"; do
    ! timeout 3 bash -c "exec 3<>/dev/tcp/${at%:*}/${at#*:}" 2>/dev/null || echo "$at"
done
"""


def setUpModule():
    for name in ("RETAIL_TEST_KIND", "RETAIL_TEST_BINARIES"):
        if not os.environ.get(name):
            raise unittest.SkipTest(f"no cluster in Docker: {name} is not set")


def run(*command, check=True, timeout=900, stdin=None, **env):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=ROOT, timeout=timeout,
                          input=stdin, env={**os.environ, "RETAIL_KIND_CLUSTER": CLUSTER, **Kind.environment, **env})
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))[:300]}\nexit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done


def kubectl(*arguments, **options):
    return run("kubectl", "--context", f"kind-{CLUSTER}", "-n", "retail", *arguments, **options).stdout


def get(what, path):
    return kubectl("get", what, "-o", f"jsonpath={{{path}}}")


def submit(*arguments, **options):
    return run(Kind.folder / "retail-submit", *arguments, **options).stdout


def wait_for(what, seconds, condition):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s\n{kubectl('get', 'pods', '-o', 'wide')}")
        time.sleep(1)
    return value


class Kind(unittest.TestCase):
    environment = {}

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.environment = {"KUBECONFIG": str(cls.folder / "kubeconfig")}
        (cls.folder / "retail-submit").symlink_to(pathlib.Path(os.environ["RETAIL_TEST_BINARIES"]).resolve() / "retail")
        cls.addClassCleanup(run, "kind/down.sh", check=False)
        started = time.monotonic()
        output = cls.up()
        print(f"\nkind/up.sh: {time.monotonic() - started:.0f} s")
        assert "The cluster is up." in output, output

    @classmethod
    def up(cls):
        return run("kind/up.sh", "--prebuilt", os.environ["RETAIL_TEST_BINARIES"]).stdout

    def prometheus(self, path):
        with urllib.request.urlopen(f"http://localhost:9090/api/v1/{path}", timeout=10) as answer:
            return json.load(answer)["data"]

    def test_1_helm_s_own_test_passes(self):
        run("helm", "--kube-context", f"kind-{CLUSTER}", "-n", "retail", "test", "retail")

    def test_2_a_job_runs_and_every_number_is_right(self):
        data = self.folder / "input"
        submit("generate", "--orders", "5000", "--out", data)
        kubectl("exec", "s3-0", "--", "mkdir", "-p", "/s3/buckets/retail/input")
        for day in sorted(data.glob("day=*")):
            kubectl("cp", day, "s3-0:/s3/buckets/retail/input/")
        submit("run", "--scheduler", "http://localhost:50050", "--project", "jobs/retail", "--vars", "input=s3://retail/input")
        submit("verify", "--scheduler", "http://localhost:50050", "--truth", data / "truth.json")

    def test_3_prometheus_has_its_targets_and_the_alerts(self):
        up = {"retail-scheduler": "1", "retail-executor": "2", "retail-operator": "1"}
        wait_for("targets", 60, lambda: up == {
            found["metric"]["job"]: found["value"][1] for found in self.prometheus("query?query=sum(up)by(job)")["result"]})
        rules = [rule for group in self.prometheus("rules")["groups"] for rule in group["rules"]]
        self.assertGreaterEqual(len(rules), 7)

    def test_3_grafana_has_the_dashboards(self):
        with urllib.request.urlopen("http://localhost:3000/api/health", timeout=10) as answer:
            self.assertIn("ok", answer.read().decode())
        shown = kubectl("exec", "deploy/grafana", "--", "ls", "/dashboards").split()
        self.assertEqual(shown, sorted(file.name for file in (ROOT / "grafana/dashboards").glob("*.json")))

    def test_4_a_pod_without_a_label_reaches_nothing_of_the_cluster(self):
        image = get("statefulset/retail-scheduler", ".spec.template.spec.containers[0].image")
        pods = {"nobody": "app=web", "client": "retail.dev/client=true"}
        for name, label in pods.items():
            kubectl("run", name, f"--image={image}", f"--labels={label}", "--restart=Never", "--command", "--", "sleep", "3600")
            self.addCleanup(kubectl, "delete", "pod", name, "--grace-period=0", "--force")
        for name in pods:
            kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
        scheduler, executor = (get(f"pod/retail-{part}-0", ".status.podIP") for part in ("scheduler", "executor"))
        places = [f"{scheduler}:50050", f"{scheduler}:50080", f"{executor}:50051", f"{executor}:50052", f"{executor}:50081"]
        reached = lambda name: kubectl("exec", "-i", name, "--", "bash", "-s", "--", *places, stdin=TRY).split()
        wait_for("the network has heard of the pods", 30, lambda: reached("client") == places[:1])
        self.assertEqual(reached("nobody"), [])

    def test_5_run_again_it_keeps_what_was_scaled_and_restarts_nothing(self):
        kubectl("scale", "retailcluster/retail", "--replicas=3")
        wait_for("executors", 60, lambda: get("retailcluster/retail", ".status.ready") == "3")
        started = lambda: get("pods", ".items[*].status.startTime")
        before, secret = started(), get("secret/retail-catalog", ".data")
        self.up()
        self.assertEqual((started(), get("secret/retail-catalog", ".data")), (before, secret))
        self.assertEqual(get("retailcluster/retail", ".spec.replicas"), "3")

    def test_6_an_image_built_again_runs_in_every_pod(self):
        image = get("statefulset/retail-scheduler", ".spec.template.spec.containers[0].image").removeprefix("docker.io/library/")
        run("docker", "build", "-q", "-t", image, "-", stdin=f"FROM {image}\nLABEL built=again\n")
        run("kind/up.sh", "--image", image)
        wanted = run("docker", "image", "inspect", "-f", "{{.Id}}", image).stdout.strip()
        noted = lambda: get("pods", r".items[?(@.metadata.labels.app\.kubernetes\.io/component)].metadata.annotations.retail\.dev/image").split()
        wait_for("pods of the new image", 240, lambda: set(noted()) == {wanted} and get("retailcluster/retail", ".status.ready") == "3")

    def test_7_wrong_use_is_refused_and_harms_nothing(self):
        for command, status, message in (
            (["kind/up.sh", "--bogus"], 2, "unknown option --bogus"),
            (["kind/up.sh", "--image"], 2, "--image needs NAME:TAG"),
            (["kind/up.sh", "--prebuilt", "/nowhere"], 1, "has no program retail"),
            (["kind/up.sh", "--image", "nothere"], 1, "has no image nothere:latest"),
            (["kind/down.sh", "--help"], 0, ""),
            (["kind/down.sh", "now"], 2, "takes no arguments"),
        ):
            with self.subTest(command=command):
                done = run(*command, check=False)
                self.assertEqual(done.returncode, status)
                self.assertIn(message, done.stderr)
        for script in ("kind/up.sh", "kind/down.sh"):
            self.assertEqual(run(script, check=False, DOCKER_HOST="unix:///nowhere").returncode, 69)
        self.assertIn(CLUSTER, run("kind", "get", "clusters").stdout)
        taken = run("kind/up.sh", check=False, RETAIL_KIND_CLUSTER=f"{CLUSTER}b")
        self.assertRegex(taken.stderr, "port [0-9]+ of this machine is taken")

    def test_8_it_can_be_removed(self):
        run("kind/down.sh")
        self.assertIn(f"there is no cluster {CLUSTER}", run("kind/down.sh").stdout)


if __name__ == "__main__":
    unittest.main()
