"""Renders the chart with helm and reads what comes out."""

import functools
import pathlib
import subprocess

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "retail-cluster"

# What the chart is rendered with in most tests: name -> values file and settings.
PLAIN = ["operator.enabled=false"]
VARIANTS = {
    "default": [],
    "without-operator": ["--set", "operator.enabled=false"],
    "hpa": ["--set", "operator.enabled=false,executors.hpa.enabled=true"],
    "production": ["-f", str(CHART / "values-production.yaml")],
    "kind": ["-f", str(CHART / "values-kind.yaml")],
}


@functools.cache
def helm():
    """The path of helm, installed into the cache folder when there is none."""
    done = subprocess.run([ROOT / "services" / "helm.sh"], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return done.stdout.strip()


def run(*arguments, stdin=None):
    return subprocess.run([helm(), *map(str, arguments)], capture_output=True, text=True, input=stdin)


def template(*arguments, values=None, chart=CHART):
    """helm template; values (a dict) are laid over the chart's."""
    command = ["template", "retail", chart, "--namespace", "shop", *arguments]
    if values is not None:
        command += ["-f", "-"]
    return run(*command, stdin=yaml.safe_dump(values) if values is not None else None)


def text(*arguments, values=None, chart=CHART):
    done = template(*arguments, values=values, chart=chart)
    if done.returncode:
        raise AssertionError(f"helm template failed: {done.stderr}")
    return done.stdout


def objects(*arguments, values=None):
    """What is installed, by (kind, name)."""
    found = {}
    for thing in yaml.safe_load_all(text(*arguments, values=values)):
        if thing:
            found[thing["kind"], thing["metadata"]["name"]] = thing
    return found


def pods(installed):
    """(name, pod template) of everything that runs a pod."""
    for (kind, name), thing in installed.items():
        if kind in ("StatefulSet", "Deployment"):
            yield f"{kind} {name}", thing["spec"]["template"]
        elif kind == "Pod":
            yield f"{kind} {name}", thing
