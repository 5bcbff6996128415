#!/usr/bin/env bash
# Attacks the demo model's validation images with every method, and some of them with other libraries, and writes
# docs/strength.md.
#
#   bench/strength.sh DATA [LIMIT [attacks|losses|peers|cost|page]...]
#
# DATA as for scripts/demo-tables.sh; LIMIT is the number of validation images of each set (3 if left out), of which the
# other libraries attack every third. About two minutes an image on two cores; what was measured by the same program is not
# measured again, so that a run may be stopped, or go on with a higher LIMIT. The part `cost` takes times, and the machine
# should have nothing else to do. SEGPROBE names a program that is built already, STRENGTH_PYTHON an interpreter
# with bench/strength/requirements.txt. The parts that are named are run; all of them if none is.
set -euo pipefail
data=$(realpath "$1")
limit=${2:-3}
shift $(($# > 2 ? 2 : $#))
parts=${*:-attacks losses peers cost page}
cd "$(dirname "$0")/.."
out=out/strength
methods=(fgsm bim mi_fgsm ni_fgsm di_fgsm ti_fgsm pgd apgd padam dct strongest noise square square_mask nes spsa)
flags=()
for method in "${methods[@]}"; do flags+=(--method "$method"); done

segprobe=${SEGPROBE:-target/release/segprobe}
[ -n "${SEGPROBE:-}" ] || cargo build --release --locked
python=${STRENGTH_PYTHON:-$PWD/$out/venv/bin/python}
if [ ! -x "$python" ]; then
    mkdir -p "$out"
    python3 -m venv "$out/venv"
    "$python" -m pip install --quiet -r bench/strength/requirements.txt
fi
export PYTHONPATH=scripts:bench

folders=()
for set in kvasir_polyp isic2017_skin hc18_fetal_head montgomery_lungs dsb2018_fluorescence dsb2018_histology; do
    folders+=(--data "$data/$set")
done
attacks() {
    "$segprobe" evaluate "${folders[@]}" --split validation --limit "$limit" --epsilon 1,2,4,8 --unit pixel255 \
        --steps 40 --parameter queries=100 "${flags[@]}" --out "$out/attacks"
}
# APGD by each loss, on two images of each set
losses() {
    for loss in dice_ce soft_dice bce masked_ce balanced_masked_ce jsd margin cos_pgd; do
        for reduced in false true; do
            "$segprobe" evaluate "${folders[@]}" --split validation --limit 2 --epsilon 2,8 --unit pixel255 --steps 40 \
                --method apgd --loss "$loss" --parameter "radius_reduction=$reduced" --out "$out/losses/$loss-$reduced"
        done
    done
}
peers() { "$python" -m strength.peers "$data" --segprobe "$segprobe" --out "$out"; }
cost() { "$python" -m strength.cost "$data" --segprobe "$segprobe" --out "$out"; }
page() { "$python" -m strength.page --out "$out"; }
for part in $parts; do "$part"; done
