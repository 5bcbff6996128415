#!/usr/bin/env python3
"""One way of attacking CLIPSeg with PyTorch, timed in a process of its own; prints its figures as one line of JSON.

    python torch_step.py CHECKPOINT CONFIGURATION --batch N [--threads N] [--runs N] [--gradient FILE.npy]

CHECKPOINT is a folder of make_checkpoints.py. transformers' own forward pass runs the vision tower without a graph, so
every configuration calls its parts, `clip.vision_model` and `decoder`, directly.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from PIL import Image  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "oracle"))

from checkpoints import CONTEXT  # noqa: E402
from losses_and_attacks import dice_ce  # noqa: E402
from reference_model import normalise  # noqa: E402

SHIFT_PX = 16  # between the pictures of neighbouring rows, as `segprobe bench` has it
EPSILON, ALPHA, ATTACK_STEPS = 8 / 255, 2 / 255, 10


@dataclass(frozen=True)
class Configuration:
    """How much a user has thought of. The default is the best plain f32: text encoded once, weights frozen, only the vision
    layers that the decoder reads."""

    needless: bool = False  # all layers, text encoded in every step, padded, weights that want gradients
    dtype: torch.dtype = torch.float32
    compiled: bool = False
    torchattacks: bool = False


CONFIGURATIONS = {
    "torchattacks-naive": Configuration(needless=True, torchattacks=True),
    "naive": Configuration(needless=True),
    "trunc": Configuration(),
    "trunc-malloc": Configuration(),  # differs by its environment
    "trunc-compile": Configuration(compiled=True),
    "bf16": Configuration(dtype=torch.bfloat16),
    "bf16-compile": Configuration(dtype=torch.bfloat16, compiled=True),
    "f64": Configuration(dtype=torch.float64),  # for its gradient, which the others approximate
}


class Model:
    def __init__(self, folder: Path, configuration: Configuration, batch: int):
        self.needless = configuration.needless
        self.dtype = configuration.dtype
        self.hf = transformers.CLIPSegForImageSegmentation.from_pretrained(folder).to(self.dtype).eval()
        self.hf.requires_grad_(self.needless)
        if not self.needless:
            encoder = self.hf.clip.vision_model.encoder
            encoder.layers = encoder.layers[: max(self.hf.extract_layers) + 1]
        tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
        prompt = (folder / "prompt.txt").read_text().strip()
        self.tokens = tokenizer([prompt] * batch, padding="max_length", max_length=CONTEXT, return_tensors="pt")
        self.conditional = self._encode()

    def _encode(self) -> torch.Tensor:
        with torch.no_grad():
            return self.hf.clip.get_text_features(**self.tokens).pooler_output

    def logits(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """[batch, side, side], in f32 or better."""
        states = self.hf.clip.vision_model(pixel_values.to(self.dtype), output_hidden_states=True).hidden_states
        conditional = self._encode() if self.needless else self.conditional
        logits = self.hf.decoder([states[i + 1] for i in self.hf.extract_layers], conditional).logits
        batch, _, height, width = pixel_values.shape
        at_least_f32 = torch.promote_types(self.dtype, torch.float32)
        return logits.to(at_least_f32).reshape(batch, height, width)


class TwoClasses(torch.nn.Module):
    """What torchattacks takes: images in [0, 1] to logits of background and structure, whose cross-entropy is the binary
    cross-entropy of one logit."""

    def __init__(self, model: Model):
        super().__init__()
        self.hf, self.model = model.hf, model

    def forward(self, x):
        logits = self.model.logits(normalise(x))
        return torch.stack([torch.zeros_like(logits), logits], 1)


def pictures(folder: Path, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images [batch, 3, side, side] in [0, 1] and masks [batch, side, side]; each row is shifted further to the right."""
    image = torch.from_numpy(np.array(Image.open(folder / "image.png").convert("RGB"))).permute(2, 0, 1).float() / 255
    mask = torch.from_numpy(np.array(Image.open(folder / "mask.png").convert("L")) > 127).float()
    return (torch.stack([image.roll(i * SHIFT_PX, 2) for i in range(batch)]),
            torch.stack([mask.roll(i * SHIFT_PX, 1) for i in range(batch)]))


def seconds(work, runs: int) -> list[float]:
    work()
    found = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return found


def peak_rss_mib() -> float:
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def measure(asked) -> dict:
    configuration = CONFIGURATIONS[asked.configuration]
    torch.set_num_threads(asked.threads)
    images, masks = pictures(asked.checkpoint, asked.batch)
    pixel_values = normalise(images).to(torch.promote_types(configuration.dtype, torch.float32))
    model = Model(asked.checkpoint, configuration, asked.batch)
    loading = peak_rss_mib()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    except OSError:
        pass  # it stays that of the whole process

    # Every row has the gradient of its own loss, not of the mean.
    loss = lambda x: asked.batch * dice_ce(model.logits(x), masks)  # noqa: E731
    if configuration.compiled:
        loss = torch.compile(loss, dynamic=False)

    def step():
        x = pixel_values.clone().requires_grad_(True)
        return torch.autograd.grad(loss(x), x)[0]

    found = {}
    if configuration.torchattacks:
        import torchattacks

        network, labels = TwoClasses(model).eval(), masks.long()
        torchattacks.PGD(network, EPSILON, ALPHA, 1, random_start=False)(images, labels)
        attack = torchattacks.PGD(network, EPSILON, ALPHA, ATTACK_STEPS, random_start=False)
        began = time.perf_counter()
        attack(images, labels)
        found["step_s"] = [(time.perf_counter() - began) / ATTACK_STEPS]
    else:
        found["step_s"] = seconds(step, asked.runs)
    found["peak_rss_mib"], found["loading_peak_rss_mib"] = peak_rss_mib(), loading
    if asked.gradient:
        np.save(asked.gradient, step().double().reshape(-1, images.shape[-1]).numpy())
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("configuration", choices=CONFIGURATIONS)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--gradient", type=Path)
    versions = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}
    print(json.dumps(measure(parser.parse_args()) | versions))


if __name__ == "__main__":
    main()
