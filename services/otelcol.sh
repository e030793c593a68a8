#!/bin/bash
# An OpenTelemetry collector on a loopback port that takes OTLP over gRPC and writes a line for each batch to DIR/log;
# prints its address. Built once from Go modules into the cache folder; `services/otelcol.sh build DIR` only builds it and
# prints the program's path.
SERVICE=otelcol
. "$(dirname "$(readlink -f "$0")")/lib.sh"

VERSION=0.150.0
PROVIDERS=1.56.0 # the modules that read its configuration have a version of their own
MODULES=go.opentelemetry.io/collector
CACHE=${RETAIL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/retail}
BINARY=$CACHE/otelcol-$VERSION/otelcol

compile() { # compile FOLDER
    GOBIN=$1 GOFLAGS='' go install "$MODULES/cmd/builder@v$VERSION"
    cat >"$1/parts.yaml" <<END
dist: {name: otelcol, output_path: $1/dist, module: local/otelcol, version: $VERSION}
receivers: [{gomod: $MODULES/receiver/otlpreceiver v$VERSION}]
exporters: [{gomod: $MODULES/exporter/debugexporter v$VERSION}]
providers: [{gomod: $MODULES/confmap/provider/fileprovider v$PROVIDERS}, {gomod: $MODULES/confmap/provider/envprovider v$PROVIDERS}]
END
    CGO_ENABLED=0 GOFLAGS='' "$1/builder" --config "$1/parts.yaml"
    mv "$1/dist/otelcol" "$1/otelcol"
    rm -rf "$1/dist" "$1/builder" "$1/parts.yaml"
}

install() {
    command -v go >/dev/null || die "not installed, and there is no go to build it with"
    mkdir -p "$CACHE"
    exec 8>"$CACHE/otelcol.lock"
    flock 8 # two runs at once build it once
    if [ ! -x "$BINARY" ]; then
        echo "building the OpenTelemetry collector $VERSION, once (one to four minutes)" >&2
        local part
        part=$(dirname "$BINARY").part
        rm -rf "$part"
        mkdir -p "$part"
        (set -e; compile "$part") >"$1/install.log" 2>&1 || true
        [ -x "$part/otelcol" ] || { tail -n 5 "$1/install.log" >&2; die "the build failed, see $1/install.log"; }
        rm -rf "$(dirname "$BINARY")"
        mv "$part" "$(dirname "$BINARY")"
    fi
    exec 8>&-
}

endpoint() { echo "http://127.0.0.1:$(cat "$1/port")"; }

start() {
    local dir=$1
    [ -x "$BINARY" ] || install "$dir"
    cat >"$dir/config.yaml" <<END
receivers: {otlp: {protocols: {grpc: {endpoint: "127.0.0.1:$(cat "$dir/port")"}}}}
exporters: {debug: {}}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {traces: {receivers: [otlp], exporters: [debug]}}
END
    spawn "$dir" "$BINARY" --config "file:$dir/config.yaml"
    wait_ready "$dir" 30 python3 -c "import socket; socket.create_connection(('127.0.0.1', $(cat "$dir/port")), 2)"
}

stop() { stop_pid "$1" TERM; }

if [ "${1:-}" = build ]; then
    mkdir -p "${2:?usage: $0 build DIR}"
    [ -x "$BINARY" ] || install "$2"
    echo "$BINARY"
else
    main "$@"
fi
