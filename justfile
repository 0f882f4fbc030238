# The few commands of this project; `just` lists them.

default:
    @just --list

# The demonstration
demo:
    cargo run -p cargo-ansar -- test

# Everything that must pass before a change goes in
check:
    .ci/run

# Whole-program tests of one area, such as `component::settings`
test area:
    cargo test -p tests --test whole {{ area }}

# Everything with the oldest Rust, and the library with the lowest versions
oldest:
    .ci/msrv
    .ci/lowest

# Fuzz targets, each for some seconds
fuzz seconds="60":
    .ci/fuzz {{ seconds }}

# The benchmark, or some of its rows
benchmark *rows:
    cargo run --release -p tests --bin benchmark {{ rows }}

# The book, in a browser
book:
    mdbook serve docs --open
