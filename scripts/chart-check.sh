#!/usr/bin/env bash
# Checks the Helm chart without a cluster: lint, renders, schemas, refusals, alerts, and what has to hold in every render.
#
#   scripts/chart-check.sh [--update] [--program SEGPROBE]
#
# --update writes k8s/golden and the table of the chart's README anew, for a change that is meant. --program also lets
# that program read every rendered settings file. Helm, promtool and Python packages are fetched once, into out/chart
# or the folder that CHART_TOOLS names; needs Python 3.11 with venv, and dpkg-deb and apt-get for promtool, unless
# bin/helm, bin/promtool and venv are there already. Takes less than three minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=${CHART_TOOLS:-$PWD/out/chart}
source scripts/chart/tools.sh
PYTHONPATH=scripts exec "$tools/venv/bin/python" -m chart --tools "$tools" "$@"
