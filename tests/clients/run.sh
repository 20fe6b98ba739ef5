#!/usr/bin/env bash
# Installs the OpenTelemetry SDKs for Python, JavaScript and Go in the versions of the lock files beside this script
# into the build folder, and runs the test that pushes with each of them to the real binary (tests/sdk_clients).
# Arguments are the test's: `run.sh python` runs only what has python in its name.
set -euo pipefail
cd "$(dirname "$0")/../.."

target="$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')"
export SDK_CLIENTS="$target/sdk_clients"
cd tests/clients
mkdir -p "$SDK_CLIENTS"/{python,javascript,go}

apt_install() {
  echo "missing; installing $*"
  local as_root=""
  [ "$(id -u)" = 0 ] || as_root="sudo"
  $as_root apt-get update -q && $as_root apt-get install -qy --no-install-recommends "$@"
}

# Runs a command unless it succeeded before with the same lock file ($1) for the client $2.
once() {
  local lock="$1" stamp="$SDK_CLIENTS/$2/installed"
  shift 2
  cmp -s "$lock" "$stamp" && return
  rm -f "$stamp"
  "$@"
  cp "$lock" "$stamp"
}

install_python() {
  python3 -m venv --clear "$SDK_CLIENTS/python"
  "$SDK_CLIENTS/python/bin/pip" install --quiet --no-deps --only-binary :all: -r python/requirements.txt
  "$SDK_CLIENTS/python/bin/pip" check
}

install_javascript() {
  cp javascript/package.json javascript/package-lock.json "$SDK_CLIENTS/javascript/"
  (cd "$SDK_CLIENTS/javascript" && npm ci --ignore-scripts --no-audit --no-fund)
}

install_go() {
  # The distribution's Go is too old on some machines; PyPI has the official one as a package.
  python3 -m venv --clear "$SDK_CLIENTS/go/toolchain"
  "$SDK_CLIENTS/go/toolchain/bin/pip" install --quiet --only-binary :all: -r go/toolchain.txt
}

echo "--- Python"
python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3 python3-venv
once python/requirements.txt python install_python
cp python/client.py "$SDK_CLIENTS/python/"

echo "--- JavaScript"
{ command -v node && command -v npm; } >/dev/null || apt_install nodejs npm
once javascript/package-lock.json javascript install_javascript
cp javascript/client.mjs "$SDK_CLIENTS/javascript/"

echo "--- Go"
# Says no when it is missing or older than go.mod asks for.
if ! (cd go && go list -m) >/dev/null 2>&1; then
  once go/toolchain.txt go install_go
  export PATH="$SDK_CLIENTS/go/toolchain/bin:$PATH"
fi
(cd go && CGO_ENABLED=0 go build -buildvcs=false -mod=readonly -o "$SDK_CLIENTS/go/client" .)

echo "--- the test"
cd ../..
# With the binary, so that both are built from the same dependencies.
cargo build --locked --workspace --bin otelcol-ecs --test sdk_clients
cargo test --locked --workspace --test sdk_clients -- "$@"
