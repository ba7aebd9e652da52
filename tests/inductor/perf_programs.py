"""Programs whose memory traffic on a GPU PyTorch's own tests state: rows of test/inductor/test_perf.py of
pytorch/pytorch (main of 2026), where a program's number is torch._inductor.metrics.num_bytes_accessed / 4 in float32.

ROWS holds them: the number, the program, its inputs' sizes, and what the upstream test sets besides. ``gpu_elements``
gives the same number under a profile of fxcost. Rows of whole tests are left out where they need a GPU to run a Triton
kernel of the user (test_inplace_triton_kernel_*) or state no number (test_create_block_mask).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._inductor import config

import fxcost
from fxcost.binding import Program
from fxcost.fusion import kernels

aten = torch.ops.aten


@dataclass(frozen=True)
class Row:
    """``train``: forward and backward of the mean. ``operations``: realize_opcount_threshold that the test sets.
    ``miss``: why fxcost's number differs, where it does."""

    name: str
    elements: int
    run: Callable[..., Any]
    inputs: tuple[Any, ...]
    train: bool = False
    operations: int | None = None
    cpu: bool = False
    patterns: bool = True
    miss: str = ""


ROWS: list[Row] = []


def row(name: str, elements: int, run: Callable[..., Any], *inputs: Any, **settings: Any) -> None:
    ROWS.append(Row(name, elements, run, inputs, **settings))


@dataclass(frozen=True)
class Index:
    """int32 numbers below ``below``."""

    size: tuple[int, ...]
    below: int = 10


V, M, C = (10,), (10, 10), (10, 10, 10)

# ---- NumBytesMetricTests --------------------------------------------------------------------------------------------

row("cos", 20, lambda x: x.cos(), V)
row("add", 30, lambda x, y: x + y, V, V)
row("add a row", 210, lambda x, y: x + y, M, V)
row("add itself", 20, lambda x: x + x, V)
row("add its transpose", 200, lambda x: x + x.t(), M)
row("two outputs", 50, lambda a, b, c: (a.cos(), b.sin() + c.sin()), V, V, V)
row("sum of rows", 110, lambda x: x.sum(dim=1), M)
row("sum of columns", 110, lambda x: x.sum(dim=0), M)
row("mm with itself", 200, lambda x: x @ x, M)
row("mm", 300, lambda a, b: a @ b, M, M)


def _cos_mm_cos(x: Tensor) -> Tensor:
    y = x.cos()
    return (y @ y).cos()


row("cos, mm, cos", 600, _cos_mm_cos, M)
row("mm of cos and sin", 600, lambda x: x.cos() @ x.sin(), M)
row("cat of two sin", 40, lambda a, b: torch.cat([a.sin(), b.sin()]), V, V)
row("cat of inputs", 40, lambda a, b: torch.cat([a, b]), V, V)
row("cat of cos and an input", 40, lambda a, b: torch.cat([a.cos(), b]), V, V)
row("cat of cos and sin of one", 30, lambda a: torch.cat([a.cos(), a.sin()]), V)
row("cat of mm and sin", 400, lambda a, b: torch.cat([a @ a, b.sin()]), M, M)
row("cat of 3, added to", 600, lambda a, b, c: torch.cat((a + 1, b + 2, c + 3)) + 10, M, M, M)
row("cat of 5, added to", 1000, lambda *x: torch.cat([v + i for i, v in enumerate(x, 1)]) + 10, M, M, M, M, M)
row("cat of sums, added to", 2600, lambda a, b: torch.cat([a.sum(dim=0), b.sum(dim=0)]) + 10, C, C)
row("cat of softmax", 400, lambda a, b: torch.cat([a.softmax(-1), b.softmax(-1)]), M, M)
row("cos of a cat of softmax", 680, lambda a, b: torch.cat([a.softmax(-1), b.softmax(-1)]).cos(), M, M)
row("cos of a cat of cos and mm", 600, lambda a, b: torch.cat([a.cos(), b @ b]).cos(), M, M)
row("cos of a cat of mm", 800, lambda a, b: torch.cat([a @ a, b @ b]).cos(), M, M)
row("cos of a cat of inputs", 400, lambda a, b: torch.cat([a, b]).cos(), M, M)
row("cat of an input and cos", 400, lambda a, b: torch.cat([a, b.cos()]), M, M)
row("pad of a cat", 680, lambda a, b: F.pad(torch.cat([a @ a, b]), [2, 2], value=0.5), M, M)
row("cat of 16 gelu", 6400, lambda *x: torch.cat([F.gelu(v) for v in x]) + 10, *[M] * 16)
row(
    "cat of 16 relu",
    9600,
    lambda *x: torch.cat([F.relu(v) for v in x]) + 10,
    *[M] * 16,
    miss="upstream switches batch_relu on, which stacks the inputs; by default each relu is computed in its place",
)
row("cat of 2, added to", 400, lambda a, b: torch.cat([a + 1, b + 2]) + 3, M, M)
row("index", 30, lambda a, b: a[b], V, Index(V))

# ---- FusionTests ----------------------------------------------------------------------------------------------------

row("sum and cos", 210, lambda a: (a.sum(dim=1), a.cos()), M)
row("sum and amax", 120, lambda a: (a.sum(dim=1), a.amax(dim=1)), M)
row("cos plus a sum", 120, lambda a, b: b.cos() + a.sum(dim=1), M, V)
row("cos plus a sum of columns", 120, lambda a, b: b.cos() + a.sum(dim=0), M, V)
row("sum times cos", 210, lambda a, b: a.sum(dim=1, keepdim=True) * b.cos(), M, V)
row("cos of a sum of cos", 110, lambda a: a.cos().sum(dim=1).cos(), M)


def _norm_chain(a: Tensor) -> Tensor:
    for _ in range(3):
        a = a * a.sum(dim=1, keepdim=True)
    return a


row("chain of norms", 200, _norm_chain, M)
row("softmax", 200, lambda a: a.softmax(1), M)
row("layer norm", 220, nn.LayerNorm(10), M)
row("double softmax", 200, lambda a: a.softmax(1).softmax(1), M)
row("softmax backward", 300, lambda g, y: aten._softmax_backward_data(g, y, 1, torch.float32), M, M)
row("neighbours", 90, lambda a, b: ((a - b) ** 2).sum(dim=-1).amax(dim=1), (10, 1, 4), (1, 10, 4))
row("sum of ones", 10, lambda: (torch.ones(10) + torch.ones(10, 10)).sum(dim=-1))
row("cos of rows", 320, lambda a, b: a[b].cos(), M, Index((20,)))
row("sum of cos of rows", 140, lambda a, b: a[b].cos().sum(dim=1), M, Index((20,)))


def _two_writes(a: Tensor, b: Tensor, c: Tensor) -> None:
    first = a + c
    second = b + first
    b.copy_(second)
    a.copy_(first)


row("two writes", 500, _two_writes, M, M, M)
row("write of a cat", 60, lambda d, a, b: d.copy_(torch.cat([a, b])), (20,), V, V)


class _Normed(nn.Module):
    """Layer norm, its greatest element, and a sigmoid: sums of all elements are split over the device."""

    def __init__(self, keepdim: bool) -> None:
        super().__init__()
        self.norm, self.keepdim = nn.LayerNorm(4096), keepdim

    def forward(self, x: Tensor, scale: Tensor) -> tuple[Tensor, ...]:
        x = self.norm(x)
        return (x * scale).sigmoid(), x.abs().amax(keepdim=self.keepdim)


for keep in (True, False):
    row(
        f"layer norm and amax of all, keepdim={keep}",
        1 + 4096 * 2 + 4 * 2048 * 4096 * 2 + 4 * 2048 * 2 + 1,
        _Normed(keep),
        (4, 2048, 4096),
        (1,),
    )

# ---- SchedulerFusionTests: realize_opcount_threshold 0 --------------------------------------------------------------


def _choice(second: Callable[[Tensor, Tensor], Tensor], both: bool = False) -> Callable[[Tensor], Any]:
    def run(a: Tensor) -> Any:
        c = a.cos()
        d = c @ c
        e = second(c, a)
        return (d + e, e) if both else d + e

    return run


row("mm plus cos of its input", 700, _choice(lambda c, a: c.cos()), M, operations=0, patterns=False)
row("mm plus sum of its input", 620, _choice(lambda c, a: c.sum(dim=1)), M, operations=0, patterns=False)
row("mm plus a sum, both returned", 800, _choice(lambda c, a: c + a, True), M, operations=0, patterns=False)
X = (2, 3, 10, 11)
row("CPU: x * w + 1", 1331, lambda x, w: x * w + 1.0, X, (11,), operations=0, patterns=False, cpu=True)
row("CPU: x * v + x * w", 1342, lambda x, v, w: x * v + x * w, X, (11,), (11,), operations=0, patterns=False, cpu=True)

# ---- TilingTests ----------------------------------------------------------------------------------------------------

row("add of a transpose", 300, lambda a, b: a + b.t(), M, M)
row("add to a transpose", 300, lambda a, b: a.t() + b, M, M)
row("sum of three orders", 4000, lambda a, b, c: a + b.permute(1, 2, 0) + c.permute(2, 0, 1), C, C, C)

# ---- MinCutPartitioningTests ----------------------------------------------------------------------------------------

row("train: cos of cos of cos", 50, lambda x: x.cos().cos().cos(), V, train=True)
row("train: cos of cos of a sum", 90, lambda a, b, c, d: (a + b + c + d).cos().cos(), V, V, V, V, train=True)
row("train: mask", 450, lambda x: (x < 0) * x, (100,), train=True)
row("train: mm, tanh of tanh", 1300, lambda x: torch.mm(x, x.new_ones(x.shape)).tanh().tanh(), M, train=True)


def _two_products(a: Tensor) -> Tensor:
    a = a @ a + 1
    return a @ (a + 2)


row("train: two products", 2600, _two_products, M, train=True, patterns=False)
row("train: cos of an outer product", 220, lambda a, b: (a * b).cos().sum(dim=1), (20, 1), (1, 20), train=True)
row("train: cat of tanh", 70, lambda a, b: torch.cat([a.tanh(), b]), V, V, train=True)
row("train: relu", 72, lambda x: torch.relu(x), (16,), train=True)


class _SavesAView(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y, z = x.sin(), x.cos().view(10, 10)
        ctx.save_for_backward(z, y)
        return z.cos()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        z, y = ctx.saved_tensors
        return torch.mm(gradient, z).view(100) * y


row("train: a saved view", 900, lambda a: _SavesAView.apply(a), (100,), train=True)


def _long_chain(x: Tensor) -> Tensor:
    for _ in range(2):
        y = x * x
        x = x + (y @ y) * 2
    return x


row("train: long chain", 3900, _long_chain, M, train=True, patterns=False)

# ---- NoopTests ------------------------------------------------------------------------------------------------------

row("copy of an input for a library", 20, lambda a: aten._lazy_clone(a.clone()), V)


def _returned_copy(a: Tensor) -> tuple[Tensor, ...]:
    b = a.clone()
    return b, aten._lazy_clone(b)


row("returned copy of an input", 40, _returned_copy, V)
row("slice_scatter of the whole", 20, lambda a: aten._lazy_clone(aten.slice_scatter(a, a)), V)
row("conversion to the same type", 20, lambda a: aten._lazy_clone(a.to(torch.float32)), V)
row("ceil of integers", 20, lambda a: aten._lazy_clone(torch.ceil(a)), Index(V))
row("floor of integers", 20, lambda a: aten._lazy_clone(torch.floor(a)), Index(V))
row("round of integers", 20, lambda a: aten._lazy_clone(torch.round(a)), Index(V))
row("power of 1", 20, lambda a: aten._lazy_clone(torch.pow(a, 1)), Index(V))
row("cat of one", 20, lambda a: aten._lazy_clone(torch.cat([a])), V)
row("cat of one of one", 20, lambda a: torch.cat([torch.cat([a])]), V)

# ---- InplacingTests -------------------------------------------------------------------------------------------------


def _write_at(a: Tensor, b: Tensor) -> Tensor:
    a = a.cos()
    a[b] = 1
    return a


def _write_columns(a: Tensor, b: Tensor) -> Tensor:
    a[:, b] = 1
    return a


row("write at places", 26, _write_at, V, Index((2,), 5))
row(
    "copy of index_put",
    6,
    lambda a, b: a.copy_(aten.index_put(a, (b,), torch.tensor(1.0))),
    V,
    Index((2,), 5),
)
row(
    "copy of _unsafe_index_put",
    6,
    lambda a, b: a.copy_(aten._unsafe_index_put(a, (b,), torch.tensor(1.0))),
    V,
    Index((2,), 5),
)
row("write to columns", 42, _write_columns, M, Index((2,), 5))


# ---- running them ---------------------------------------------------------------------------------------------------


class Module(nn.Module):
    def __init__(self, run: Callable[..., Any]) -> None:
        super().__init__()
        self.run = run

    def forward(self, *inputs: Tensor) -> Any:
        return self.run(*inputs)


def built(one: Row) -> tuple[nn.Module, tuple[Tensor, ...]]:
    torch.manual_seed(0)
    inputs = []
    for size in one.inputs:
        if isinstance(size, Index):
            inputs.append(torch.randint(0, size.below, size.size, dtype=torch.int32))
        else:
            inputs.append(torch.randn(size, requires_grad=one.train))
    return Module(one.run), tuple(inputs)


def captures(one: Row) -> list[fxcost.Capture]:
    """The graphs of a row as they are lowered for its device: of inference, or forward and backward."""
    module, inputs = built(one)
    with config.patch(pattern_matcher=one.patterns):
        if one.train:
            torch._dynamo.reset()
            with fxcost.compiled(generate=False) as programs:
                result = torch.compile(module)(*inputs)
                sum(part.mean() for part in result).backward()
            return programs
        with torch.no_grad():
            return [fxcost.capture(module, inputs, lowered="cpu" if one.cpu else "cuda")]


def profile_of(one: Row, folder: Path) -> str:
    """The profile of the row's device, with what its test sets."""
    base = "inductor-cpu" if one.cpu else "inductor-triton"
    if one.operations is None:
        return base
    path = folder / "row.profile"
    path.write_text(f"profile = row\nfrom = {base}\nmax_operations = {one.operations}\n")
    return str(path)


def gpu_elements(one: Row, folder: Path) -> int:
    programs = [Program.from_bytes(capture.to_bytes(), one.name) for capture in captures(one)]
    profile = profile_of(one, folder)
    return sum(kernel.inductor_bytes for program in programs for kernel in kernels(program, profile)) // 4
