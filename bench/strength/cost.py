"""What each attack costs: questions and time for an image, one attack at a time; and what an ensemble saves.

    python -m strength.cost DATA --segprobe PROGRAM --out OUT [--limit N]

Times are of a whole process without the loading and the clean images, and mean something only beside each other.
"""

import argparse
import json
import shutil
import subprocess
import time
from pathlib import Path
from statistics import fmean

from .results import read

SETS = ("kvasir_polyp", "hc18_fetal_head", "dsb2018_fluorescence")
EPSILON, STEPS, QUERIES = 8, 40, 100
STEPPED = ("bim", "mi_fgsm", "ni_fgsm", "di_fgsm", "ti_fgsm", "pgd", "apgd", "padam", "dct", "strongest", "alma_prox", "dag", "joint", "patch",
           "prompt_embedding")
BOUNDED = ("fgsm", "bim", "mi_fgsm", "ni_fgsm", "di_fgsm", "ti_fgsm", "pgd", "apgd", "padam", "dct", "strongest",
           "noise", "square", "square_mask", "nes", "spsa", "smallest_epsilon", "alma_prox", "dag", "joint")
L2 = ("boundary", "cw")
UNBOUNDED = ("corruption", "prompt", "hot_flip", "prompt_embedding", "patch", "seg_certify")


class Clock:
    def __init__(self, asked):
        self.asked = asked
        self.data = [argument for name in SETS for argument in ("--data", str(asked.data / name))]

    def run(self, name: str, *flags: str) -> dict:
        """Questions and seconds for an image."""
        out = self.asked.out / "cost" / name.replace(" ", "-")
        # what an earlier run has measured would take no time
        shutil.rmtree(out, ignore_errors=True)
        command = [self.asked.segprobe, "evaluate", *self.data, "--split", "validation", "--limit", str(self.asked.limit),
                   "--jobs", "1", "--out", str(out), *flags]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - began
        rows = read(out / "results.csv")
        attacked = [row for row in rows if row.method != "none"]
        images = len(rows) - len(attacked)
        return {"seconds": seconds / images, "queries": fmean(row.queries for row in attacked) if attacked else 1}

    def attack(self, name: str, method: str, *flags: str, epsilon: float | None = EPSILON) -> dict:
        bounded = ["--epsilon", str(epsilon), "--unit", "pixel255"] if epsilon else []
        return self.run(name, "--method", method, *bounded, *flags)


def flags_of(method: str) -> list[str]:
    """The same number of steps or questions for all that have one."""
    if method in ("noise", "square", "square_mask", "nes", "spsa", "boundary"):
        return ["--parameter", f"queries={QUERIES}"]
    return ["--steps", str(STEPS)] if method in STEPPED else []


def members(program: str) -> list[dict]:
    """The default members of `strongest`."""
    methods = json.loads(subprocess.run([program, "openapi"], check=True, capture_output=True).stdout)
    default = methods["components"]["schemas"]["StrongestAttack"]["properties"]["members"]["default"]
    return default


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--segprobe", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=1)
    clock = Clock(parser.parse_args())
    found, alone = {"none": clock.run("none", "--method", "none")}, {}
    for member in members(clock.asked.segprobe):
        loss, reduced = member.get("loss"), member.get("radius_reduction", False)
        flags = [*flags_of(member["method"]), *(["--loss", loss] if loss else []),
                 *(["--parameter", "radius_reduction=true"] if reduced else [])]
        name = " ".join(filter(None, (member["method"], loss, "from larger budgets" if reduced else None)))
        alone[name] = clock.attack(f"member {name}", member["method"], *flags)
    runs = [*((method, [], EPSILON) for method in BOUNDED), *((method, ["--norm", "l2"], 20000) for method in L2),
            *((method, [], None) for method in UNBOUNDED)]
    for method, flags, epsilon in runs:
        found[method] = clock.attack(method, method, *flags_of(method), *flags, epsilon=epsilon)
        # after each: what fails late loses nothing
        (clock.asked.out / "cost.json").write_text(json.dumps({"methods": found, "members": alone}, indent=1))


if __name__ == "__main__":
    main()
