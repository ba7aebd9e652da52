"""Kernel counts of the profiles xla, tvm and tinygrad beside those of the compilers themselves, where they are
installed (``pip install jax apache-tvm tinygrad``). XLA's are the fusions and other instructions of its final HLO for a
CPU, TVM's the functions that are called after FuseOps."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

import fxcost
from checks import Result
from fxcost.binding import Program
from fxcost.fusion import kernel_count

S, W = (8, 16), (16, 16)
# Instructions of HLO that run nothing.
SILENT = ("parameter", "tuple", "get-tuple-element", "bitcast", "constant", "copy")


@dataclass(frozen=True)
class Case:
    """``run`` on tensors of torch or tinygrad, ``jax`` the same on arrays of jax (given with its module). ``why``: by
    profile, why the counts differ, where they do."""

    run: Callable[..., Any]
    jax: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    why: dict[str, str] = field(default_factory=dict)


def _twice(value: Any) -> tuple[Any, ...]:
    return -value, value.sum(1)


def _read_twice(value: Any) -> Any:
    return (value + 1) * (-value)


CASES = {
    "chain": Case(lambda x: -(x * 2 + 1).relu(), lambda j, x: -j.nn.relu(x * 2 + 1), (S,)),
    "sum of exp, relu": Case(lambda x: x.exp().sum(1).relu(), lambda j, x: j.nn.relu(j.numpy.exp(x).sum(1)), (S,)),
    "less its sum": Case(lambda x: x - x.sum(1, keepdim=True), lambda j, x: x - x.sum(1, keepdims=True), (S,)),
    "softmax": Case(lambda x: x.softmax(1), lambda j, x: j.nn.softmax(x, 1), (S,)),
    "product by 2, twice used": Case(lambda x: _twice(x * 2), lambda j, x: _twice(x * 2), (S,)),
    "exp, twice used": Case(lambda x: _twice(x.exp()), lambda j, x: _twice(j.numpy.exp(x)), (S,)),
    "exp of 3, twice used": Case(
        lambda x, y, z: _twice((x + y + z).exp()), lambda j, x, y, z: _twice(j.numpy.exp(x + y + z)), (S, S, S)
    ),
    "exp of 4, twice used": Case(
        lambda x, y, z, w: _twice((x + y + z + w).exp()),
        lambda j, x, y, z, w: _twice(j.numpy.exp(x + y + z + w)),
        (S, S, S, S),
    ),
    "sum of 4, twice used": Case(
        lambda x, y, z, w: _twice(x + y + z + w), lambda j, x, y, z, w: _twice(x + y + z + w), (S, S, S, S)
    ),
    "product": Case(lambda x, w: x @ w, lambda j, x, w: x @ w, (S, W)),
    "two products": Case(lambda x, v, w: (x @ v) @ w, lambda j, x, v, w: (x @ v) @ w, (S, W, W)),
    "product, bias, relu": Case(
        lambda x, w, b: ((x @ w) + b).relu(),
        lambda j, x, w, b: j.nn.relu(x @ w + b),
        (S, W, (16,)),
        {"tinygrad": "a product is a kernel of its own to fxcost, to tinygrad a reduction with what is behind it"},
    ),
    "a product read twice": Case(
        lambda x, w: _read_twice(x @ w),
        lambda j, x, w: _read_twice(x @ w),
        (S, W),
        {"tinygrad": "as above"},
    ),
    "sum of sums": Case(
        lambda x: x.sum(2).sum(1),
        lambda j, x: x.sum(2).sum(1),
        ((8, 16, 4),),
        {"tinygrad": "both dimensions are folded at once", "xla": "both dimensions are folded at once"},
    ),
}


class _Module(nn.Module):
    def __init__(self, run: Callable[..., Any]) -> None:
        super().__init__()
        self.run = run

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.run(*inputs)


def other_compilers(_: Path) -> Iterator[Result]:
    """Small programs: kernels under the profiles xla, tvm and tinygrad, and those of the compilers themselves."""
    os.environ.setdefault("DEV", "CPU")  # of tinygrad
    for profile, module, count in (
        ("xla", "jax", _xla),
        ("tvm", "tvm", _tvm),
        ("tinygrad", "tinygrad", _tinygrad),
    ):
        try:
            __import__(module)
        except ImportError:
            yield Result(f"kernels of {profile}", f"{module} is not installed", "skipped without it", True)
            continue
        yield _compare(profile, count)


def _compare(profile: str, count: Callable[[Case], int]) -> Result:
    equal, explained = 0, 0
    for name, case in CASES.items():
        theirs, ours, why = count(case), _ours(case, profile), case.why.get(profile)
        equal += ours == theirs
        explained += ours != theirs and why is not None
        if ours != theirs:
            print(f"     {profile}, {name}: {ours} kernels for {theirs}: {why or 'not explained'}")
    figure = f"{equal} equal, {explained} explained"
    what = f"kernels of {len(CASES)} programs under the profile {profile}, beside the compiler's"
    return Result(what, figure, "equal or explained", equal + explained == len(CASES))


def _ours(case: Case, profile: str) -> int:
    with torch.no_grad():
        inputs = tuple(torch.randn(shape) for shape in case.shapes)
        capture = fxcost.capture(_Module(case.run), inputs, lowered=profile != "tvm")
    return kernel_count(Program.from_bytes(capture.to_bytes(), profile), profile)


def _xla(case: Case) -> int:
    import jax

    arrays = [jax.ShapeDtypeStruct(shape, "float32") for shape in case.shapes]
    text = jax.jit(lambda *inputs: case.jax(jax, *inputs)).lower(*arrays).compile().as_text()
    entry = text[text.index("ENTRY") :]
    return sum(op not in SILENT for op in re.findall(r"= \S+(?:\{[^}]*\})? ([a-z-]+)\(", entry))


def _tvm(case: Case) -> int:
    import tvm
    from tvm import relax
    from tvm.relax.frontend.torch import from_exported_program

    exported = torch.export.export(_Module(case.run), tuple(torch.randn(shape) for shape in case.shapes))
    passes = ("LegalizeOps", "AnnotateTIROpPattern", "FoldConstant", "FuseOps", "FuseTIR", "DeadCodeElimination")
    with tvm.target.Target("llvm"):
        fused = tvm.transform.Sequential([getattr(relax.transform, name)() for name in passes])(
            from_exported_program(exported)
        )
    calls: list[Any] = []

    def visit(expression: Any) -> None:
        if isinstance(expression, relax.Call) and getattr(expression.op, "name", "") == "relax.call_tir":
            calls.append(expression)

    relax.analysis.post_order_visit(fused["main"], visit)
    return len(calls)


def _tinygrad(case: Case) -> int:
    from tinygrad import Tensor

    results = case.run(*(Tensor.empty(*shape).realize() for shape in case.shapes))
    first, *rest = results if isinstance(results, tuple) else (results,)
    return len(first.contiguous().schedule_linear(*(one.contiguous() for one in rest)).src)
