"""What ``fxcost calibrate --compiled`` runs: loops that torch.compile makes of pointwise operators, copies, reductions
and normalisations at many sizes. All are one graph, which becomes one C++ function: compiling it takes the most time.

Sizes are drawn from a generator with a fixed seed; they follow no particular model."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from .captured import Capture
from .columns import NONE
from .compiling import converter_of
from .convert import Converter
from .errors import FxcostError, first_line
from .exporter import ambient, finish
from .kernel_profile import Step, profile, steps_of
from .lowered import copied, unrun
from .sample_builder import evenly
from .timing import add_times, quieter_half

PROFILE = "inductor-cpu"
WARMUP, COUNTED = 3, 11
_MOST = 2_000_000  # elements of a tensor

Formula = Callable[..., torch.Tensor]


@dataclass
class Loops:
    """Formulas that share nothing, each over tensors of its own: each becomes a kernel of its own."""

    seed: int = 0
    formulas: list[tuple[Formula, int]] = field(default_factory=list)  # and how many tensors it takes
    inputs: list[torch.Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def add(self, formula: Formula, *tensors: torch.Tensor) -> None:
        self.formulas.append((formula, len(tensors)))
        self.inputs += tensors

    def size(self, low: float, high: float) -> int:
        return evenly(self.random, low, high)

    def width(self, *choices: int) -> int:
        return self.random.choice(choices)

    def run(self, *inputs: torch.Tensor) -> list[Any]:
        taken, results = 0, []
        for formula, count in self.formulas:
            results.append(formula(*inputs[taken : taken + count]))
            taken += count
        return results


# ---- formulas -------------------------------------------------------------------------------------------------------

_FUNCTIONS: dict[str, Formula] = {
    "exp": torch.exp,
    "tanh": torch.tanh,
    "erf": torch.erf,
    "log": lambda x: torch.log(x.abs() + 1),
    "sin": torch.sin,
    "cos": torch.cos,
    "sigmoid": torch.sigmoid,
    "divide": lambda x: 1 / (x.abs() + 1),
    "root": lambda x: torch.sqrt(x.abs()),
    "reciprocal_root": lambda x: torch.rsqrt(x.abs() + 1),
    "gelu": nn.functional.gelu,
    "gelu_tanh": lambda x: nn.functional.gelu(x, approximate="tanh"),
    "silu": nn.functional.silu,
    "relu": torch.relu,
}


def all_loops(seed: int = 0) -> Loops:
    made = Loops(seed)
    for _ in range(3):
        for function in _FUNCTIONS.values():
            _function(made, function)
    for case in (_chain, _channels, _transposed, _weights, _heads, _fold, _layer_norm, _rms_norm, _softmax):
        for _ in range(8):
            case(made)
    for case in (_fetched, _joined, _rotated, _masked, _pooled, _columns):
        for _ in range(5):
            case(made)
    return made


def _function(made: Loops, function: Formula) -> None:
    """A function of every element, alone or between others."""
    rows, width = made.size(1, 600), made.width(64, 192, 256, 512, 768, 1024, 2048, 3072)
    kind = made.random.randrange(3)
    x, y = torch.randn(rows, width), torch.randn(rows, width)
    if kind == 0:
        made.add(lambda x: function(x), x)
    elif kind == 1:
        made.add(lambda x, y: function(x) * y, x, y)
    else:
        made.add(lambda x, b: function(x + b) * 0.5, x, torch.randn(width))


def _chain(made: Loops) -> None:
    """Light operators over one to four tensors."""
    elements, count, length = made.size(500, _MOST), made.random.randint(1, 4), made.random.randint(1, 8)
    operators = [made.random.choice((torch.add, torch.mul, torch.sub, torch.maximum)) for _ in range(length)]

    def formula(*tensors: torch.Tensor) -> torch.Tensor:
        x = tensors[0]
        for place, operator in enumerate(operators):
            x = operator(x, tensors[(place + 1) % count] if count > 1 else x * (0.5 + place))
        return x

    made.add(formula, *(torch.randn(elements) for _ in range(count)))


def _channels(made: Loops) -> None:
    """Batch normalisation of an image whose channels lie innermost, with what often follows it."""
    channels, side = made.width(16, 32, 64, 96, 128, 256, 512, 1024), made.size(5, 80)
    side = min(side, int((_MOST / channels) ** 0.5))
    x = torch.randn(1, channels, side, side).contiguous(memory_format=torch.channels_last)
    mean, variance, weight, bias = (torch.rand(channels) for _ in range(4))
    residual = torch.randn(x.shape).contiguous(memory_format=torch.channels_last)
    after = made.random.choice(("none", "relu", "add", "clamp"))

    def formula(x: torch.Tensor, m: Any, v: Any, w: Any, b: Any, *more: torch.Tensor) -> torch.Tensor:
        y = nn.functional.batch_norm(x, m, v, w, b)
        y = torch.relu(y) if after == "relu" else y.clamp(0, 6) if after == "clamp" else y
        return torch.relu(y + more[0]) if more else y

    made.add(formula, x, mean, variance, weight, bias, *([residual] if after == "add" else []))


def _transposed(made: Loops) -> None:
    """A matrix into its transpose, or an image into channels innermost."""
    if made.random.random() < 0.5:
        rows, columns = made.size(8, 1500), made.width(16, 49, 64, 100, 196, 256, 512, 768)
        made.add(lambda x: (x.t() * 2).contiguous(), torch.randn(rows, columns))
    else:
        channels, side = made.width(3, 3, 16, 32, 64, 128, 256), made.size(7, 160)
        side = min(side, int((_MOST / channels) ** 0.5))
        x = torch.randn(1, channels, side, side)
        made.add(lambda x: (x + 1).contiguous(memory_format=torch.channels_last), x)


def _weights(made: Loops) -> None:
    """The weight of a convolution into channels innermost."""
    side = made.width(3, 3, 3, 5, 7)
    out, channels = made.width(16, 32, 64, 128, 256), made.width(3, 16, 32, 64, 128, 256)
    made.add(lambda w: (w * 2).contiguous(memory_format=torch.channels_last), torch.randn(out, channels, side, side))


def _heads(made: Loops) -> None:
    """Heads to the front, or back behind the rows."""
    rows, heads, depth = made.size(8, 500), made.width(4, 8, 12, 16), made.width(32, 64, 80, 128)
    x = torch.randn(1, rows, heads, depth)
    if made.random.random() < 0.5:
        made.add(lambda x: (x * 0.125).transpose(1, 2).contiguous(), x)
    else:
        made.add(lambda x: (x.transpose(1, 2) + 1).transpose(2, 3).contiguous(), x)


def _rows(made: Loops) -> tuple[int, int]:
    return made.size(1, 800), made.width(49, 64, 128, 196, 256, 384, 512, 768, 1024, 1536)


def _fold(made: Loops) -> None:
    rows, width = _rows(made)
    fold: Formula = made.random.choice((torch.sum, torch.mean, torch.amax))
    x = torch.randn(rows, width)
    if made.random.random() < 0.5:
        made.add(lambda x: fold(x, -1), x)
    else:
        made.add(lambda x, y: fold(x * y, -1), x, torch.randn(rows, width))


def _columns(made: Loops) -> None:
    """Over the outer dimension: the mean of an image whose channels lie innermost."""
    rows, width = made.size(4, 1000), made.width(64, 128, 256, 512, 768, 1280)
    made.add(lambda x: torch.mean(x, 0), torch.randn(rows, width))


def _layer_norm(made: Loops) -> None:
    rows, width = _rows(made)
    x, y, weight, bias = torch.randn(rows, width), torch.randn(rows, width), torch.rand(width), torch.rand(width)
    if made.random.random() < 0.5:
        made.add(lambda x, w, b: nn.functional.layer_norm(x, (width,), w, b), x, weight, bias)
    else:
        made.add(lambda x, y, w, b: nn.functional.layer_norm(x + y, (width,), w, b), x, y, weight, bias)


def _rms_norm(made: Loops) -> None:
    rows, width = _rows(made)
    made.add(
        lambda x, w: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * w,
        torch.randn(rows, width), torch.rand(width),
    )  # fmt: skip


def _softmax(made: Loops) -> None:
    rows, width = _rows(made)
    made.add(lambda x: torch.softmax(x * 0.125, -1), torch.randn(rows, width))


def _fetched(made: Loops) -> None:
    """Rows of a table, added to those of another."""
    rows, width, entries = made.size(4, 600), made.width(64, 256, 512, 768), made.size(50, 4000)
    made.add(
        lambda i, table, x: nn.functional.embedding(i, table) + x,
        torch.randint(0, entries, (rows,)), torch.randn(entries, width), torch.randn(rows, width),
    )  # fmt: skip


def _joined(made: Loops) -> None:
    rows, width = made.size(4, 600), made.width(64, 128, 256, 512)
    made.add(
        lambda x, y: torch.cat((x, y * 2), 1) + 1, torch.randn(rows, width), torch.randn(rows, made.width(32, width))
    )


def _rotated(made: Loops) -> None:
    """Rotary position embedding."""
    rows, heads, depth = made.size(8, 400), made.width(4, 8, 12), made.width(32, 64, 128)

    def formula(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        x = x.transpose(1, 2)
        half = torch.cat((-x[..., depth // 2 :], x[..., : depth // 2]), -1)
        return x * cos + half * sin

    made.add(formula, torch.randn(1, rows, heads, depth), torch.randn(rows, depth), torch.randn(rows, depth))


def _masked(made: Loops) -> None:
    """Comparisons of positions, and a choice by them."""
    rows, columns = made.size(16, 700), made.size(16, 700)

    def formula(i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        return torch.where(i[:, None] >= j[None, :], 0.0, -1e9)

    made.add(formula, torch.arange(rows), torch.arange(columns))


def _pooled(made: Loops) -> None:
    channels, side = made.width(16, 32, 64, 128), made.size(8, 80)
    x = torch.randn(1, channels, side, side).contiguous(memory_format=torch.channels_last)
    made.add(lambda x: nn.functional.max_pool2d(torch.relu(x), 3, 2, 1), x)


# ---- measuring ------------------------------------------------------------------------------------------------------


def measure_loops(head: dict[str, Any], made: Loops) -> Capture:
    """Compiles and runs loops, and keeps what each kernel took at the last node that it was made from."""
    from torch._inductor import config
    from torch._inductor.virtualized import V

    graphs: list[torch.fx.GraphModule] = []

    def note(nodes: list[Any]) -> list[Any]:
        graph: Any = V.graph
        graphs.append(unrun(graph.module, copied(graph.module.graph)))
        return nodes

    torch._dynamo.reset()
    with torch.no_grad(), steps_of(nests=True) as steps, config.patch(_post_fusion_custom_pass=note):
        compiled = torch.compile(made.run, fullgraph=True)
        try:
            compiled(*made.inputs)
        except Exception as error:  # torch has many classes for what its compiler meets
            raise FxcostError(
                "calibrate --compiled\n  expected: torch.compile to work here, for which it needs a C++ compiler\n"
                f"  found: {type(error).__name__}: {first_line(error)}\n  try: without --compiled",
                status="CAPTURE",
            ) from error
    with torch.no_grad():
        for _ in range(WARMUP):
            compiled(*made.inputs)
        profile(steps, lambda: compiled(*made.inputs), COUNTED, nests=True)
    (module,) = graphs
    converter = converter_of(module, "inference", "lowered")
    _add_times(converter, module, steps)
    said = {"model": "samples of loops", "route": "compiled", "dialect": "lowered", "measured_kernels": PROFILE}
    return finish(converter, module, {**said, **ambient(), **head}, False, "samples of loops")


def _add_times(converter: Converter, module: torch.fx.GraphModule, steps: list[Step]) -> None:
    order = {node.name: (place, node) for place, node in enumerate(module.graph.nodes)}
    totals = [sum(step.runs[run] for step in steps) for run in range(COUNTED)]
    kept = quieter_half([round(total) for total in totals])
    for step in steps:
        parts = (part.node for part in step.nodes[0].get_nodes())
        names = {origin.name for part in parts for origin in part.get_origins()}
        _, last = max(order[name] for name in names if name in order)
        node = converter.columns.rows["value_producer"][converter.value_of[last]]
        if node != NONE:
            add_times(converter, node, [max(1, round(step.runs[run])) for run in kept])
