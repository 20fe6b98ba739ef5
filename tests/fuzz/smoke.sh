#!/bin/sh
# Builds every fuzz target and runs each for a few seconds from its seeds (default 10): smoke.sh [SECONDS].
# Needs a nightly toolchain and cargo-fuzz (`cargo install cargo-fuzz`).
set -eu
cd "$(dirname "$0")"
seconds=${1:-10}
cargo +nightly fuzz build --fuzz-dir .
for target in $(cargo +nightly fuzz list --fuzz-dir .); do
    mkdir -p "corpus/$target"
    echo "== $target for $seconds s"
    cargo +nightly fuzz run --fuzz-dir . "$target" "corpus/$target" "seeds/$target" -- \
        -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1
done
