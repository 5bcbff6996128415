#!/usr/bin/env python3
"""Write tests/fixtures/attacks/minimal.json: the points that ALMA prox visits, computed in float64.

    python make_minimal_fixtures.py [--out FILE]

Rony, Pesquet and Ben Ayed 2023, arXiv 2206.07179, with autograd for every slope of the penalty and a golden-section
search of the proximal objective itself. As in the attack under test, a point is adversarial once its DSC is below one
half, and margins are in units of the mean logit, through which no gradient flows.
"""
import argparse
import json
from pathlib import Path

import torch
from make_attack_fixtures import HEIGHT, WIDTH, Task, logits, picture, rounded

STEPS, RATE, SHARE, EPSILON = 40, 0.004, 0.75, 32 / 255


def penalty(y, rho, mu):
    above = mu * y + mu * rho * y**2 + rho**2 * y**3 / 6
    below = mu * y / (1 - rho.clamp(min=1) * y.clamp(max=0))
    return torch.where(y >= 0, above, below)


def slope(y, rho, mu):
    y = y.detach().requires_grad_(True)
    return torch.autograd.grad(penalty(y, rho, mu).sum(), y)[0]


def proximal_point(delta, lower, upper, metric, weight):
    """The minimiser of weight * ||u||_inf + 1/2 ||u - delta||^2_metric over lower <= u <= upper."""
    boxed = torch.minimum(torch.maximum(delta, lower), upper)

    def objective(t):
        return weight * t + 0.5 * (metric * (boxed.clamp(-t, t) - delta) ** 2).sum().item()

    low, high, golden = 0.0, boxed.abs().max().item(), (5**0.5 - 1) / 2
    for _ in range(80):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if objective(left) <= objective(right):
            high = right
        else:
            low = left
    t = (low + high) / 2
    return boxed.clamp(-t, t)


def dsc(z, target):
    seen = (z > 0).double()
    sizes = (seen.sum() + target.sum()).item()
    return 2 * (seen * target).sum().item() / sizes if sizes else 1.0


def alma_prox(clean, target, towards):
    """The points x_0 ... x_STEPS. `towards` says whether the target is to be reached, rather than left."""
    lower, upper = (-clean).clamp(min=-EPSILON), (1 - clean).clamp(max=EPSILON)
    sign = (2 * target - 1) * (-1 if towards else 1)
    pixels = target.numel()
    delta, squares = torch.zeros_like(clean), torch.zeros_like(clean)
    mu, rho = torch.ones_like(target), torch.full_like(target, 0.01)
    scale, begin, found = 1.0, STEPS // 2, False
    won, before = torch.zeros_like(target, dtype=torch.bool), None
    points = []
    for step in range(STEPS):
        at = delta.detach().requires_grad_(True)
        points.append((clean + at).detach())
        z = logits(clean + at)
        close = dsc(z.detach(), target)
        met = close >= 0.5 if towards else close < 0.5
        if met and not found and step < STEPS // 2:
            begin = step
        found = found or met
        scale = min(max(scale / (1.02 if met else 0.98), 0.1), 1.0)
        won = won | ((sign * z).detach() < 0)

        c = scale * (sign * z / (z.detach().abs().mean() + 1e-12) + 1e-4)
        given_up = int((1 - SHARE) * pixels * step / (STEPS - 1) + 1e-9)
        counts = torch.ones_like(won)
        if given_up:
            counts = c.detach() <= c.detach().flatten().topk(given_up).values[-1]
        if step == 0:
            before = c.detach()
        elif (step + 1) % 10 == 0:
            improved = c.detach() * counts <= 0.95 * before
            rho = torch.where(won | improved, rho, 2 * rho)
            before, won = c.detach(), torch.zeros_like(won)
        if step:
            mu = (0.8 * mu + 0.2 * slope(c, rho, mu) * counts).clamp(1e-12, 1)
        gradient = torch.autograd.grad((penalty(c, rho, mu) * counts).sum(), at)[0]

        tangent = 0.1 / 0.9 * max(STEPS - begin, 1)
        rate = RATE * tangent / (max(step - begin, 0) + tangent)
        squares = 0.8 * squares + 0.2 * gradient**2
        metric = (squares / (1 - 0.8 ** (step + 1))).sqrt().clamp(min=1e-8)
        delta = proximal_point(delta - rate * gradient / metric, lower, upper, metric, rate)
    return points + [clean + delta]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).resolve().parent
    parser.add_argument("--out", type=Path, default=here.parent / "fixtures/attacks/minimal.json")
    out = parser.parse_args().out

    torch.set_default_dtype(torch.float64)
    task = Task()
    wanted = torch.zeros_like(task.target)
    wanted[:, : WIDTH // 2] = 1
    fixture = {
        "width": WIDTH,
        "height": HEIGHT,
        "levels": picture(),
        "mask": [value > 0.5 for value in task.target.flatten().tolist()],
        "target": [value > 0.5 for value in wanted.flatten().tolist()],
        "epsilon": EPSILON,
        "steps": STEPS,
        "learning_rate": RATE,
        "share": SHARE,
        "away": [rounded(point, 9) for point in alma_prox(task.clean, task.target, False)],
        "towards": [rounded(point, 9) for point in alma_prox(task.clean, wanted, True)],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(fixture, allow_nan=False) + "\n")
    print(f"{out}: {out.stat().st_size / 1e3:.0f} kB")
    for name in ["away", "towards"]:
        sizes = [max(abs(a - b) for a, b in zip(point, fixture[name][0])) * 255 for point in fixture[name]]
        print(name, [round(size, 1) for size in sizes[::6]])


if __name__ == "__main__":
    main()
