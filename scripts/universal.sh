#!/usr/bin/env bash
# Trains universal perturbations against the demo model, one for each data set and one for all, and writes docs/universal.md.
#
#   scripts/universal.sh DATA [LIMIT]
#
# DATA as for scripts/demo-tables.sh; LIMIT is the number of held-out images of each set (10 if left out). With 10 about a
# quarter of an hour on one core. SEGPROBE names a program that is built already.
set -euo pipefail
data=$(realpath "$1")
limit=${2:-10}
cd "$(dirname "$0")/.."
out=out/universal
sets=(kvasir_polyp isic2017_skin hc18_fetal_head montgomery_lungs dsb2018_fluorescence dsb2018_histology)
segprobe=${SEGPROBE:-target/release/segprobe}
[ -n "${SEGPROBE:-}" ] || cargo build --release --locked

# train NAME FLAG...: one perturbation and its report, unless it is there already
train() {
    [ -e "$out/$1.md" ] || "$segprobe" universal --held-out-limit "$limit" --unit pixel255 --loss balanced_masked_ce \
        --out "$out/$1.safetensors" "${@:2}"
}
every=()
for set in "${sets[@]}"; do every+=(--data "$data/$set"); done
for epsilon in 8 4; do
    train "all-$epsilon" "${every[@]}" --limit 16 --epochs 5 --epsilon "$epsilon" --apgd-steps 0
    for set in "${sets[@]}"; do
        others=()
        for other in "${sets[@]}"; do
            [ "$other" = "$set" ] || [ "$epsilon" != 8 ] || others+=(--transfer "$data/$other")
        done
        train "$set-$epsilon" --data "$data/$set" "${others[@]}" --limit 48 --epochs 5 --epsilon "$epsilon" --apgd-steps 20
    done
done
train "moosavi-8" "${every[@]}" --method moosavi --limit 8 --epochs 2 --epsilon 8 --apgd-steps 0

PYTHONPATH=scripts python3 - "$out" "$limit" "${sets[@]}" <<'PY'
import json
import pathlib
import sys

from pages import fill

out, limit, sets = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
report = lambda name: json.loads((out / f"{name}.json").read_text())
PER_IMAGE = "apgd per image"


def cell(estimate):
    if estimate is None:
        return "-"
    return f"{estimate['mean']:.3f} [{estimate['interval']['low']:.3f}, {estimate['interval']['high']:.3f}]"


def change(figures, name):
    return next((c for c in figures["changes"] if c["name"] == name), None)


def beats(figures):
    lows = [b["more"]["interval"]["low"] for b in figures["beside"] if b["more"]]
    return "**yes**" if lows and all(low > 0 for low in lows) else "no"


def table(rows, score):
    """rows: the name of the row, its figures, and those that hold APGD on the same images."""
    names = [c["name"] for c in rows[0][1]["changes"] if c["name"] != PER_IMAGE]
    head = ["set", "images", "clean", *names, PER_IMAGE, "beyond every control"]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 2) + " --- |"]
    for name, figures, beside in rows:
        drop = lambda figures, name: cell((change(figures, name) or {}).get(f"{score}_drop"))
        cells = [name, str(figures["images"]), f"{figures[f'clean_{score}']:.3f}"]
        cells += [drop(figures, name) for name in names] + [drop(beside, PER_IMAGE) if beside else "-", beats(figures)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


parts = {"limit": limit}
for epsilon in (4, 8):
    own = {s: report(f"{s}-{epsilon}")["held_out"]["all"] for s in sets}
    together = report(f"all-{epsilon}")["held_out"]
    shared = [(s["set"], s, own[s["set"]]) for s in together["sets"]] + [("all", together["all"], None)]
    for score in ("dsc", "iou"):
        parts[f"own-{score}-{epsilon}"] = table([(s, own[s], own[s]) for s in sets], score)
        parts[f"all-{score}-{epsilon}"] = table(shared, score)

moosavi = report("moosavi-8")["held_out"]
parts["moosavi"] = table([(s["set"], s, None) for s in moosavi["sets"]] + [("all", moosavi["all"], None)], "dsc")

lines = ["| trained on | " + " | ".join(sets) + " |", "| --- |" + " ---: |" * len(sets)]
for source in sets:
    document = report(f"{source}-8")
    found = {source: document["held_out"]["all"], **{s["set"]: s for s in document["transfer"]["sets"]}}
    cells = [f"{change(found[s], 'universal')['dsc_drop']['mean']:.3f}" for s in sets]
    lines.append(f"| {source} | " + " | ".join(f"**{c}**" if s == source else c for s, c in zip(sets, cells)) + " |")
parts["transfer"] = "\n".join(lines)

fill(pathlib.Path("docs/universal.md"), parts)
PY
