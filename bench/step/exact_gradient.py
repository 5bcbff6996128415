#!/usr/bin/env python3
"""How far gradients are from the exact one, which PyTorch computes in f64; prints one line of JSON for each row of each file.

    python exact_gradient.py CHECKPOINT GRADIENT.npy... --batch N [--units N]

A file holds the rows that torch_step.py or `segprobe bench` saved. In f32 a row is either within a few millionths of the
exact gradient or a hundred times as far away, and the second has one cause: the decoder has a million ReLUs, and an input
that is 0 within rounding has a derivative of 0 or 1 by accident. So for a row that is further away than rounding
explains, the exact gradient is taken again with the likeliest of these units on the other side of the kink, one after
the other; a unit stays there if this brings the exact gradient nearer.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from torch_step import CONFIGURATIONS, Model, dice_ce, normalise, pictures

ROUNDING = 5e-6  # of a whole step in f32; smaller errors ask for no explanation
LARGEST_EXPLAINED = 1e-3  # an error beyond it is no accident of a few units (bf16)


class Gate(torch.nn.Module):
    """A ReLU that says how near its inputs are to 0, relative to their mean size, and can have units on the other side."""

    def __init__(self):
        super().__init__()
        self.nearness, self.turned = None, set()

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        self.nearness = (z.abs() / z.abs().mean()).detach()
        on = (z > 0).detach()
        for unit in self.turned:
            on[unit] = ~on[unit]
        return z * on


@dataclass(frozen=True)
class Unit:
    """An input of the ReLU of one decoder layer."""

    layer: int
    place: tuple[int, int, int]  # (0, token, feature)
    nearness: float


class Exact:
    """The model in f64, one image at a time."""

    def __init__(self, checkpoint: Path, batch: int):
        self.model = Model(checkpoint, CONFIGURATIONS["f64"], batch)
        self.conditional = self.model.conditional
        self.images, self.masks = pictures(checkpoint, batch)
        self.gates = [Gate() for _ in self.model.hf.decoder.layers]
        for layer, gate in zip(self.model.hf.decoder.layers, self.gates):
            layer.mlp.activation_fn = gate

    def gradient(self, row: int, turned: list[Unit]) -> np.ndarray:
        """Of one image, with some units on the other side of their kink."""
        for layer, gate in enumerate(self.gates):
            gate.turned = {unit.place for unit in turned if unit.layer == layer}
        self.model.conditional = self.conditional[row : row + 1]
        x = normalise(self.images[row : row + 1]).double().requires_grad_(True)
        return torch.autograd.grad(dice_ce(self.model.logits(x), self.masks[row : row + 1]), x)[0].numpy().ravel()

    def nearest(self, units: int) -> list[Unit]:
        """The units nearest to their kink, of the image that went through last."""
        found = []
        for layer, gate in enumerate(self.gates):
            least = gate.nearness[0].flatten().topk(units, largest=False)
            for nearness, at in zip(least.values.tolist(), least.indices.tolist()):
                found.append(Unit(layer, (0, *divmod(at, gate.nearness.shape[-1])), nearness))
        return sorted(found, key=lambda unit: unit.nearness)[:units]


def compare(given: np.ndarray, plain: np.ndarray, exact: Exact, row: int, units: int) -> dict:
    """One row with the exact gradient `plain`: 2-norm, cosine, share of other signs; and what turned units explain."""
    error = lambda gradient: float(np.linalg.norm(gradient - given) / np.linalg.norm(plain))  # noqa: E731
    found = {"relative_error": error(plain), "sign": float(np.mean(np.sign(given) != np.sign(plain))),
             "cosine": float(given @ plain / (np.linalg.norm(given) * np.linalg.norm(plain)))}
    least, turned = found["relative_error"], []
    if ROUNDING < least < LARGEST_EXPLAINED:
        for unit in exact.nearest(units):
            now = error(exact.gradient(row, [*turned, unit]))
            if now < least / 2:
                least, turned = now, [*turned, unit]
            if least <= ROUNDING:
                break
    return found | {"beyond_kinks": least, "turned": [unit.nearness for unit in turned]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("gradients", type=Path, nargs="+")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--units", type=int, default=12, help="how many units of a row are tried")
    asked = parser.parse_args()
    given = [np.load(file).astype(np.float64).reshape(asked.batch, -1) for file in asked.gradients]
    exact = Exact(asked.checkpoint, asked.batch)
    for row in range(asked.batch):
        plain = exact.gradient(row, [])
        for file, rows in zip(asked.gradients, given):
            print(json.dumps({"file": file.name, "row": row} | compare(rows[row], plain, exact, row, asked.units)), flush=True)


if __name__ == "__main__":
    main()
