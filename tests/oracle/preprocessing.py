"""Resized pictures: by PIL in 8 bits, by the same filter without rounding, and by transformers' image processor."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

import checkpoints

SIZE = 32  # of tiny-simple
PICTURES = {"shrunk": (83, 61), "both_ways": (5, 80), "grown": (19, 23)}  # width, height


def triangle(source: int, target: int) -> np.ndarray:
    """[target, source]: row i averages the pixels around the centre of output pixel i with a triangle's weights.

    Shrinking widens the triangle to `source / target`, which is the antialiasing; growing leaves it at one pixel.
    """
    scale = source / target
    centres = (np.arange(target) + 0.5) * scale
    distance = np.abs(np.arange(source)[None] + 0.5 - centres[:, None])
    weights = np.clip(1 - distance / max(scale, 1), 0, None)
    return weights / weights.sum(1, keepdims=True)


def write(path: Path):
    rng = np.random.default_rng(5)
    settings = checkpoints.preprocessor(checkpoints.GEOMETRIES["tiny-simple"])
    processor = ViTImageProcessorPil(**{k: v for k, v in settings.items() if k != "image_processor_type"})
    out = {}
    for name, (width, height) in PICTURES.items():
        rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        picture = Image.fromarray(rgb)
        rows, columns = triangle(height, SIZE), triangle(width, SIZE)
        exact = np.einsum("yh,hwc,xw->cyx", rows, rgb / 255, columns)
        eight_bit = np.asarray(picture.resize((SIZE, SIZE), Image.BILINEAR)).transpose(2, 0, 1)
        # two roundings to whole levels, one a pass
        if np.abs(exact * 255 - eight_bit).max() > 1.01:
            raise AssertionError(f"{name}: the triangle filter is not PIL's")
        out[f"{name}.rgb"] = torch.from_numpy(rgb)
        out[f"{name}.exact"] = torch.from_numpy(exact.astype(np.float32)).contiguous()
        out[f"{name}.pil"] = torch.from_numpy(eight_bit.copy()).contiguous()
        pixel_values = processor(picture, return_tensors="pt")["pixel_values"][0]
        out[f"{name}.pixel_values"] = pixel_values.float().contiguous()
    save_file(out, path)
