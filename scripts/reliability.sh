#!/usr/bin/env bash
# Injects faults into a running service, counts what was lost, and writes docs/reliability.md.
#
#   scripts/reliability.sh [OUT] [FAULT...]
#
# OUT (default: out/reliability) keeps the service's log and data of every fault. Naming faults runs only those and leaves
# the page as it is. Needs Linux, Python 3.10, libfaketime (Debian: apt-get install faketime), and root or user namespaces
# for the small disk that is filled. Takes less than ten minutes; ends with 1 if anything was lost or could not be injected.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-out/reliability}
shift || true
cargo build --release --locked

# In a mount namespace of its own the small disk goes away with the script, however that ends.
namespace=(unshare --mount)
[ "$(id -u)" = 0 ] || namespace+=(--user --map-root-user)
PYTHONPATH=scripts exec "${namespace[@]}" python3 -m reliability --binary target/release/segprobe --out "$out" "$@"
