#!/usr/bin/env python3
"""Writes what transformers computes about the text of the parity fixtures.

    python make_text_fixtures.py     # tests/fixtures/parity/*/text.safetensors, from the checkpoints that are there

All in float64, of the loss dice_ce of the fixture's image under its prompt:

    embedding             [features]            what the text encoder makes of the prompt
    embedding.gradient    [features]            the gradient to it
    tokens.gradient       [tokens, width]       the gradient to the embeddings of the prompt's tokens
    flips                 [tokens, vocabulary]  HotFlip's first-order estimate: (e_v - e_i) . gradient_i
    pgd                   [steps + 1, features] the points of PGD on the embedding in an L2 ball

and `adapter.NAME.*` for the gradients of a model with an adapter.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from losses_and_attacks import dice_ce
from make_parity_fixtures import PROMPT, unit
from reference_model import Reference, normalise

RADIUS, STEPS = 0.5, 8  # of the embedding's length
ADAPTERS = {"tiny": ["dense_vlc", "shallow_vlc"], "tiny-simple": ["dense_vlc"]}


class Embedded:
    """The text encoder on embeddings of tokens that are a variable."""

    def __init__(self, model: Reference):
        self.model, self.table = model, model.hf.clip.text_model.embeddings.token_embedding
        self.ids = torch.tensor(model.tokens(PROMPT))
        self.tokens = self.table.weight[self.ids].detach().clone().requires_grad_(True)

    def conditional(self) -> torch.Tensor:
        hook = self.table.register_forward_hook(lambda m, a, out: self.tokens[None])
        conditional = self.model.conditional(PROMPT)
        hook.remove()
        return conditional


def measure(model: Reference, image: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        hidden = model.hidden(normalise(unit(image, torch.float64)))

    def objective(conditional):
        return dice_ce(model.decode(hidden, conditional)[0], target.double())

    def gradient(embedding):
        embedding = embedding.detach().requires_grad_(True)
        return torch.autograd.grad(objective(embedding[None]), embedding)[0]

    text = Embedded(model)
    conditional = text.conditional()
    to_tokens = torch.autograd.grad(objective(conditional), text.tokens)[0]
    embedding = conditional[0].detach()
    table = text.table.weight.detach()
    points, radius = [embedding], RADIUS * embedding.norm()
    for _ in range(STEPS):
        slope = gradient(points[-1])
        delta = points[-1] + 2.5 * radius / STEPS * slope / slope.norm() - embedding
        points.append(embedding + delta * min(1.0, (radius / delta.norm()).item()))
    return {"embedding": embedding, "embedding.gradient": gradient(embedding), "tokens.gradient": to_tokens,
            "flips": to_tokens @ table.T - (to_tokens * table[text.ids]).sum(1, keepdim=True),
            "pgd": torch.stack(points)}


def main():
    for name, adapters in ADAPTERS.items():
        folder = Path(__file__).parents[1] / "fixtures" / "parity" / name
        inputs = load_file(folder / "reference.safetensors")
        image, target = inputs["image"], inputs["target"]
        results = measure(Reference(folder, torch.float64), image, target)
        torch.testing.assert_close(results["embedding"], inputs["conditional"], rtol=1e-12, atol=1e-12)
        for adapter in adapters:
            file = folder / "adapters" / f"{adapter}.safetensors"
            adapted = measure(Reference(folder, torch.float64, file), image, target)
            results |= {f"adapter.{adapter}.{k}": adapted[k] for k in ("embedding.gradient", "tokens.gradient")}
        results["flips"] = results["flips"].float()
        save_file({k: v.detach().contiguous() for k, v in results.items()}, folder / "text.safetensors")
        print(folder, {k: (tuple(v.shape), v.norm().item()) for k, v in results.items()})


if __name__ == "__main__":
    main()
