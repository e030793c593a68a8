#!/bin/bash
# Prometheus on a loopback port with its data in DIR; prints its URL. It scrapes every second what DIR/targets/*.json name
# (file_sd), and evaluates the alerts of grafana/. DIR/promtool is the tool of the same version.
# Uses the system's Prometheus, or unpacks Debian's package into the cache: nothing is installed, no server of its own starts.
SERVICE=prometheus
. "$(dirname "$(readlink -f "$0")")/lib.sh"
REPOSITORY=$(dirname "$(dirname "$(readlink -f "$0")")")
CACHE=${RETAIL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/retail}/prometheus

# find_program NAME: the system's, or the unpacked one.
find_program() {
    if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
        command -v "$1"
    else
        [ -x "$CACHE/usr/bin/$1" ] && echo "$CACHE/usr/bin/$1"
    fi
}

download() {
    local dir=$1/download
    command -v apt-get >/dev/null || die "not installed, and this system has no apt-get"
    # Made whole and then moved: a run that is broken off leaves nothing half unpacked.
    rm -rf "$dir" && mkdir -p "$dir"
    if ! (cd "$dir" && apt-get -qq download prometheus) >"$1/install.log" 2>&1; then
        [ "$(id -u)" = 0 ] || die "not installed, and apt-get download prometheus failed, see $1/install.log"
        { apt-get -qq update && cd "$dir" && apt-get -qq download prometheus; } >>"$1/install.log" 2>&1 ||
            die "apt-get download prometheus failed, see $1/install.log"
    fi
    dpkg -x "$dir"/prometheus_*.deb "$dir/root" >>"$1/install.log" 2>&1 || die "cannot unpack it, see $1/install.log"
    mkdir -p "$(dirname "$CACHE")"
    rm -rf "$CACHE" && mv "$dir/root" "$CACHE"
    rm -rf "$dir"
}

endpoint() { echo "http://127.0.0.1:$(cat "$1/port")"; }

start() {
    local dir=$1 program
    find_program prometheus >/dev/null || download "$dir"
    program=$(find_program prometheus) || die "unpacked, but prometheus is not found"
    ln -sfn "$(find_program promtool)" "$dir/promtool"
    mkdir -p "$dir/targets"
    cat >"$dir/prometheus.yml" <<END
global: { scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }
rule_files: [$REPOSITORY/grafana/alerts/retail.yaml]
scrape_configs:
  - job_name: retail
    file_sd_configs: [{ files: ["$dir/targets/*.json"], refresh_interval: 1s }]
END
    spawn "$dir" "$program" --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/data" \
        --web.listen-address="127.0.0.1:$(cat "$dir/port")" --log.level=warn
    wait_ready "$dir" 60 "$dir/promtool" query instant "$(endpoint "$dir")" "vector(1)"
}

stop() { stop_pid "$1" TERM; }

main "$@"
