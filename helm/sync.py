#!/usr/bin/env python3
"""Copies dashboards and alerts from grafana/ into the chart, which can hold no file from outside; with --check reports
whether they are equal."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
KINDS = {"dashboards": "*.json", "alerts": "*.yaml"}


def differences():
    for kind, pattern in KINDS.items():
        source, target = HERE.parent / "grafana" / kind, HERE / "retail-cluster" / "files" / kind
        wanted = {p.name: p.read_bytes() for p in sorted(source.glob(pattern))}
        there = {p.name: p.read_bytes() for p in sorted(target.glob("*"))}
        for name in sorted(wanted.keys() | there.keys()):
            if wanted.get(name) != there.get(name):
                yield target / name, wanted.get(name)


def main():
    stale = list(differences())
    if sys.argv[1:] == ["--check"]:
        if stale:
            names = ", ".join(path.name for path, _ in stale)
            raise SystemExit(f"sync: the chart's {names} differ from grafana/; run helm/sync.py")
        return
    for path, content in stale:
        if content is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


if __name__ == "__main__":
    main()
