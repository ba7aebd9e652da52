"""The models, budgets and measure of the comparison of activation checkpointing, written down before its first run.

Models are bound by memory on a CPU: narrow products between norms, activations, embeddings, dropout, residuals.

For each model and budget, one training step (forward, sum of the squared output, backward, gradients dropped) is
compiled by torch's default backend twice: with torch's own choice (runtime estimator "flops", solver "dp") and with
fxcost.compiler.use_memory_budget. Both run in turns in one process, one thread, ROUNDS times after three runs that are
not counted. STEP is the least time of each. PEAK is the most bytes of torch's CPU allocator alive at once during one
step above what was alive before it, as torch's profiler records allocations. SAVED is the bytes that the compiled step
keeps for its backward pass, parameters and inputs apart. RECOMPUTED is how many FLOPs (products and vector work)
forward and backward execute more than with budget 1.

A win is a lower step time at an equal or lower peak, or a lower peak at a step time within 1 %. A loss is a step time
that is more than 2 % higher. A tie of less than 1 % in time with an equal peak is neither.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

BUDGETS = (0.5, 0.25, 0.1)
ROUNDS = 25
Built = tuple[nn.Module, tuple[Any, ...]]


class Norms(nn.Module):
    """Layer norms, GELU, dropout and residuals around one narrow product a block."""

    def __init__(self, width: int = 96, blocks: int = 5) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(blocks))
        self.mixes = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.drop = nn.Dropout(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for norm, mix in zip(self.norms, self.mixes, strict=True):
            x = x + self.drop(nn.functional.gelu(mix(norm(x))))
        return x


class Recommender(nn.Module):
    """Embeddings of many fields, joined, normalised, and a narrow tower with dropout."""

    def __init__(self, fields: int = 12, rows: int = 5000, width: int = 32) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(rows, width) for _ in range(fields))
        self.norm = nn.LayerNorm(fields * width)
        self.down, self.middle, self.out = nn.Linear(fields * width, 128), nn.Linear(128, 64), nn.Linear(64, 1)
        self.drop = nn.Dropout(0.1)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        joined = torch.cat([table(ids[:, field]) for field, table in enumerate(self.tables)], 1)
        x = self.drop(torch.relu(self.down(self.norm(joined))))
        return self.out(self.drop(torch.sigmoid(self.middle(x))))


class Gated(nn.Module):
    """RMS norms and gated units, as in language models, of a small width."""

    def __init__(self, width: int = 128, hidden: int = 192, blocks: int = 4) -> None:
        super().__init__()
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(width)) for _ in range(blocks))
        self.gates = nn.ModuleList(nn.Linear(width, hidden, bias=False) for _ in range(blocks))
        self.ups = nn.ModuleList(nn.Linear(width, hidden, bias=False) for _ in range(blocks))
        self.downs = nn.ModuleList(nn.Linear(hidden, width, bias=False) for _ in range(blocks))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for scale, gate, up, down in zip(self.scales, self.gates, self.ups, self.downs, strict=True):
            normed = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * scale
            x = x + down(nn.functional.silu(gate(normed)) * up(normed))
        return x


class Encoder(nn.Module):
    """Transformer layers with dropout and fused attention over narrow heads."""

    def __init__(self, width: int = 128, heads: int = 4, blocks: int = 3) -> None:
        super().__init__()
        self.heads = heads
        self.table = nn.Embedding(1000, width)
        self.qkv = nn.ModuleList(nn.Linear(width, 3 * width) for _ in range(blocks))
        self.outs = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.first = nn.ModuleList(nn.LayerNorm(width) for _ in range(blocks))
        self.second = nn.ModuleList(nn.LayerNorm(width) for _ in range(blocks))
        self.ups = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(blocks))
        self.downs = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(blocks))
        self.drop = nn.Dropout(0.1)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.table(ids)
        for qkv, out, first, second, up, down in zip(
            self.qkv, self.outs, self.first, self.second, self.ups, self.downs, strict=True
        ):
            q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in qkv(first(x)).chunk(3, -1))
            mixed = nn.functional.scaled_dot_product_attention(q, k, v)
            x = x + self.drop(out(mixed.transpose(1, 2).flatten(2)))
            x = x + self.drop(down(nn.functional.gelu(up(second(x)))))
        return x


class Scores(nn.Module):
    """Attention written out: scores, softmax and dropout over them are larger than everything else."""

    def __init__(self, width: int = 64, heads: int = 4, blocks: int = 3) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.ModuleList(nn.Linear(width, 3 * width) for _ in range(blocks))
        self.outs = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(blocks))
        self.drop = nn.Dropout(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for qkv, out, norm in zip(self.qkv, self.outs, self.norms, strict=True):
            q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in qkv(norm(x)).chunk(3, -1))
            scores = self.drop(torch.softmax(q @ k.transpose(-1, -2) * 0.25, -1))
            x = x + out((scores @ v).transpose(1, 2).flatten(2))
        return x


class Channels(nn.Module):
    """Batch norms, SiLU and squeezed gates around convolutions of one pixel."""

    def __init__(self, width: int = 32, blocks: int = 4) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(blocks))
        self.mixes = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(blocks))
        self.gates = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for norm, mix, gate in zip(self.norms, self.mixes, self.gates, strict=True):
            y = nn.functional.silu(norm(mix(x)))
            x = x + y * torch.sigmoid(gate(y.mean((2, 3))))[:, :, None, None]
        return x


MODELS: dict[str, Callable[[], Built]] = {
    "norms": lambda: (Norms(), (torch.randn(64, 128, 96),)),
    "recommender": lambda: (Recommender(), (torch.randint(0, 5000, (4096, 12)),)),
    "gated": lambda: (Gated(), (torch.randn(32, 128, 128),)),
    "encoder": lambda: (Encoder(), (torch.randint(0, 1000, (8, 256)),)),
    "scores": lambda: (Scores(), (torch.randn(8, 192, 64),)),
    "channels": lambda: (Channels(), (torch.randn(8, 32, 48, 48),)),
}
