"""The retail pipeline on real processes against DuckDB and in-process DataFusion: same SQL, same files, same run.

Measures for each system the wall time, the CPU time and the highest memory of all its processes together; for the
cluster also how long a job takes that does nothing, how soon the first task starts, and what idle processes hold.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import measure
import report

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("RETAIL_CACHE") or pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "retail")).expanduser()
PROJECT = ROOT / "jobs" / "retail"
EMPTY_JOB_RUNS = 5


def main():
    options = parse()
    data = input_files(options)
    result = {
        "machine": report.machine(),
        "orders": options.orders,
        "days": options.days,
        "executors": options.executors,
        "slots": options.slots,
        "build": options.programs.name,
        "systems": {},
    }
    with tempfile.TemporaryDirectory(prefix="retail-bench.", dir=options.dir) as folder:
        folder = pathlib.Path(folder)
        figures = {}
        if "cluster" in options.systems:
            say("cluster: 1 scheduler, %d executors" % options.executors)
            result["systems"]["cluster"], figures = cluster(options, data, folder / "cluster")
        if "duckdb" in options.systems:
            say("DuckDB")
            result["systems"]["DuckDB"] = duckdb(options, data, folder / "duckdb")
        if "in-process" in options.systems:
            say("DataFusion in one process")
            result["systems"]["in-process"] = in_process(options, data, folder / "in-process")
    compare(result, figures)
    result["figures"] = figures
    result["goals"] = report.goals(figures)
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        print(report.text(result))
    if not options.no_record:
        report.append(result)
        say(f"added to {report.RESULTS.relative_to(ROOT)}")


def parse():
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--executors", type=int, default=2)
    parser.add_argument("--slots", type=int, help="of each executor; default: the cores shared out")
    parser.add_argument("--threads", type=int, default=cores, help="of DuckDB and of in-process DataFusion")
    parser.add_argument("--memory-mb", type=int, default=700, help="that one executor's operators may reserve")
    parser.add_argument("--systems", nargs="+", default=["cluster", "duckdb", "in-process"], choices=["cluster", "duckdb", "in-process"])
    parser.add_argument("--programs", type=pathlib.Path, default=None, help="folder of built programs; default: build them")
    parser.add_argument("--dir", type=pathlib.Path, help="where tables are written; default: a temporary folder")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--no-record", action="store_true", help="do not add the result to bench/RESULTS.md")
    options = parser.parse_args()
    options.slots = options.slots or max(1, cores // options.executors)
    if options.programs is None:
        options.programs = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    options.programs = options.programs.resolve()
    return options


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def input_files(options):
    """The generated files, kept in the cache: the generator is deterministic."""
    data = CACHE / "bench" / f"orders-{options.orders}-days-{options.days}"
    if not (data / ".complete").exists():
        say(f"generating {options.orders:,} orders over {options.days} days into {data}")
        shutil.rmtree(data, ignore_errors=True)
        submit(options, "generate", "--orders", options.orders, "--days", options.days, "--out", data)
        (data / ".complete").touch()
    return data


def variables(data):
    return json.dumps({"input": str(data)})


# --- the cluster ------------------------------------------------------------------------------------------------


def cluster(options, data, folder):
    """One scheduler and executors, all processes; the small figures of a cluster, then the pipeline."""
    figures = {}
    with contextlib.ExitStack() as running:
        url, scheduler = start_scheduler(running, options, folder, data)
        executors = [start_executor(running, options, folder, url, number) for number in range(options.executors)]
        time.sleep(1)  # what a start used is given back
        figures["idle scheduler, MB"] = round(measure.rss_mb(scheduler.pid), 1)
        figures["idle executor, MB"] = round(max(measure.rss_mb(e.pid) for e in executors), 1)
        empty = empty_project(folder / "empty")
        times = [job_times(run(options, url, empty, "{}")) for _ in range(EMPTY_JOB_RUNS)]
        figures["empty job, ms"] = median(t["job_ms"] for t in times)
        figures["submit to first task, ms"] = median(t["first_task_ms"] for t in times)
        system = pipeline(options, url, data, [scheduler, *executors])
    figures["peak memory of all processes, MB"] = system["peak_mb"]
    return system, figures


def in_process(options, data, folder):
    """The scheduler alone, running plans in its own process: the same code without a cluster."""
    with contextlib.ExitStack() as running:
        url, scheduler = start_scheduler(running, options, folder, data, in_process_slots=options.threads)
        return pipeline(options, url, data, [scheduler])


def pipeline(options, url, data, processes):
    """Runs the retail project once; what was used, as a whole and by model."""
    with measure.Sampler([p.pid for p in processes]) as sampler:
        events = run(options, url, PROJECT, variables(data), sampler)
    described = json.loads(submit(options, "job", events[0]["job_id"], "--scheduler", url, "--json"))
    return {**sampler.usage().as_dict(), "models": windows(sampler, described["models"])}


def start_scheduler(running, options, folder, data, in_process_slots=0):
    folder.mkdir(parents=True)
    port, admin_port = free_port(), free_port()
    config = folder / "scheduler.toml"
    config.write_text(
        f"""[server]
host = "127.0.0.1"
port = {port}
admin_port = {admin_port}

[catalog]
uri = "sqlite://{folder}/catalog.db"
warehouse = "file://{folder}/warehouse"

[sources]
allow = ["{data}"]

[cluster]
in_process_slots = {in_process_slots}
"""
    )
    scheduler = start(running, options, folder, "retail-scheduler", "--config", config)
    ready(scheduler, admin_port)
    return f"http://127.0.0.1:{port}", scheduler


def start_executor(running, options, folder, url, number):
    admin_port = free_port()
    config = folder / f"executor-{number}.toml"
    config.write_text(
        f"""[scheduler]
url = "{url}"

[server]
host = "127.0.0.1"
flight_port = 0
grpc_port = 0
admin_port = {admin_port}

[resources]
slots = {options.slots}
memory_bytes = {options.memory_mb * 1_000_000}
work_dir = "{folder}/work-{number}"
"""
    )
    executor = start(running, options, folder, "retail-executor", "--config", config)
    ready(executor, admin_port)
    return executor


def start(running, options, folder, program, *arguments):
    log = running.enter_context(open(folder / f"{program}.log", "ab"))
    process = subprocess.Popen([options.programs / program, *map(str, arguments)], stdout=log, stderr=log, cwd=folder)
    process.log = folder / f"{program}.log"
    running.callback(stop, process)
    return process


def stop(process):
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def ready(process, admin_port):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{process.args[0]} ended at start:\n{process.log.read_text()}")
        with contextlib.suppress(urllib.error.URLError, OSError):
            with urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
        time.sleep(0.05)
    sys.exit(f"{process.args[0]} did not become ready, see {process.log}")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def submit(options, *arguments, sampler=None):
    """Runs retail-submit and returns what it printed."""
    command = [options.programs / "retail-submit", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    if sampler is not None:
        sampler.add(process.pid)
    out, err = process.communicate()
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed ({process.returncode}):\n{out}{err}")
    return out


def run(options, url, project, variables, sampler=None):
    """Runs a project and returns its job's events."""
    out = submit(options, "run", "--scheduler", url, "--project", project, "--vars", variables, "--json", sampler=sampler)
    return [event for event in map(json.loads, out.splitlines()) if "kind" in event]


def empty_project(folder):
    """One model of one row: what is left is the cost of a job."""
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: empty\nversion: '1'\nprofile: retail\nmodels:\n  +schema: bench\n  +materialized: table\n")
    (folder / "models" / "one.sql").write_text("SELECT 1 AS one\n")
    return folder


def job_times(events):
    """From submission to the job's end, and to its first task, in milliseconds.

    A first task that ends before anybody looks shows only in its model's end, which is then the (later) time taken.
    """
    begin = events[0]["time_us"]
    first = next(e for e in events if e["kind"]["event"] in ("stage_progress", "model_staged"))
    return {"job_ms": (events[-1]["time_us"] - begin) / 1000, "first_task_ms": (first["time_us"] - begin) / 1000}


def median(values):
    values = sorted(values)
    return round(values[len(values) // 2], 1)


def windows(sampler, models):
    """What was used between each model's start and end."""
    used = {}
    for model in models:
        begin, end = model.get("started_at_us", 0) / 1e6, model.get("finished_at_us", 0) / 1e6
        if begin and end:
            used[model["model"]] = sampler.usage(begin, end).as_dict()
    return used


# --- the others -------------------------------------------------------------------------------------------------


def duckdb(options, data, folder):
    """bench/duckdb_project.py runs the project's models one after the other and prints their times."""
    folder.mkdir(parents=True)
    command = [sys.executable, "-B", ROOT / "bench" / "duckdb_project.py", "--project", PROJECT, "--vars", variables(data), "--out", folder, "--threads", options.threads, "--json"]
    return alone(list(map(str, command)))


def alone(command):
    """Runs one process and samples it."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    sampler = measure.Sampler([])
    sampler.add(process.pid)
    with sampler:
        out, err = process.communicate()
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} failed ({process.returncode}):\n{out}{err}")
    answer = json.loads(out.splitlines()[-1])
    return {**sampler.usage().as_dict(), "models": windows(sampler, answer.get("models", []))}


def compare(result, figures):
    cluster, duckdb = result["systems"].get("cluster"), result["systems"].get("DuckDB")
    if cluster and duckdb:
        figures["wall time to DuckDB's"] = round(cluster["seconds"] / duckdb["seconds"], 2)
        figures["CPU time to DuckDB's"] = round(cluster["cpu_s"] / duckdb["cpu_s"], 2)


if __name__ == "__main__":
    main()
