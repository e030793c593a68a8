"""The images, and the cluster that docker-compose.yaml makes of them.

Needs RETAIL_TEST_DOCKER (a Docker engine's address, as services/docker.sh prints it; its image debian:bookworm-slim) and
RETAIL_TEST_BINARIES (a folder with the program retail). Servers of other projects are stood in for by Debian's packages
and by what services/ builds; Grafana is not, so it is left out here."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("RETAIL_CACHE") or pathlib.Path.home() / ".cache" / "retail")
PROGRAMS = ["retail-scheduler", "retail-executor", "retail-operator", "retail-submit"]
# The image is to stay under this with everything in it, release builds, uncompressed layers above the base.
GOAL_MB = 100


def setUpModule():
    for name in ("RETAIL_TEST_DOCKER", "RETAIL_TEST_BINARIES"):
        if not os.environ.get(name):
            raise unittest.SkipTest(f"no Docker engine: {name} is not set")


def run(*command, check=True, **env):
    environment = {**os.environ, "DOCKER_HOST": os.environ["RETAIL_TEST_DOCKER"], "DOCKER_BUILDKIT": "0", **env}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment, timeout=600)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))[:300]}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done


def docker(*arguments, **options):
    return run("docker", *arguments, **options).stdout


def build(target, tag, *arguments, context, file=ROOT / "Dockerfile"):
    docker("build", "-q", "--network", "host", "-f", file, "--target", target, "-t", tag, *arguments, context)


def build_retail(target, tag):
    """From the programs at hand, as a CI that has just built them does."""
    with tempfile.TemporaryDirectory() as context:
        prebuilt = pathlib.Path(context) / "prebuilt"
        prebuilt.mkdir()
        shutil.copy(pathlib.Path(os.environ["RETAIL_TEST_BINARIES"]) / "retail", prebuilt)
        subprocess.run(["strip", prebuilt / "retail"], check=False)
        build(target, tag, "--build-arg", "BINARIES=prebuilt", "--build-arg", "BUILDER=debian:bookworm-slim",
              "--build-arg", "VERSION=9.9.9", "--build-arg", "REVISION=abcdef", context=context)


class Images(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        build_retail("operator", "retail-test-operator")
        for program in PROGRAMS[:2] + PROGRAMS[3:]:
            target = program.removeprefix("retail-")
            build_retail(target, f"retail-test-{target}")
        build_retail("all", "retail-test")

    @classmethod
    def tearDownClass(cls):
        docker("rmi", "-f", "retail-test", *(f"retail-test-{p.removeprefix('retail-')}" for p in PROGRAMS), check=False)

    def config(self, image):
        return json.loads(docker("image", "inspect", image))[0]["Config"]

    def test_each_target_runs_its_program(self):
        for program in PROGRAMS:
            image = f"retail-test-{program.removeprefix('retail-')}"
            with self.subTest(image=image):
                self.assertEqual(self.config(image)["Entrypoint"], [program])
                self.assertRegex(docker("run", "--rm", "--network", "none", image, "--version"), rf"^{program} \d+\.\d+\.\d+")

    def test_all_holds_the_four_programs(self):
        for program in PROGRAMS:
            with self.subTest(program=program):
                self.assertRegex(docker("run", "--rm", "--network", "none", "retail-test", program, "--version"), rf"^{program} \d")

    def test_labels_say_what_it_is(self):
        labels = self.config("retail-test")["Labels"]
        self.assertEqual(labels["org.opencontainers.image.version"], "9.9.9")
        self.assertEqual(labels["org.opencontainers.image.revision"], "abcdef")

    def test_it_runs_as_nobody_in_particular_on_a_read_only_root(self):
        out = docker("run", "--rm", "--read-only", "--cap-drop", "ALL", "--network", "none", "--tmpfs", "/tmp", "retail-test", "bash", "-c",
                     "id -u; id -g; touch /data/x && echo data; touch /tmp/x && echo tmp; touch /x 2>/dev/null || echo root; touch /usr/local/bin/x 2>/dev/null || echo bin")
        self.assertEqual(out.split(), ["65532", "65532", "data", "tmp", "root", "bin"])

    def test_certificate_authorities_are_in_it(self):
        out = docker("run", "--rm", "--network", "none", "retail-test", "grep", "-c", "BEGIN CERTIFICATE", "/etc/ssl/certs/ca-certificates.crt")
        self.assertGreater(int(out), 100)

    def test_a_scheduler_and_an_executor_start_without_any_setting_but_addresses(self):
        name = f"retail-test-{os.getpid()}"
        docker("run", "-d", "--name", name, "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "retail-test-scheduler", "--host", "0.0.0.0")
        try:
            ready = "exec 3<>/dev/tcp/127.0.0.1/50080 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q ' 200 ' <&3"
            for _ in range(100):
                if run("docker", "exec", name, "bash", "-c", ready, check=False).returncode == 0:
                    break
                time.sleep(0.2)
            else:
                self.fail(docker("logs", name))
        finally:
            docker("rm", "-f", "-v", name)

    def test_it_is_small(self):
        size = int(docker("image", "inspect", "retail-test", "--format", "{{.Size}}")) - int(docker("image", "inspect", "debian:bookworm-slim", "--format", "{{.Size}}"))
        with tempfile.TemporaryDirectory() as folder:
            archive = pathlib.Path(folder) / "image.tar"
            docker("save", "retail-test", "-o", archive)
            packed = len(subprocess.run(["gzip", "-3", "-c", archive], capture_output=True, check=True).stdout)
        print(f"\nimage `all`: {size / 1e6:.0f} MB above its base, {packed / 1e6:.0f} MB compressed with it")
        if os.environ.get("RETAIL_TEST_BINARIES_RELEASE"):
            self.assertLess(packed / 1e6, GOAL_MB)


class Compose(unittest.TestCase):
    """`docker compose up`, the retail project on it, every number checked."""

    project = f"retailtest{os.getpid()}"

    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(cls.down)
        build_retail("all", "retail-test-all")
        with tempfile.TemporaryDirectory() as context:
            for file in (pathlib.Path(__file__).parent / "stand-ins").iterdir():
                shutil.copy(file, context)
            shutil.copy(sorted(CACHE.glob("versitygw-*/versitygw"))[-1], context)
            collector = run(ROOT / "services/otelcol.sh", "build", context).stdout.strip()
            shutil.copy(collector, context)
            for server in ("postgres", "s3", "prometheus", "otelcol"):
                build(server, f"retail-test-{server}", context=context, file=pathlib.Path(context) / "Dockerfile")
        cls.environment = {
            "RETAIL_IMAGE": "retail-test-all", "POSTGRES_IMAGE": "retail-test-postgres", "S3_IMAGE": "retail-test-s3",
            "PROMETHEUS_IMAGE": "retail-test-prometheus", "OTELCOL_IMAGE": "retail-test-otelcol", "RETAIL_PORT": "0", "RETAIL_ADMIN_PORT": "0", "PROMETHEUS_PORT": "0",
        }
        cls.compose("up", "-d", "--no-build", "scheduler", "executor", "prometheus", "otelcol")

    @classmethod
    def compose(cls, *arguments, check=True):
        return run("docker-compose", "-f", ROOT / "docker-compose.yaml", "-p", cls.project, *arguments, check=check, **cls.environment).stdout

    @classmethod
    def down(cls):
        if hasattr(cls, "environment"):
            cls.compose("down", "--volumes", "--remove-orphans", check=False)
        docker("rmi", "-f", "retail-test-all", "retail-test-postgres", "retail-test-s3", "retail-test-prometheus", "retail-test-otelcol",
               check=False)

    def containers(self):
        out = docker("ps", "-a", "--filter", f"label=com.docker.compose.project={self.project}", "--format", "{{.ID}}").split()
        return json.loads(docker("inspect", *out))

    def test_1_it_is_usable_when_it_is_up(self):
        deadline = time.monotonic() + 60
        while "2 executors" not in (out := self.compose("run", "--rm", "submit", "executors")):
            self.assertLess(time.monotonic(), deadline, out)
            time.sleep(1)

    def test_2_the_retail_project_runs_and_every_number_is_right(self):
        self.compose("run", "--rm", "generate", "--orders", "5000", "--days", "2")
        self.compose("run", "--rm", "submit", "run", "--project", "/jobs/retail", "--vars", "input=s3://retail/input")
        with tempfile.TemporaryDirectory() as folder:
            truth = pathlib.Path(folder) / "truth.json"
            s3 = [c["Id"] for c in self.containers() if c["Config"]["Labels"]["com.docker.compose.service"] == "s3"][0]
            docker("cp", f"{s3}:/s3/buckets/retail/input/truth.json", truth)
            os.chmod(folder, 0o755)
            os.chmod(truth, 0o644)
            self.compose("run", "--rm", "-v", f"{truth}:/truth.json:ro", "submit", "verify", "--truth", "/truth.json")

    def test_3_prometheus_scrapes_all_of_them(self):
        port = self.compose("port", "prometheus", "9090").strip().rsplit(":", 1)[1]
        deadline = time.monotonic() + 60
        while True:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?query=sum(up)by(job)", timeout=10) as answer:
                found = {r["metric"]["job"]: r["value"][1] for r in json.load(answer)["data"]["result"]}
            if found == {"retail-scheduler": "1", "retail-executor": "2"}:
                return
            self.assertLess(time.monotonic(), deadline, found)
            time.sleep(1)

    def test_3_the_collector_got_the_job_s_trace(self):
        deadline = time.monotonic() + 60
        while True:
            spans = sum(int(n) for n in re.findall(r'"spans": (\d+)', self.compose("logs", "--no-color", "otelcol")))
            if spans > 100:  # 27 models with their queries, stages and tasks
                return
            self.assertLess(time.monotonic(), deadline, f"{spans} spans")
            time.sleep(1)

    def test_4_nothing_runs_as_root_or_holds_a_password_in_its_environment(self):
        found = self.containers()
        self.assertGreaterEqual(len(found), 7)
        for container in found:
            service = container["Config"]["Labels"]["com.docker.compose.service"]
            with self.subTest(service=service):
                host = container["HostConfig"]
                self.assertTrue(host["ReadonlyRootfs"])
                self.assertEqual(host["CapDrop"], ["ALL"])
                if service == "secrets":
                    self.assertEqual((host["NetworkMode"], host["CapAdd"]), ("none", ["CHOWN"]))
                else:
                    self.assertEqual(container["Config"]["User"], "65532:65532")
                for variable in container["Config"]["Env"]:
                    if re.search("PASSWORD|SECRET|KEY", variable.split("=")[0]):
                        self.assertRegex(variable, "_FILE=/secrets/")

    def test_5_passwords_are_drawn_once(self):
        read = lambda: self.compose("exec", "-T", "scheduler", "cat", "/secrets/catalog-uri")
        before = read()
        self.assertRegex(before, r"^postgresql://retail:[0-9a-f]{32}@postgres/retail$")
        self.compose("up", "-d", "--no-build", "secrets")
        self.assertEqual(read(), before)


if __name__ == "__main__":
    unittest.main()
