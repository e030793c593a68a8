# Shared by the service scripts: start a server detached, know that it is ours, stop it by its pid.
# A service is a folder: DIR/pid ("pid kernel-start-time", so that a reused pid is never killed),
# DIR/port, DIR/log and the server's data.
set -euo pipefail

die() {
    echo "$SERVICE: $*" >&2
    exit 1
}

# free_port: a loopback port that nobody listens on now.
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# start_time PID: the kernel's start time of the process, empty when there is none.
start_time() {
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

# alive DIR: the process in DIR/pid runs and is the one that was started (a zombie does not run).
alive() {
    local pid started
    [ -s "$1/pid" ] && read -r pid started <"$1/pid" || return 1
    [ -n "$started" ] && [ "$(start_time "$pid")" = "$started" ] &&
        [ "$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -c1)" != Z ]
}

# spawn DIR COMMAND...: runs it detached with its output in DIR/log.
spawn() {
    local dir=$1
    shift
    setsid "$@" >>"$dir/log" 2>&1 </dev/null &
    echo "$! $(start_time $!)" >"$dir/pid"
}

# wait_ready DIR SECONDS COMMAND...: until COMMAND succeeds; fails when the server died or time is up.
wait_ready() {
    local dir=$1 deadline=$((SECONDS + $2))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ! alive "$dir" || [ "$SECONDS" -ge "$deadline" ]; then
            tail -n 20 "$dir/log" >&2
            die "did not become ready, see $dir/log"
        fi
        sleep 0.1
    done
}

# stop_pid DIR SIGNAL: asks, waits up to 30 s, then kills.
stop_pid() {
    local dir=$1 pid started deadline=$((SECONDS + 30))
    if alive "$dir"; then
        read -r pid started <"$dir/pid"
        kill -"$2" "$pid" 2>/dev/null || true
        while alive "$dir" && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.1; done
        if alive "$dir"; then kill -KILL "$pid" 2>/dev/null || true; fi
    fi
    rm -f "$dir/pid"
}

# main start|stop DIR: the script defines start, stop and endpoint.
main() {
    [ $# -eq 2 ] || die "usage: $0 start|stop DIR"
    case $1 in
    start)
        mkdir -p "$2"
        local dir
        dir=$(cd "$2" && pwd)
        if ! alive "$dir"; then
            free_port >"$dir/port"
            start "$dir"
        fi
        endpoint "$dir"
        ;;
    stop) [ ! -d "$2" ] || stop "$(cd "$2" && pwd)" ;;
    *) die "usage: $0 start|stop DIR" ;;
    esac
}
