#!/usr/bin/env python3
"""Writes checkpoints with seeded weights and what transformers computes with them.

    python make_parity_fixtures.py                                      # the committed fixtures
    python make_parity_fixtures.py --out DIR --sizes full full-simple --clip-vocabulary bpe_simple_vocab_16e6.txt.gz

Each folder is a checkpoint as the model hub has it, with adapters in `adapters/` and two files more:

    reference.json         prompts and their tokens, adapters, budget, versions
    reference.safetensors  inputs, and every quantity as float64 gives it: the truth
and in reference.json, how far PyTorch's own float32 is from that truth.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

import checkpoints
import preprocessing
import vocabulary
from losses_and_attacks import LOSSES, pgd, value_and_gradient
from reference_model import Reference

EPSILON, ALPHA = 8, 2  # grey levels
PROMPT, OTHER_PROMPT = "a photo of a polyp", "one small dark skin lesion"
PROMPTS = [PROMPT, OTHER_PROMPT, "polyp", "A Photo of a POLYP!", "  one   small, pink  polyp's   edge ", "",
           "naïve café – 2.5 mm lesion №7", "日本語のテキスト", "polyp 😀 12345", "it's we'll they've I'm", "a\tb\nc",
           "pre<|startoftext|>mid", "<|endoftext|> polyp", "x" * 40,
           "one small pink round polyp in the lining of the colon " * 12]
ADAPTERS = [("dense", "vlc"), ("dense", "v"), ("dense", "vl"), ("shallow", "vlc"), ("shallow", "v")]
# Stored as they are; the rest is rounded to float32, which costs 1e-7 at most and halves the file.
KEPT_DOUBLE = {"conditional", "position_embedding", "logits", "loss.dice_ce", "gradient.dice_ce"}
# Each checkpoint with what it adds to the others.
PLAN = {
    "tiny": dict(adapters=ADAPTERS, lightning=True, steps=4, other_size=96),
    "tiny-simple": dict(adapters=ADAPTERS[:1], lightning=False, steps=10, other_size=48),
    "full": dict(adapters=[ADAPTERS[0], ADAPTERS[3]], lightning=False, steps=5, other_size=None),
    "full-simple": dict(adapters=[], lightning=False, steps=2, other_size=None),
}


def scene(size: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A picture of uint8 [1, 3, size, size] with one bright ellipse, and the ellipse [size, size]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    cx, cy = rng.uniform(0.35, 0.65, 2)
    rx, ry = rng.uniform(0.15, 0.25, 2)
    ellipse = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1
    shade = 0.4 + 0.3 * np.exp(-3 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)) + 0.06 * np.sin(14 * x + 9 * y)
    picture = np.stack([shade + 0.1, 0.6 * shade, 0.5 * shade]) + 0.2 * ellipse + 0.03 * rng.standard_normal((3, size, size))
    levels = np.clip(np.round(picture * 255), 0, 255).astype(np.uint8)
    return torch.from_numpy(levels)[None], torch.from_numpy(ellipse.astype(np.uint8))


def unit(levels: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Grey levels as the nearest float32 in [0, 1]: both precisions start from the same numbers."""
    return (levels.float() / 255).to(dtype)


def write_checkpoint(folder: Path, name: str, merges: list[str]):
    g = checkpoints.GEOMETRIES[name]
    folder.mkdir(parents=True, exist_ok=True)
    tokens = vocabulary.write(folder, merges, one_file=name in ("tiny", "full"))
    checkpoints.write_config(folder, g, tokens)
    state = checkpoints.state_dict(folder, g)
    checkpoints.write_weights(folder, state, pickled=False)
    model = Reference(folder, torch.float32)
    with torch.no_grad():
        logits = model.logits(unit(scene(g.input, seed=1)[0], torch.float32), model.conditional(PROMPT))
    checkpoints.standardise(state, logits)
    checkpoints.write_weights(folder, state, pickled=False)
    return state


def measure(model: Reference, inputs: dict) -> dict[str, torch.Tensor]:
    """What one precision makes of the checkpoint without adapters."""
    x = unit(inputs["image"], model.dtype)
    with torch.no_grad():
        conditional, other = model.conditional(PROMPT), model.conditional(OTHER_PROMPT)
        out = {"conditional": conditional[0], **model.trace(x, conditional),
               "other_prompt.conditional": other[0], "other_prompt.logits": model.logits(x, other)[0]}
        if "other_size.image" in inputs:
            bigger = unit(inputs["other_size.image"], model.dtype)
            out["other_size.logits"] = model.logits(bigger, conditional)[0]
    for name in LOSSES:
        out[f"loss.{name}"], gradient = value_and_gradient(objective(model, inputs, conditional, name), x)
        out[f"gradient.{name}"] = gradient[0]
    return out


def measure_adapter(model: Reference, inputs: dict, label: str) -> dict[str, torch.Tensor]:
    x = unit(inputs["image"], model.dtype)
    with torch.no_grad():
        conditional = model.conditional(PROMPT)
        logits = model.logits(x, conditional)
    value, gradient = value_and_gradient(objective(model, inputs, conditional), x)
    out = {"conditional": conditional[0], "logits": logits[0], "loss.dice_ce": value, "gradient.dice_ce": gradient[0]}
    return {f"adapter.{label}.{name}": value for name, value in out.items()}


def objective(model: Reference, inputs: dict, conditional: torch.Tensor, loss: str = "dice_ce"):
    target = inputs["target"].to(model.dtype)
    return lambda x: LOSSES[loss](model.logits(x, conditional)[0], target)


def measure_attack(truth: Reference, single: Reference, inputs: dict, steps: int):
    """The points of a PGD attack led by the truth, and both precisions' gradients at all but the last."""
    objectives = [objective(m, inputs, m.conditional(PROMPT)) for m in (truth, single)]
    points, gradients = pgd(objectives[0], inputs["image"], EPSILON, ALPHA, steps)
    again = [value_and_gradient(objectives[1], unit(p[None], torch.float32))[1] for p in points[:-1]]
    return points, gradients, torch.cat(again)


def compare(truth: dict, single: dict) -> dict[str, float]:
    """How far float32 is from the truth: |a - b| / |b| in the 2-norm."""
    return {k: ((single[k].double() - v).norm() / v.norm()).item() for k, v in truth.items()}


def write_reference(folder: Path, name: str, merges: list[str]):
    plan, g = PLAN[name], checkpoints.GEOMETRIES[name]
    state = write_checkpoint(folder, name, merges)
    image, target = scene(g.input, seed=1)
    inputs = {"image": image, "target": target}
    if plan["other_size"]:
        inputs["other_size.image"] = scene(plan["other_size"], seed=2)[0]

    truth, single = Reference(folder, torch.float64), Reference(folder, torch.float32)
    truth.check_forward(unit(image, torch.float64), PROMPT)
    results = measure(truth, inputs)
    errors = compare(results, measure(single, inputs))
    points, gradients, again = measure_attack(truth, single, inputs, plan["steps"])
    errors |= compare({"pgd.gradients": gradients}, {"pgd.gradients": again})

    settings = json.loads((folder / "config.json").read_text())
    adapters = []
    (folder / "adapters").mkdir(exist_ok=True)
    for kind, parts in plan["adapters"]:
        label = f"{kind}_{parts}"
        weights = checkpoints.adapter(settings, kind, parts, g.adapter)
        file = folder / "adapters" / f"{label}.safetensors"
        save_file(weights, file, metadata={"format": "pt"})
        adapters.append(dict(reference=label, file=f"adapters/{file.name}"))
        if plan["lightning"] and parts == "vlc":
            torch.save(checkpoints.lightning(state, weights, kind), file.with_suffix(".ckpt"))
            adapters.append(dict(reference=label, file=f"adapters/{label}.ckpt"))
        adapted = measure_adapter(Reference(folder, torch.float64, file), inputs, label)
        errors |= compare(adapted, measure_adapter(Reference(folder, torch.float32, file), inputs, label))
        results |= adapted

    results = {k: v if k in KEPT_DOUBLE or k.startswith(("hidden", "decoder")) else v.float() for k, v in results.items()}
    results |= inputs | {"pgd.points": points, "pgd.gradients": gradients.float()}
    save_file({k: v.detach().contiguous() for k, v in results.items()}, folder / "reference.safetensors")
    (folder / "reference.json").write_text(json.dumps(dict(
        name=name, parameters=sum(v.numel() for v in state.values() if v.is_floating_point()),
        torch=torch.__version__.split("+")[0], transformers=transformers.__version__, epsilon=EPSILON, alpha=ALPHA,
        prompt=PROMPT, other_prompt=OTHER_PROMPT, adapters=adapters, float32_errors=errors,
        tokens=[dict(prompt=p, ids=truth.tokens(p)) for p in PROMPTS]), ensure_ascii=False, indent=1) + "\n")
    if name == "tiny-simple":
        checkpoints.write_weights(folder, state, pickled=True)
        (folder / "model.safetensors").unlink()
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    print(f"{folder}: loss {results['loss.dice_ce']:.4f}, {size / 1e6:.2f} MB", json.dumps(errors, indent=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "fixtures" / "parity")
    parser.add_argument("--sizes", nargs="+", choices=PLAN, default=["tiny", "tiny-simple"])
    parser.add_argument("--clip-vocabulary", type=Path, help="use CLIP's own merges instead of the few made here")
    arguments = parser.parse_args()
    merges = vocabulary.clip(arguments.clip_vocabulary) if arguments.clip_vocabulary else vocabulary.small()
    for name in arguments.sizes:
        write_reference(arguments.out / name, name, merges)
    if "tiny" in arguments.sizes:
        preprocessing.write(arguments.out / "preprocessing.safetensors")


if __name__ == "__main__":
    main()
