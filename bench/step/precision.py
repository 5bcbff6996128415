"""Runs `segprobe evaluate` once for every number format and compares the mean adversarial DSC."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from pages import fill

from .systems import dtypes

TOLERANCE = 0.01


def main():
    parser = argparse.ArgumentParser(prog="step.precision", description=__doc__)
    parser.add_argument("--segprobe", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--page", type=Path, default=Path("docs/bench-step.md"))
    parser.add_argument("evaluate", nargs="+", help="flags of `segprobe evaluate`, after --")
    asked = parser.parse_args()
    offered = dtypes(asked.segprobe, "evaluate")
    summaries = {}
    for dtype in offered:
        chosen = ["--dtype", dtype] if len(offered) > 1 else []
        out = asked.out / dtype
        subprocess.run([asked.segprobe, "evaluate", *asked.evaluate, *chosen, "--out", out], check=True)
        summaries[dtype] = json.loads((out / "summary.json").read_text())
    text, close = table(summaries)
    fill(asked.page, {"precision": text})
    print(text)
    sys.exit(0 if close else 1)


def table(summaries: dict[str, dict]) -> tuple[str, bool]:
    """The table, and whether all means over all images are close to those of f32."""
    attacks = summaries["f32"]["all"]["attacks"]
    names = [f"{attack['method']}, epsilon {attack['epsilon']:g}" for attack in attacks]
    rows = [f"{summaries['f32']['all']['images']} images, mean DSC of the adversarial files.", "",
            f"| | clean | {' | '.join(f'{name} | less f32' for name in names)} |", "| --- | ---: |" + " ---: | ---: |" * len(names)]
    close = True
    for dtype, summary in summaries.items():
        if summary["left_out"]:
            raise RuntimeError(f"{dtype}: images were left out: {summary['left_out']}")
        cells = [f"{summary['all']['clean_dsc']['mean']:.4f}"]
        for ours, f32 in zip(summary["all"]["attacks"], attacks, strict=True):
            difference = ours["dsc"]["mean"] - f32["dsc"]["mean"]
            close &= abs(difference) <= TOLERANCE
            cells += [f"{ours['dsc']['mean']:.4f}", f"{difference:+.4f}"]
        rows.append(f"| {dtype} | {' | '.join(cells)} |")
    within = "met" if close else "**not met**"
    verdict = f"All within {TOLERANCE} of f32: {within}." if len(summaries) > 1 else "This build offers no half precision."
    return "\n".join([*rows, "", verdict]) + "\n", close


if __name__ == "__main__":
    main()
