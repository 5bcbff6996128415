"""What a careful user would put before the same model: PyTorch behind FastAPI.

    MODEL=models/demo uvicorn fastapi_server:app

One resident model; a lock, because two attacks at once would only share the same cores; prompts are encoded once. The
attack is Segprobe's default protocol: PGD in pixel space at the image's own size, random start, Dice and cross-entropy,
the iterate with the lowest DSC, scored again on the 8-bit file.
"""

import base64
import io
import os
import threading
import uuid
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from fastapi import FastAPI, Form, HTTPException, UploadFile
from PIL import Image
from transformers import CLIPSegForImageSegmentation, CLIPSegProcessor

torch.set_num_threads(int(os.environ.get("THREADS", "2")))
FOLDER = os.environ["MODEL"]
MODEL = CLIPSegForImageSegmentation.from_pretrained(FOLDER, dtype=torch.float32).eval().requires_grad_(False)
PROCESSOR = CLIPSegProcessor.from_pretrained(FOLDER)
MEAN, STD = (torch.tensor(v).view(3, 1, 1) for v in (PROCESSOR.image_processor.image_mean, PROCESSOR.image_processor.image_std))
SIDE = PROCESSOR.image_processor.size["height"]
LOCK = threading.Lock()
RESULTS: dict[str, dict] = {}
app = FastAPI()


@cache
def conditional(prompt: str) -> torch.Tensor:
    tokens = PROCESSOR.tokenizer(prompt, truncation=True, max_length=77, return_tensors="pt")
    with torch.no_grad():
        return MODEL.clip.get_text_features(**tokens).pooler_output


def logits(x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
    """Logits [side, side] of an image [3, h, w] in [0, 1].

    CLIPSegForImageSegmentation.forward runs the vision tower without a graph, so its parts are called one by one.
    """
    small = F.interpolate(x[None], size=(SIDE, SIDE), mode="bilinear", antialias=True)
    states = MODEL.clip.vision_model((small - MEAN) / STD, output_hidden_states=True).hidden_states
    activations = [states[i + 1] for i in MODEL.config.extract_layers]
    return MODEL.decoder(activations, condition).logits.reshape(SIDE, SIDE)


def dice_ce(z: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    p = torch.sigmoid(z)
    dice = 1 - (2 * (p * target).sum() + 1e-5) / (p.sum() + target.sum() + 1e-5)
    return 1.5 * dice + F.binary_cross_entropy_with_logits(z, target)


def dsc(z: torch.Tensor, mask: torch.Tensor) -> float:
    """At the image's own size."""
    predicted = F.interpolate(z[None, None], size=mask.shape, mode="bilinear")[0, 0] > 0
    both, sizes = (predicted & mask).sum(), predicted.sum() + mask.sum()
    return float(2 * both / sizes) if sizes else 1.0


def pgd(clean: torch.Tensor, mask: torch.Tensor, condition: torch.Tensor, steps: int, epsilon: float) -> torch.Tensor:
    """The visited point with the lowest DSC."""
    target = F.interpolate(mask[None, None].float(), size=(SIDE, SIDE), mode="nearest")[0, 0]
    low, high = (clean - epsilon).clamp(0, 1), (clean + epsilon).clamp(0, 1)
    noise = torch.rand(clean.shape, generator=torch.Generator().manual_seed(0))
    x = torch.clamp(clean + epsilon * (2 * noise - 1), low, high)
    best, lowest = clean, 2.0
    for step in range(steps + 1):
        x.requires_grad_(step < steps)
        z = logits(x, condition)
        if (score := dsc(z.detach(), mask)) < lowest:
            best, lowest = x.detach(), score
        if step < steps:
            (gradient,) = torch.autograd.grad(dice_ce(z, target), x)
            x = torch.clamp(x.detach() + epsilon / 4 * gradient.sign(), low, high)
    return best


def read(upload: UploadFile, mode: str) -> np.ndarray:
    try:
        return np.asarray(Image.open(upload.file).convert(mode))
    except OSError as error:
        raise HTTPException(422, f"{upload.filename} cannot be read") from error


# A plain function, so that FastAPI runs it on a thread and keeps answering.
@app.post("/attacks")
def attack(image: UploadFile, mask: UploadFile, prompt: str = Form(), steps: int = Form(40), epsilon: float = Form(8)):
    pixels, wanted = read(image, "RGB"), torch.from_numpy(read(mask, "L") > 127)
    if wanted.shape != pixels.shape[:2]:
        raise HTTPException(422, "the mask does not have the image's size")
    clean = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255
    with LOCK:
        condition = conditional(prompt)
        adversarial = pgd(clean, wanted, condition, steps, epsilon / 255)
        levels = (adversarial * 255).round().to(torch.uint8)
        with torch.no_grad():
            scores = [dsc(logits(x, condition), wanted) for x in (clean, levels.float() / 255)]
    file = io.BytesIO()
    Image.fromarray(levels.permute(1, 2, 0).numpy()).save(file, "PNG")
    result = {"id": uuid.uuid4().hex, "state": "succeeded", "prompt": prompt, "steps": steps, "epsilon": epsilon,
              "clean_dsc": scores[0], "adversarial_dsc": scores[1]}
    RESULTS[result["id"]] = result
    return result | {"adversarial_png": base64.b64encode(file.getvalue()).decode()}


@app.get("/attacks/{id}")
async def find(id: str):
    if id not in RESULTS:
        raise HTTPException(404, "there is no such attack")
    return RESULTS[id]
