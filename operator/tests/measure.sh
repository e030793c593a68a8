#!/bin/bash
# What 200 RetailClusters of 50 executors cost the operator: CPU and memory while it settles and while it idles.
#   services/kubernetes.sh start DIR && KUBECONFIG=DIR/kubeconfig operator/tests/measure.sh target/release/retail-operator
# There are no nodes: the StatefulSets make 10,000 pods that stay pending. One loopback server stands for all schedulers.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
operator=$1 clusters=${2:-200} executors=${3:-50} namespace=measure
work=$(mktemp -d)
kubectl=${KUBECTL:-kubectl}
stop() { kill $(cat "$work"/*.pid 2>/dev/null) 2>/dev/null || true; rm -rf "$work"; }
trap stop EXIT

python3 - "$work/port" <<'END' &
import http.server, sys
class Demand(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    def do_GET(self):
        body = b'{"jobs_running":1,"tasks_running":60,"tasks_queued":40,"widest_stage":100}'
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Demand)
open(sys.argv[1], "w").write(str(server.server_port))
server.serve_forever()
END
echo $! >"$work/scheduler.pid"
until [ -s "$work/port" ]; do sleep 0.1; done

$kubectl apply --server-side -f helm/retail-cluster/crds/retailclusters.yaml >/dev/null
$kubectl wait --for=condition=Established crd/retailclusters.retail.dev >/dev/null
$kubectl create namespace $namespace >/dev/null 2>&1 || true
for n in $(seq "$clusters"); do
    cat <<END
---
apiVersion: retail.dev/v1alpha1
kind: RetailCluster
metadata: {name: c$n, namespace: $namespace}
spec:
  schedulerService: 127.0.0.1
  schedulerAdminPort: $(cat "$work/port")
  image: retail:none
  slots: 2
  resources: {limits: {memory: 1Gi}}
  autoscaling: {enabled: true, min: 0, max: $executors}
END
done >"$work/clusters.yaml"
$kubectl apply -f "$work/clusters.yaml" >/dev/null

RETAIL__KUBERNETES__NAMESPACE=$namespace RETAIL__LEADER__NAMESPACE=$namespace "$operator" --admin-port 0 2>"$work/log" &
pid=$!
echo $pid >"$work/operator.pid"
cpu() { awk '{ print ($14 + $15) * 10 }' /proc/$pid/stat; } # ms, at 100 ticks a second
memory() { awk '/VmRSS|VmHWM/ { printf "%s %d MB  ", $1, $2 / 1024 }' /proc/$pid/status; }
started=$SECONDS
desired() { $kubectl -n $namespace get statefulsets -o jsonpath='{range .items[*]}{.spec.replicas}{"\n"}{end}' | awk '{ n += $1 } END { print n + 0 }'; }
until [ "$(desired)" = $((clusters * executors)) ]; do sleep 1; done
echo "settled: $(desired) executors wanted after $((SECONDS - started)) s, $(cpu) ms of CPU, $(memory)"
pods() { $kubectl -n $namespace get statefulsets -o jsonpath='{range .items[*]}{.status.replicas}{"\n"}{end}' | awk '{ n += $1 } END { print n + 0 }'; }
for _ in $(seq ${PODS_WAIT:-300}); do [ "$(pods)" -lt $((clusters * executors)) ] || break; sleep 1; done
echo "pods: $(pods) exist after $((SECONDS - started)) s, $(cpu) ms of CPU, $(memory)"
sleep 10
before=$(cpu)
sleep 60
kill -0 $pid || { grep -v applied "$work/log" | tail -n 20; exit 1; }
echo "idle: $((($(cpu) - before) / 60)) ms of CPU a second over 60 s, $(memory)"
