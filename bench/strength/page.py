"""Writes docs/strength.md from what was measured.

    python -m strength.page --out OUT [--page docs/strength.md]

Means, intervals and checks are those of `segprobe evaluate`; this lays them out.
"""

import argparse
import json
from pathlib import Path
from statistics import fmean

from pages import fill

from .results import EPSILONS, Row, read, slug

BY_SET = ("noise", "square", "fgsm", "pgd", "apgd", "strongest")
VERDICTS = {"pass": "holds", "fail": "FAILS"}


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_interval(estimate: dict) -> str:
    interval = estimate["interval"]
    return f"{estimate['mean']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"


def found_at(attacks: list[dict]) -> dict[tuple[str, str], dict]:
    """(method, epsilon) -> what the summary says of it."""
    return {(attack["method"], f"{attack['epsilon']:g}"): attack for attack in attacks}


def strength(summary: dict, score: str) -> str:
    """One line for every attack, one column for every epsilon."""
    everything = summary["all"]
    found = found_at(everything["attacks"])
    lines = [["none", *[with_interval(everything[f"clean_{score}"])] * len(EPSILONS)]]
    lines += [[f"`{method}`", *(with_interval(found[method, epsilon][score]) for epsilon in EPSILONS)]
              for method in dict.fromkeys(method for method, _ in found)]
    return table(["attack", *(f"{epsilon}/255" for epsilon in EPSILONS)], lines)


def by_set(summary: dict) -> str:
    lines = []
    for part in summary["sets"]:
        found = found_at(part["attacks"])
        lines.append([part["set"], str(part["images"]), f"{part['clean_dsc']['mean']:.3f}",
                      *(f"{found[method, EPSILONS[-1]]['dsc']['mean']:.3f}" for method in BY_SET)])
    return table(["set", "images", "clean", *BY_SET], lines)


def checks(summary: dict) -> str:
    """What has to hold if the attacks work."""
    return "\n".join(f"- {VERDICTS[check['verdict']]}: {check['name']}: {check['figures']}"
                     for check in summary["checks"] if check["verdict"] in VERDICTS)


def losses(out: Path) -> str:
    found = {}
    for folder in sorted((out / "losses").iterdir()):
        attacks = found_at(json.loads((folder / "summary.json").read_text())["all"]["attacks"])
        loss, reduced = folder.name.rsplit("-", 1)
        found[loss, reduced] = {epsilon: attack["dsc"]["mean"] for (_, epsilon), attack in attacks.items()}
    lines = [[f"`{loss}`", *(f"{found[loss, reduced][epsilon]:.3f}" for epsilon in ("2", "8") for reduced in ("false", "true"))]
             for loss in dict.fromkeys(loss for loss, _ in found)]
    lines.sort(key=lambda line: line[-1])
    return table(["loss of `apgd`", "2/255", "2/255, from larger budgets", "8/255", "8/255, from larger budgets"], lines)


def side_by_side(rows: list[Row], out: Path) -> str:
    lines = []
    for name, ran in json.loads((out / "peers" / "ran.json").read_text()).items():
        method = ran["ours"]
        theirs = {epsilon: read(out / "peers" / "scores" / f"{slug(name)}-{epsilon}" / "results.csv") for epsilon in EPSILONS}
        places = {(row.set, Path(row.image).stem) for row in theirs[EPSILONS[0]]}
        ours = lambda epsilon: fmean(r.dsc for r in rows  # noqa: E731
                                     if (r.set, Path(r.image).stem) in places and (r.method, r.epsilon) == (method, epsilon))
        cells = [f"{fmean(r.dsc for r in theirs[e]):.3f} / {ours(e):.3f}" for e in EPSILONS]
        lines.append([name, f"`{method}`", str(len(places)), *cells, f"{ran['levels']['8']} levels"])
    return table(["library", "ours", "images", *(f"{e}/255" for e in EPSILONS), "largest change at 8/255"], lines)


def refused(out: Path) -> str:
    found = json.loads((out / "peers" / "refused.json").read_text())
    return "\n".join(f"- {name}: `{why}`" for name, why in found.items())


def cost(out: Path) -> str:
    found = json.loads((out / "cost.json").read_text())
    methods, alone = found["methods"], found["members"]
    loading = methods["none"]["seconds"]
    unit = methods["pgd"]["seconds"] - loading
    relative = lambda entry: (entry["seconds"] - loading) / unit  # noqa: E731
    lines = [[f"`{name}`", f"{entry['queries']:.0f}", f"{relative(entry):.2f}"]
             for name, entry in methods.items() if name != "none"]
    together = methods["strongest"]
    queries, time = sum(e["queries"] for e in alone.values()), sum(relative(e) for e in alone.values())
    text = table(["attack", "questions an image", "time, PGD-40 = 1"], lines)
    return (f"{text}\n\nThe {len(alone)} members of `strongest`, one after the other as attacks of their own: {queries:.0f} questions "
            f"and {time:.2f} of PGD-40; `strongest` itself: {together['queries']:.0f} questions and {relative(together):.2f}, "
            f"{queries / together['queries']:.2f} times fewer questions and {time / relative(together):.2f} times less time.")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--page", type=Path, default=Path("docs/strength.md"))
    asked = parser.parse_args()
    attacks = asked.out / "attacks"
    summary = json.loads((attacks / "summary.json").read_text())
    parts = {"dsc": strength(summary, "dsc"), "iou": strength(summary, "iou"), "sets": by_set(summary), "checks": checks(summary)}
    if (asked.out / "losses").exists():
        parts["losses"] = losses(asked.out)
    if (asked.out / "peers" / "refused.json").exists():
        parts |= {"peers": side_by_side(read(attacks / "results.csv"), asked.out), "refused": refused(asked.out)}
    if (asked.out / "cost.json").exists():
        parts["cost"] = cost(asked.out)
    fill(asked.page, parts)


if __name__ == "__main__":
    main()
