"""Models whose time on a CPU is predicted and measured, with random weights: name -> function that returns (module,
inputs). MODELS may be looked at while the timing model is written; FROZEN were written down before any of them was
measured or predicted, and ``python bench/check_all.py --only cpu_models_frozen`` runs them once at the end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from checks import ROOT
from torch import nn

sys.path.append(str(ROOT / "tests" / "inductor"))
from fused_models import FOUR, Built, speech, text, translation, vision, whisper  # noqa: E402
from shape_models import UNet  # noqa: E402

Builder = Callable[[], Built]

MEDIUM: dict[str, Any] = {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 4,
                          "num_attention_heads": 12, "vocab_size": 8000}  # fmt: skip


def unet() -> Built:
    """The tests' own U-Net, on images of a useful size."""
    torch.manual_seed(0)
    inputs = torch.randn(4, 4, 96, 96), torch.randint(0, 100, (4,)), torch.randn(4, 7, 24)
    return UNet().eval(), inputs


class Vgg(nn.Module):
    """Convolutions without normalisation, and large fully connected layers, as of VGG."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width, count in ((48, 1), (96, 1), (192, 2), (384, 2)):
            for _ in range(count):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Linear(384 * 49, 1024), nn.ReLU(), nn.Linear(1024, 1000))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.adaptive_avg_pool2d(self.features(x), 7)
        result: torch.Tensor = self.classifier(x.flatten(1))
        return result


def vgg() -> Built:
    torch.manual_seed(0)
    return Vgg().eval(), (torch.randn(1, 3, 160, 160),)


RESNET18 = {"depths": [2, 2, 2, 2], "layer_type": "basic", "hidden_sizes": [64, 128, 256, 512]}

MODELS: dict[str, Builder] = {
    "bert": text("bert", num_hidden_layers=6),
    "distilbert-long": text("distilbert", length=384, n_layers=2),
    "deberta": text("deberta", num_hidden_layers=3),
    "gpt2": text("gpt2", n_layer=6),
    "opt-batch": text("opt", batch=4, length=48, num_hidden_layers=4, vocab_size=8000),
    "llama": text("llama", **MEDIUM, num_key_value_heads=4),
    "qwen2": text("qwen2", length=256, **MEDIUM, num_key_value_heads=2),
    "t5": translation("t5", num_layers=4, num_decoder_layers=4),
    "bart": translation("bart", encoder_layers=3, decoder_layers=3, vocab_size=8000),
    "whisper": whisper,
    "vit": vision("vit", num_hidden_layers=4),
    "swin": vision("swin", depths=[2, 2, 4, 2]),
    "convnext": vision("convnext"),
    "resnet18": vision("resnet", **RESNET18),
    "resnet50": vision("resnet", size=192),
    "mobilenet": vision("mobilenet_v2"),
    "efficientnet": vision("efficientnet", width_coefficient=1.0, depth_coefficient=1.0, hidden_dim=1280),
    "unet": unet,
    "vgg": vgg,
}

FROZEN: dict[str, Builder] = {
    "roberta-batch": text("roberta", batch=3, length=80, num_hidden_layers=4),
    "gpt-neox": text("gpt_neox", **MEDIUM),
    "mistral": text("mistral", length=192, **MEDIUM, num_key_value_heads=4),
    "pegasus": translation("pegasus", encoder_layers=3, decoder_layers=3, vocab_size=8000),
    "dinov2": vision("dinov2", num_hidden_layers=4),
    "regnet": vision("regnet", **FOUR),
    "segformer": vision("segformer", **FOUR),
    "poolformer": vision("poolformer", **FOUR),
    "wav2vec2": speech("wav2vec2", num_hidden_layers=3),
    "resnet34-large": vision("resnet", size=288, **{**RESNET18, "depths": [3, 4, 6, 3]}),
}
