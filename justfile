# Names for the parts of .ci/run, for people. `just` lists them.

default:
    @just --list

# The middleware with its sandbox, and a phone in the browser
run:
    cargo run

# What must pass on a machine with only Rust
test:
    cargo test

# Everything that CI runs
ci:
    .ci/run

# One part of it: install, format, lint, docs, audit, test, ignored or bench
part NAME:
    .ci/run {{ NAME }}

# The benchmark, whole
bench:
    cargo bench --bench end_to_end

# Figures of the source, by which two commits are compared
house CHECKOUT=".":
    python3 benches/house.py {{ CHECKOUT }}
