#!/usr/bin/env python3
"""Write tests/fixtures/attacks/white_box.json: losses, and the points that attacks visit, computed in float64.

    python make_attack_fixtures.py [--out FILE]

BIM, MI-FGSM and TI-FGSM are torchattacks' own, run for 1, 2, 3, ... steps; PAdam's steps are torch.optim.Adam's.
torchattacks has no NI-FGSM whose look-ahead stays in the budget and no APGD for two classes: these follow the papers.
"""
import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F
import torchattacks

WIDTH, HEIGHT, STEPS = 4, 3, 8
EPSILON, ALPHA = 16 / 255, 4 / 255
L2, L2_ALPHA = 90 / 255, 25 / 255


def picture():
    """Levels of moderate contrast, some at both ends of the range."""
    levels = [(37 * i * i + 11 * i + 60) % 90 + 80 for i in range(3 * WIDTH * HEIGHT)]
    levels[5], levels[18], levels[29] = 0, 255, 2
    return levels


def logits(x):
    """The toy model of the attacks' tests, [.., 3, h, w] to [.., h, w]."""
    mix = torch.tensor([9.0, -6.0, 4.0], dtype=x.dtype).reshape(3, 1, 1)
    return ((x - 0.5) * mix + 0.2 * torch.sin(60 * x)).sum(-3)


class TwoClasses(torch.nn.Module):
    """The toy as a segmentation network of the classes (0, z)."""

    def __init__(self):
        super().__init__()
        # torchattacks takes the device from the first parameter
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x):
        z = logits(x)
        return torch.stack([torch.zeros_like(z), z], 1)


class TranslationInvariant(torchattacks.TIFGSM):
    """TI-FGSM on the picture itself, with its kernel in the picture's dtype."""

    def __init__(self, model, steps):
        super().__init__(
            model, eps=EPSILON, alpha=ALPHA, steps=steps, decay=0.5, diversity_prob=0.0, len_kernel=5, nsig=3
        )
        self.stacked_kernel = self.stacked_kernel.double()


class Task:
    def __init__(self):
        levels = torch.tensor(picture(), dtype=torch.float64).reshape(HEIGHT, WIDTH, 3)
        self.clean = levels.permute(2, 0, 1).div(255)
        self.target = (logits(self.clean) > 0).double()

    def loss(self, x):
        return F.binary_cross_entropy_with_logits(logits(x), self.target)

    def gradient(self, x):
        x = x.detach().requires_grad_(True)
        value = self.loss(x)
        return value.item(), torch.autograd.grad(value, x)[0]

    def linf(self, x):
        return torch.minimum(torch.maximum(x, self.clean - EPSILON), self.clean + EPSILON).clamp(0, 1)

    def l2(self, x):
        delta = x - self.clean
        return (self.clean + delta * min(1.0, L2 / max(delta.norm().item(), 1e-12))).clamp(0, 1)


def of_torchattacks(task, make):
    """The points x_0 ... x_STEPS of an attack of torchattacks, each from a run of its own."""
    points = [task.clean]
    for steps in range(1, STEPS + 1):
        attack = make(TwoClasses(), steps)
        points.append(attack(task.clean.unsqueeze(0), task.target.long().unsqueeze(0))[0])
    return points


def momentum_l2(task):
    points, g = [task.clean], torch.zeros_like(task.clean)
    for _ in range(STEPS):
        _, gradient = task.gradient(points[-1])
        g = g + gradient / gradient.abs().mean()
        points.append(task.l2(points[-1] + L2_ALPHA * g / g.norm()))
    return points


def nesterov(task):
    """The look-aheads, which are the points asked about, and the last point."""
    x, g, asked = task.clean, torch.zeros_like(task.clean), []
    for _ in range(STEPS):
        asked.append(task.linf(x + ALPHA * g))
        _, gradient = task.gradient(asked[-1])
        g = g + gradient / gradient.abs().mean()
        x = task.linf(x + ALPHA * g.sign())
    return asked + [x]


def padam(task):
    delta = torch.zeros_like(task.clean, requires_grad=True)
    adam = torch.optim.Adam([delta], lr=ALPHA, amsgrad=True, maximize=True, eps=1e-12)
    points = [task.clean]
    for _ in range(STEPS):
        adam.zero_grad()
        task.loss(task.clean + delta).backward()
        adam.step()
        with torch.no_grad():
            delta.copy_(task.linf(task.clean + delta) - task.clean)
        points.append((task.clean + delta).detach().clone())
    return points


def apgd(task, project, radius, direction, steps):
    """Algorithm 1 of Croce and Hein 2020 with all losses and points written down."""
    ends, window = [], max(int(0.22 * steps), 1)
    while sum(ends) < steps:
        ends.append(window)
        window = max(window - max(int(0.03 * steps), 1), max(int(0.06 * steps), 1))
    checkpoints = [sum(ends[: i + 1]) for i in range(len(ends))]

    points, losses = [task.clean], []
    value, gradient = task.gradient(points[0])
    losses.append(value)
    best, best_point, best_gradient = value, points[0], gradient
    eta, halved_before, best_before, last_checkpoint = 2 * radius, True, value, 0
    x, before = points[0], points[0]
    for step in range(1, steps + 1):
        weight = 0.75 if step > 1 else 1.0
        u = project(x + eta * direction(gradient))
        x, before = project(x + weight * (u - x) + (1 - weight) * (x - before)), x
        points.append(x)
        value, gradient = task.gradient(x)
        losses.append(value)
        if value > best:
            best, best_point, best_gradient = value, x, gradient
        if step in checkpoints:
            window = step - last_checkpoint
            rises = sum(losses[i] > losses[i - 1] for i in range(last_checkpoint + 1, step + 1))
            halve = rises <= 0.75 * window or (not halved_before and best <= best_before)
            halved_before, best_before, last_checkpoint = halve, best, step
            if halve:
                eta, x, gradient = eta / 2, best_point, best_gradient
    return points


def losses():
    """Value and gradient of each loss on logits of both signs."""
    z = torch.tensor([3.0 * torch.sin(torch.tensor(1.7 * i + 0.3, dtype=torch.float64)) for i in range(20)])
    z = z.double().reshape(4, 5)
    y = torch.tensor([float(i % 3 == 0) for i in range(20)], dtype=torch.float64).reshape(4, 5)

    def cross_entropy(z):
        return F.cross_entropy(torch.stack([torch.zeros_like(z), z])[None], y.long()[None], reduction="none")[0]

    def agrees(z):
        return ((z > 0).double() == y).double()

    def probabilities(z):
        return torch.softmax(torch.stack([torch.zeros_like(z), z]), 0)

    one_hot = torch.stack([1 - y, y])

    def seg_pgd(lam, towards):
        c = (lambda z: 1 - agrees(z)) if towards else agrees
        return lambda z: ((1 - lam) * c(z) * cross_entropy(z) + lam * (1 - c(z)) * cross_entropy(z)).mean()

    def cos_pgd(towards):
        def loss(z):
            cosine = F.cosine_similarity(probabilities(z), one_hot, dim=0).detach()
            return ((1 - cosine if towards else cosine) * cross_entropy(z)).mean()

        return loss

    def balanced(z):
        share = torch.where(y > 0.5, y.mean(), 1 - y.mean())
        return (agrees(z) * cross_entropy(z) / (2 * share)).mean()

    def jsd(z):
        p, q = probabilities(z), one_hot
        middle = (p + q) / 2
        # the logarithm of a class that the target does not have is never looked at
        of_target = torch.where(q > 0, q / middle, torch.ones_like(q)).log()
        return (0.5 * (p * (p / middle).log() + q * of_target)).sum(0).mean()

    def margin(z):
        return (-(2 * y - 1) * z).mean() / (z.detach().abs().mean() + 1e-12)

    def boundary(z):
        at = torch.linspace(-3, 3, 15, dtype=torch.float64)
        bell = torch.exp(-(at**2) / 2)
        kernel = torch.outer(bell, bell) / bell.sum() ** 2
        blurred = F.conv2d(F.pad(y[None, None], (7, 7, 7, 7), mode="replicate"), kernel[None, None])[0, 0]
        weights = 1 + 40 * blurred * (1 - blurred)
        return (weights * cross_entropy(z)).sum() / weights.sum()

    cases = {
        ("seg_pgd", False, 0.0): seg_pgd(0.0, False),
        ("seg_pgd", False, 0.5): seg_pgd(0.25, False),
        ("seg_pgd", True, 0.5): seg_pgd(0.25, True),
        ("seg_pgd", False, 1.0): seg_pgd(0.5, False),
        ("cos_pgd", False, 1.0): cos_pgd(False),
        ("cos_pgd", True, 1.0): cos_pgd(True),
        ("masked_ce", False, 1.0): lambda z: (agrees(z) * cross_entropy(z)).mean(),
        ("masked_ce", True, 1.0): lambda z: ((1 - agrees(z)) * cross_entropy(z)).mean(),
        ("balanced_masked_ce", False, 1.0): balanced,
        ("jsd", False, 1.0): jsd,
        ("margin", False, 1.0): margin,
        ("boundary_ce", False, 1.0): boundary,
    }
    for (name, towards, progress), loss in cases.items():
        at = z.clone().requires_grad_(True)
        value = loss(at)
        slope = torch.autograd.grad(value, at)[0]
        case = {"loss": name, "towards": towards, "progress": progress}
        yield case | {"value": value.item(), "gradient": rounded(slope, 15)}


def rounded(tensor, digits):
    return [round(value, digits) for value in tensor.flatten().tolist()]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).resolve().parent
    parser.add_argument("--out", type=Path, default=here.parent / "fixtures/attacks/white_box.json")
    out = parser.parse_args().out

    torch.set_default_dtype(torch.float64)
    task = Task()
    common = {"eps": EPSILON, "alpha": ALPHA}
    sign, unit = torch.sign, lambda g: g / g.norm()
    paths = {
        "bim": of_torchattacks(task, lambda model, steps: torchattacks.BIM(model, steps=steps, **common)),
        "mi_fgsm": of_torchattacks(
            task, lambda model, steps: torchattacks.MIFGSM(model, steps=steps, decay=1.0, **common)
        ),
        "ti_fgsm": of_torchattacks(task, TranslationInvariant),
        "mi_fgsm_l2": momentum_l2(task),
        "ni_fgsm": nesterov(task),
        "padam": padam(task),
        "apgd": apgd(task, task.linf, EPSILON, sign, 24),
        "apgd_l2": apgd(task, task.l2, L2, unit, 24),
    }
    fixture = {
        "width": WIDTH,
        "height": HEIGHT,
        "levels": picture(),
        "mask": [value > 0.5 for value in task.target.flatten().tolist()],
        "epsilon": EPSILON,
        "alpha": ALPHA,
        "l2": {"epsilon": L2, "alpha": L2_ALPHA},
        "paths": {name: [rounded(point, 9) for point in points] for name, points in paths.items()},
        "losses": list(losses()),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(fixture, allow_nan=False) + "\n")
    print(f"{out}: {out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
