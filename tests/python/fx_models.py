"""Models that torch.fx traces, each with sizes to be given to its inputs; ``long`` inputs are indices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

Sizes = dict[str, tuple[int, ...]]


class Bottleneck(nn.Module):
    def __init__(self, inner: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * 4)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inner != planes * 4:
            self.downsample = nn.Sequential(
                nn.Conv2d(inner, planes * 4, 1, stride, bias=False), nn.BatchNorm2d(planes * 4)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += identity
        return self.relu(out)


class ResNet50(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inner = 64
        for stage, (planes, blocks) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)]):
            layers = []
            for block in range(blocks):
                layers.append(Bottleneck(inner, planes, 2 if stage > 0 and block == 0 else 1))
                inner = planes * 4
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(2048, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = torch.flatten(self.avgpool(x), 1)
        return self.fc(x)


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.linear(x)
        x += 1.0
        return x


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(8, 8))
        self.kernel = nn.Parameter(torch.randn(8, 3, 3, 3))
        self.register_buffer("bias", torch.randn(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.conv2d(x, self.kernel, self.bias, stride=2, padding=1)
        b, c = x.size(0), x.shape[1]
        rows = x.view(b, c, -1).transpose(1, 2)
        rows = rows @ self.w
        rows = torch.cat([rows[:, 1:], rows[:, :1]], dim=1)
        scores = torch.einsum("bnc,bmc->bnm", rows, rows) / c**0.5
        rows = scores.softmax(dim=-1).matmul(rows)
        x = rows.permute(0, 2, 1).contiguous().view(x.shape)
        x = F.relu(x, inplace=True)
        x += 1.0
        return x.view(x.size(0), -1)


class Attention(nn.Module):
    """A transformer block in functional style."""

    def __init__(self, dim: int = 32, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, n, d = x.shape[0], x.shape[1], x.shape[2]
        qkv = self.qkv(self.norm1(x)).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        scores = (q @ k.transpose(-2, -1)) * (d // self.heads) ** -0.5
        y = (self.drop(scores.softmax(-1)) @ v).transpose(1, 2).reshape(b, n, d)
        x = x + self.drop(self.proj(y))
        fused = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + fused
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


def convnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding="same"),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1, groups=2),
        nn.GroupNorm(4, 16),
        nn.GELU(),
        nn.AvgPool2d(2),
        nn.ConvTranspose2d(16, 8, 2, stride=2),
        nn.SiLU(),
        nn.Dropout(0.2),
        nn.AdaptiveAvgPool2d((2, 2)),
        nn.Flatten(),
        nn.Linear(32, 10),
        nn.Softmax(dim=-1),
    )


class Embeddings(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(100, 16, padding_idx=0)
        self.places = nn.Embedding(64, 16)
        self.norm = nn.LayerNorm(16)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        mask = ids != 0
        x = self.words(ids) + self.places(mask.long().cumsum(1))
        mask = mask.unsqueeze(-1)
        x = self.norm(x).masked_fill(~mask, 0.0)
        first = x[:, 0]
        mean = x.sum(dim=1) / mask.sum(dim=1)
        return torch.stack([first, mean], dim=1).mean(dim=(1,), keepdim=True)


class Pieces(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        a, b = x.chunk(2, dim=-1)
        y = a * torch.sigmoid(b)
        parts = torch.split(y, [1, 2], dim=0)
        z = torch.cat([parts[1], parts[0]])
        rows = z.unbind(0)
        return rows[0] + rows[1], z.tanh()


class Arithmetic(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = 1 / x + x**2 - (-x)
        y = 2 - y
        y = y / 3 // 1 % 5
        y = torch.where(y > 0, y, torch.exp(y))
        y = y * (x < 1) + (x > 1.0).float()
        y = y.clamp(min=0).add(x, alpha=2)
        top = y.max(dim=-1, keepdim=True)[0]
        low = y.min()
        return torch.maximum(y - top, low).abs().sqrt().sum(-1) + torch.max(x, y).mean()


class Indexing(nn.Module):
    def forward(self, x: torch.Tensor, i: torch.Tensor) -> torch.Tensor:
        a = x[:, 0] + x[:, -1]
        b = x[..., None] * 2
        c = x[None, :, 1:3, ::2] + 1
        d = x[:, i] * 3
        e = x[0] - x[-1]
        f = x[..., 1:].sum() + x[:, None].mean()
        return a.sum() + b.sum() + c.sum() + d.sum() + e.sum() + f


class Resizing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.conv = nn.Conv2d(3, 3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.pad(x, (1, 1, 1, 1), mode="reflect")
        y = self.conv(y)
        y = F.interpolate(y, scale_factor=2.0, mode="nearest")
        y = y + self.up(x)
        y = F.interpolate(y, size=x.shape[-2:], mode="bicubic", align_corners=False)
        y = F.pad(y, (0, 1, 2, 0), value=1.0) * 2
        return F.adaptive_max_pool2d(F.leaky_relu(y, 0.2), 1).squeeze(-1).squeeze(-1)


class Views(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, n, d = x.shape
        y = x.reshape(b * n, d).t().contiguous().T
        y = y.unflatten(0, (b, n)).expand(b, n, d).repeat(1, 2, 1)
        y = y.view(b, 2 * n, -1).flip(1).roll(1, 1).squeeze().unsqueeze(0)
        y = y.transpose(-1, 1).to(torch.float64).type_as(x).to(x.dtype)
        y = y.mT.swapaxes(0, 1).narrow(0, 0, d // 2)
        return (y + 1).cumsum(0).detach() * x.size()[-1]


class Bags(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag, self.mean = nn.EmbeddingBag(50, 8, mode="sum"), nn.EmbeddingBag(50, 8)
        self.most = nn.EmbeddingBag(50, 8, mode="max")
        self.head = nn.Linear(8, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.bag(ids) + self.mean(ids) + self.most(ids))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 6, num_layers=2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(12, 5, batch_first=True)
        self.rnn = nn.RNN(5, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, (h, _) = self.lstm(x)
        z, _ = self.gru(y)
        z, last = self.rnn(torch.tanh(z))
        return last + h.mean()


class Heads(nn.Module):
    """nn.MultiheadAttention in its several ways."""

    def __init__(self) -> None:
        super().__init__()
        self.own = nn.MultiheadAttention(16, 4, batch_first=True)
        self.cross = nn.MultiheadAttention(16, 2, kdim=8, vdim=8)
        self.memory = nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, weights = self.own(x, x, x)
        m = self.memory(x).transpose(0, 1)
        z = self.cross(y.transpose(0, 1), m, m, need_weights=False)[0]
        return z.sum() + weights.mean()


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(16, 2, 24, batch_first=True), 2)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.decoder(y, self.encoder(x))


class Norms(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inst = nn.InstanceNorm2d(4, affine=True)
        self.batch = nn.BatchNorm2d(4)
        self.prelu = nn.PReLU(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.prelu(self.batch(self.inst(x)))
        y = F.normalize(y, dim=1) + F.softplus(x) + F.hardswish(x) + F.elu(x)
        y = F.layer_norm(y, y.shape[-2:]) - F.log_softmax(y, dim=1)
        mean, var = y.mean((2, 3), keepdim=True), y.var((2, 3), keepdim=True)
        y = (y - mean) * torch.rsqrt(var + 1e-5)
        return F.glu(y, dim=1).addcmul(x[:, :2], x[:, 2:]).norm(dim=-1)


Make = Callable[[], nn.Module]
MODELS: dict[str, tuple[Make, list[Sizes]]] = {
    "resnet50": (ResNet50, [{"x": (1, 3, 64, 64)}, {"x": (2, 3, 96, 128)}]),
    "toy": (Toy, [{"x": (1, 5)}, {"x": (7, 5)}, {"x": (2, 3, 5)}]),
    "functional": (Functional, [{"x": (1, 3, 8, 8)}, {"x": (3, 3, 12, 10)}]),
    "attention": (Attention, [{"x": (1, 4, 32)}, {"x": (2, 9, 32)}]),
    "convnet": (convnet, [{"input": (1, 3, 16, 16)}, {"input": (4, 3, 24, 32)}]),
    "embeddings": (Embeddings, [{"ids": (2, 8)}, {"ids": (3, 33)}]),
    "bags": (Bags, [{"ids": (2, 8)}, {"ids": (5, 3)}]),
    "views": (Views, [{"x": (2, 3, 8)}, {"x": (3, 4, 6)}]),
    "recurrent": (Recurrent, [{"x": (2, 5, 8)}, {"x": (3, 7, 8)}]),
    "heads": (Heads, [{"x": (2, 5, 16)}, {"x": (1, 9, 16)}]),
    "transformer": (Transformer, [{"x": (2, 5, 16), "y": (2, 3, 16)}, {"x": (1, 4, 16), "y": (1, 7, 16)}]),
    "pieces": (Pieces, [{"x": (3, 8)}, {"x": (3, 5, 4)}]),
    "arithmetic": (Arithmetic, [{"x": (4, 6)}, {"x": (2, 3, 5)}]),
    "indexing": (Indexing, [{"x": (3, 4, 6), "i": (2,)}, {"x": (2, 5, 7), "i": (3,)}]),
    "resizing": (Resizing, [{"x": (1, 3, 8, 8)}, {"x": (2, 3, 10, 14)}]),
    "norms": (Norms, [{"x": (2, 4, 5, 6)}, {"x": (3, 4, 8, 8)}]),
}
LONG = {"ids", "i"}


def inputs(sizes: Sizes) -> dict[str, torch.Tensor]:
    return {
        name: torch.ones(size, dtype=torch.int64) if name in LONG else torch.rand(size) + 0.5
        for name, size in sizes.items()
    }
