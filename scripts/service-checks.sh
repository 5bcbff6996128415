#!/usr/bin/env bash
# Checks the service as its callers use it: generated requests against the OpenAPI document, then a browser
# in the console and the documentation page.
#
#   scripts/service-checks.sh [OUT]
#
# Builds the release binary, unless SEGPROBE names a program that is built already, and starts it twice on free loopback
# ports, with temporary data folders: with keys for the requests, without for the browser. Screenshots and logs go to
# OUT (out/service-checks if left out). Needs Python 3 with venv, chromium and chromedriver; Python packages come from
# PyPI into SEGPROBE_CHECKS_CACHE if that is set, else into a temporary folder.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1-out/service-checks}
mkdir -p "$out"
work=$(mktemp -d)
export SEGPROBE_CHECKS_CACHE=${SEGPROBE_CHECKS_CACHE-$work/cache}
server=

stop() {
    if [[ -n $server ]]; then
        kill -TERM "$server" 2>/dev/null || true
        wait "$server" || true
        server=
    fi
}
trap 'stop; rm -rf "$work"' EXIT

for program in python3 chromium chromedriver; do
    if ! command -v "$program" >/dev/null; then
        echo "error: $program is missing; on Debian: apt-get install python3-venv chromium chromium-driver" >&2
        exit 1
    fi
done
segprobe=${SEGPROBE:-target/release/segprobe}
[ -n "${SEGPROBE:-}" ] || cargo build --locked --release

# start NAME [SETTING=VALUE...]: sets `server` and `base`
start() {
    local name=$1
    shift
    env "$@" "$segprobe" serve --listen 127.0.0.1:0 --data "$work/$name" >"$work/$name.out" 2>"$out/$name.log" &
    server=$!
    for _ in {1..300}; do
        base=$(sed -n 's/^listening on //p' "$work/$name.out")
        if [[ -n $base ]]; then
            return
        fi
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    echo "error: the service did not start:" >&2
    cat "$out/$name.log" >&2
    exit 1
}

check_log() {
    if grep -n panicked "$out/$1.log"; then
        echo "error: the service panicked, see $out/$1.log" >&2
        exit 1
    fi
}

echo "-- generated requests"
key=$("$segprobe" keys create --caller checks --scope admin --data "$work/requests" | tail -n 1)
start requests SEGPROBE_ACCESS__MODE=keys SEGPROBE_ACCESS__REQUESTS_PER_MINUTE=1000000 \
    SEGPROBE_QUEUE__MAX_QUEUED=100000 SEGPROBE_QUEUE__MAX_PER_CALLER=100000 \
    SEGPROBE_SERVER__MAX_WAIT_SECONDS=1 SEGPROBE_SERVER__SHUTDOWN_GRACE_SECONDS=1
scripts/schemathesis.sh "$base" "$key"
stop
check_log requests

echo "-- browser"
"$SEGPROBE_CHECKS_CACHE/venv/bin/pip" install --quiet --disable-pip-version-check 'selenium==4.*'
start browser SEGPROBE_SERVER__SHUTDOWN_GRACE_SECONDS=1
"$SEGPROBE_CHECKS_CACHE/venv/bin/python" tests/browser/console_test.py "$base" "$out"
stop
check_log browser
