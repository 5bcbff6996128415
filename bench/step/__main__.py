"""Runs all configurations in alternating rounds and fills docs/bench-step.md."""

import argparse
import json
import statistics
import sys
from dataclasses import asdict
from pathlib import Path

from . import machine, page
from .figures import Case, Figures
from .gradients import Agreement
from .systems import Tools

BATCHES = (1, 4)


def main():
    parser = argparse.ArgumentParser(prog="step", description=__doc__)
    parser.add_argument("--segprobe", type=Path, required=True, help="the program")
    parser.add_argument("--python", type=Path, required=True, help="interpreter that has requirements.txt")
    parser.add_argument("--out", type=Path, required=True, help="folder with the checkpoints `full` and `small`")
    parser.add_argument("--threads", type=int, default=2, help="of both sides")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3, help="timed steps of a process")
    parser.add_argument("--sizes", nargs="+", choices=("full", "small"), default=("full", "small"))
    parser.add_argument("--only", nargs="+", metavar="NAME", help="configurations, such as trunc or 'segprobe f32'")
    parser.add_argument("--queue", default="10,100,1000", help="lengths of the queue of short attacks")
    parser.add_argument("--no-attacks", action="store_true", help="leave out whole attacks through the engine")
    parser.add_argument("--quiet-seconds", type=float, default=20, help="longest wait for a quiet machine before a process")
    parser.add_argument("--quick", action="store_true", help="one round of one step: to try the script, not to measure")
    parser.add_argument("--page", type=Path, default=Path("docs/bench-step.md"))
    asked = parser.parse_args()
    if asked.quick:
        asked.rounds, asked.runs, asked.queue, asked.quiet_seconds = 1, 1, "4,8", 2
    tools = Tools(asked.segprobe, asked.python, asked.out, asked.threads)

    figures = Figures(threads=asked.threads, rounds=asked.rounds, runs=asked.runs)
    cases = [Case(size, batch, name) for size in asked.sizes for batch in BATCHES for name in tools.names(size)
             if not asked.only or name in asked.only]
    for number in range(asked.rounds):
        run_round(tools, figures, cases, number, asked)
    compare_gradients(tools, figures)
    if not asked.no_attacks:
        machine.wait_until_quiet(asked.quiet_seconds)
        figures.concurrency = tools.segprobe_json("--concurrency", 8, "--runs", asked.rounds)
        machine.wait_until_quiet(asked.quiet_seconds)
        figures.queue = tools.segprobe_json("--queue", asked.queue)
    (asked.out / "figures.json").write_text(json.dumps(figures.raw(), indent=1) + "\n")
    page.write(figures, asked.page)
    sys.exit(1 if figures.wrong_gradients() else 0)


def run_round(tools: Tools, figures: Figures, cases: list[Case], number: int, asked):
    """One process for each case; the order is another in every round, so that a slow minute is nobody's alone."""
    shift = number * len(cases) // max(asked.rounds, 1)
    for case in cases[shift:] + cases[:shift]:
        machine.wait_until_quiet(asked.quiet_seconds)
        keep = number == 0 and case.name != "torchattacks-naive"
        try:
            found = tools.measure(case.size, case.name, case.batch, asked.runs, keep)
        except RuntimeError as error:
            figures.failures[case] = str(error)
            print(f"{case} FAILED: {error}", file=sys.stderr, flush=True)
            continue
        figures.measured.setdefault(case, []).append(found)
        print(f"round {number + 1}, {case}: {statistics.median(found.step_s) * 1e3:.0f} ms, {found.peak_rss_mib:.0f} MiB, "
              f"others took {found.others:.2f} cores", file=sys.stderr, flush=True)


def compare_gradients(tools: Tools, figures: Figures):
    for size, batch in dict.fromkeys((case.size, case.batch) for case in figures.measured):
        names = [case.name for case in figures.measured if (case.size, case.batch) == (size, batch)]
        names = [name for name in names if name.startswith("segprobe") or name in ("trunc", "bf16")]
        if names:
            for name, rows in tools.exactness(size, names, batch).items():
                case = Case(size, batch, name)
                figures.agreements[case] = Agreement.worst(rows)
                print(f"{case}: {asdict(figures.agreements[case])}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
