#!/bin/bash
# Removes the cluster that up.sh made, with its stores and everything in them. Reports when there is none.
set -euo pipefail

CLUSTER=${RETAIL_KIND_CLUSTER:-retail}
die() {
    echo "kind/down.sh: $*" >&2
    exit "${code:-1}"
}
case ${1:-} in
'') ;;
-h | --help) sed -n '2s/^# //p' "$0" && exit 0 ;;
*) code=2 die "takes no arguments, not $1; the cluster's name is RETAIL_KIND_CLUSTER, retail if not set" ;;
esac
command -v kind >/dev/null || code=69 die "kind is not installed"
clusters=$(kind get clusters -q) || code=69 die "the clusters cannot be listed; does the Docker engine run?"
if grep -qx "$CLUSTER" <<<"$clusters"; then
    kind delete cluster --name "$CLUSTER"
else
    echo "there is no cluster $CLUSTER"
fi
