#!/usr/bin/env python3
"""Compares gradients and writes the page of a GPU run.

    python report.py RUN > PAGE

RUN is the folder that gpu-check.sh fills: cpu.npy, f32.npy, tf32.npy and bf16.npy per model, the JSON of
`segprobe bench`, the lines of torch_gpu.py, and machine.txt. Ends with an error if a gradient is outside its limit.
"""

import json
import statistics
import sys
from pathlib import Path

import numpy as np

# the largest relative 2-norm of a gradient's difference from the CPU's in f32; ReLU's kink alone moves it by 1e-3
LIMITS = {"f32": 5e-3, "tf32": 5e-2, "bf16": 3e-1}


def gradients(run: Path) -> tuple[list[str], bool]:
    lines = ["| model | dtype | relative difference | cosine | other signs | limit |", "|---|---|---|---|---|---|"]
    held = True
    for folder in sorted(path for path in (run / "gradients").iterdir() if path.is_dir()):
        cpu = np.load(folder / "cpu.npy").astype(np.float64).ravel()
        for dtype, limit in LIMITS.items():
            found = np.load(folder / f"{dtype}.npy").astype(np.float64).ravel()
            difference = np.linalg.norm(found - cpu) / np.linalg.norm(cpu)
            cosine = found @ cpu / np.linalg.norm(found) / np.linalg.norm(cpu)
            signs = np.mean(np.sign(found) != np.sign(cpu))
            held &= bool(difference <= limit)  # a NaN does not hold
            lines.append(f"| {folder.name} | {dtype} | {difference:.1e} | {cosine:.6f} | {signs:.2%} | {limit:.0e} |")
    return lines, held


def timings(run: Path) -> list[str]:
    rows = []
    for path in sorted((run / "segprobe").glob("*.json")):
        for step in json.loads(path.read_text())["steps"]:
            rows.append((step["batch"], f"segprobe {path.stem}", step["step"]["median_s"]))
    for line in (run / "torch.jsonl").read_text().splitlines():
        step = json.loads(line)
        rows.append((step["batch"], step["system"], statistics.median(step["step_s"])))
    lines = ["| batch | system | step, ms (median) | images a second |", "|---|---|---|---|"]
    for batch, system, seconds in sorted(rows):
        lines.append(f"| {batch} | {system} | {1e3 * seconds:.2f} | {batch / seconds:.1f} |")
    return lines


def main():
    run = Path(sys.argv[1])
    table, held = gradients(run)
    print("# A run on a GPU\n\nWritten by `scripts/gpu-check.sh`; do not edit.\n")
    print("```text\n" + (run / "machine.txt").read_text().rstrip() + "\n```\n")
    print("## Gradients against the CPU in f32\n\n" + "\n".join(table) + "\n")
    print("## The step\n\n" + "\n".join(timings(run)))
    if not held:
        sys.exit("a gradient is outside its limit")


main()
