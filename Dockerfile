# The cluster's programs as images. Targets: all (what the Helm chart and docker-compose.yaml run), and the same with the
# entry point of one program: scheduler, executor, operator, submit.
#
#   docker build --target all -t retail:0.1.0 --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" .
#
# From a program that is built already: put `retail` into a folder `prebuilt` of the context (the clone, or an empty folder)
#   docker build --target all -t retail:0.1.0 --build-arg BINARIES=prebuilt -f Dockerfile CONTEXT
# It must be linked against the glibc of the runtime image, or an older one.
#
# No BuildKit features: any engine since 19.03 builds it.

ARG BUILDER=rust:1.95-bookworm
# gcr.io/distroless/cc-debian12 works too; it has no shell, so docker-compose.yaml's health checks do not.
ARG RUNTIME=debian:bookworm-slim

# --- programs, and the few files that the runtime images lack -------------------------------------------------

FROM ${BUILDER} AS build
ARG BINARIES=build
ARG PROFILE=dist
WORKDIR /src
COPY . .
RUN set -eu; \
    mkdir -p /out/bin /out/root/etc/ssl/certs /out/root/data /out/root/tmp; \
    case "$BINARIES" in \
    build) \
        cargo build --locked --profile "$PROFILE" -p retail-image; \
        cp "target/$PROFILE/retail" /out/bin/ ;; \
    prebuilt) \
        [ -e prebuilt/retail ] || { echo "the build context has no prebuilt/retail" >&2; exit 1; }; \
        install -m 0755 prebuilt/retail /out/bin/ ;; \
    *) echo "BINARIES is build or prebuilt, not $BINARIES" >&2; exit 1 ;; \
    esac; \
    for program in scheduler executor operator submit; do \
        ln -s retail "/out/bin/retail-$program"; \
        "/out/bin/retail-$program" --version; \
    done; \
    # Certificate authorities for stores and databases behind TLS.
    if [ ! -s /etc/ssl/certs/ca-certificates.crt ]; then \
        apt-get update -qq; \
        apt-get install -y -qq --no-install-recommends ca-certificates; \
    fi; \
    cp /etc/ssl/certs/ca-certificates.crt /out/root/etc/ssl/certs/; \
    chmod 0700 /out/root/data; \
    chmod 1777 /out/root/tmp

# --- what the images have in common ----------------------------------------------------------------------------

FROM ${RUNTIME} AS base
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="retail" \
      org.opencontainers.image.description="Distributed retail analytics: SQL models in, Iceberg snapshots out" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/root/etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /out/root/data /data
# Catalog, tables and shuffle files of a container without a mount of its own. With a read-only root file system give
# /tmp too: docker run --read-only --tmpfs /tmp.
VOLUME /data
WORKDIR /data
USER 65532:65532
STOPSIGNAL SIGTERM
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt

# --- images -----------------------------------------------------------------------------------------------------

# One file and four links to it, in one layer that all targets share.
FROM base AS all
COPY --from=build /out/bin/ /usr/local/bin/
CMD ["retail-submit", "--help"]

FROM all AS submit
ENTRYPOINT ["retail-submit"]

FROM all AS executor
EXPOSE 50051 50052 50081
ENTRYPOINT ["retail-executor"]

FROM all AS scheduler
EXPOSE 50050 50080
ENTRYPOINT ["retail-scheduler"]

FROM all AS operator
EXPOSE 50082
ENTRYPOINT ["retail-operator"]
