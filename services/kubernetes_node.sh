#!/bin/bash
# A whole one-node Kubernetes on this machine without Docker: control plane, kubelet with containerd, kube-proxy, CoreDNS,
# a default storage class. Its state is in DIR; prints the path of its kubeconfig, and DIR/containerd.sock takes images.
# Needs root, cgroups and Debian's packages, which it installs. Addresses are fixed, so there is one on a machine.
# NetworkPolicies are stored and not enforced; there is no load balancer and no metrics server.
SERVICE=kubernetes_node
. "$(dirname "$(readlink -f "$0")")/lib.sh"

HERE=$(dirname "$(readlink -f "$0")")
CACHE=${RETAIL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/retail}
COREDNS=$CACHE/coredns-$(cat "$HERE"/coredns/{main.go,go.mod,go.sum} | sha256sum | cut -c1-8)
BRIDGE=kcni0 ADDRESS=10.244.0.1
PACKAGES=(containerd runc containernetworking-plugins iptables conntrack iproute2 mount gcc libc6-dev openssl)
# What kubelet and kube-proxy change, and folders that they make whatever their settings say.
SYSCTLS=(net.ipv4.ip_forward vm.overcommit_memory kernel.panic kernel.panic_on_oops)
FOLDERS=(/var/lib/kubelet /var/log/containers /var/lib/cni /tmp/hostpath_pv)

# kube DIR: the one program that is all of Kubernetes; services/kubernetes.sh builds it.
kube() {
    local found
    found=$(ls -d "$CACHE"/kubernetes-v*/kube 2>/dev/null | sort -V | tail -n 1)
    if [ -z "$found" ]; then
        mkdir -p "$1/build"
        "$HERE/kubernetes.sh" start "$1/build" >/dev/null
        "$HERE/kubernetes.sh" stop "$1/build"
        found=$(ls -d "$CACHE"/kubernetes-v*/kube | sort -V | tail -n 1)
    fi
    echo "$found"
}

packages() {
    local missing=() package
    for package in "${PACKAGES[@]}"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "not installed: ${missing[*]}"
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
        >"$1/install.log" 2>&1 || die "apt-get install ${missing[*]} failed, see $1/install.log"
}

# images DIR: CoreDNS and the program that holds a pod's network, in the cache.
images() {
    mkdir -p "$COREDNS"
    exec 8>"$CACHE/coredns.lock"
    flock 8 # two runs at once build it once
    if [ ! -s "$COREDNS/coredns.tar" ]; then
        command -v go >/dev/null || die "there is no go to build CoreDNS with"
        echo "building CoreDNS, once (one to five minutes)" >&2
        mkdir -p "$COREDNS/root"
        (cd "$HERE/coredns" && CGO_ENABLED=0 GOFLAGS='' go build -buildvcs=false -trimpath -ldflags '-s -w' -o "$COREDNS/root/coredns" .) \
            >"$1/install.log" 2>&1 || die "go build failed, see $1/install.log"
        python3 "$HERE/../tests/kubernetes/images.py" local/coredns:1 "$COREDNS/root" "$COREDNS/coredns.tar.part" /coredns
        mv "$COREDNS/coredns.tar.part" "$COREDNS/coredns.tar"
    fi
    if [ ! -s "$COREDNS/pause.tar" ]; then
        mkdir -p "$COREDNS/pause"
        gcc -static -Os -s -x c -o "$COREDNS/pause/pause" - <<'END'
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void leave(int s) { _exit(0); }
static void reap(int s) { while (waitpid(-1, 0, WNOHANG) > 0); }
int main() { signal(SIGINT, leave); signal(SIGTERM, leave); signal(SIGCHLD, reap); for (;;) pause(); }
END
        python3 "$HERE/../tests/kubernetes/images.py" local/pause:1 "$COREDNS/pause" "$COREDNS/pause.tar.part" /pause
        mv "$COREDNS/pause.tar.part" "$COREDNS/pause.tar"
    fi
    exec 8>&-
}

ssl() { openssl "$@" 2>>"$PKI/openssl.log"; }

certificate() { # certificate NAME SUBJECT EXTENSIONS
    ssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$PKI/$1.key" -out "$PKI/$1.csr" -subj "$2"
    printf 'subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n%b\n' "$3" >"$PKI/$1.ext"
    ssl x509 -req -in "$PKI/$1.csr" -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -CAcreateserial -days 365 \
        -out "$PKI/$1.crt" -extfile "$PKI/$1.ext"
}

keys() {
    mkdir -p "$PKI"
    ssl genrsa -out "$PKI/accounts.key" 2048
    ssl rsa -in "$PKI/accounts.key" -pubout -out "$PKI/accounts.pub"
    ssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$PKI/ca.key" -out "$PKI/ca.crt" -days 365 \
        -subj /CN=retail-test -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
    certificate server /CN=kube-apiserver \
        "extendedKeyUsage=serverAuth\nsubjectAltName=DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1,IP:10.96.0.1,IP:$ADDRESS"
    certificate admin /O=system:masters/CN=admin 'extendedKeyUsage=clientAuth'
}

kubeconfig() { # kubeconfig PORT
    local base64='base64 -w0'
    cat <<END
apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: "https://$ADDRESS:$1", certificate-authority-data: $($base64 "$PKI/ca.crt")}}]
contexts: [{name: test, context: {cluster: test, user: admin}}]
users: [{name: admin, user: {client-certificate-data: $($base64 "$PKI/admin.crt"), client-key-data: $($base64 "$PKI/admin.key")}}]
END
}

network() { # what is changed is written down first, for stop
    local name folder
    [ ! -e "/sys/class/net/$BRIDGE" ] || die "$BRIDGE is there already: another node runs on this machine, stop it with its own folder"
    for name in "${SYSCTLS[@]}"; do echo "$name $(cat "/proc/sys/${name//.//}")"; done >"$1/sysctls"
    for folder in "${FOLDERS[@]}"; do [ -e "$folder" ] || echo "$folder"; done >"$1/folders"
    ip link add $BRIDGE type bridge || die "a bridge cannot be made"
    ip addr add $ADDRESS/24 dev $BRIDGE
    ip link set $BRIDGE up
    echo 1 >/proc/sys/net/ipv4/ip_forward
    echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables || die "the kernel has no br_netfilter: Services would not reach pods"
    iptables -I FORWARD -i $BRIDGE -j ACCEPT
    iptables -I FORWARD -o $BRIDGE -j ACCEPT
    mkdir -p "$1"/cni/net.d
    cat >"$1/cni/net.d/10-bridge.conflist" <<END
{"cniVersion": "1.0.0", "name": "$BRIDGE", "plugins": [
  {"type": "bridge", "bridge": "$BRIDGE", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$1/cni/data", "ranges": [[{"subnet": "10.244.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
}

containerd_settings() {
    cat <<END
version = 2
root = "$1/containerd/root"
state = "$1/containerd/state"
oom_score = 0
[grpc]
  address = "$1/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "local/pause:1"
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$1/cni/net.d"
[plugins."io.containerd.internal.v1.opt"]
  path = "$1/containerd/opt"
END
}

kubelet_settings() {
    cat <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $ADDRESS
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: /
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
makeIPTablesUtilChains: false
evictionHard: {memory.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%"}
imageGCHighThresholdPercent: 100
oomScoreAdj: 0
containerRuntimeEndpoint: unix://$1/containerd.sock
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
resolvConf: ""
podLogsDir: $1/podlogs
volumePluginDir: $1/plugins
nodeStatusUpdateFrequency: 5s
healthzBindAddress: 127.0.0.1
END
}

endpoint() { echo "$1/kubeconfig"; }

start() {
    local dir=$1 kube port etcd peers image
    [ "$(id -u)" = 0 ] || die "only root can run a node"
    mountpoint -q /sys/fs/cgroup || die "no cgroups are mounted at /sys/fs/cgroup"
    stop "$dir" # what a run that was killed has left
    kube=$(kube "$dir") || exit 1
    packages "$dir"
    images "$dir"
    port=$(cat "$dir/port")
    PKI=$dir/pki
    mkdir -p "$dir"/{etcd,containerd,controllers,scheduler,kubelet,proxy,plugins,podlogs}
    network "$dir"
    keys
    kubeconfig "$port" >"$dir/kubeconfig"
    local access=$dir/kubeconfig # wait_ready has a dir of its own
    kubectl() { "$kube" kubectl --kubeconfig "$access" "$@"; }
    containerd_settings "$dir" >"$dir/containerd.toml"
    spawn "$dir/containerd" containerd -c "$dir/containerd.toml"
    etcd=http://127.0.0.1:$(free_port) peers=http://127.0.0.1:$(free_port)
    spawn "$dir/etcd" "$kube" etcd --data-dir "$dir/etcd/data" --unsafe-no-fsync --log-level warn \
        --listen-client-urls "$etcd" --advertise-client-urls "$etcd" \
        --listen-peer-urls "$peers" --initial-advertise-peer-urls "$peers" --initial-cluster "default=$peers"
    spawn "$dir" "$kube" kube-apiserver --etcd-servers "$etcd" --bind-address $ADDRESS --advertise-address $ADDRESS \
        --secure-port "$port" --service-cluster-ip-range 10.96.0.0/16 --authorization-mode RBAC --allow-privileged \
        --client-ca-file "$PKI/ca.crt" --tls-cert-file "$PKI/server.crt" --tls-private-key-file "$PKI/server.key" \
        --kubelet-client-certificate "$PKI/admin.crt" --kubelet-client-key "$PKI/admin.key" \
        --kubelet-preferred-address-types InternalIP \
        --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$PKI/accounts.pub" \
        --service-account-signing-key-file "$PKI/accounts.key"
    wait_ready "$dir" 120 kubectl get --raw /readyz
    spawn "$dir/controllers" "$kube" kube-controller-manager --kubeconfig "$dir/kubeconfig" --secure-port 0 \
        --leader-elect=false --kube-api-qps 500 --kube-api-burst 1000 --root-ca-file "$PKI/ca.crt" \
        --service-account-private-key-file "$PKI/accounts.key" --use-service-account-credentials --enable-hostpath-provisioner
    spawn "$dir/scheduler" "$kube" kube-scheduler --kubeconfig "$dir/kubeconfig" --secure-port 0 \
        --leader-elect=false --kube-api-qps 500 --kube-api-burst 1000
    wait_ready "$dir/controllers" 60 kubectl get serviceaccount default
    wait_ready "$dir/containerd" 30 ctr -a "$dir/containerd.sock" version
    for image in "$COREDNS"/*.tar; do ctr -a "$dir/containerd.sock" -n k8s.io images import "$image" >/dev/null; done
    kubelet_settings "$dir" >"$dir/kubelet.yaml"
    spawn "$dir/kubelet" "$kube" kubelet --config "$dir/kubelet.yaml" --kubeconfig "$dir/kubeconfig" --root-dir "$dir/kubelet/root" \
        --cert-dir "$dir/kubelet/pki" --hostname-override node1 --node-ip $ADDRESS
    spawn "$dir/proxy" "$kube" kube-proxy --kubeconfig "$dir/kubeconfig" --proxy-mode iptables --cluster-cidr 10.244.0.0/16 \
        --hostname-override node1 --bind-address $ADDRESS --healthz-bind-address "127.0.0.1:$(free_port)" --metrics-bind-address "127.0.0.1:$(free_port)" \
        --oom-score-adj 0 --iptables-localhost-nodeports=false --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0s \
        --conntrack-tcp-timeout-close-wait 0s
    kubectl apply -f "$HERE/kubernetes_node.yaml" >/dev/null
    wait_ready "$dir/kubelet" 120 kubectl wait --for=condition=Ready --timeout=1s node/node1
    wait_ready "$dir/proxy" 120 kubectl -n kube-system wait --for=condition=Available --timeout=1s deployment/coredns
}

stop() {
    local dir=$1 kube part path name value table
    [ -e "$dir/sysctls" ] || return 0
    kube=$(kube "$dir")
    for part in kubelet proxy scheduler controllers; do stop_pid "$dir/$part" KILL; done
    if [ -S "$dir/containerd.sock" ]; then
        timeout 120 "$kube" remove-pods "unix://$dir/containerd.sock" >/dev/null 2>&1 || true
    fi
    stop_pid "$dir" KILL
    stop_pid "$dir/etcd" KILL
    stop_pid "$dir/containerd" TERM
    "$kube" kube-proxy --cleanup >/dev/null 2>&1 || true
    for table in iptables ip6tables; do # --cleanup leaves it
        { $table -D INPUT -j KUBE-FIREWALL; $table -D OUTPUT -j KUBE-FIREWALL; $table -F KUBE-FIREWALL; $table -X KUBE-FIREWALL; } 2>/dev/null || true
    done
    { iptables -D FORWARD -i $BRIDGE -j ACCEPT; iptables -D FORWARD -o $BRIDGE -j ACCEPT; ip link del $BRIDGE; } 2>/dev/null || true
    while read -r name value; do echo "$value" >"/proc/sys/${name//.//}"; done <"$dir/sysctls"
    awk -v dir="$dir/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r | while read -r path; do umount -l "$path" || true; done
    while read -r path; do rm -rf --one-file-system "$path"; done <"$dir/folders"
    for path in /sys/fs/cgroup/*/kubepods /sys/fs/cgroup/kubepods; do
        [ ! -d "$path" ] || find "$path" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
    rm -rf --one-file-system "${dir:?}"/{etcd,containerd,kubelet,cni,pki,sysctls,folders,kubeconfig}
}

main "$@"
