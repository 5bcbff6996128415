"""The tables of docs/bench-step.md."""

import statistics
from pathlib import Path

from pages import fill
from reliability.report import machine

from . import targets
from .figures import Case, Figures
from .gradients import TOLERANCE


def write(figures: Figures, path: Path):
    """Fills the page."""
    parts = {"machine": _machine, "targets": _targets, "steps": _steps, "gradients": _gradients, "attacks": _attacks}
    fill(path, {marker: part(figures) for marker, part in parts.items()})


def _machine(figures: Figures) -> str:
    found = [m for rows in figures.measured.values() for m in rows]
    versions = {name: m.more[name] for m in found for name in ("torch", "transformers") if name in m.more}
    others = [m.others for m in found]
    return (f"{machine()}, {', '.join(f'{name} {version}' for name, version in versions.items())}; {figures.threads} threads "
            f"on both sides; {figures.rounds} rounds, {figures.runs} steps timed in each process. Other processes took "
            f"{statistics.median(others):.2f} cores (median over processes; at most {max(others):.2f}).\n")


def _targets(figures: Figures) -> str:
    rows = ["| | wanted | measured | met |", "| --- | ---: | ---: | --- |"]
    said = {True: "yes", False: "**no**", None: "not measured"}
    batches = sorted({case.batch for case in figures.measured})
    rows += [f"| {t.text} | {t.wanted} | {t.measured} | {said[t.met]} |" for t in targets.all_of(figures, batches)]
    return "\n".join(rows) + "\n"


def _steps(figures: Figures) -> str:
    text = []
    groups = dict.fromkeys((case.size, case.batch) for case in figures.measured)
    for size, batch in sorted(groups, key=lambda group: (group[0] != "full", group[1])):
        cases = [case for case in figures.measured if (case.size, case.batch) == (size, batch)]
        text += [f"**{size}, batch {batch}**", "", "| | step (ms) | per image | GFLOP/s | of the matmul peak | peak memory (MiB) |"
                 " with loading |", "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
        text += [_row(figures, case) for case in cases]
        text += [f"| {case.name} | failed | | | | | |" for case in figures.failures if (case.size, case.batch) == (size, batch)]
        text.append("")
    return "\n".join(text)


def _row(figures: Figures, case: Case) -> str:
    step, more = figures.step_s(case), [m.more for m in figures.measured[case]]
    work = next((m.more["step_gflop"] for other, found in figures.measured.items() for m in found
                 if (other.size, other.batch) == (case.size, case.batch) and "step_gflop" in m.more), None)
    speed = f"{work / step:.0f}" if work else ""
    shares = [m["gflops"] / m["matmul_peak_gflops"] for m in more if "gflops" in m]
    share = f"{100 * statistics.median(shares):.0f} %" if shares else ""
    memory = " | ".join(f"{figures.rss_mib(case, loading):.0f}" for loading in (False, True))
    return f"| {case.name} | {step * 1e3:.1f} | {step * 1e3 / case.batch:.1f} | {speed} | {share} | {memory} |"


def _gradients(figures: Figures) -> str:
    rows = ["| the worst row against f64 | relative error (2-norm) | cosine | other signs | units turned | error then | |",
            "| --- | ---: | ---: | ---: | --- | ---: | --- |"]
    wrong = figures.wrong_gradients()
    for case, found in figures.agreements.items():
        verdict = ("**differs**" if case in wrong else f"<= {TOLERANCE:g}") if case.name == "segprobe f32" else ""
        turned = f"{len(found.turned)}, at {max(found.turned):.0e} at most" if found.turned else ""
        then = f"{found.beyond_kinks:.1e}" if found.turned else ""
        rows.append(f"| {case} | {found.relative_error:.1e} | {found.cosine:.6f} | {100 * found.sign:.2f} % | {turned} | {then} |"
                    f" {verdict} |")
    return "\n".join(rows) + "\n"


def _attacks(figures: Figures) -> str:
    if not figures.concurrency or not figures.queue:
        return "Not measured in this run.\n"
    found = figures.concurrency["throughput"][0]
    rows = [f"PGD with {found['steps']} steps on the four samples in turn, {found['attacks']} attacks a round.", "",
            "| | attacks per second | mean adversarial DSC |", "| --- | ---: | ---: |"]
    for name, rounds in (("one at a time", found["alone"]), (f"{found['concurrency']} at once", found["together"])):
        speed = statistics.median(found["attacks"] / r["seconds"] for r in rounds)
        rows.append(f"| {name} | {speed:.2f} | {rounds[0]['adversarial_dsc']:.4f} |")
    rows += ["", "| FGSM attacks queued | workers | ms per image | resident memory afterwards (MiB) |",
             "| ---: | ---: | ---: | ---: |"]
    rows += [f"| {q['jobs']} | {q['workers']} | {q['seconds_per_image'] * 1e3:.1f} | {q['rss_mib'] or 0:.0f} |"
             for q in figures.queue["queues"]]
    return "\n".join(rows) + "\n"
