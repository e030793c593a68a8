"""A scheduler and two executors from the built programs, for the tests."""

import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from grafana import ROOT

LIMIT_S = 90


def programs():
    """The folder of the built programs; none when they are not built."""
    target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    folder = Path(os.environ.get("RETAIL_TEST_BIN") or target / "debug")
    wanted = ("retail-scheduler", "retail-executor", "retail-submit")
    return folder.resolve() if all((folder / name).exists() for name in wanted) else None


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until(what, check):
    """Waits until `check` gives something true, and gives it back."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {LIMIT_S} s for {what}")


class Cluster:
    """Started by `with`; its processes end and its folder goes when that ends."""

    def __init__(self, executors=2, memory_bytes=512 << 20):
        self.executors, self.memory_bytes = executors, memory_bytes
        self.processes = []
        self.admin = {}

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="retail-dashboards.")
        self.dir = Path(self.folder.name)
        grpc, admin = free_port(), free_port()
        self.url = f"http://127.0.0.1:{grpc}"
        try:
            self.start("scheduler", "retail-scheduler", admin, f"""
                [server]
                port = {grpc}
                admin_port = {admin}
                [catalog]
                uri = "sqlite://{self.dir}/catalog.db"
                warehouse = "file://{self.dir}/warehouse"
                [sources]
                allow = ["{self.dir}"]
            """)
            for number in range(self.executors):
                admin = free_port()
                self.start(f"executor-{number}", "retail-executor", admin, f"""
                    [scheduler]
                    url = "{self.url}"
                    heartbeat_s = 1
                    [server]
                    flight_port = 0
                    grpc_port = 0
                    admin_port = {admin}
                    [resources]
                    slots = 2
                    memory_bytes = {self.memory_bytes}
                    work_dir = "{self.dir}/work-{number}"
                """)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
        self.folder.cleanup()

    def start(self, name, program, admin, settings):
        config = self.dir / f"{name}.toml"
        config.write_text("\n".join(line.strip() for line in settings.splitlines()))
        log = self.dir / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen([programs() / program, "--config", config], stdout=out, stderr=out, cwd=self.dir)
        self.processes.append(process)

        def ready():
            assert process.poll() is None, f"{name} ended:\n{log.read_text()}"
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=5)
            except OSError:
                return None

        until(f"{name} to be ready", ready).close()
        self.admin[name] = admin

    def submit(self, *arguments, code=0):
        command = [programs() / "retail-submit", *arguments]
        environment = {**os.environ, "RETAIL_SCHEDULER": self.url, "NO_COLOR": "1"}
        ran = subprocess.run(command, env=environment, cwd=self.dir, capture_output=True, text=True, timeout=300)
        assert ran.returncode == code, f"{arguments}: exit {ran.returncode}\n{ran.stdout}{ran.stderr}"
        return ran.stdout

    def metrics(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin[name]}/metrics", timeout=10) as page:
            return page.read().decode()

    def targets(self, file):
        """Names the processes to a Prometheus (file_sd)."""
        found = [f"127.0.0.1:{port}" for port in self.admin.values()]
        file.write_text(json.dumps([{"targets": found, "labels": {"namespace": "test"}}]))
