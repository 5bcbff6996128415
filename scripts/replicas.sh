#!/usr/bin/env bash
# Runs several processes on one PostgreSQL and one S3 server here, kills them at random, and counts what came of the jobs.
#
#   scripts/replicas.sh [--jobs N] [--program PATH] [--measured N --speed FILE --page docs/scale.md]
#
# Needs PostgreSQL's server programs (Debian: postgresql) and Python 3 with venv. The S3 server (moto) comes from PyPI into
# out/replicas, unless REPLICAS_PYTHON names an interpreter that has it. Everything listens on loopback or on a socket in a
# temporary folder and ends with the script.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${REPLICAS_PYTHON:-out/replicas/venv/bin/python}
if [ ! -x "$python" ]; then
    python3 -m venv out/replicas/venv
    "$python" -m pip install --quiet 'moto[server]==5.2.5'
fi
program=target/release/segprobe
case " $* " in *" --program "*) ;; *) cargo build --locked --release --bin segprobe ;; esac
PYTHONPATH=scripts:bench exec "$python" -m replicas --program "$program" "$@"
