#!/bin/bash
# PostgreSQL on a loopback port with its data in DIR; prints its URL.
# Uses the system's PostgreSQL; as root it installs Debian's when there is none, and runs it as user postgres.
SERVICE=postgres
. "$(dirname "$(readlink -f "$0")")/lib.sh"

bin_dir() {
    local pg_ctl
    pg_ctl=$(ls -d /usr/lib/postgresql/*/bin/pg_ctl 2>/dev/null | sort -V | tail -n 1)
    [ -n "$pg_ctl" ] || pg_ctl=$(command -v pg_ctl) || return 1
    dirname "$(readlink -f "$pg_ctl")"
}

install() {
    [ "$(id -u)" = 0 ] || die "not installed (as root: apt-get install postgresql)"
    command -v apt-get >/dev/null || die "not installed, and this system has no apt-get"
    # Debian's package would make and start a server of its own.
    mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/none.conf
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql; } \
        >"$1/install.log" 2>&1 || die "apt-get install postgresql failed, see $1/install.log"
}

endpoint() { echo "postgresql://postgres@127.0.0.1:$(cat "$1/port")/postgres"; }

start() {
    local dir=$1 port bin as=()
    port=$(cat "$dir/port")
    bin_dir >/dev/null || install "$dir"
    bin=$(bin_dir) || die "installed, but pg_ctl is not found"
    mkdir -p "$dir/data"
    chmod 700 "$dir/data"
    if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to run as root
        chown postgres: "$dir/data"
        as=(setpriv --reuid=postgres --regid=postgres --clear-groups --no-new-privs)
    fi
    [ -e "$dir/data/PG_VERSION" ] ||
        (cd / && "${as[@]}" "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync) \
            >"$dir/initdb.log" 2>&1 || die "initdb failed, see $dir/initdb.log"
    spawn "$dir" env -C / "${as[@]}" "$bin/postgres" -D "$dir/data" -p "$port" -h 127.0.0.1 -k '' \
        -c shared_buffers=32MB -c max_connections=100 -c fsync=off
    wait_ready "$dir" 60 "$bin/pg_isready" -h 127.0.0.1 -p "$port" -U postgres
}

stop() { stop_pid "$1" INT; } # INT: a fast shutdown; TERM would wait for clients

main "$@"
