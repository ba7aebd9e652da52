"""fxcost inside torch.compile: what it adds to a compilation, and what it is right about."""

from __future__ import annotations

import bisect
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from models_compiled import KERNELS
from torch._functorch import config as functorch_config
from torch._inductor import config as inductor_config
from torch.nn.attention import SDPBackend, sdpa_kernel

import fxcost.compiler
from checks import ROOT, Result, at_most
from checks.cpu_compiled import host_device, run_json

sys.path += [str(ROOT / "tests" / "inductor"), str(ROOT / "tests" / "python")]
import fused_models  # noqa: E402
from compiled_models import counted_by_flop_counter, run  # noqa: E402

_TRAINED = ("bert", "llama", "vit", "resnet")
_INFERRED = ("t5", "unet")


def compiler_backend(_: Path) -> Iterator[Result]:
    """torch.compile(model, backend="fxcost") beside torch.compile(model), whose caches are off: FLOPs against
    FlopCounterMode over the graphs of AOTAutograd under sdpa_kernel(MATH), results against those of the delegate."""
    for name in _TRAINED:
        yield from _one(name, fused_models.TRAINED[name], True)
    for name in _INFERRED:
        yield from _one(name, fused_models.MODELS[name], False)


def _one(name: str, build: Callable[[], Any], train: bool) -> Iterator[Result]:
    model, inputs = build()
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0  # so that two compilations can be compared
    what = f"{name}, {'a training step' if train else 'inference'}"
    state = {key: value.clone() for key, value in model.state_dict().items()}
    with sdpa_kernel(SDPBackend.MATH):
        expected = counted_by_flop_counter(model, inputs, train)
        backend = fxcost.compiler.Backend()
        model.load_state_dict(state)
        theirs, _ = _timed(model, inputs, train, "inductor")  # compiles the C++ code, which is then there for all
        model.load_state_dict(state)
        _, alone = _timed(model, inputs, train, "inductor")
        model.load_state_dict(state)
        ours, with_us = _timed(model, inputs, train, backend)
    report = backend.report()
    equal = all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    yield Result(f"{what}: results", "equal" if equal else "not equal", "equal to Inductor's", equal)
    counted = report.matrix_flops
    yield Result(f"{what}: FLOPs of {len(report.graphs)} graphs", f"{counted:,}", f"{expected:,}", counted == expected)
    ours_of_it = 100 * report.analysis_seconds / (report.compile_seconds - report.analysis_seconds)
    yield at_most(f"{what}: analysis in the delegate's compile time", ours_of_it, 5, "%")
    seconds = f"{with_us:.1f} s, {alone:.1f} s with inductor alone, both without the C++ compiler"
    yield Result(f"{what}: first run", seconds, "stated", True)


def _timed(model: torch.nn.Module, inputs: Any, train: bool, backend: Any) -> tuple[list[torch.Tensor], float]:
    torch.compiler.reset()
    with (
        inductor_config.patch(fx_graph_cache=False, fx_graph_remote_cache=False),
        functorch_config.patch(enable_autograd_cache=False),
    ):
        start = time.perf_counter()
        results = run(model, inputs, train, torch.compile(model, backend=backend))
        return results, time.perf_counter() - start


def compiler_runtimes(folder: Path) -> Iterator[Result]:
    """metrics.node_runtimes after kernel_runtimes() on this host's calibration, beside Inductor's own kernel profile
    (cpp.enable_kernel_profile), one thread, medians, a process for each model: rank correlation over everything that a
    compiled graph runs. A generated function has the sum of the nodes between two calls of a library."""
    device = host_device(folder)
    good = 0
    for name in KERNELS:
        measured = run_json("compiled_measure.py", name, "--kernels", device)
        steps, unpredicted = measured["steps"], measured["unpredicted"]
        loops = [step for step in steps if not step[0]]
        all_ranks, own_ranks = (_rank_correlation(rows) for rows in (steps, loops))
        sums = f"{1e3 * sum(row[1] for row in steps):.1f} ms of {1e3 * sum(row[2] for row in steps):.1f}"
        what = f"{name}: {len(steps)} steps, {len(loops)} of them generated functions; predicted {sums}"
        good += all_ranks >= 0.9
        yield Result(what, f"{all_ranks:.3f}, generated alone {own_ranks:.3f}", "stated", True)
        yield Result(f"{name}: nodes without a time", str(unpredicted), "0", unpredicted == 0)
    what = f"models of {len(KERNELS)} with a rank correlation of at least 0.9"
    yield Result(what, str(good), "at least 4", good >= 4)


def _rank_correlation(rows: list[list[float]]) -> float:
    """Spearman's, of predicted and measured; equal ones share their mean rank. nan where all are equal."""
    try:
        return statistics.correlation(_ranks([row[1] for row in rows]), _ranks([row[2] for row in rows]))
    except statistics.StatisticsError:
        return float("nan")


def _ranks(values: list[float]) -> list[float]:
    order = sorted(values)
    return [(bisect.bisect_left(order, value) + bisect.bisect_right(order, value) - 1) / 2 for value in values]
