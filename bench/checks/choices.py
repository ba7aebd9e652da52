"""Fusion decisions inside Inductor: the neutral ones are torch's, fxcost's own are better or equal."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch._inductor import config as inductor_config
from torch._inductor.compile_fx import compile_fx
from torch.utils import _pytree as pytree

import fxcost.compiler
from checks import ROOT, Result, at_most

sys.path += [str(ROOT / part) for part in ("bench", "tests/inductor", "tests/python")]
from choices_programs import MODELS, PROGRAMS, SCHEDULED  # noqa: E402
from truth import Truth, truth  # noqa: E402

_MARGIN = 0.02


def neutral_choices(_: Path) -> Iterator[Result]:
    """Inductor's kernels with the neutral subclass of its choices beside those without: kinds, members and bytes in
    the order of the schedule."""
    for name, (build, train) in SCHEDULED.items():
        model, inputs = build()
        stock, ours = _scheduled(model, inputs, train, fxcost.compiler.choices_class())
        yield _difference(name, stock, ours)


def compiler_choices(_: Path) -> Iterator[Result]:
    """cost_choices() beside Inductor's own choices, on the programs of bench/choices_programs.py: bytes by Inductor's
    count, least times of interleaved runs, results."""
    better = 0
    for name, (program, build) in PROGRAMS.items():
        inputs = build()
        stock, ours = (_bytes(found) for found in _scheduled(program, inputs, False, fxcost.compiler.cost_choices()))
        (before, after), equal = _timed(program, inputs, 200)
        better += ours < (1 - _MARGIN) * stock or after < (1 - _MARGIN) * before
        figure = f"{stock:,} to {ours:,} bytes, {1e6 * before:.1f} to {1e6 * after:.1f} us ({_change(before, after)})"
        yield Result(name, figure, "equal results, at most 2 % more", equal and _held(before, after))
    yield Result("programs with fewer bytes or less time", str(better), "at least 2", better >= 2)
    for name, build in MODELS.items():
        model, inputs = build()
        (before, after), equal = _timed(model.eval(), inputs, 12)
        figure = f"{1e3 * before:.2f} to {1e3 * after:.2f} ms ({_change(before, after)})"
        yield Result(f"{name}: time", figure, "equal results, at most 2 % more", equal and _held(before, after))


def cost_schedules(_: Path) -> Iterator[Result]:
    """Bytes of models and training steps with cost_choices(), by Inductor's own count, and how many kernels are other
    ones than with its own choices."""
    for name, (build, train) in SCHEDULED.items():
        model, inputs = build()
        stock, ours = _scheduled(model, inputs, train, fxcost.compiler.cost_choices())
        change = 100 * (_bytes(ours) / _bytes(stock) - 1)
        yield at_most(f"{name}: bytes, {_difference(name, stock, ours).figure}", change, 0, "%", 3)


def _scheduled(model: Any, inputs: Any, train: bool, choices: Any) -> tuple[Truth, Truth]:
    if isinstance(model, torch.nn.Module):
        model.train(train)
    stock = truth(model, inputs, train=train)
    with fxcost.compiler.fusion_choices(choices):
        return stock, truth(model, inputs, train=train)


def _bytes(found: Truth) -> int:
    return sum(graph.bytes for graph in found.graphs)


def _difference(what: str, stock: Truth, ours: Truth) -> Result:
    before, after = stock.kernels(), ours.kernels()
    differ = sum(one != other for one, other in zip(after, before, strict=False)) + abs(len(after) - len(before))
    return Result(what, f"{differ} of {len(before)} kernels differ", "none", bool(before) and differ == 0)


def _timed(model: Any, inputs: Any, runs: int) -> tuple[list[float], bool]:
    """Least seconds with Inductor's choices and with fxcost's, and whether results are the same."""
    torch.compiler.reset()  # which compiles no more of one function than a limit
    compiled = [_compiled(model, inputs, choices) for choices in (None, fxcost.compiler.cost_choices())]
    with torch.no_grad():
        results = [pytree.tree_leaves(run(*inputs)) for run in compiled]
        least = [float("inf")] * 2
        for turn in range(2 * runs):
            start = time.perf_counter()
            compiled[turn % 2](*inputs)
            least[turn % 2] = min(least[turn % 2], time.perf_counter() - start)
    return least, all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(*results, strict=True))


def _compiled(model: Any, inputs: Any, choices: Any) -> Callable[..., Any]:
    """Dynamo keeps what it compiled apart by the backend that compiled it, so each has its own."""

    def backend(graph: torch.fx.GraphModule, given: Any) -> Any:
        return compile_fx(graph, given)

    made: Callable[..., Any] = torch.compile(model, backend=backend, dynamic=False)
    chosen = contextlib.nullcontext() if choices is None else fxcost.compiler.fusion_choices(choices)
    with inductor_config.patch(fx_graph_cache=False), chosen, torch.no_grad():
        made(*inputs)
    return made


def _held(before: float, after: float) -> bool:
    return after <= (1 + _MARGIN) * before


def _change(before: float, after: float) -> str:
    return f"{100 * (after / before - 1):+.1f} %"
