#!/bin/bash
# Removes the cluster that up.sh made, with its stores and everything in them. Says so when there is none.
set -euo pipefail

CLUSTER=${RETAIL_KIND_CLUSTER:-retail}
command -v kind >/dev/null || { echo "kind/down.sh: kind is not installed" >&2 && exit 69; }
if kind get clusters 2>/dev/null | grep -qx "$CLUSTER"; then
    kind delete cluster --name "$CLUSTER"
else
    echo "there is no cluster $CLUSTER"
fi
