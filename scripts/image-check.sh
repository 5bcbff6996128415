#!/usr/bin/env bash
# Checks the container images: the Dockerfiles, the compose files, what watches the service, and the CPU image itself,
# which is built and run without a container engine.
#
#   scripts/image-check.sh [PROGRAM]
#
# PROGRAM (target/release/segprobe if left out) is what gets into the image. The base of the image is Debian as
# debootstrap makes it, so no image is fetched. Needs root, Python 3.11 with venv, cargo (which compiles nothing here) and
# Debian's packages; those that are missing are installed. Packages from PyPI and the base are kept in out/image. Takes
# less than five minutes the first time.
set -euo pipefail
cd "$(dirname "$0")/.."
program=${1:-target/release/segprobe}
if [[ ! -x $program ]]; then
    echo "error: $program is missing: cargo build --locked --release, or name another program" >&2
    exit 1
fi
source scripts/image/tools.sh
export PYTHONPATH=scripts
# In a mount namespace of its own nothing stays mounted. crun refuses a machine that has control groups of both versions,
# and none are used here.
exec unshare --mount bash -euc '
    if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
    exec out/image/venv/bin/python -m image "$1"' image-check.sh "$program"
