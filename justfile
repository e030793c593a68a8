# `just` lists what there is.
default:
    @just --list

# what CI runs: format, lints, tests, documentation
check:
    .ci/run

# all tests, or those whose name contains NAME; --fast leaves servers out
test *ARGS:
    ./test {{ARGS}}

# the main job, end to end, in this process
demo *ARGS:
    cargo run --release --bin retail-submit -- demo {{ARGS}}

# the retail pipeline against DuckDB and in-process DataFusion; figures go to bench/RESULTS.md
bench *ARGS:
    bench/run {{ARGS}}

fmt:
    cargo fmt --all

lint:
    cargo clippy --workspace --all-targets -- -D warnings

# licences, advisories and duplicate versions of dependencies (needs cargo-deny)
deny:
    cargo deny --all-features check
