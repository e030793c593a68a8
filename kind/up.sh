#!/bin/bash
# Brings up a cluster on this machine with everything it needs: Kubernetes in Docker, the image, PostgreSQL, an S3 store,
# Prometheus, Grafana, and the chart. Run it again after a change: it does what is left to do.
#
#   kind/up.sh                     # builds the image from the sources (long the first time)
#   kind/up.sh --prebuilt DIR      # from the program retail in DIR
#   kind/up.sh --image NAME:TAG    # an image that the Docker engine has already
#
# RETAIL_KIND_CLUSTER: the cluster's name, retail if not set. RETAIL_KIND_NODE_IMAGE: its nodes' image, kind's own if not set.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

CLUSTER=${RETAIL_KIND_CLUSTER:-retail}
NAMESPACE=retail
VERSION=$(sed -n 's/^appVersion: "\(.*\)"/\1/p' helm/retail-cluster/Chart.yaml)
prebuilt='' image=''

die() {
    echo "kind/up.sh: $*" >&2
    exit "${code:-1}"
}
say() { echo "--- $*"; }
# ready COMMAND...: a command that waits; when it waited in vain, what a person would look at.
ready() {
    "$@" || {
        k get pods -o wide || true
        k get events --field-selector type=Warning --sort-by=.lastTimestamp | tail -n 15 || true
        die "not ready in time, see above"
    } >&2
}
usage() { sed -n '2,9s/^# \{0,1\}//p' "$0"; }

while [ $# -gt 0 ]; do
    case $1 in
    --prebuilt)
        prebuilt=${2:-}
        [ -n "$prebuilt" ] || code=2 die "--prebuilt needs a folder"
        ;;
    --image)
        image=${2:-}
        [ -n "$image" ] || code=2 die "--image needs NAME:TAG"
        ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && code=2 die "unknown option $1" ;;
    esac
    shift 2
done
[ -z "$prebuilt" ] || [ -z "$image" ] || code=2 die "--prebuilt and --image exclude each other"
[ -z "$prebuilt" ] || [ -x "$prebuilt/retail" ] ||
    die "$prebuilt has no program retail (cargo build --profile dist -p retail-image)"
# A name without a tag is NAME:latest; the part before a colon may be a registry's port.
[ -z "$image" ] || [[ ${image##*/} == *:* ]] || image+=:latest

# --- what has to be there ---------------------------------------------------------------------------------------

missing=()
for tool in docker kind kubectl helm; do
    command -v "$tool" >/dev/null || missing+=("$tool")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "kind/up.sh: not installed: ${missing[*]}" >&2
    echo "  docker   https://docs.docker.com/engine/install" >&2
    echo "  kind     https://kind.sigs.k8s.io/docs/user/quick-start#installation" >&2
    echo "  kubectl  https://kubernetes.io/docs/tasks/tools" >&2
    echo "  helm     https://helm.sh/docs/intro/install" >&2
    exit 69
fi
docker info >/dev/null 2>&1 || code=69 die "no Docker engine answers; start it, or add yourself to its group"

clusters=$(kind get clusters -q)
there() { grep -qx "$CLUSTER" <<<"$clusters"; }
if ! there; then
    while read -r port; do
        ! (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || die "port $port of this machine is taken"
    done < <(sed -n 's/.*hostPort: \([0-9]*\).*/\1/p' kind/cluster.yaml)
fi

context=kind-$CLUSTER
k() { kubectl --context "$context" -n "$NAMESPACE" "$@"; }

# --- image ------------------------------------------------------------------------------------------------------

if [ -z "$image" ]; then
    image=retail:$VERSION
    say "building image $image"
    export BUILDX_NO_DEFAULT_ATTESTATIONS=1 # they hold the time, so an image of the same files would get another id
    labels=(--build-arg "VERSION=$VERSION" --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)")
    if [ -n "$prebuilt" ]; then
        context_dir=$(mktemp -d)
        trap 'rm -rf "$context_dir"' EXIT
        mkdir "$context_dir/prebuilt"
        cp "$prebuilt/retail" "$context_dir/prebuilt/"
        docker build -q "${labels[@]}" --build-arg BINARIES=prebuilt --build-arg BUILDER=debian:bookworm-slim \
            --target all -t "$image" -f Dockerfile "$context_dir"
    else
        docker build "${labels[@]}" --target all -t "$image" .
    fi
fi
docker image inspect "$image" >/dev/null 2>&1 || die "the Docker engine has no image $image"

# --- cluster ----------------------------------------------------------------------------------------------------

if there; then
    say "cluster $CLUSTER is there"
    answers() { kubectl --context "$context" --request-timeout 20s get --raw /readyz >/dev/null; }
    answers 2>/dev/null || { kind export kubeconfig -q --name "$CLUSTER" && answers; } ||
        die "cluster $CLUSTER does not answer; kind/down.sh removes it"
else
    say "making cluster $CLUSTER"
    kind create cluster --name "$CLUSTER" --config kind/cluster.yaml --wait 120s \
        ${RETAIL_KIND_NODE_IMAGE:+--image "$RETAIL_KIND_NODE_IMAGE"}
fi
kind load docker-image --name "$CLUSTER" "$image"
kubectl --context "$context" create namespace "$NAMESPACE" --dry-run=client -o yaml | kubectl --context "$context" apply -f -

# --- secrets, drawn once ----------------------------------------------------------------------------------------

draw() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }
# secret NAME KEY=VALUE...: made when it is not there yet; values go by stdin, never by command line.
secret() {
    local name=$1 pair
    shift
    k get secret "$name" >/dev/null 2>&1 && return
    {
        printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: %s}\nstringData:\n' "$name"
        for pair in "$@"; do printf '  %s: "%s"\n' "${pair%%=*}" "${pair#*=}"; done
    } | k create -f - >/dev/null
}
password=$(draw)
secret retail-catalog "password=$password" "uri=postgresql://retail:$password@postgres/retail"
secret retail-s3 "access-key-id=$(draw)" "secret-access-key=$(draw)"
secret grafana "password=$(draw)"

# --- stores, monitoring, chart ----------------------------------------------------------------------------------

say "PostgreSQL and the S3 store"
k apply -f kind/stores.yaml
say "Prometheus and Grafana"
for map in prometheus-alerts:grafana/alerts grafana-dashboards:grafana/dashboards; do
    from=()
    for file in "${map#*:}"/*.*; do [ ! -f "$file" ] || from+=("--from-file=$file"); done
    k create configmap "${map%%:*}" "${from[@]}" --dry-run=client -o yaml | k apply --server-side --force-conflicts -f -
done
k apply -f kind/monitoring.yaml
for store in postgres s3; do ready k rollout status "statefulset/$store" --timeout=300s; done

say "the chart"
kubectl --context "$context" apply --server-side -f helm/retail-cluster/crds
settings=(--set "image.repository=${image%:*}" --set-string "image.tag=${image##*:}")
# An image that was built again has the same name: what changes in the pods, so that they start anew, is its id.
id=$(docker image inspect --format '{{.Id}}' "$image")
for part in scheduler executors operator; do settings+=(--set-string "$part.podAnnotations.retail\.dev/image=$id"); done
# What `kubectl scale` has set stays.
replicas=$(k get retailcluster retail --ignore-not-found -o jsonpath='{.spec.replicas}')
[ -z "$replicas" ] || settings+=(--set "executors.replicas=$replicas")
# Helm 4 asks before it takes a field over; Helm 3 has no such option.
help=$(helm upgrade --help)
[[ $help != *--force-conflicts* ]] || settings+=(--force-conflicts)
ready helm upgrade --install retail helm/retail-cluster --kube-context "$context" -n "$NAMESPACE" \
    -f helm/retail-cluster/values-kind.yaml "${settings[@]}" --wait --timeout 300s
# Helm takes a RetailCluster of which nothing is known yet for one that is ready.
ready k wait --for=condition=Ready retailcluster/retail --timeout=300s
for server in prometheus grafana; do ready k rollout status "deployment/$server" --timeout=300s; done

cat <<END

The cluster is up.
  scheduler   http://localhost:50050    retail-submit executors
  Grafana     http://localhost:3000     user admin: kubectl --context $context -n $NAMESPACE get secret grafana -o jsonpath='{.data.password}' | base64 -d
  Prometheus  http://localhost:9090
  S3 store    http://localhost:7070     keys: Secret retail-s3

Next:
  kubectl config use-context $context && kubectl config set-context --current --namespace=$NAMESPACE
  kubectl get retailclusters
  helm test retail --logs
  kubectl exec s3-0 -- mkdir -p /s3/buckets/retail/input          # bucket retail, folder input
  retail-submit generate --orders 100000 --out retail-data/input && for day in retail-data/input/day=*; do kubectl cp "\$day" s3-0:/s3/buckets/retail/input/; done
  retail-submit run --scheduler http://localhost:50050 --project jobs/retail --vars input=s3://retail/input
  kubectl scale retailcluster/retail --replicas=5
  kind/down.sh
END
