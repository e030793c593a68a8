"""Reads the dashboards, the alerts and docs/metrics.md, for the tests."""

import json
import math
import re
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "grafana/alerts/retail.yaml"
PLACES = ("overview", "jobs", "executors", "lakehouse", "platform")
SUFFIXES = ("_bucket", "_sum", "_count")
# Words of PromQL that look like a metric's name.
NO_METRIC = {"le", "by", "on", "and", "or", "unless", "group_left", "process", "instance", "namespace", "absent"}


def boards():
    """Dashboards by name."""
    return {name: json.loads((ROOT / f"grafana/dashboards/{name}.json").read_text()) for name in PLACES}


def panels(board):
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries(board):
    """(panel's title, PromQL with the variables filled in) of every query."""
    found = []
    for panel in panels(board):
        for target in panel["targets"]:
            expr = target["expr"].replace("$namespace", ".*").replace("$__rate_interval", "30s")
            assert "$" not in expr, f"{panel['title']}: a variable that the tests do not know: {expr}"
            found.append((panel["title"], expr))
    return found


class Metric:
    def __init__(self, name, section, kind, labels, shown):
        self.name, self.section, self.kind, self.labels, self.shown = name, section, kind, labels, shown

    def is_served_by(self, process):
        return self.section == {"scheduler": "Scheduler", "executor": "Executors"}[process] or self.section == "Several of them"


def listed():
    """Metrics by name, as docs/metrics.md lists them; a Rust test holds it to the code's list."""
    metrics, section = {}, None
    text = (ROOT / "docs/metrics.md").read_text()
    methods = re.findall(r"`([^`]+)`", text.split("## gRPC methods")[1].split("## Of others")[0])
    for line in text.splitlines():
        if line.startswith("## "):
            section = line[3:]
        elif line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            name = cells[0].strip("`")
            kind, labels = (cells[1], parse_labels(cells[3], methods)) if section != "Of others" else (None, {})
            metrics[name] = Metric(name, section, kind, labels, cells[-1])
    return metrics


def parse_labels(cell, methods):
    """Label to its closed set of values; None where any value may be."""
    labels = {}
    for part in filter(None, cell.split("; ")):
        name, _, values = part.partition(": ")
        name = name.strip("`")
        labels[name] = set(methods[1:]) if name == "method" else set(values.split(", ")) if values else None
    return labels


def names_in(expr):
    """The metrics that a query reads."""
    bare = re.sub(r'"[^"]*"', '""', expr)
    bare = re.sub(r"\{[^}]*\}", "", bare)
    bare = re.sub(r"\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    words = re.findall(r"[a-zA-Z_][a-zA-Z0-9_]*(?!\s*\()\b", re.sub(r"\[[^\]]*\]", "", bare))
    return {word for word in words if "_" in word and word not in NO_METRIC and not word.startswith("group_")} - FUNCTIONS


FUNCTIONS = {"histogram_quantile", "clamp_min", "last_over_time", "max_over_time"}


def base(name, metrics):
    """The metric of a histogram's series."""
    for suffix in SUFFIXES:
        if name.endswith(suffix) and name[: -len(suffix)] in metrics:
            return name[: -len(suffix)]
    return name


def samples(text):
    """(name, labels) of every sample of a /metrics page."""
    found = []
    for line in text.splitlines():
        match = re.match(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? [^ ]+$", line)
        if match and not line.startswith("#"):
            labels = re.findall(r'([a-zA-Z_]+)="((?:[^"\\]|\\.)*)"', match[2] or "")
            found.append((match[1], dict(labels)))
    return found


def types(text):
    return set(re.findall(r"^# TYPE (\S+) ", text, re.M))


class Prometheus:
    def __init__(self, url):
        self.url = url

    def get(self, path, **parameters):
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {json.load(error).get('error')}") from None

    def range(self, expr, start, end):
        """Finite values of every series."""
        series = self.get("query_range", query=expr, start=start, end=end, step=1)["result"]
        return [float(v) for one in series for _, v in one["values"] if math.isfinite(float(v))]

    def value(self, expr):
        """The first series' value now; none without one."""
        found = self.get("query", query=expr)["result"]
        return float(found[0]["value"][1]) if found else None
