#!/bin/bash
# As the postgres image: makes the database at the first start, with the password from a file, then serves it.
set -euo pipefail
if [ ! -e "$PGDATA/PG_VERSION" ]; then
    # initdb wants a name for the user it runs as.
    as=(env)
    if ! id -un >/dev/null 2>&1; then
        passwd=$(mktemp)
        echo "postgres:x:$(id -u):$(id -g)::/:/bin/false" >"$passwd"
        as=(env LD_PRELOAD=libnss_wrapper.so "NSS_WRAPPER_PASSWD=$passwd" NSS_WRAPPER_GROUP=/etc/group)
    fi
    "${as[@]}" initdb -D "$PGDATA" -U "$POSTGRES_USER" -A scram-sha-256 --pwfile="$POSTGRES_PASSWORD_FILE" -E UTF8 --locale=C.UTF-8
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    echo "CREATE DATABASE $POSTGRES_DB" | "${as[@]}" postgres --single -D "$PGDATA" postgres
fi
exec postgres -D "$PGDATA" -h '*'
