"""Attacks of other libraries on a model of two classes per pixel, each with the steps and step lengths of ours."""

import eagerpy
import foolbox
import torch
import torchattacks
from segmentation_robustness_framework.attacks.fgsm import FGSM as SrfFgsm
from segmentation_robustness_framework.attacks.pgd import PGD as SrfPgd

from .model import IMAGE_MEAN, IMAGE_STD


STEPS = 40


class DensePgd(foolbox.attacks.LinfPGD):
    """foolbox takes one label an image; its PGD becomes one for masks by this loss alone."""

    def get_loss_fn(self, model, labels):
        def loss(x):
            logits = model(x).raw
            return eagerpy.astensor(torch.nn.functional.cross_entropy(logits, labels.raw))

        return loss


def _foolbox(model, x, y, epsilon):
    wrapped = foolbox.PyTorchModel(model.eval(), bounds=(0, 1), device="cpu")
    attack = DensePgd(abs_stepsize=epsilon / 4, steps=STEPS, random_start=True)
    return attack.run(wrapped, x, foolbox.criteria.Misclassification(y), epsilon=epsilon)


def _srf_pipeline(model, x, y, epsilon):
    """As SRF's own loaders feed it: images are normalised first, and the attack then clamps them to [0, 1]."""
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGE_MEAN, IMAGE_STD))

    class OnNormalised(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, values):
            return self.inner(values * std + mean)

    adversarial = SrfPgd(OnNormalised(), eps=epsilon, alpha=epsilon / 4, iters=STEPS)((x - mean) / std, y)
    return adversarial * std + mean


# name -> (library, our method at equal steps, attack)
ATTACKS = {
    "torchattacks FGSM": ("fgsm", lambda m, x, y, e: torchattacks.FGSM(m, eps=e)(x, y)),
    "torchattacks MIFGSM": ("mi_fgsm", lambda m, x, y, e: torchattacks.MIFGSM(m, eps=e, alpha=e / STEPS, steps=STEPS)(x, y)),
    "torchattacks PGD": ("pgd", lambda m, x, y, e: torchattacks.PGD(m, eps=e, alpha=e / 4, steps=STEPS)(x, y)),
    "foolbox PGD (with a loss for masks)": ("pgd", _foolbox),
    "SRF FGSM": ("fgsm", lambda m, x, y, e: SrfFgsm(m, eps=e)(x, y)),
    "SRF PGD": ("pgd", lambda m, x, y, e: SrfPgd(m, eps=e, alpha=e / 4, iters=STEPS)(x, y)),
    "SRF PGD, fed as by its own loaders": ("pgd", _srf_pipeline),
}

# What has a counterpart of ours but takes one label an image; tried, and the refusal is reported.
REFUSED = {
    "torchattacks APGD": lambda m, x, y, e: torchattacks.APGD(m, eps=e, steps=2)(x, y),
    "torchattacks Square": lambda m, x, y, e: torchattacks.Square(m, eps=e, n_queries=2)(x, y),
    "torchattacks AutoAttack": lambda m, x, y, e: torchattacks.AutoAttack(m, eps=e, n_classes=2)(x, y),
    "foolbox PGD": lambda m, x, y, e: foolbox.attacks.LinfPGD(steps=2).run(
        foolbox.PyTorchModel(m.eval(), bounds=(0, 1), device="cpu"), x, foolbox.criteria.Misclassification(y), epsilon=e),
    "foolbox BoundaryAttack": lambda m, x, y, e: foolbox.attacks.BoundaryAttack(steps=2).run(
        foolbox.PyTorchModel(m.eval(), bounds=(0, 1), device="cpu"), x, foolbox.criteria.Misclassification(y)),
}
