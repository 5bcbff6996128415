#!/usr/bin/env bash
# Compares Segprobe's DICOM decoder with pydicom on the files of a folder and prints the table of docs/inputs.md.
#
#   bash tests/oracle/dicom_compare.sh FOLDER [SCRATCH_FOLDER]
#
# The scratch folder (default: out/dicom) keeps the Python environment between runs. DICOM_PYTHON names an
# interpreter that has requirements-dicom.txt already.
set -euo pipefail
folder=$(realpath "$1")
cd "$(dirname "$0")/../.."
scratch=${2:-out/dicom}

python=${DICOM_PYTHON:-$scratch/venv/bin/python}
if [ ! -x "$python" ]; then
    mkdir -p "$scratch"
    python3 -m venv "$scratch/venv"
    "$python" -m pip install --quiet -r tests/oracle/requirements-dicom.txt
fi

cargo build --quiet --example decode
target=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
"$python" tests/oracle/dicom_compare.py "$target/debug/examples/decode" "$folder"
