#!/usr/bin/env python3
"""Write tests/fixtures/attacks/l1.json: the points that attacks in L1 visit, computed in float64.

    python make_l1_fixtures.py [--out FILE]

L1-APGD (Croce and Hein 2021, arXiv 2103.01208) and SLIDE (Tramer and Boneh 2019, arXiv 1904.13000) with numpy, written
down from the papers; the slopes are autograd's. The projection sorts every bend of the sum of changes and interpolates
between two of them.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import torch
from make_attack_fixtures import HEIGHT, WIDTH, Task, picture, rounded

EPSILON, ALPHA = 300 / 255, 75 / 255
STEPS, SLIDE_STEPS, SLIDE_SHARE = 75, 12, 0.01


def project(x, clean, radius):
    """The nearest point of the L1 ball around the clean image and of [0, 1]."""
    delta = x - clean
    size, room = np.abs(delta), np.where(delta > 0, 1 - clean, clean)

    def total(cut):
        return np.clip(size - cut, 0, room).sum()

    if total(0.0) <= radius:
        return np.clip(x, 0, 1)
    bends = np.unique(np.concatenate([[0.0], size.ravel(), np.maximum(size - room, 0).ravel()]))
    totals = np.array([total(bend) for bend in bends])
    cut = np.interp(radius, totals[::-1], bends[::-1])
    return clean + np.sign(delta) * np.clip(size - cut, 0, room)


def sparse_sign(gradient, share):
    """The signs of the largest entries, over their number."""
    least = np.sort(np.abs(gradient).ravel())[min(max(int((1 - share) * gradient.size), 0), gradient.size - 1)]
    signs = np.where(np.abs(gradient) >= least, np.sign(gradient), 0.0)
    return signs / max(np.count_nonzero(signs), 1)


class Sparse:
    def __init__(self):
        self.task = Task()
        self.clean = self.task.clean.numpy()

    def ask(self, x):
        value, gradient = self.task.gradient(torch.from_numpy(x))
        return value, gradient.numpy()

    def slide(self):
        points = [self.clean]
        for _ in range(SLIDE_STEPS):
            x = points[-1]
            _, gradient = self.ask(x)
            stuck = ((x <= 0) & (gradient < 0)) | ((x >= 1) & (gradient > 0))
            step = ALPHA * sparse_sign(np.where(stuck, 0.0, gradient), SLIDE_SHARE)
            points.append(project(x + step, self.clean, EPSILON))
        return points

    def changed(self, x):
        return np.count_nonzero(x != self.clean)

    def climb(self, x, radius, steps, first):
        """Every point that one ball's run asks about, and the best of them."""
        points, length, entries = [x], radius, self.clean.size
        value, gradient = self.ask(x)
        best, best_point, best_gradient = value, x, gradient
        before = entries if first else self.changed(x)
        share = 0.2 if first else before / entries / 1.5
        window = max(int(0.04 * steps), 1)
        for step in range(1, steps + 1):
            x = project(x + length * sparse_sign(gradient, share), self.clean, radius)
            points.append(x)
            value, gradient = self.ask(x)
            if value > best:
                best, best_point, best_gradient = value, x, gradient
            if step % window == 0:
                now = self.changed(best_point)
                if now < 0.95 * before:
                    length, x, gradient = radius, best_point, best_gradient
                else:
                    length = length / 1.5
                length = min(max(length, radius / 10), radius)
                share, before = now / entries / 1.5, now
        return points, best_point

    def apgd(self, balls):
        """`balls` are pairs of a radius in epsilons and a number of steps."""
        points, x = [], self.clean
        for number, (radius, steps) in enumerate(balls):
            if number > 0:
                x = project(x, self.clean, radius * EPSILON)
            visited, x = self.climb(x, radius * EPSILON, steps, number == 0)
            points += visited
        return points


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).resolve().parent
    parser.add_argument("--out", type=Path, default=here.parent / "fixtures/attacks/l1.json")
    out = parser.parse_args().out

    torch.set_default_dtype(torch.float64)
    sparse = Sparse()
    thirds = [int(0.3 * STEPS), int(0.3 * STEPS)]
    paths = {
        "slide": sparse.slide(),
        "apgd": sparse.apgd([(1, STEPS)]),
        "apgd_reduced": sparse.apgd([(3, thirds[0]), (2, thirds[1]), (1, STEPS - sum(thirds))]),
    }
    fixture = {
        "width": WIDTH,
        "height": HEIGHT,
        "levels": picture(),
        "mask": [value > 0.5 for value in sparse.task.target.flatten().tolist()],
        "steps": STEPS,
        "slide_steps": SLIDE_STEPS,
        "paths": {name: [rounded(torch.from_numpy(point), 9) for point in points] for name, points in paths.items()},
    }
    out.write_text(json.dumps(fixture, allow_nan=False) + "\n")
    print(f"{out}: {out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
