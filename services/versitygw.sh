#!/bin/bash
# An S3 server (Versity S3 gateway, Apache-2.0) on a loopback port over a folder; prints its address.
# Built once by `go install` into the cache folder. Its keys are $S3_KEY and $S3_SECRET;
# $S3_BUCKET is there from the start.
SERVICE=versitygw
. "$(dirname "$(readlink -f "$0")")/lib.sh"

VERSION=v1.8.0
CACHE=${RETAIL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/retail}
BINARY=$CACHE/versitygw-$VERSION/versitygw

install() {
    command -v go >/dev/null || die "not installed, and there is no go to build it with"
    mkdir -p "$CACHE"
    exec 8>"$CACHE/versitygw.lock"
    flock 8 # two runs at once build it once
    if [ ! -x "$BINARY" ]; then
        echo "building the S3 server versitygw $VERSION, once (one to six minutes)" >&2
        mkdir -p "$(dirname "$BINARY").part"
        GOBIN="$(dirname "$BINARY").part" GOFLAGS='' \
            go install -ldflags='-s -w' "github.com/versity/versitygw/cmd/versitygw@$VERSION" >"$1/install.log" 2>&1 ||
            { tail -n 5 "$1/install.log" >&2; die "go install failed, see $1/install.log"; }
        rm -rf "$(dirname "$BINARY")"
        mv "$(dirname "$BINARY").part" "$(dirname "$BINARY")"
    fi
    exec 8>&-
}

endpoint() { echo "http://127.0.0.1:$(cat "$1/port")"; }

start() {
    local dir=$1 address
    address=127.0.0.1:$(cat "$dir/port")
    [ -x "$BINARY" ] || install "$dir"
    mkdir -p "$dir/data/${S3_BUCKET:?}" "$dir/iam"
    ROOT_ACCESS_KEY=${S3_KEY:?} ROOT_SECRET_KEY=${S3_SECRET:?} spawn "$dir" \
        "$BINARY" --port "$address" --region us-east-1 --health /health --iam-dir "$dir/iam" --quiet posix "$dir/data"
    wait_ready "$dir" 30 python3 -c "import urllib.request as u; u.urlopen('http://$address/health', timeout=2)"
}

stop() { stop_pid "$1" TERM; }

main "$@"
