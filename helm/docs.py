#!/usr/bin/env python3
"""Makes helm/README.md from the comments of the chart's values.yaml; with --check reports whether it is up to date.

Every key has a comment right above it, or lies below one that has."""

import json
import pathlib
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
CHART = HERE / "retail-cluster"
README = HERE / "README.md"

HEAD = """\
# Helm chart

`helm/retail-cluster` installs a cluster on Kubernetes {versions}: a scheduler, executors, and the operator that looks
after them. It brings no database and no object store: name yours.

    kubectl create namespace retail
    kubectl -n retail create secret generic retail-catalog --from-file=uri=./catalog-uri
    kubectl -n retail create secret generic retail-s3 --from-file=access-key-id --from-file=secret-access-key
    helm upgrade --install retail helm/retail-cluster -n retail --wait \\
      --set image.repository=REGISTRY/retail \\
      --set catalog.existingSecret=retail-catalog --set catalog.warehouse=s3://BUCKET/warehouse \\
      --set s3.endpoint=http://STORE:9000 --set s3.existingSecret=retail-s3
    helm -n retail test retail --logs

- [values-production.yaml](retail-cluster/values-production.yaml): PostgreSQL and S3 run by others, ingress with TLS,
  autoscaling, alerts. [values-kind.yaml](retail-cluster/values-kind.yaml): what `kind/up.sh` installs.
- Secrets are named, never given: the pods mount them as files. A changed Secret is read when a pod starts:
  `kubectl rollout restart statefulset/retail-scheduler statefulset/retail-executor`.
- A changed setting rolls the pods: executors one by one, each after it has drained.
- Helm installs the definition of RetailCluster once and never changes it. Before an upgrade:
  `kubectl apply --server-side -f helm/retail-cluster/crds`.
- After `kubectl scale retailcluster/retail` that number is kubectl's: an upgrade that sets `executors.replicas` too is
  refused as a conflict. Set it to null, or upgrade with `--force-conflicts`.
- To remove it: `helm -n retail uninstall retail`. A job in the cluster deletes the RetailCluster first and waits until its
  executors have drained, for which `--timeout` has to suffice; then all else goes. Where its pod cannot start, as with an
  image that is not there: `kubectl -n retail delete retailcluster/retail`, then `helm -n retail uninstall retail --no-hooks`.
- Removing the release removes the executors with their files, and keeps the claim with the SQLite catalog if there is
  one, the database, and every table.

## Values

A mistyped or impossible value is refused before anything is installed, with a message that names it.

"""


def rows(text):
    """(path, comment) of every commented key, in order."""
    found, stack, comment = [], [], []
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if bare.startswith("#"):
            comment.append(bare.lstrip("#").strip())
            continue
        if not bare or bare.startswith("- "):
            comment = []
            continue
        indent = len(line) - len(line.lstrip())
        stack = [(depth, key) for depth, key in stack if depth < indent]
        key = bare.split(":", 1)[0]
        stack.append((indent, key))
        if comment:
            found.append((tuple(key for _, key in stack), " ".join(comment)))
        comment = []
    return found


def leaves(values, path=()):
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, path + (key,))
        else:
            yield path + (key,)


def look_up(values, path):
    for key in path:
        values = values[key]
    return values


def render():
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    documented = rows(text)
    paths = {path for path, _ in documented}
    bare = [".".join(p) for p in leaves(values) if not any(p[:n] in paths for n in range(1, len(p) + 1))]
    if bare:
        raise SystemExit(f"docs: no comment in values.yaml above {', '.join(bare)}")
    versions = yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"]
    oldest, newest = (part.lstrip("<>=").split("-")[0].rsplit(".", 1)[0] for part in versions.split())
    newest = f"1.{int(newest.split('.')[1]) - 1}"
    out = [HEAD.replace("{versions}", f"{oldest} to {newest}")]
    out.append("| value | default | meaning |\n|---|---|---|\n")
    for path, comment in documented:
        default = json.dumps(look_up(values, path), ensure_ascii=False)
        default = "" if default in ('""', "{}", "[]", "null") else f"`{default}`"
        cells = [f"`{'.'.join(path)}`", default, comment]
        out.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    return "".join(out)


def main():
    made = render()
    if sys.argv[1:] == ["--check"]:
        if README.read_text() != made:
            raise SystemExit("docs: helm/README.md differs from values.yaml; run helm/docs.py")
    elif sys.argv[1:]:
        raise SystemExit("usage: helm/docs.py [--check]")
    else:
        README.write_text(made)


if __name__ == "__main__":
    main()
