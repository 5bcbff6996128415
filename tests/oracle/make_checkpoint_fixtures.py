#!/usr/bin/env python3
"""Write the small PyTorch files in tests/fixtures/checkpoint/ that tests/checkpoint.rs reads.

    python make_checkpoint_fixtures.py [FOLDER]        (torch 2.x)

state_dict.bin     a plain OrderedDict: views of all kinds, half precisions, integers, a Parameter
lightning.ckpt     the dictionary of a Lightning run with everything that ends up in one
protocol5.bin      the same state dict with the newest pickle protocol
legacy.pt          the format before PyTorch 1.6
hostile.bin        a state dict whose value is a call of os.system
outside.bin        a tensor that reaches beyond its storage
expanded.bin       a tensor of 2^40 values that are all the same one
expected.json      the values of state_dict.bin
"""
import argparse
import collections
import functools
import json
import os
import pathlib
import sys
import zipfile

import torch


def state_dict():
    base = torch.arange(24, dtype=torch.float32)
    tensors = collections.OrderedDict()
    tensors["plain"] = torch.tensor([[1.5, -2.0, 0.25], [3.0, 4.0, -5.5]])
    tensors["shared.whole"] = base.reshape(2, 3, 4)
    tensors["shared.offset"] = base[5:9]
    tensors["shared.transposed"] = base.reshape(4, 6).t()
    tensors["shared.permuted"] = base.reshape(2, 3, 4).permute(2, 0, 1)
    tensors["shared.stepped"] = base[1::5]
    tensors["shared.again"] = base[5:9]
    tensors["half"] = torch.tensor([0.5, -1.25, 65504.0], dtype=torch.float16)
    tensors["bfloat"] = torch.tensor([0.5, -1.25, 3.0e38], dtype=torch.bfloat16)
    tensors["double"] = torch.tensor([0.1, 1e-3], dtype=torch.float64)
    tensors["parameter"] = torch.nn.Parameter(torch.tensor([7.0, 8.0]))
    tensors["scalar"] = torch.tensor(2.6592)
    tensors["empty"] = torch.zeros(0, 3)
    tensors["expanded"] = torch.tensor([[9.0]]).expand(1, 3)
    tensors["position_ids"] = torch.arange(5).unsqueeze(0)
    tensors["flags"] = torch.tensor([True, False])
    tensors._metadata = collections.OrderedDict({"": {"version": 1}, "encoder": {"version": 2}})
    return tensors


class Config(dict):
    """Stands for a configuration library's dictionary: a subclass with a state of its own."""

    def __init__(self, *args):
        super().__init__(*args)
        self.flags = {"readonly", "struct"}
        self.parent = self


def activation(x, slope):
    return x * slope


def lightning():
    """What `Trainer.save_checkpoint` writes, as far as types go."""
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-3)
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    net = collections.OrderedDict()
    net["net.cond_adapter.fc1.weight"] = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    net["net.text_extract_adapters.0.fc1.bias"] = torch.tensor([0.5])
    scale = torch.tensor(2.5)
    net["net.clip.logit_scale"] = scale
    net["net.clipseg.clip.logit_scale"] = scale
    net["net.clipseg.decoder.film_mul.bias"] = torch.tensor([1.0, -1.0])
    net._metadata = collections.OrderedDict({"": {"version": 1}})
    return {
        "epoch": 3,
        "global_step": 2**40,
        "pytorch-lightning_version": "2.2.5",
        "state_dict": net,
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 4}}}},
        "callbacks": {
            "ModelCheckpoint{'monitor': 'val_loss', 'mode': 'min'}": {
                "best_model_score": torch.tensor(0.25),
                "best_model_path": "/runs/best.ckpt",
                "kth_value": torch.tensor(float("inf")),
                "best_k_models": collections.defaultdict(float, {"/runs/best.ckpt": 0.25}),
            }
        },
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [{"factor": 0.1, "_last_lr": [1e-3], "best": float("inf")}],
        "hparams_name": "kwargs",
        "hyper_parameters": {
            "args": argparse.Namespace(lr=1e-3, prompts=["polyp", "naïve"], size=(352, 352)),
            "config": Config({"model": {"name": "clipseg", "dim": 64}}),
            "optimizer": functools.partial(torch.optim.AdamW, lr=1e-3),
            "activation": activation,
            "device": torch.device("cpu"),
            "dtype": torch.float16,
            "size": torch.Size([1, 2]),
            "path": pathlib.PurePosixPath("/data"),
            "bytes": b"\x00\xff",
            "set": {1, 2},
            "frozen": frozenset("ab"),
            "big": 2**80,
            "complex": 1 + 2j,
            "range": range(3),
            "slice": slice(1, 2),
            "none": None,
            "generator": torch.Generator().manual_seed(1).get_state()[:4].clone(),
        },
    }


class Shell:
    def __reduce__(self):
        return os.system, ("touch executed-by-a-checkpoint",)


class Rebuilt:
    """A tensor described by hand, as nobody's own tensor would be."""

    def __init__(self, tensor, size, stride):
        self.args = (tensor.untyped_storage(), size, stride)

    def __reduce__(self):
        storage, size, stride = self.args
        typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.float32, _internal=True)
        return torch._utils._rebuild_tensor_v2, (typed, 0, size, stride, False, collections.OrderedDict())


def main():
    here = pathlib.Path(__file__).parent
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent / "fixtures" / "checkpoint"
    out.mkdir(parents=True, exist_ok=True)
    tensors = state_dict()
    torch.save(tensors, out / "state_dict.bin")
    torch.save(tensors, out / "protocol5.bin", pickle_protocol=5)
    torch.save({"plain": tensors["plain"]}, out / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(lightning(), out / "lightning.ckpt")
    torch.save({"plain": tensors["plain"], "weight": Shell()}, out / "hostile.bin")
    torch.save({"weight": Rebuilt(torch.ones(4), (5,), (1,))}, out / "outside.bin")
    torch.save({"weight": Rebuilt(torch.ones(4), (2**20, 2**20), (0, 0))}, out / "expanded.bin")
    expected = {
        name: {"shape": list(t.shape), "values": t.detach().to(torch.float32).flatten().tolist()}
        for name, t in tensors.items()
    }
    (out / "expected.json").write_text(json.dumps(expected, indent=0) + "\n")
    for path in sorted(out.iterdir()):
        kind = "zip" if zipfile.is_zipfile(path) else "   "
        print(f"{path.stat().st_size:6d} {kind} {path.name}")


if __name__ == "__main__":
    main()
