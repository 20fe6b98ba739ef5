#!/usr/bin/env bash
# Installs NGINX, Redis and their Prometheus exporters from the distribution's packages where they are missing, and runs
# the program that starts them, scrapes them with the real binary and checks the events (src/bin/real_workloads.rs).
set -euo pipefail
cd "$(dirname "$0")/../.."

declare -A packages=(
  [nginx]=nginx-light
  [redis-server]=redis-server
  [prometheus-nginx-exporter]=prometheus-nginx-exporter
  [prometheus-redis-exporter]=prometheus-redis-exporter
)
missing=()
for program in "${!packages[@]}"; do
  PATH="$PATH:/usr/sbin" command -v "$program" >/dev/null || missing+=("${packages[$program]}")
done
if [ "${#missing[@]}" -gt 0 ]; then
  echo "installing ${missing[*]}"
  as_root=""
  [ "$(id -u)" = 0 ] || as_root="sudo"
  # The packages would start services on their usual ports; the program starts its own on loopback.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod +x "$policy"
    trap '$as_root rm -f "$policy"' EXIT
  fi
  $as_root apt-get update -q
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
fi
cargo build --locked --workspace --bins --test tidy
target="$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')"
"$target/debug/real_workloads"
