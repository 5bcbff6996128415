#!/usr/bin/env bash
# Checks a running service against its own OpenAPI document with generated requests, right and wrong ones.
#
#   scripts/schemathesis.sh BASE_URL KEY
#
# The service has to ask for keys, as the document says; KEY is one of scope admin. Attacks with many steps are
# among what is submitted: use a service of its own, with `server.max_wait_seconds` of 1 or 2 and without limits
# on requests and queued jobs. Takes about four minutes; the requests are the same each time. Exits with an error
# at any answer that the document does not allow. Its settings are in schemathesis.toml.
#
# Schemathesis is installed from PyPI into SEGPROBE_CHECKS_CACHE if that is set, else into a temporary folder.
set -euo pipefail
if (($# != 2)); then
    echo "usage: scripts/schemathesis.sh BASE_URL KEY" >&2
    exit 2
fi
base=${1%/}
key=$2
cd "$(dirname "$0")"

cache=${SEGPROBE_CHECKS_CACHE-}
if [[ -z $cache ]]; then
    cache=$(mktemp -d)
    trap 'rm -rf "$cache"' EXIT
fi
if [[ ! -x $cache/venv/bin/schemathesis ]]; then
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" install --quiet --disable-pip-version-check 'schemathesis==4.*'
fi

# All checks are made. Naming them here (`--checks all`) would overrule the exception in the settings.
"$cache/venv/bin/schemathesis" --no-color --config-file schemathesis.toml run "$base/openapi.json" \
    --phases examples,coverage,fuzzing,stateful --header "Authorization: Bearer $key"
