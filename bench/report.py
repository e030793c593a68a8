"""What people read of a benchmark: tables on the screen, and a section of RESULTS.md."""

import datetime
import os
import pathlib
import platform
import subprocess

RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")

# What the project wants to reach at 1,000,000 orders on 2 cores: (figure, limit).
GOALS = {
    "wall time to DuckDB's": 2.0,
    "CPU time to DuckDB's": 2.0,
    "peak memory of all processes, MB": 2000,
    "submit to first task, ms": 150,
    "empty job, ms": 400,
    "idle scheduler, MB": 80,
    "idle executor, MB": 100,
}


def machine():
    """The machine and the code, as one line each."""
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    git = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit,
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory_gb),
        "system": platform.release(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def goals(figures):
    """[(figure, value, limit, reached)] for those that were measured."""
    reached = []
    for name, limit in GOALS.items():
        value = figures.get(name)
        if value is not None:
            reached.append((name, value, limit, value <= limit))
    return reached


def text(result):
    """The whole result as Markdown, which also reads well on a screen."""
    m = result["machine"]
    lines = [
        f"## {m['date']}, {result['orders']:,} orders, commit {m['commit']}",
        "",
        f"{m['cpu']}, {m['cores']} cores, {m['memory_gb']} GB, load before the run {m['load_before']}; "
        f"1 scheduler, {result['executors']} executors of {result['slots']} slot each; {result['build']} build.",
        "",
    ]
    systems = result["systems"]
    base = systems.get("DuckDB")
    rows = []
    for name, system in systems.items():
        ratios = [ratio(system[key], base and base[key]) for key in ("seconds", "cpu_s")]
        rows.append([name, f"{system['seconds']:.2f}", f"{system['cpu_s']:.2f}", f"{system['peak_mb']:,}", *ratios])
    lines += table(["whole pipeline", "seconds", "CPU s", "peak MB", "to DuckDB", "CPU to DuckDB"], rows)
    lines += [""]
    if result["goals"]:
        rows = [[n, f"{v:,.4g}", f"{limit:,}", "yes" if ok else "**no**"] for n, v, limit, ok in result["goals"]]
        lines += table(["figure", "measured", "at most", "reached"], rows)
        lines += [""]
    lines += model_table(systems)
    return "\n".join(lines) + "\n"


def model_table(systems):
    models = list(dict.fromkeys(m for system in systems.values() for m in system.get("models", {})))
    if not models:
        return []
    header = ["model"]
    for name in systems:
        header += [f"{name} s", "CPU s", "MB"]
    if len(systems) > 1:
        header.append("to DuckDB")
    rows = []
    for model in models:
        row, measured = [model], []
        for system in systems.values():
            usage = system.get("models", {}).get(model)
            measured.append(usage)
            row += [f"{usage['seconds']:.2f}", f"{usage['cpu_s']:.2f}", f"{usage['peak_mb']:,}"] if usage else ["", "", ""]
        if len(systems) > 1:
            duckdb = systems.get("DuckDB", {}).get("models", {}).get(model)
            row.append(ratio(measured[0] and measured[0]["seconds"], duckdb and duckdb["seconds"]))
        rows.append(row)
    return table(header, rows) + [
        "",
        "A model's CPU and memory are those of all its system's processes between its start and its end; models that "
        "run side by side count each other's.",
    ]


def ratio(value, base):
    return f"{value / base:.2f}" if value and base else ""


def table(header, rows):
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]

    def line(cells):
        padded = [str(c).ljust(w) if i == 0 else str(c).rjust(w) for i, (c, w) in enumerate(zip(cells, widths))]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * w if i == 0 else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return [line(header), "| " + " | ".join(rule) + " |", *map(line, rows)]


def append(result):
    """Newest first, below the page's introduction."""
    page = RESULTS.read_text() if RESULTS.exists() else "# Results\n"
    head, mark, rest = page.partition("\n## ")
    RESULTS.write_text(head.rstrip() + "\n\n" + text(result) + (mark + rest if mark else ""))
