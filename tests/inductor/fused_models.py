"""Models for comparisons with Inductor, with random weights: name -> function that returns (module, inputs).

MODELS were looked at while the fusion pass was written. UNSEEN were not: the list was written down before, and
``python bench/check_all.py --only fusion_unseen`` runs it. Few layers stand for many; widths are the published ones.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from torch import nn

sys.path.append(str(Path(__file__).resolve().parents[1] / "python"))
from shape_models import UNet  # noqa: E402

Built = tuple[nn.Module, tuple[Any, ...]]

FOUR = {"depths": [1, 1, 1, 1]}
SMALL = {"hidden_size": 512, "intermediate_size": 1024, "num_hidden_layers": 3, "num_attention_heads": 8,
         "vocab_size": 8000}  # fmt: skip


class Call(nn.Module):
    """A transformers model that takes its inputs by position and returns its tensors."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        result = self.model(**dict(zip(self.names, inputs, strict=True)), return_dict=False)
        return tuple(value for value in result if isinstance(value, torch.Tensor))


def _built(kind: str, settings: dict[str, Any], inputs: dict[str, Callable[[], torch.Tensor]]) -> Built:
    torch.manual_seed(0)
    config = hf.AutoConfig.for_model(kind, **settings)
    for part in (config, getattr(config, "text_config", None), getattr(config, "decoder", None)):
        if getattr(part, "use_cache", False):
            part.use_cache = False
    model = hf.AutoModel.from_config(config).eval()
    return Call(model, tuple(inputs)).eval(), tuple(make() for make in inputs.values())


def _ids(batch: int, length: int) -> torch.Tensor:
    return torch.randint(5, 1000, (batch, length))


def text(kind: str, batch: int = 1, length: int = 128, **settings: Any) -> Callable[[], Built]:
    return functools.partial(_built, kind, settings, {"input_ids": lambda: _ids(batch, length)})


def translation(kind: str, **settings: Any) -> Callable[[], Built]:
    inputs = {"input_ids": lambda: _ids(1, 96), "decoder_input_ids": lambda: _ids(1, 64)}
    return functools.partial(_built, kind, settings, inputs)


def vision(kind: str, size: int = 224, batch: int = 1, **settings: Any) -> Callable[[], Built]:
    return functools.partial(_built, kind, settings, {"pixel_values": lambda: torch.randn(batch, 3, size, size)})


def speech(kind: str, **settings: Any) -> Callable[[], Built]:
    return functools.partial(_built, kind, settings, {"input_values": lambda: torch.randn(1, 8000)})


def whisper() -> Built:
    settings = {"encoder_layers": 2, "decoder_layers": 2}
    inputs = {"input_features": lambda: torch.randn(1, 80, 3000), "decoder_input_ids": lambda: _ids(1, 32)}
    return _built("whisper", settings, inputs)


def unet() -> Built:
    torch.manual_seed(0)
    inputs = torch.randn(2, 4, 24, 32), torch.randint(0, 100, (2,)), torch.randn(2, 7, 24)
    return UNet().eval(), inputs


MODELS: dict[str, Callable[[], Built]] = {
    "bert": text("bert", num_hidden_layers=12),
    "roberta": text("roberta", num_hidden_layers=2),
    "distilbert": text("distilbert", n_layers=2),
    "deberta": text("deberta", num_hidden_layers=2),
    "gpt2": text("gpt2", n_layer=12),
    "opt": text("opt", num_hidden_layers=2, vocab_size=8000),
    "llama": text("llama", **SMALL, num_key_value_heads=4),
    "mistral": text("mistral", batch=2, length=64, **SMALL, num_key_value_heads=2),
    "qwen2": text("qwen2", **SMALL, num_key_value_heads=2),
    "gemma2": text("gemma2", **SMALL, num_key_value_heads=4, head_dim=64),
    "t5": translation("t5", num_layers=2, num_decoder_layers=2),
    "bart": translation("bart", encoder_layers=2, decoder_layers=2, vocab_size=8000),
    "whisper": whisper,
    "vit": vision("vit", num_hidden_layers=4),
    "swin": vision("swin", depths=[2, 2, 2, 2]),
    "resnet": vision("resnet", depths=[2, 2, 2, 2], layer_type="basic", hidden_sizes=[64, 128, 256, 512]),
    "resnet-bottleneck": vision("resnet", batch=2, size=128, **FOUR),
    "mobilenet": vision("mobilenet_v2"),
    "efficientnet": vision("efficientnet", width_coefficient=1.0, depth_coefficient=1.0, hidden_dim=1280),
    "convnext": vision("convnext"),
    "unet": unet,
}

# Written down before any of them was compared.
UNSEEN: dict[str, Callable[[], Built]] = {
    "albert": text("albert", num_hidden_layers=2),
    "electra": text("electra", num_hidden_layers=2),
    "mpnet": text("mpnet", num_hidden_layers=2),
    "gpt-neox": text("gpt_neox", **SMALL),
    "phi": text("phi", **SMALL),
    "falcon": text("falcon", hidden_size=512, num_hidden_layers=2, num_attention_heads=8, vocab_size=8000),
    "olmo2": text("olmo2", **SMALL, num_key_value_heads=8),
    "pegasus": translation("pegasus", encoder_layers=2, decoder_layers=2, vocab_size=8000),
    "dinov2": vision("dinov2", num_hidden_layers=3),
    "beit": vision("beit", num_hidden_layers=2),
    "regnet": vision("regnet", **FOUR),
    "segformer": vision("segformer", **FOUR),
    "poolformer": vision("poolformer", **FOUR),
    "wav2vec2": speech("wav2vec2", num_hidden_layers=2),
}

# Trained for one step in training mode, dropout included.
TRAINED: dict[str, Callable[[], Built]] = {
    "bert": text("bert", batch=2, length=64, num_hidden_layers=2),
    "llama": text("llama", **SMALL, num_key_value_heads=4),
    "vit": vision("vit", num_hidden_layers=2),
    "resnet": vision("resnet", depths=[2, 2, 2, 2], layer_type="basic", hidden_sizes=[64, 128, 256, 512], size=64),
}
