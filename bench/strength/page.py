"""Writes docs/strength.md from what was measured.

    python -m strength.page --out OUT [--page docs/strength.md]
"""

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from . import libraries
from .peers import slug
from .results import EPSILONS, Row, read, read_all, with_interval

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from step.fill import fill  # noqa: E402

CONTROL = "noise"
BLACK_BOX = ("square", "square_mask", "nes", "spsa")


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def strength(rows: list[Row], score: str) -> str:
    """One line for every attack, one column for every epsilon."""
    clean = [getattr(row, score) for row in rows if row.method == "none"]
    found = defaultdict(list)
    for row in rows:
        found[row.method, row.epsilon].append(getattr(row, score))
    methods = list(dict.fromkeys(row.method for row in rows if row.method != "none"))
    lines = [["none", *[with_interval(clean)] * len(EPSILONS)]]
    lines += [[f"`{method}`", *(with_interval(found[method, epsilon]) for epsilon in EPSILONS)] for method in methods]
    return table(["attack", *(f"{epsilon}/255" for epsilon in EPSILONS)], lines)


def by_set(rows: list[Row]) -> str:
    sets = list(dict.fromkeys(row.set for row in rows))
    lines = []
    for name in sets:
        mine = [row for row in rows if row.set == name]
        mean = lambda method, epsilon: fmean(r.dsc for r in mine if (r.method, r.epsilon) == (method, epsilon))  # noqa: E731
        images = sum(row.method == "none" for row in mine)
        lines.append([name, str(images), f"{mean('none', ''):.3f}",
                      *(f"{mean(method, '8'):.3f}" for method in ("noise", "square", "fgsm", "pgd", "apgd", "strongest"))])
    return table(["set", "images", "clean", "noise", "square", "fgsm", "pgd", "apgd", "strongest"], lines)


def images(rows: list[Row]) -> dict[tuple[str, str, str], dict[str, float]]:
    """(set, image, epsilon) -> method -> DSC."""
    found = defaultdict(dict)
    for row in rows:
        if row.method != "none":
            found[row.set, row.image, row.epsilon][row.method] = row.dsc
    return found


def checks(rows: list[Row]) -> str:
    """What has to hold if the attacks work; a line that begins with FAIL does not."""
    attempts = images(rows)
    beaten = [(scores["strongest"] - min(d for m, d in scores.items() if m != "strongest"), place)
              for place, scores in attempts.items()]
    worse = [(gap, place) for gap, place in beaten if gap > 0]
    best = lambda scores, those: min(d for m, d in scores.items() if those(m))  # noqa: E731
    black, white = BLACK_BOX, lambda m: m not in (*BLACK_BOX, CONTROL)
    lines = []

    def line(holds: bool, text: str):
        lines.append(f"- {'holds' if holds else 'FAILS'}: {text}")

    text = f"`strongest` is at least as strong as every other attack, on every image and epsilon ({len(beaten)} pairs)"
    if worse:
        gap, (set_name, image, epsilon) = max(worse)
        method = min(attempts[set_name, image, epsilon], key=attempts[set_name, image, epsilon].get)
        text += f"; not on {len(worse)}, by at most {gap:.3f} DSC (`{method}`, {set_name}, {epsilon}/255)"
    line(not worse, text)
    for epsilon in EPSILONS:
        at = [scores for (_, _, e), scores in attempts.items() if e == epsilon]
        apgd, pgd = fmean(s["apgd"] for s in at), fmean(s["pgd"] for s in at)
        line(apgd <= pgd, f"APGD is at least as strong as PGD at {epsilon}/255 on average: {apgd:.4f} and {pgd:.4f}")
        by_gradients, by_answers = fmean(best(s, white) for s in at), fmean(best(s, lambda m: m in black) for s in at)
        stronger = sum(best(s, white) > best(s, lambda m: m in black) for s in at)
        line(by_gradients <= by_answers,
             f"the best by gradients is at least as strong as the best by answers at {epsilon}/255: {by_gradients:.3f} and "
             f"{by_answers:.3f}; the latter is stronger on {stronger} of {len(at)} images")
        noise = fmean(s[CONTROL] for s in at)
        line(by_answers <= noise, f"answers do more than random noise at {epsilon}/255: {by_answers:.3f} and {noise:.3f}")
    return "\n".join(lines)


def losses(out: Path) -> str:
    found = {folder.name: read(folder / "results.csv") for folder in sorted((out / "losses").iterdir())}
    names = sorted({name.rsplit("-", 1)[0] for name in found})
    mean = lambda name, epsilon: fmean(r.dsc for r in found[name] if (r.method, r.epsilon) == ("apgd", epsilon))  # noqa: E731
    lines = [[f"`{loss}`", *(f"{mean(f'{loss}-{reduced}', epsilon):.3f}" for epsilon in ("2", "8") for reduced in ("false", "true"))]
             for loss in names]
    lines.sort(key=lambda line: line[-1])
    return table(["loss of `apgd`", "2/255", "2/255, from larger budgets", "8/255", "8/255, from larger budgets"], lines)


def side_by_side(rows: list[Row], out: Path) -> str:
    lines, linf = [], json.loads((out / "peers" / "linf.json").read_text())
    for name, (method, _) in libraries.ATTACKS.items():
        theirs = {epsilon: read(out / "peers" / "scores" / f"{slug(name)}-{epsilon}" / "results.csv") for epsilon in EPSILONS}
        places = {(row.set, Path(row.image).stem) for row in theirs[EPSILONS[0]]}
        ours = lambda epsilon: fmean(r.dsc for r in rows  # noqa: E731
                                     if (r.set, Path(r.image).stem) in places and (r.method, r.epsilon) == (method, epsilon))
        cells = [f"{fmean(r.dsc for r in theirs[e]):.3f} / {ours(e):.3f}" for e in EPSILONS]
        lines.append([name, f"`{method}`", str(len(places)), *cells, f"{linf[name]['8']} levels"])
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
    rows = read_all(asked.out / "attacks")
    parts = {"dsc": strength(rows, "dsc"), "iou": strength(rows, "iou"), "sets": by_set(rows), "checks": checks(rows)}
    if (asked.out / "losses").exists():
        parts["losses"] = losses(asked.out)
    if (asked.out / "peers" / "refused.json").exists():
        parts |= {"peers": side_by_side(rows, asked.out), "refused": refused(asked.out)}
    if (asked.out / "cost.json").exists():
        parts["cost"] = cost(asked.out)
    fill(asked.page, parts)


if __name__ == "__main__":
    main()
