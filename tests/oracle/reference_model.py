"""transformers' CLIPSeg as a function that can be differentiated, with VLSM adapters hooked in.

`CLIPSegForImageSegmentation.forward` runs the vision tower without a graph, so an image has no gradient through it.
Calling its two parts, `clip.vision_model` and `decoder`, gives the same numbers and a gradient; `check_forward` holds
the two against each other.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import CLIPSegForImageSegmentation, CLIPTokenizer

from checkpoints import IMAGE_MEAN, IMAGE_STD


def normalise(x: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(v, dtype=x.dtype).view(3, 1, 1) for v in (IMAGE_MEAN, IMAGE_STD))
    return (x - mean) / std


class Reference:
    """Answers what a parity test asks; `dtype` float64 gives the truth, float32 what PyTorch makes of it."""

    def __init__(self, folder: Path, dtype: torch.dtype, adapter: Path | None = None):
        # The eager attention computes its softmax in float32 whatever the model's dtype.
        self.hf = CLIPSegForImageSegmentation.from_pretrained(folder, attn_implementation="sdpa")
        self.hf.to(dtype).eval().requires_grad_(False)
        self.tokenizer = CLIPTokenizer.from_pretrained(folder)
        self.dtype, self.extract = dtype, self.hf.config.extract_layers
        self.adapter = {k: v.to(dtype) for k, v in load_file(adapter).items()} if adapter else {}
        self._insert_dense()

    def tokens(self, prompt: str) -> list[int]:
        return self.tokenizer(prompt, truncation=True, max_length=77)["input_ids"]

    def adapt(self, site: str, x: torch.Tensor) -> torch.Tensor:
        """x + relu(fc2(relu(fc1 x))), or x where the adapter has no such site."""
        w = self.adapter
        if f"{site}.fc1.weight" not in w:
            return x
        inner = F.relu(F.linear(x, w[f"{site}.fc1.weight"], w[f"{site}.fc1.bias"]))
        return x + F.relu(F.linear(inner, w[f"{site}.fc2.weight"], w[f"{site}.fc2.bias"]))

    def _insert_dense(self):
        towers = (("v", self.hf.clip.vision_model), ("l", self.hf.clip.text_model))
        for part, tower in towers:
            for i, layer in enumerate(tower.encoder.layers):
                attention, mlp = f"{part}_attn_adapters.{i}", f"{part}_out_adapters.{i}"
                layer.self_attn.register_forward_hook(lambda m, a, out, s=attention: (self.adapt(s, out[0]), *out[1:]))
                layer.mlp.register_forward_hook(lambda m, a, out, s=mlp: self.adapt(s, out))

    def conditional(self, prompt: str) -> torch.Tensor:
        """[1, projection]; shallow adapters add the adapted raw text states of the extracted layers."""
        ids = torch.tensor([self.tokens(prompt)])
        text = self.hf.clip.get_text_features(ids, output_hidden_states=True)
        out = self.adapt("cond_adapter", text.pooler_output)
        at = ids[0].argmax().item()
        for j, i in enumerate(self.extract):
            if f"text_extract_adapters.{j}.fc1.weight" in self.adapter:
                out = out + self.adapt(f"text_extract_adapters.{j}", text.hidden_states[i + 1][:, at])
        return out

    def position_embedding(self, height: int, width: int) -> torch.Tensor:
        embeddings = self.hf.clip.vision_model.embeddings
        patches = (height // embeddings.patch_size) * (width // embeddings.patch_size)
        return embeddings.interpolate_pos_encoding(torch.zeros(1, patches + 1, embeddings.embed_dim), height, width)

    def hidden(self, pixel_values: torch.Tensor) -> list[torch.Tensor]:
        """After pre-LN, then after every encoder layer up to the last extracted one."""
        states = self.hf.clip.vision_model(pixel_values, output_hidden_states=True).hidden_states
        return list(states[: max(self.extract) + 2])

    def decode(self, hidden: list[torch.Tensor], conditional: torch.Tensor) -> torch.Tensor:
        states = [self.adapt(f"vision_extract_adapters.{j}", hidden[i + 1]) for j, i in enumerate(self.extract)]
        return self.hf.decoder(states, conditional).logits.reshape(hidden[0].shape[0], *self._size(hidden[0]))

    def _size(self, state: torch.Tensor) -> tuple[int, int]:
        side = round((state.shape[1] - 1) ** 0.5) * self.hf.config.vision_config.patch_size
        return side, side

    def logits(self, x: torch.Tensor, conditional: torch.Tensor) -> torch.Tensor:
        """Logits [batch, h, w] of images [batch, 3, h, w] in [0, 1]."""
        return self.decode(self.hidden(normalise(x)), conditional)

    def trace(self, x: torch.Tensor, conditional: torch.Tensor) -> dict[str, torch.Tensor]:
        layers = []
        hooks = [l.register_forward_hook(lambda m, a, out: layers.append(out)) for l in self.hf.decoder.layers]
        hidden = self.hidden(normalise(x))
        logits = self.decode(hidden, conditional)
        for hook in hooks:
            hook.remove()
        return {"position_embedding": self.position_embedding(*x.shape[-2:])[0], "logits": logits[0],
                **{f"hidden.{i}": h[0] for i, h in enumerate(hidden)},
                **{f"decoder.{i}": d[0] for i, d in enumerate(layers)}}

    def check_forward(self, x: torch.Tensor, prompt: str):
        """The whole model of transformers must answer the same conditional embedding and logits."""
        if self.adapter:
            raise ValueError("transformers knows no adapters")
        answer = self.hf(input_ids=torch.tensor([self.tokens(prompt)]), pixel_values=normalise(x))
        conditional = self.conditional(prompt)
        torch.testing.assert_close(conditional, answer.conditional_embeddings, rtol=1e-12, atol=1e-12)
        ours = self.logits(x, conditional)
        torch.testing.assert_close(ours, answer.logits.reshape(ours.shape), rtol=1e-12, atol=1e-12)
