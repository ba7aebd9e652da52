"""The programs that fxcost and its peers count: single operators and layers, and whole models. Each entry makes a fresh
module and its inputs, in evaluation mode; random weights do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
import torchvision_ops  # noqa: F401  transformers and the peers import torchvision too
from torch import Tensor, nn

Built = tuple[nn.Module, tuple[Any, ...]]

SEQUENCE = (2, 5, 16)
IMAGE = (2, 6, 8, 8)


class Function(nn.Module):
    """A function of up to three tensors as a module. The parameter is for tools that ask a model for one."""

    def __init__(self, function: Callable[..., Any], inputs: int) -> None:
        super().__init__()
        self.function, self.inputs = function, inputs
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, a: Any, b: Any = None, c: Any = None) -> Any:
        if self.inputs == 1:
            return self.function(a)
        return self.function(a, b) if self.inputs == 2 else self.function(a, b, c)


class Layer(nn.Module):
    """A layer inside a module: some tools do not count the model itself."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x: Any) -> Any:
        return self.layer(x)


def _call(function: Callable[..., Any], *shapes: tuple[int, ...]) -> Callable[[], Built]:
    return lambda: (Function(function, len(shapes)), tuple(torch.randn(shape) for shape in shapes))


def _layer(make: Callable[[], nn.Module], *shapes: tuple[int, ...]) -> Callable[[], Built]:
    return lambda: (Layer(make()), tuple(torch.randn(shape) for shape in shapes))


def _attention(module: nn.Module) -> nn.Module:
    class Self(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = module

        def forward(self, x: Tensor) -> Tensor:
            return self.attention(x, x, x)[0]

    return Self()


class Shared(nn.Module):
    """One layer called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(x))


class TwoParents(nn.Module):
    """One layer under two parents."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.Linear(16, 16)
        self.a, self.b = nn.Sequential(layer), nn.Sequential(layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x))


class TwoNames(nn.Module):
    """One layer under three parents, one of which has two names."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.Linear(16, 16)
        self.a, self.b, self.c = nn.Sequential(layer), nn.Sequential(layer), layer
        self.again = self.a

    def forward(self, x: Tensor) -> Tensor:
        return self.again(self.b(self.a(x)))


class Toy(nn.Module):
    """The example of torch_flops: a Linear(5, 4) and an addition in place."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 4, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(x)
        x += 1.0
        return x


class LeNet(nn.Module):
    """The tutorial's network with 3x3 convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 16, 3)
        self.fc1, self.fc2, self.fc3 = nn.Linear(576, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), (2, 2))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class Block(nn.Module):
    """An encoder block of a vision transformer, attention in plain operators."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.depth = heads, width // heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.act, self.fc2 = nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.qkv(self.norm1(x)).reshape(1, 197, 3, self.heads, self.depth).permute(2, 0, 3, 1, 4)
        q, k, v = y[0], y[1], y[2]
        scores = ((q * self.depth**-0.5) @ k.transpose(-2, -1)).softmax(dim=-1)
        x = x + self.proj((scores @ v).transpose(1, 2).reshape(1, 197, self.heads * self.depth))
        return x + self.fc2(self.act(self.fc1(self.norm2(x))))


class VisionTransformer(nn.Module):
    """ViT-B/16 with nn.LayerNorm and attention in plain operators."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 768, 16, 16)
        self.token, self.places = nn.Parameter(torch.zeros(1, 1, 768)), nn.Parameter(torch.zeros(1, 197, 768))
        self.blocks = nn.Sequential(*(Block(768, 12) for _ in range(12)))
        self.norm, self.head = nn.LayerNorm(768), nn.Linear(768, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token, x], 1) + self.places
        return self.head(self.norm(self.blocks(x))[:, 0])


def _inplace(x: Tensor) -> Tensor:
    y = x * 1.0
    y *= x
    y += x
    return y


W = (16, 12)
OPERATORS: dict[str, Callable[[], Built]] = {
    "x @ w": _call(lambda x, w: x @ w, SEQUENCE, W),
    "torch.matmul": _call(lambda x, w: torch.matmul(x, w), SEQUENCE, W),
    "x.matmul": _call(lambda x, w: x.matmul(w), SEQUENCE, W),
    "matmul, batches": _call(lambda x, y: x @ y.transpose(1, 2), SEQUENCE, SEQUENCE),
    "matmul, broadcast": _call(lambda a, b: torch.matmul(a, b), (2, 1, 4, 8), (3, 8, 5)),
    "vector @ matrix": _call(lambda a, b: torch.matmul(a, b), (5,), (5, 12)),
    "matrix @ vector": _call(lambda a, b: torch.matmul(a, b), (5, 12), (12,)),
    "vector @ vector": _call(lambda a, b: torch.matmul(a, b), (12,), (12,)),
    "torch.mm": _call(lambda a, b: torch.mm(a, b), (5, 16), W),
    "torch.bmm": _call(lambda a, b: torch.bmm(a, b), SEQUENCE, (2, 16, 5)),
    "torch.addmm": _call(lambda c, a, b: torch.addmm(c, a, b), (12,), (5, 4), (4, 12)),
    "torch.baddbmm": _call(lambda c, a, b: torch.baddbmm(c, a, b), (2, 5, 5), SEQUENCE, (2, 16, 5)),
    "einsum bij,jk": _call(lambda a, b: torch.einsum("bij,jk->bik", a, b), SEQUENCE, W),
    "einsum abc,abd->acd": _call(lambda a, b: torch.einsum("bij,bik->bjk", a, b), SEQUENCE, SEQUENCE),
    "x + 1": _call(lambda x: x + 1, SEQUENCE),
    "torch.add": _call(lambda x, y: torch.add(x, y), SEQUENCE, SEQUENCE),
    "x * x": _call(lambda x: x * x, SEQUENCE),
    "torch.mul, broadcast": _call(lambda x, y: torch.mul(x, y), SEQUENCE, (16,)),
    "in place": _call(_inplace, SEQUENCE),
    "x - x": _call(lambda x: x - x, SEQUENCE),
    "x / 2": _call(lambda x: x / 2, SEQUENCE),
    "x.exp": _call(lambda x: x.exp(), SEQUENCE),
    "x.sum": _call(lambda x: x.sum(-1), SEQUENCE),
    "x.mean": _call(lambda x: x.mean(-1), SEQUENCE),
    "x.softmax": _call(lambda x: x.softmax(-1), SEQUENCE),
    "F.softmax": _call(lambda x: F.softmax(x, -1), SEQUENCE),
    "F.gelu": _call(lambda x: F.gelu(x), SEQUENCE),
    "F.silu": _call(lambda x: F.silu(x), SEQUENCE),
    "F.relu": _call(lambda x: F.relu(x), SEQUENCE),
    "x.relu": _call(lambda x: x.relu(), SEQUENCE),
    "F.linear": _call(lambda x, w: F.linear(x, w), SEQUENCE, (12, 16)),
    "F.conv2d": _call(lambda x, w, b: F.conv2d(x, w, b), IMAGE, (4, 6, 3, 3), (4,)),
    "F.conv2d, bias=": _call(lambda x, w, b: F.conv2d(x, w, bias=b), IMAGE, (4, 6, 3, 3), (4,)),
    "F.layer_norm": _call(lambda x: F.layer_norm(x, (16,)), SEQUENCE),
    "F.adaptive_avg_pool2d": _call(lambda x: F.adaptive_avg_pool2d(x, 1), IMAGE),
    "F.interpolate, size=": _call(lambda x: F.interpolate(x, size=(20, 20)), IMAGE),
    "F.interpolate, scale_factor=": _call(
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False), IMAGE
    ),
    "F.grid_sample": _call(lambda x, g: F.grid_sample(x, g, align_corners=False), IMAGE, (2, 4, 4, 2)),
    "attention": _call(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v), (2, 4, 5, 8), (2, 4, 7, 8), (2, 4, 7, 8)
    ),
    "attention, 3-D": _call(lambda q, k, v: F.scaled_dot_product_attention(q, k, v), *[SEQUENCE] * 3),
    "view, permute, cat": _call(lambda x: torch.cat([x.permute(1, 0, 2), x.view(5, 2, 16)], 1), SEQUENCE),
    "clamp, pow, sqrt": _call(lambda x: x.clamp(min=0.1).pow(2).sqrt(), SEQUENCE),
    "topk, cumsum": _call(lambda x: x.topk(3)[0].cumsum(-1), SEQUENCE),
    "nn.Linear": _layer(lambda: nn.Linear(16, 12), SEQUENCE),
    "nn.Linear, no bias": _layer(lambda: nn.Linear(16, 12, bias=False), SEQUENCE),
    "nn.Linear, matrix": _layer(lambda: nn.Linear(16, 12), (5, 16)),
    "nn.Conv1d": _layer(lambda: nn.Conv1d(6, 4, 3), (2, 6, 9)),
    "nn.Conv2d": _layer(lambda: nn.Conv2d(6, 4, 3, padding=1), IMAGE),
    "nn.Conv2d, no bias": _layer(lambda: nn.Conv2d(6, 4, 3, bias=False), IMAGE),
    "nn.Conv2d, groups": _layer(lambda: nn.Conv2d(6, 4, 3, groups=2), IMAGE),
    "nn.Conv2d, depthwise": _layer(lambda: nn.Conv2d(6, 6, 3, groups=6), IMAGE),
    "nn.Conv2d, same": _layer(lambda: nn.Conv2d(6, 4, 3, padding="same"), IMAGE),
    "nn.Conv2d, unbatched": _layer(lambda: nn.Conv2d(6, 4, 3), (6, 8, 8)),
    "nn.Conv3d": _layer(lambda: nn.Conv3d(6, 4, 3), (2, 6, 4, 4, 4)),
    "nn.ConvTranspose2d": _layer(lambda: nn.ConvTranspose2d(6, 4, 3, stride=2), IMAGE),
    "nn.BatchNorm2d": _layer(lambda: nn.BatchNorm2d(6), IMAGE),
    "nn.BatchNorm2d, plain": _layer(lambda: nn.BatchNorm2d(6, affine=False), IMAGE),
    "nn.LayerNorm": _layer(lambda: nn.LayerNorm(16), SEQUENCE),
    "nn.GroupNorm": _layer(lambda: nn.GroupNorm(2, 6), IMAGE),
    "nn.InstanceNorm2d": _layer(lambda: nn.InstanceNorm2d(6), IMAGE),
    "nn.Softmax": _layer(lambda: nn.Softmax(-1), SEQUENCE),
    "nn.ReLU": _layer(lambda: nn.ReLU(), SEQUENCE),
    "nn.GELU": _layer(lambda: nn.GELU(), SEQUENCE),
    "nn.SiLU": _layer(lambda: nn.SiLU(), SEQUENCE),
    "nn.LeakyReLU": _layer(lambda: nn.LeakyReLU(), SEQUENCE),
    "nn.PReLU": _layer(lambda: nn.PReLU(), SEQUENCE),
    "nn.MaxPool2d": _layer(lambda: nn.MaxPool2d(2), IMAGE),
    "nn.AvgPool2d": _layer(lambda: nn.AvgPool2d(2), IMAGE),
    "nn.AdaptiveAvgPool2d": _layer(lambda: nn.AdaptiveAvgPool2d(3), IMAGE),
    "nn.Upsample, nearest": _layer(lambda: nn.Upsample(scale_factor=2), IMAGE),
    "nn.Upsample, bilinear": _layer(lambda: nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE),
    "nn.Embedding": lambda: (Layer(nn.Embedding(20, 16)), (torch.arange(10).reshape(2, 5),)),
    "nn.Dropout, nn.Identity": _layer(lambda: nn.Sequential(nn.Dropout(), nn.Identity()), SEQUENCE),
    "nn.LSTM": _layer(lambda: nn.LSTM(16, 12, batch_first=True), SEQUENCE),
    "nn.LSTM, two ways": _layer(lambda: nn.LSTM(16, 12, 2, bidirectional=True, batch_first=True), SEQUENCE),
    "nn.GRU": _layer(lambda: nn.GRU(16, 12, batch_first=True), SEQUENCE),
    "nn.MultiheadAttention": lambda: (
        _attention(nn.MultiheadAttention(16, 4, batch_first=True)),
        (torch.randn(SEQUENCE),),
    ),
    "one layer twice": lambda: (Shared(), (torch.randn(SEQUENCE),)),
    "one layer, two parents": lambda: (TwoParents(), (torch.randn(SEQUENCE),)),
    "one parent, two names": lambda: (TwoNames(), (torch.randn(SEQUENCE),)),
}


# ---- models ---------------------------------------------------------------------------------------------------------


def _vision(name: str, size: int = 64) -> Callable[[], Built]:
    def build() -> Built:
        from torchvision.models import get_model

        return get_model(name, weights=None), (torch.randn(1, 3, size, size),)

    return build


def _text(model: str, config: str, sizes: dict[str, Any], **inputs: Any) -> Callable[[], Built]:
    def build() -> Built:
        import transformers

        class Text(nn.Module):
            """Positional inputs, a tensor as result: every tool takes that."""

            def __init__(self) -> None:
                super().__init__()
                self.model = getattr(transformers, model)(getattr(transformers, config)(**sizes))

            def forward(self, ids: Tensor) -> Tensor:
                return self.model(ids, **{**inputs, "return_dict": False})[0]

        return Text(), (torch.arange(26).reshape(2, 13) % 100 + 3,)

    return build


_SMALL = {
    "vocab_size": 120,
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
}
MODELS: dict[str, Callable[[], Built]] = {
    "toy": lambda: (Toy(), (torch.randn(1, 5),)),
    "toy without bias": lambda: (Toy(bias=False), (torch.randn(1, 5),)),
    "LeNet": lambda: (LeNet(), (torch.randn(1, 1, 32, 32),)),
    "block of ViT": lambda: (Block(768, 2), (torch.randn(1, 197, 768),)),
    "ViT-B/16, plain": lambda: (VisionTransformer(), (torch.randn(1, 3, 224, 224),)),
    "AlexNet": _vision("alexnet", 224),
    "VGG-11": _vision("vgg11"),
    "ResNet-18": _vision("resnet18"),
    "ResNet-18, 224": _vision("resnet18", 224),
    "ResNet-50": _vision("resnet50", 224),
    "DenseNet-121": _vision("densenet121"),
    "SqueezeNet": _vision("squeezenet1_0"),
    "MobileNetV2": _vision("mobilenet_v2"),
    "MobileNetV3": _vision("mobilenet_v3_small"),
    "EfficientNet-B0": _vision("efficientnet_b0"),
    "ShuffleNetV2": _vision("shufflenet_v2_x1_0"),
    "RegNetY": _vision("regnet_y_400mf"),
    "ConvNeXt": _vision("convnext_tiny"),
    "Swin": _vision("swin_t"),
    "ViT-B/16": _vision("vit_b_16", 224),
    "BERT": _text("BertModel", "BertConfig", _SMALL),
    "BERT, eager attention": _text("BertModel", "BertConfig", {**_SMALL, "attn_implementation": "eager"}),
    "GPT-2": _text(
        "GPT2LMHeadModel",
        "GPT2Config",
        {"vocab_size": 120, "n_embd": 48, "n_layer": 2, "n_head": 4, "n_positions": 64},
        use_cache=False,
    ),
    "Llama": _text(
        "LlamaForCausalLM",
        "LlamaConfig",
        {**_SMALL, "num_key_value_heads": 2, "attn_implementation": "eager"},
        use_cache=False,
    ),
}
PROGRAMS = OPERATORS | MODELS


if __name__ == "__main__":
    print("\n".join(PROGRAMS))
