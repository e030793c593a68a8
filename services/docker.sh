#!/bin/bash
# A Docker engine for tests, its state in DIR; prints its address for DOCKER_HOST. Takes the machine's engine where one
# answers; else, as root on Debian, installs docker.io and docker-compose and starts an engine of its own.
# `base DIR` makes sure that it has the image debian:bookworm-slim: pulled, or made with debootstrap.
SERVICE=docker
. "$(dirname "$(readlink -f "$0")")/lib.sh"

CACHE=${RETAIL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/retail}
BASE=debian:bookworm-slim

apt_install() { # apt_install DIR PACKAGE...
    local dir=$1
    shift
    [ "$(id -u)" = 0 ] || die "not installed (as root: apt-get install $*)"
    command -v apt-get >/dev/null || die "not installed, and this system has no apt-get"
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } \
        >"$dir/install.log" 2>&1 || die "apt-get install $* failed, see $dir/install.log"
}

endpoint() { cat "$1/endpoint"; }

start() {
    local dir=$1
    if [ -z "${RETAIL_DOCKER_OWN:-}" ] && docker info >/dev/null 2>&1; then
        echo "${DOCKER_HOST:-unix:///var/run/docker.sock}" >"$dir/endpoint"
        return
    fi
    local missing=()
    command -v dockerd >/dev/null || missing+=(docker.io)
    command -v docker-compose >/dev/null || missing+=(docker-compose)
    [ ${#missing[@]} -eq 0 ] || apt_install "$dir" "${missing[@]}"
    [ "$(id -u)" = 0 ] || die "no engine answers, and only root can start one"
    spawn "$dir" dockerd --data-root "$dir/data" --exec-root "$dir/exec" -H "unix://$dir/sock" --pidfile "$dir/dockerd.pid"
    wait_ready "$dir" 60 docker -H "unix://$dir/sock" info
    echo "unix://$dir/sock" >"$dir/endpoint"
}

stop() {
    stop_pid "$1" TERM
    # What an engine that was killed leaves mounted.
    local mount
    awk -v dir="$1/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r | while read -r mount; do umount "$mount" || true; done
    rm -f "$1/endpoint"
}

base() {
    local dir=$1 root
    export DOCKER_HOST
    DOCKER_HOST=$(endpoint "$dir")
    docker image inspect "$BASE" >/dev/null 2>&1 && return
    ! docker pull -q "$BASE" >/dev/null 2>&1 || return 0
    mkdir -p "$CACHE"
    exec 8>"$CACHE/debootstrap.lock"
    flock 8 # two runs at once make it once
    if [ ! -s "$CACHE/bookworm-slim.tar" ]; then
        command -v debootstrap >/dev/null || apt_install "$dir" debootstrap
        echo "no registry answers: making $BASE with debootstrap, once (a minute)" >&2
        root=$(mktemp -d)
        debootstrap --variant=minbase bookworm "$root" >"$dir/debootstrap.log" 2>&1 || die "debootstrap failed, see $dir/debootstrap.log"
        # As the slim image: no documentation, no package lists.
        rm -rf "${root:?}"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale,info}/*
        tar -C "$root" -cf "$CACHE/bookworm-slim.tar.part" .
        rm -rf "$root"
        mv "$CACHE/bookworm-slim.tar.part" "$CACHE/bookworm-slim.tar"
    fi
    exec 8>&-
    docker import "$CACHE/bookworm-slim.tar" "$BASE" >/dev/null
}

if [ "${1:-}" = base ]; then
    base "${2:?usage: $0 base DIR}"
else
    main "$@"
fi
