"""Losses on logits, and the attack whose steps are compared."""

import torch
import torch.nn.functional as F


def dice(probability, target, smoothing=1e-5):
    overlap = (probability * target).sum((-2, -1))
    sizes = probability.sum((-2, -1)) + target.sum((-2, -1))
    return (1 - (2 * overlap + smoothing) / (sizes + smoothing)).mean()


def dice_ce(logits, target):
    return 1.5 * dice(torch.sigmoid(logits), target) + F.binary_cross_entropy_with_logits(logits, target)


def dice_ce_paper(logits, target):
    """As the code of arXiv 2505.02971 computes it: the cross-entropy takes probabilities for logits."""
    probability = torch.sigmoid(logits)
    return 1.5 * dice(probability, target) + F.binary_cross_entropy_with_logits(probability, target)


LOSSES = {"dice_ce": dice_ce, "dice_ce_paper": dice_ce_paper, "bce": F.binary_cross_entropy_with_logits}


def value_and_gradient(loss, x):
    x = x.detach().requires_grad_(True)
    value = loss(x)
    return value.detach(), torch.autograd.grad(value, x)[0]


def pgd(loss, levels, epsilon, alpha, steps, dtype=torch.float64):
    """Linf PGD from an 8-bit picture itself; all of `levels`, `epsilon` and `alpha` are whole grey levels.

    Answers every point visited, the last included, and the gradient at all but the last.
    """
    points, gradients = [levels], []
    for _ in range(steps):
        gradients.append(value_and_gradient(loss, points[-1].float().div(255).to(dtype))[1])
        step = points[-1].int() + alpha * gradients[-1].sign().int()
        points.append(step.clamp(levels.int() - epsilon, levels.int() + epsilon).clamp(0, 255).to(torch.uint8))
    return torch.cat(points), torch.cat(gradients)
