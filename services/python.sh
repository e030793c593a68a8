#!/bin/bash
# Makes the Python environment of the interop tests and the benchmark in the cache folder, anew when its requirements
# change, and prints its interpreter.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

REQUIREMENTS=tests/interop/requirements.txt
CACHE=${RETAIL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/retail}

if ! command -v python3 >/dev/null; then
    echo "python: python3 is not installed" >&2
    exit 1
fi
stamp=$({ python3 --version; cat $REQUIREMENTS; } | sha256sum | cut -c1-12)
venv=$CACHE/venv-$stamp
log=$venv.log

make() {
    rm -rf "$venv"
    if ! python3 -m venv "$venv"; then
        # Debian keeps pip's part of venv in a package of its own.
        [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
        apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv || return 1
        rm -rf "$venv"
        python3 -m venv "$venv" || return 1
    fi
    "$venv/bin/pip" install -q --disable-pip-version-check -r $REQUIREMENTS && touch "$venv/.complete"
}

mkdir -p "$CACHE"
exec 9>"$CACHE/venv.lock"
flock 9 # two runs at once make it once
if [ ! -e "$venv/.complete" ]; then
    echo "making the Python environment in $venv, once" >&2
    if ! make >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        echo "python: the environment could not be made, see $log" >&2
        exit 1
    fi
fi
echo "$venv/bin/python"
