"""Many small models for the shape oracle: transformers architectures of every kind, a U-Net, torch's export examples.

Each is a family and a function that builds it. Few layers make a model small; weights are never filled."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fxcost.models import Model, load
from fxcost.options import Options

Build = Callable[[], Model]

TWO = {"num_hidden_layers": 2}
TEXT_AND_VISION = {"text_config.num_hidden_layers": 1, "vision_config.num_hidden_layers": 1}
BART = {"encoder_layers": 1, "decoder_layers": 1}
FOUR = {"depths": [1, 1, 1, 1]}
# Layer drop and masking draw numbers that decide which operators run, so torch.export cannot see past them.
WAV2VEC2 = {**TWO, "layerdrop": 0.0, "apply_spec_augment": False}
SOUND = ("wav2vec2", "wav2vec2-conformer", "hubert", "wavlm", "sew", "encodec", "moonshine")

# family -> architecture -> settings of its configuration
ARCHITECTURES: dict[str, dict[str, dict[str, Any]]] = {
    "encoder": {
        "bert": TWO,
        "roberta": TWO,
        "albert": TWO,
        "distilbert": {"n_layers": 2},
        "electra": TWO,
        "deberta": TWO,
        "deberta-v2": {**TWO, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
        "mpnet": TWO,
        "fnet": TWO,
        "funnel": {"block_sizes": [1, 1], "num_decoder_layers": 1},
        "convbert": TWO,
        "roformer": TWO,
        "squeezebert": TWO,
        "mobilebert": TWO,
        "modernbert": TWO,
        "ibert": TWO,
        "nystromformer": TWO,
        "big_bird": {**TWO, "attention_type": "original_full"},
        "longformer": {**TWO, "attention_window": 8},
        "canine": TWO,
        "layoutlm": TWO,
        "xlnet": {"n_layer": 2},
        "xlm": {"n_layers": 2},
        "luke": TWO,
        "tapas": TWO,
        "reformer": {"axial_pos_shape": [4, 4]},
        "perceiver": {},
        "esm": {**TWO, "vocab_size": 40, "pad_token_id": 1},
    },
    "decoder": {
        "gpt2": {"n_layer": 2},
        "gpt_neo": {"num_layers": 2, "attention_types": [[["global", "local"], 1]]},
        "gptj": {"n_layer": 2, "rotary_dim": 64},
        "gpt_neox": TWO,
        "gpt_bigcode": {"n_layer": 2},
        "opt": TWO,
        "bloom": {"n_layer": 2},
        "falcon": TWO,
        "llama": {**TWO, "num_key_value_heads": 8},
        "mistral": TWO,
        "qwen2": TWO,
        "qwen3": TWO,
        "gemma2": TWO,
        "gemma3_text": TWO,
        "phi": TWO,
        "phi3": TWO,
        "olmo2": TWO,
        "stablelm": TWO,
        "codegen": {"n_layer": 2},
        "ctrl": {"n_layer": 2},
        "cohere": TWO,
        "biogpt": TWO,
        "xglm": {"num_layers": 2},
        "imagegpt": {"n_layer": 2},
    },
    "encoder-decoder": {
        "t5": {"num_layers": 1, "num_decoder_layers": 1},
        "bart": BART,
        "pegasus": BART,
        "m2m_100": {**BART, "encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0},
        "blenderbot": BART,
        "longt5": {"num_layers": 1, "num_decoder_layers": 1},
        "prophetnet": {"num_encoder_layers": 1, "num_decoder_layers": 1},
    },
    "vision": {
        "vit": TWO,
        "deit": TWO,
        "beit": TWO,
        "dinov2": TWO,
        "swin": {"depths": [2, 2, 1, 1]},
        "swinv2": {"depths": [1, 2, 1, 1]},
        "convnext": FOUR,
        "convnextv2": FOUR,
        "resnet": FOUR,
        "regnet": FOUR,
        "mobilenet_v2": {},
        "efficientnet": {},
        "mobilevit": {},
        "poolformer": FOUR,
        "segformer": FOUR,
        "pvt_v2": FOUR,
        "cvt": {},
        "levit": {"depths": [1, 1, 1]},
        "focalnet": FOUR,
        "hiera": FOUR,
        "yolos": TWO,
        "dpt": {**TWO, "backbone_out_indices": [0, 0, 1, 1], "is_hybrid": False},
        "vit_mae": TWO,
        "vitdet": TWO,
        "bit": FOUR,
        "mobilenet_v1": {},
        "swin2sr": {"depths": [1, 1], "num_heads": [4, 4]},
        "sam": {"vision_config.num_hidden_layers": 1, "vision_config.global_attn_indexes": [0]},
        "mask2former": {},
    },
    "audio": {
        "whisper": BART,
        "wav2vec2": WAV2VEC2,
        "hubert": WAV2VEC2,
        "wavlm": WAV2VEC2,
        "sew": WAV2VEC2,
        "wav2vec2-conformer": WAV2VEC2,
        "moonshine": {},
        "audio-spectrogram-transformer": TWO,
        "speech_to_text": BART,
        "encodec": {},
    },
    "multimodal": {
        "clip": TEXT_AND_VISION,
        "siglip": TEXT_AND_VISION,
        "blip": TEXT_AND_VISION,
        "vilt": TWO,
        "git": {**TWO, "vision_config.num_hidden_layers": 1},
        "owlvit": TEXT_AND_VISION,
        "llava": TEXT_AND_VISION,
        "paligemma": TEXT_AND_VISION,
        "altclip": TEXT_AND_VISION,
        "clipseg": TEXT_AND_VISION,
        "flava": {},
        "align": {},
        "groupvit": {},
        "bridgetower": {},
        "layoutlmv3": TWO,
    },
    "mixture of experts": {
        "mixtral": TWO,
        "qwen2_moe": {**TWO, "num_experts": 8},
        "qwen3_moe": {**TWO, "num_experts": 8},
        "olmoe": TWO,
        "deepseek_v3": {**TWO, "first_k_dense_replace": 1, "n_routed_experts": 16, "n_group": 4, "topk_group": 2},
        "switch_transformers": {"num_layers": 2, "num_decoder_layers": 2, "num_sparse_encoder_layers": 1},
        "granitemoe": {**TWO, "num_local_experts": 4},
        "jetmoe": TWO,
        "gpt_oss": {**TWO, "num_local_experts": 8},
    },
    "state space": {
        "mamba": TWO,
        "mamba2": {**TWO, "chunk_size": 8},
        "rwkv": TWO,
        "falcon_mamba": TWO,
        "jamba": {"num_hidden_layers": 4, "num_experts": 4, "use_mamba_kernels": False},
        "bamba": {**TWO, "attn_layer_indices": [1]},
        "nemotron_h": TWO,
        "xlstm": TWO,
        "recurrent_gemma": {"num_hidden_layers": 3},
    },
    "time and video": {
        "timesformer": TWO,
        "videomae": TWO,
        "vivit": TWO,
        "patchtst": TWO,
        "patchtsmixer": {},
    },
}


def architecture(kind: str, settings: dict[str, Any]) -> Model:
    seq = 4096 if kind in SOUND else 16
    return load(f"hf:{kind}", Options(batch=2, seq=seq, settings=dict(settings)))


# ---- written here ----------------------------------------------------------------------------------------------------


class Residual(nn.Module):
    """Group norm, SiLU and convolution twice, told the time step, around a shortcut."""

    def __init__(self, inside: int, outside: int, time: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(8, inside), nn.GroupNorm(8, outside)
        self.conv1, self.conv2 = nn.Conv2d(inside, outside, 3, padding=1), nn.Conv2d(outside, outside, 3, padding=1)
        self.time = nn.Linear(time, outside)
        self.drop = nn.Dropout(0.1)
        self.shortcut = nn.Identity() if inside == outside else nn.Conv2d(inside, outside, 1)

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x))) + self.time(F.silu(step))[:, :, None, None]
        return self.conv2(self.drop(F.silu(self.norm2(h)))) + self.shortcut(x)


class PixelAttention(nn.Module):
    """Attention between the pixels, then to a text."""

    def __init__(self, width: int, text: int, heads: int = 4) -> None:
        super().__init__()
        self.norm, self.heads = nn.GroupNorm(8, width), heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.cross = nn.MultiheadAttention(width, heads, kdim=text, vdim=text, batch_first=True)

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        batch, width, height, length = x.shape
        pixels = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(pixels).chunk(3, dim=-1))
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        pixels = pixels + self.out(mixed)
        pixels = pixels + self.cross(pixels, text, text, need_weights=False)[0]
        return x + pixels.transpose(1, 2).reshape(batch, width, height, length)


class UNet(nn.Module):
    """The shape of a diffusion model: down by strided convolutions, up by interpolation, joined by concatenation."""

    def __init__(self, width: int = 32, text: int = 24) -> None:
        super().__init__()
        self.width, time = width, 4 * width
        self.time = nn.Sequential(nn.Linear(width, time), nn.SiLU(), nn.Linear(time, time))
        self.head = nn.Conv2d(4, width, 3, padding=1)
        widths = [width, 2 * width, 4 * width]
        self.down = nn.ModuleList(Residual(a, b, time) for a, b in zip([width, *widths], widths, strict=False))
        self.shrink = nn.ModuleList(nn.Conv2d(w, w, 3, stride=2, padding=1) for w in widths)
        self.middle, self.attention = Residual(widths[-1], widths[-1], time), PixelAttention(widths[-1], text)
        self.up = nn.ModuleList(
            Residual(a + b, b, time) for a, b in zip([widths[-1], *widths[:0:-1]], widths[::-1], strict=True)
        )
        self.grow = nn.ModuleList(nn.Conv2d(w, w, 3, padding=1) for w in [widths[-1], *widths[:0:-1]])
        self.tail = nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, 4, 3, padding=1))

    def forward(self, x: Tensor, steps: Tensor, text: Tensor) -> Tensor:
        half = self.width // 2
        angle = steps[:, None].float() * torch.exp(-torch.arange(half, device=x.device) * (9.2 / half))[None]
        step = self.time(torch.cat([angle.sin(), angle.cos()], dim=-1))
        x, kept = self.head(x), []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            x = block(x, step)
            kept.append(x)
            x = shrink(x)
        x = self.attention(self.middle(x, step), text)
        for block, grow in zip(self.up, self.grow, strict=True):
            skip = kept.pop()
            x = grow(F.interpolate(x, size=skip.shape[-2:], mode="nearest"))
            x = block(torch.cat([x, skip], dim=1), step)
        return self.tail(x)


class Segmenter(nn.Module):
    """The older U-Net: max-pooling and its indices, transposed convolutions, batch norm, bilinear resizing."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding="same", bias=False), nn.BatchNorm2d(16), nn.LeakyReLU(0.1)
        )
        self.pool, self.unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
        self.second = nn.Sequential(nn.Conv2d(16, 16, 3, padding=2, dilation=2), nn.InstanceNorm2d(16), nn.PReLU())
        self.widen = nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1)
        self.last = nn.Conv2d(24, 5, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = self.first(image)
        small, indices = self.pool(x)
        small = self.second(small)
        x = torch.cat([self.unpool(small, indices), self.widen(small)], dim=1)
        x = self.last(F.pad(x, (1, 1, 1, 1), mode="reflect"))
        x = F.interpolate(x, size=image.shape[-2:], mode="bilinear", align_corners=False)
        return x.log_softmax(1), x.argmax(1)


class Recurrent(nn.Module):
    """Embedding, a two-layer LSTM that runs both ways, a GRU, and a loss."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 12)
        self.lstm = nn.LSTM(12, 10, 2, batch_first=True, bidirectional=True, dropout=0.1)
        self.gru, self.out = nn.GRU(20, 10), nn.Linear(10, 50)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden, _ = self.lstm(self.embed(tokens))
        states, _ = self.gru(hidden.transpose(0, 1))
        return F.cross_entropy(self.out(states).flatten(0, 1), tokens.t().reshape(-1), label_smoothing=0.1)


WRITTEN: dict[str, Build] = {
    "U-Net (diffusion)": lambda: Model(
        "UNet", UNet(), (torch.zeros(2, 4, 18, 22), torch.zeros(2, dtype=torch.int64), torch.zeros(2, 7, 24))
    ),
    "U-Net (segmentation)": lambda: Model("Segmenter", Segmenter(), (torch.zeros(2, 3, 32, 48),)),
    "transformer (torch)": lambda: Model(
        "Transformer",
        nn.Transformer(32, 4, 1, 1, 64, batch_first=True),
        (torch.zeros(2, 7, 32), torch.zeros(2, 5, 32)),
    ),
    "recurrent": lambda: Model("Recurrent", Recurrent(), (torch.zeros(2, 9, dtype=torch.int64),)),
}


def examples() -> Iterator[tuple[str, Build]]:
    """The programs that torch ships to show what torch.export supports."""
    from torch._export.db.case import SupportLevel
    from torch._export.db.examples import filter_examples_by_support_level

    for name, case in filter_examples_by_support_level(SupportLevel.SUPPORTED).items():
        args, kwargs = tuple(case.example_args), dict(case.example_kwargs)
        yield name, functools.partial(Model, name, case.model, args, kwargs, case.dynamic_shapes)


def models() -> Iterator[tuple[str, str, Build]]:
    """Family, name and builder of every model."""
    for family, kinds in ARCHITECTURES.items():
        for kind, settings in kinds.items():
            yield family, kind, functools.partial(architecture, kind, settings)
    for name, build in WRITTEN.items():
        yield "written here", name, build
    for name, build in examples():
        yield "torch export example", name, build
