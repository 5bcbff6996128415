"""The demo model as PyTorch libraries take it: an image in [0, 1] at its own size to the logits of two classes."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "oracle"))

from checkpoints import IMAGE_MEAN, IMAGE_STD  # noqa: E402, F401
from reference_model import Reference  # noqa: E402

DEMO = ROOT / "models" / "demo"


class TwoClasses(torch.nn.Module):
    """Logits [batch, 2, h, w] of background and structure: their cross-entropy is the binary one of a single logit.

    Resizing is part of the model, antialiased as in the product, so that a library attacks the very pixels of the image.
    """

    def __init__(self, prompt: str):
        super().__init__()
        self.reference = Reference(DEMO, torch.float32)
        self.side = self.reference.hf.config.vision_config.image_size
        # the layers that the decoder never reads
        encoder = self.reference.hf.clip.vision_model.encoder
        encoder.layers = encoder.layers[: max(self.reference.extract) + 1]
        self.hf = self.reference.hf  # a library finds the device by the parameters
        with torch.no_grad():
            self.conditional = self.reference.conditional(prompt)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        small = F.interpolate(x, (self.side, self.side), mode="bilinear", antialias=True, align_corners=False)
        logits = self.reference.logits(small, self.conditional)[:, None]
        logits = F.interpolate(logits, x.shape[-2:], mode="bilinear", align_corners=False)
        return torch.cat([torch.zeros_like(logits), logits], 1)


def picture(path: Path) -> torch.Tensor:
    """[1, 3, h, w] in [0, 1]."""
    levels = np.array(Image.open(path).convert("RGB"))
    return torch.from_numpy(levels).permute(2, 0, 1)[None].float() / 255


def mask(path: Path) -> torch.Tensor:
    """[1, h, w], 1 inside."""
    return torch.from_numpy(np.array(Image.open(path).convert("L")) > 127)[None].long()


def save(x: torch.Tensor, path: Path):
    """Writes an image as 8 bits."""
    levels = (x[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(levels).save(path)


def prompts(folder: Path) -> dict[str, str]:
    return {name: text if isinstance(text, str) else text[0]
            for name, text in json.loads((folder / "prompts.json").read_text()).items()}
