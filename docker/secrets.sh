#!/bin/bash
# Draws the passwords of docker-compose.yaml's services, once, and gives every volume to the user they run as.
set -euo pipefail

cd /volumes/secrets
umask 0277

draw() { # draw FILE: 32 random hexadecimal digits
    [ -e "$1" ] || od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$1"
}

if [ ! -e complete ]; then
    # A first start that was cut short left some; they are drawn anew.
    rm -f postgres-password catalog-uri s3-access-key s3-secret-key grafana-password
    draw postgres-password
    draw s3-access-key
    draw s3-secret-key
    draw grafana-password
    printf 'postgresql://retail:%s@postgres/retail' "$(cat postgres-password)" >catalog-uri
    chown 65532:65532 postgres-password catalog-uri s3-access-key s3-secret-key grafana-password
    : >complete
fi
chown 65532:65532 /volumes/*
