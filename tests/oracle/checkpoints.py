"""CLIPSeg checkpoints with seeded weights, in the files that the model hub uses.

The architecture is the published one; only the numbers are random, drawn per tensor from its name,
so that a checkpoint does not depend on the order in which its tensors are made.
"""

import json
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

IMAGE_MEAN, IMAGE_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
CONTEXT = 77


@dataclass(frozen=True)
class Geometry:
    """Sizes of a checkpoint; `trained` is the image size of the stored position embedding."""

    vision: tuple[int, int, int, int]  # width, layers, heads, width of the MLP
    text: tuple[int, int, int, int]
    patch: int
    trained: int
    input: int
    extract: tuple[int, ...]
    reduce: int
    decoder_mlp: int
    complex_upsampling: bool
    hub_eos: bool  # the hub's configs say eos_token_id 2, whatever the vocabulary
    adapter: int  # inner width of the adapters
    legacy_buffers: bool = True  # older files carry the integer position_ids


_FULL = dict(vision=(768, 12, 12, 3072), text=(512, 12, 8, 2048), patch=16, trained=224, input=352,
             extract=(3, 6, 9), reduce=64, decoder_mlp=2048, hub_eos=True, adapter=64)
GEOMETRIES = {
    "tiny": Geometry(vision=(24, 4, 3, 48), text=(16, 4, 2, 32), patch=16, trained=48, input=64, extract=(0, 1, 2),
                     reduce=16, decoder_mlp=32, complex_upsampling=True, hub_eos=True, adapter=8),
    "tiny-simple": Geometry(vision=(32, 4, 2, 64), text=(16, 4, 2, 32), patch=8, trained=32, input=32, extract=(0, 2),
                            reduce=8, decoder_mlp=32, complex_upsampling=False, hub_eos=False, adapter=8,
                            legacy_buffers=False),
    # A light model for speed: everything that a step does besides arithmetic weighs more.
    "small": Geometry(vision=(192, 6, 3, 768), text=(192, 6, 3, 768), patch=16, trained=224, input=224, extract=(1, 3, 4),
                      reduce=64, decoder_mlp=512, complex_upsampling=True, hub_eos=True, adapter=64),
    "full": Geometry(**_FULL, complex_upsampling=True),
    "full-simple": Geometry(**_FULL, complex_upsampling=False),
}


def config(g: Geometry, vocabulary: int) -> dict:
    def tower(kind, sizes, **more):
        width, layers, heads, mlp = sizes
        return dict(model_type=f"clipseg_{kind}_model", hidden_size=width, num_hidden_layers=layers,
                    num_attention_heads=heads, intermediate_size=mlp, hidden_act="quick_gelu", layer_norm_eps=1e-5,
                    attention_dropout=0.0, **more)

    bos, eos = (0, 2) if g.hub_eos else (vocabulary - 2, vocabulary - 1)
    return dict(
        architectures=["CLIPSegForImageSegmentation"], model_type="clipseg", torch_dtype="float32",
        projection_dim=g.text[0], logit_scale_init_value=2.6592, extract_layers=list(g.extract), reduce_dim=g.reduce,
        decoder_num_attention_heads=4, decoder_attention_dropout=0.0, decoder_hidden_act="quick_gelu",
        decoder_intermediate_size=g.decoder_mlp, conditional_layer=0,
        use_complex_transposed_convolution=g.complex_upsampling,
        text_config=tower("text", g.text, vocab_size=vocabulary, max_position_embeddings=CONTEXT, bos_token_id=bos,
                          eos_token_id=eos, pad_token_id=1),
        vision_config=tower("vision", g.vision, num_channels=3, image_size=g.trained, patch_size=g.patch))


def preprocessor(g: Geometry) -> dict:
    return dict(image_processor_type="ViTImageProcessor", do_resize=True, size=dict(height=g.input, width=g.input),
                resample=2, do_rescale=True, rescale_factor=1 / 255, do_normalize=True, image_mean=IMAGE_MEAN,
                image_std=IMAGE_STD)


def seeded(name: str, shape, std: float, mean: float = 0.0) -> torch.Tensor:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return torch.from_numpy((mean + std * rng.standard_normal(tuple(shape))).astype(np.float32))


def weight(name: str, like: torch.Tensor) -> torch.Tensor:
    """Scales at which attention is neither flat nor saturated: at random ones it saturates in the decoder, which reads
    states that no norm has seen, and its gradient is then mostly rounding.
    """
    if like.ndim == 0:
        return torch.tensor(2.6592)
    if "norm" in name or "layrnorm" in name:
        return seeded(name, like.shape, 0.1, 1.0) if name.endswith("weight") else seeded(name, like.shape, 0.05)
    if name.endswith("film_mul.bias"):
        return seeded(name, like.shape, 0.05, 1.0)
    if name.endswith("bias"):
        return seeded(name, like.shape, 0.05)
    if "embedding" in name and "patch" not in name:
        return seeded(name, like.shape, 0.5 if "token" in name or "class" in name else 0.3)
    fan_in = like.shape[0] if "transposed_convolution" in name and like.shape[-1] != 3 else math.prod(like.shape[1:])
    gains = {"q_proj": 1.3, "k_proj": 1.3, "reduces": 0.2, "film": 0.1}
    gain = next((gain for part, gain in gains.items() if part in name), 1.2)
    return seeded(name, like.shape, gain * fan_in**-0.5)


def write_config(folder: Path, g: Geometry, vocabulary: int):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config(g, vocabulary), indent=2) + "\n")
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor(g), indent=2) + "\n")


def state_dict(folder: Path, g: Geometry) -> dict[str, torch.Tensor]:
    """Names and shapes are asked of transformers, values drawn here."""
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

    with torch.device("meta"):
        model = CLIPSegForImageSegmentation(CLIPSegConfig.from_pretrained(folder))
    state = {name: weight(name, p) for name, p in model.state_dict().items()}
    if g.legacy_buffers:
        patches = (g.trained // g.patch) ** 2
        state["clip.text_model.embeddings.position_ids"] = torch.arange(CONTEXT)[None]
        state["clip.vision_model.embeddings.position_ids"] = torch.arange(patches + 1)[None]
    return state


def write_weights(folder: Path, state: dict[str, torch.Tensor], pickled: bool):
    if pickled:
        torch.save(state, folder / "pytorch_model.bin")
    else:
        save_file({k: v.contiguous() for k, v in state.items()}, folder / "model.safetensors", metadata={"format": "pt"})


def standardise(state: dict[str, torch.Tensor], logits: torch.Tensor):
    """Scales the last convolution so that `logits` would have mean 0 and standard deviation 1."""
    last = max(k for k in state if k.startswith("decoder.transposed_convolution") and k.endswith("weight"))
    scale = 1 / logits.std().item()
    bias = last.replace("weight", "bias")
    state[last] = state[last] * scale
    state[bias] = (state[bias] - logits.mean().item()) * scale


def adapter(config: dict, kind: str, parts: str, inner: int) -> dict[str, torch.Tensor]:
    """Weights of a VLSM adapter (arXiv 2405.06196) under the names that its authors' code gives them.

    `kind` is dense (inside the encoder layers) or shallow (on the extracted states); `parts` names where: v(ision),
    l(anguage), c(onditional embedding).
    """
    vision, text = config["vision_config"]["hidden_size"], config["text_config"]["hidden_size"]
    extract = config["extract_layers"]
    sites = []
    for part, width in (("v", vision), ("l", text)):
        if part not in parts:
            continue
        if kind == "dense":
            sites += [(f"{part}_{at}_adapters.{i}", width, inner) for at in ("attn", "out") for i in range(max(extract))]
        else:
            tower = {"v": "vision", "l": "text"}[part]
            sites += [(f"{tower}_extract_adapters.{j}", width, inner) for j in range(len(extract))]
    if "c" in parts:
        sites.append(("cond_adapter", config["projection_dim"], 4 * inner))
    out = {}
    for site, width, middle in sites:
        for layer, shape in (("fc1", (middle, width)), ("fc2", (width, middle))):
            name = f"{site}.{layer}"
            out[f"{name}.weight"] = seeded(f"{kind}.{name}.weight", shape, shape[1] ** -0.5)
            out[f"{name}.bias"] = seeded(f"{kind}.{name}.bias", shape[:1], 0.05)
    return out


def lightning(base: dict[str, torch.Tensor], adapter: dict[str, torch.Tensor], kind: str) -> dict:
    """A checkpoint as PyTorch Lightning writes it for a model that holds CLIPSeg and its adapter.

    The shallow form holds CLIP under two names that share their storage.
    """
    from collections import OrderedDict

    state = OrderedDict((f"net.clipseg.{k}", v) for k, v in base.items() if v.is_floating_point())
    if kind == "shallow":
        state.update((f"net.{k}", v) for k, v in base.items() if k.startswith("clip.") and v.is_floating_point())
    state.update((f"net.{k}", v) for k, v in adapter.items())
    return {"epoch": 3, "global_step": 120, "pytorch-lightning_version": "2.2.5", "state_dict": state, "loops": {},
            "callbacks": {}, "optimizer_states": [], "lr_schedulers": [], "hyper_parameters": {"learning_rate": 1e-3}}
