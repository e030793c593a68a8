#!/bin/bash
# A Kubernetes control plane on loopback ports (etcd, API server, controllers, scheduler; no node, so pods stay
# pending) with its state in DIR; prints the path of its kubeconfig.
# Built once from services/kubernetes/ into the cache folder: one program that is all of them, and kubectl too.
SERVICE=kubernetes
. "$(dirname "$(readlink -f "$0")")/lib.sh"

VERSION=v1.34.4 # as in services/kubernetes/go.mod
SOURCE=$(dirname "$(readlink -f "$0")")/kubernetes
CACHE=${RETAIL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/retail}
# Another version or other source is another folder.
HOME_DIR=$CACHE/kubernetes-$VERSION-$(cat "$SOURCE"/{main.go,go.mod,go.sum} | sha256sum | cut -c1-8)
KUBE=$HOME_DIR/kube

install() {
    command -v go >/dev/null || die "not installed, and there is no go to build it with"
    mkdir -p "$CACHE"
    exec 8>"$CACHE/kubernetes.lock"
    flock 8 # two runs at once build it once
    if [ ! -x "$KUBE" ]; then
        echo "building Kubernetes $VERSION, once (five to twenty minutes)" >&2
        local package flags='-s -w' minor=${VERSION#v1.}
        for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
            flags+=" -X $package.gitVersion=$VERSION -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}"
            flags+=" -X $package.gitTreeState=clean -X $package.gitCommit=local -X $package.buildDate=2026-01-01T00:00:00Z"
        done
        mkdir -p "$HOME_DIR.part"
        (cd "$SOURCE" && CGO_ENABLED=0 GOFLAGS='' \
            go build -buildvcs=false -trimpath -ldflags "$flags" -o "$HOME_DIR.part/kube" .) >"$1/install.log" 2>&1 ||
            { tail -n 5 "$1/install.log" >&2; die "go build failed, see $1/install.log"; }
        ln -sf kube "$HOME_DIR.part/kubectl"
        rm -rf "$HOME_DIR"
        mv "$HOME_DIR.part" "$HOME_DIR"
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

keys() { # a certificate authority, the server's and the administrator's certificates, the key of service accounts
    mkdir -p "$PKI"
    ssl genrsa -out "$PKI/accounts.key" 2048
    ssl rsa -in "$PKI/accounts.key" -pubout -out "$PKI/accounts.pub"
    ssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$PKI/ca.key" -out "$PKI/ca.crt" -days 365 \
        -subj /CN=retail-test -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
    certificate server /CN=kube-apiserver \
        'extendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:10.96.0.1'
    certificate admin /O=system:masters/CN=admin 'extendedKeyUsage=clientAuth'
}

kubeconfig() { # kubeconfig PORT
    local base64='base64 -w0'
    cat <<END
apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: "https://127.0.0.1:$1", certificate-authority-data: $($base64 "$PKI/ca.crt")}}]
contexts: [{name: test, context: {cluster: test, user: admin}}]
users: [{name: admin, user: {client-certificate-data: $($base64 "$PKI/admin.crt"), client-key-data: $($base64 "$PKI/admin.key")}}]
END
}

endpoint() { echo "$1/kubeconfig"; }

start() {
    local dir=$1 port etcd peers part
    port=$(cat "$dir/port")
    [ -x "$KUBE" ] || install "$dir"
    command -v openssl >/dev/null || die "openssl is not installed"
    stop_all "$dir" # what a run that was killed has left
    PKI=$dir/pki
    rm -rf "$PKI" "$dir/etcd" "$dir/controllers" "$dir/scheduler"
    mkdir -p "$dir"/{etcd,controllers,scheduler}
    keys
    kubeconfig "$port" >"$dir/kubeconfig"
    etcd=http://127.0.0.1:$(free_port) peers=http://127.0.0.1:$(free_port)
    spawn "$dir/etcd" "$KUBE" etcd --data-dir "$dir/etcd/data" --unsafe-no-fsync --log-level warn \
        --listen-client-urls "$etcd" --advertise-client-urls "$etcd" \
        --listen-peer-urls "$peers" --initial-advertise-peer-urls "$peers" --initial-cluster "default=$peers"
    spawn "$dir" "$KUBE" kube-apiserver --etcd-servers "$etcd" --bind-address 127.0.0.1 --advertise-address 10.244.0.1 \
        --secure-port "$port" --service-cluster-ip-range 10.96.0.0/16 --authorization-mode RBAC \
        --client-ca-file "$PKI/ca.crt" --tls-cert-file "$PKI/server.crt" --tls-private-key-file "$PKI/server.key" \
        --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$PKI/accounts.pub" \
        --service-account-signing-key-file "$PKI/accounts.key"
    wait_ready "$dir" 120 "$KUBE" kubectl --kubeconfig "$dir/kubeconfig" get --raw /readyz
    spawn "$dir/controllers" "$KUBE" kube-controller-manager --kubeconfig "$dir/kubeconfig" --secure-port 0 \
        --leader-elect=false --kube-api-qps 500 --kube-api-burst 1000 --root-ca-file "$PKI/ca.crt" \
        --service-account-private-key-file "$PKI/accounts.key" --use-service-account-credentials
    spawn "$dir/scheduler" "$KUBE" kube-scheduler --kubeconfig "$dir/kubeconfig" --secure-port 0 \
        --leader-elect=false --kube-api-qps 500 --kube-api-burst 1000
    for part in controllers scheduler; do
        wait_ready "$dir/$part" 60 "$KUBE" kubectl --kubeconfig "$dir/kubeconfig" get serviceaccount default
    done
}

stop_all() {
    local part
    for part in scheduler controllers; do stop_pid "$1/$part" TERM; done
    stop_pid "$1" KILL # a polite end waits a minute for open watches
    stop_pid "$1/etcd" TERM
}

stop() { stop_all "$1"; }

main "$@"
