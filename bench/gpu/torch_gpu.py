#!/usr/bin/env python3
"""Times the step of an attack with PyTorch on a GPU; prints one line of JSON for each configuration.

    python torch_gpu.py CHECKPOINT [--batch 1,8] [--runs N]

The step is that of bench/step/torch_step.py: text encoded once, frozen weights, only the vision layers that the decoder
reads. One warm-up step is not timed; each timed step ends with the device's work done.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "step"))

from torch_step import Configuration, Model, dice_ce, normalise, pictures  # noqa: E402

# name: (configuration, TF32 products)
CONFIGURATIONS = {
    "f32": (Configuration(), False),
    "tf32": (Configuration(), True),
    "bf16": (Configuration(bf16=True), False),
    "bf16-compile": (Configuration(bf16=True, compiled=True), False),
}


def measure(checkpoint: Path, name: str, batch: int, runs: int) -> dict:
    configuration, tf32 = CONFIGURATIONS[name]
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    device = torch.device("cuda")
    images, masks = (x.to(device) for x in pictures(checkpoint, batch))
    pixel_values = normalise(images.cpu()).to(device)
    model = Model(checkpoint, configuration, batch)
    model.hf.to(device)
    model.conditional = model.conditional.to(device)

    def loss(x):
        return batch * dice_ce(model.logits(x), masks)

    if configuration.compiled:
        loss = torch.compile(loss, dynamic=False)

    def step():
        x = pixel_values.clone().requires_grad_(True)
        gradient = torch.autograd.grad(loss(x), x)[0]
        torch.cuda.synchronize()
        return gradient

    step()
    torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    return {
        "system": f"PyTorch {torch.__version__} {name}",
        "batch": batch,
        "step_s": seconds,
        "peak_device_mib": torch.cuda.max_memory_allocated() / 2**20,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--batch", default="1,8", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--runs", type=int, default=20)
    asked = parser.parse_args()
    for name in CONFIGURATIONS:
        for batch in asked.batch:
            print(json.dumps(measure(asked.checkpoint, name, batch, asked.runs)), flush=True)
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
