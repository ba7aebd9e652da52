"""Small models for the tests of fxcost inside torch.compile, one for each kind of work, and torch's count of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch._dynamo.backends.common import aot_autograd
from torch._functorch.aot_autograd import make_boxed_func
from torch._functorch.partitioners import min_cut_rematerialization_partition
from torch.utils import _pytree as pytree
from torch.utils.flop_counter import FlopCounterMode

Built = tuple[nn.Module, tuple[Any, ...]]


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(16, 32), nn.Linear(32, 16)
        self.norm, self.drop = nn.LayerNorm(16), nn.Dropout(0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x + self.drop(self.two(nn.functional.gelu(self.one(x)))))


class _Convolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.deep = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return self.head((x + self.deep(x)).mean((2, 3)))


class _Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 16)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.head = nn.Linear(16, 50)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(self.table(ids)))


class _Causal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(16, 48, bias=False), nn.Linear(16, 16, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (part.unflatten(-1, (2, 8)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return x + self.out(mixed.transpose(1, 2).flatten(2))


class _Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate, self.up, self.down = nn.Linear(16, 24), nn.Linear(16, 24), nn.Linear(24, 16)
        self.scale = nn.Parameter(torch.ones(16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.scale
        return x + self.down(nn.functional.silu(self.gate(normed)) * self.up(normed))


class Broken(nn.Module):
    """A graph break in an inner module that the model calls twice."""

    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.after = nn.Linear(16, 24), nn.Linear(24, 16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.relu(self.before(x))
            torch._dynamo.graph_break()
            return self.after(x)

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = self.Inner(), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.inner(x))


def _residual() -> Built:
    return _Residual(), (torch.randn(4, 16),)


def _convolutions() -> Built:
    return _Convolutions(), (torch.randn(2, 3, 8, 8),)


def _tokens() -> Built:
    return _Tokens(), (torch.randint(0, 50, (2, 6)),)


def _causal() -> Built:
    return _Causal(), (torch.randn(2, 6, 16),)


def _gated() -> Built:
    return _Gated(), (torch.randn(2, 6, 16),)


def _broken() -> Built:
    return Broken(), (torch.randn(4, 16),)


MODELS: dict[str, Callable[[], Built]] = {
    "residual": _residual,
    "convolutions": _convolutions,
    "tokens": _tokens,
    "causal": _causal,
    "gated": _gated,
    "broken": _broken,
}


def run(model: torch.nn.Module, inputs: tuple[Any, ...], train: bool, compiled: Any) -> list[torch.Tensor]:
    """The output, and the gradients of a training step."""
    model.train(train)
    model.zero_grad(set_to_none=True)
    if not train:
        with torch.no_grad():
            return pytree.tree_leaves(compiled(*inputs))
    torch.manual_seed(1)
    results = [value for value in pytree.tree_leaves(compiled(*inputs)) if value.requires_grad]
    sum(value.square().sum() for value in results).backward()
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    return [*(value.detach() for value in results), *gradients]


def counted_by_flop_counter(model: torch.nn.Module, inputs: tuple[Any, ...], train: bool) -> int:
    """Sum over the graphs that AOTAutograd makes of Dynamo's, each run once under torch's FlopCounterMode."""
    total: dict[int, int] = {}

    def compiler(graph: torch.fx.GraphModule, _: Any) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            with FlopCounterMode(display=False) as counter:
                result = graph.forward(*args)
            total[id(graph)] = counter.get_total_flops()
            return result

        return make_boxed_func(counted)

    torch.compiler.reset()
    backend = aot_autograd(fw_compiler=compiler, partition_fn=min_cut_rematerialization_partition)
    run(model, inputs, train, torch.compile(model, backend=backend))
    torch.compiler.reset()
    return sum(total.values())
