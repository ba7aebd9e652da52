"""What flops-profiler prints: its numbers with units, the aggregated profile, the annotated model."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from .flops_profiler import FlopsProfiler

_LINE = "{:<60}  {:<8}"
_NOTATIONS = """Notations:
dp_size, mp_size: data and model parallel sizes; params: elements of parameters; MACs: multiply-adds;
flops: floating-point operations as the convention {convention} of fxcost counts them; FLOPS: flops per second;
fwd, bwd latency: measured seconds of the forward and backward pass; step: of the weights' update; iter: of all three
"""
_NOTE = """After the name of each module: params, flops, MACs, measured fwd latency, fwd FLOPS and their shares of the \
totals,
then the same of the functions that run inside it, as they are called.

Note: 1. Functions that a module calls itself are no modules and have no line of their own: they are what a parent has \
beyond the sum of its children.
2. flops follow from shapes by formulas, latency is measured: FLOPS can exceed what the device has.
3. Latency is measured around each module's call; that of a module without calls of its own is the sum of its children.
"""


def _short(value: float, units: tuple[tuple[float, str], ...], plain: str = "") -> str:
    for size, unit in units:
        if value // size > 0:
            return f"{round(value / size, 2)} {unit}"
    return f"{value}{plain}"


def number(value: float) -> str:
    """12.3 K: FLOPs."""
    return _short(value, ((1e9, "G"), (1e6, "M"), (1e3, "K")))


def macs(value: float) -> str:
    return _short(value, ((1e9, "GMACs"), (1e6, "MMACs"), (1e3, "KMACs")), " MACs")


def rate(value: float) -> str:
    """FLOPs per second."""
    return _short(value, ((1e12, "TFLOPS"), (1e9, "GFLOPS"), (1e6, "MFLOPS"), (1e3, "KFLOPS")), " FLOPS")


def params(value: float) -> str:
    return _short(value, ((1e6, "M"), (1e3, "k")))


def duration(value: float) -> str:
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if value > size:
            return f"{round(value / size, 2)} {unit}"
    return str(value)


def _share(part: float, whole: float) -> str:
    return f"{part / whole if whole else 0:.2%}"


# ---- the profile ----------------------------------------------------------------------------------------------------


def profile(prof: FlopsProfiler, step: int, depth: int, top: int, detailed: bool) -> Iterator[str]:
    """Lines of the whole profile."""
    device = next((str(parameter.device) for parameter in prof.model.parameters()), "cpu")
    yield "\n-------------------------- Flops Profiler --------------------------"
    yield f"Profile on Device: {device}"
    yield f"Profile Summary at step {step}:"
    yield _NOTATIONS.format(convention=prof.convention)
    yield from _head(prof)
    yield "\n----------------------------- Aggregated Profile per Device -----------------------------"
    yield from aggregated(prof, depth, top)
    if detailed:
        yield "\n------------------------------ Detailed Profile per Device ------------------------------"
        yield _NOTE
        with annotated(prof.model, lambda module: [*_items(prof, module), module.extra_repr()]):
            yield str(prof.model)
    yield "------------------------------------------------------------------------------"


def _head(prof: FlopsProfiler) -> Iterator[str]:
    engine, flops = prof.ds_engine, prof.get_total_flops()
    parallel = engine.mp_world_size if engine else 1
    if engine:
        yield _LINE.format("world size: ", engine.world_size)
        yield _LINE.format("data parallel size: ", engine.dp_world_size)
        yield _LINE.format("model parallel size: ", engine.mp_world_size)
        if hasattr(engine, "train_micro_batch_size_per_gpu"):
            yield _LINE.format("batch size per device: ", engine.train_micro_batch_size_per_gpu())
    yield _LINE.format("params per device: ", params(prof.get_total_params()))
    yield _LINE.format("params of model = params per device * mp_size: ", params(prof.get_total_params() * parallel))
    yield _LINE.format("fwd MACs per device: ", macs(prof.get_total_macs()))
    yield _LINE.format("fwd flops per device: ", number(flops))
    yield _LINE.format("fwd flops of model = fwd flops per device * mp_size: ", number(flops * parallel))
    if prof.get_unseen_flops():
        yield _LINE.format("flops of functions outside all layers, in no total: ", number(prof.get_unseen_flops()))
    forward, backward = prof.get_exact_flops()
    yield _LINE.format("fwd flops, every operator counted (fxcost): ", number(forward))
    if backward is not None:
        yield _LINE.format("bwd flops = 2 * fwd flops: ", number(2 * flops))
        yield _LINE.format("bwd flops, every operator counted (fxcost): ", number(backward))
    yield from _latencies(prof, flops)


def _latencies(prof: FlopsProfiler, flops: int) -> Iterator[str]:
    engine, forward = prof.ds_engine, prof.get_total_duration()
    clocks = bool(engine and hasattr(engine, "wall_clock_breakdown") and engine.wall_clock_breakdown())
    if forward:
        forward = elapsed(engine, "forward") if clocks else forward
        yield _LINE.format("fwd latency: ", duration(forward))
        yield _LINE.format("fwd FLOPS per device = fwd flops per device / fwd latency: ", rate(flops / forward))
    if not clocks:
        return
    backward, update = elapsed(engine, "backward"), elapsed(engine, "step")
    whole = forward + backward + update
    yield _LINE.format("bwd latency: ", duration(backward))
    yield _LINE.format("bwd FLOPS per device = 2 * fwd flops per device / bwd latency: ", rate(2 * flops / backward))
    yield _LINE.format(
        "fwd+bwd FLOPS per device = 3 * fwd flops per device / (fwd+bwd latency): ",
        rate(3 * flops / (forward + backward)),
    )
    yield _LINE.format("step latency: ", duration(update))
    yield _LINE.format("iter latency: ", duration(whole))
    yield _LINE.format("FLOPS per device = 3 * fwd flops per device / iter latency: ", rate(3 * flops / whole))
    if hasattr(engine, "train_micro_batch_size_per_gpu"):
        samples = engine.train_micro_batch_size_per_gpu() * engine.world_size
        yield "{:<60}  {:<8.2f}".format("samples/second: ", samples / whole)


def elapsed(engine: Any, timer: str) -> float:
    """Seconds of a timer of the engine, which has milliseconds."""
    return float(engine.timers(timer).elapsed(False)) / 1000.0


# ---- aggregated by class and depth ----------------------------------------------------------------------------------


def by_depth(prof: FlopsProfiler, module_depth: int) -> Iterator[tuple[int, dict[str, list[float]]]]:
    """Per depth and class the sums of parameters, FLOPs, MACs and seconds. Like the original, -1 stops one short of the
    innermost."""
    levels: list[dict[str, list[float]]] = []

    def walk(module: nn.Module, depth: int) -> None:
        if depth == len(levels):
            levels.append({})
        sums = levels[depth].setdefault(type(module).__name__, [0, 0, 0, 0])
        for place, value in enumerate(prof.of_module(module)):
            sums[place] += value
        for child in module.children():
            walk(child, depth + 1)

    walk(prof.model, 0)
    last = len(levels) - 1 if module_depth == -1 else min(module_depth, len(levels))
    yield from enumerate(levels[:last])


def aggregated(prof: FlopsProfiler, module_depth: int, top: int) -> Iterator[str]:
    """The heaviest classes at each depth."""
    yield f"Top {top} modules in terms of params, flops, MACs or duration at different model depths:"
    columns = (("params     ", params), ("flops      ", number), ("MACs       ", macs), ("fwd latency", duration))
    for depth, level in by_depth(prof, module_depth):
        yield f"depth {depth}:"
        for place, (title, text) in enumerate(columns):
            heaviest = sorted(level.items(), key=lambda item: item[1][place], reverse=True)[:top]
            yield f"    {title} - { {name: text(sums[place]) for name, sums in heaviest} }"


# ---- the annotated model --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def annotated(model: nn.Module, items: Callable[[nn.Module], Iterable[str]]) -> Iterator[None]:
    """Modules print these items instead of what they print of themselves."""
    before: list[tuple[nn.Module, Any]] = []  # with an extra_repr of the instance's own, if it has one
    try:
        for module in model.modules():
            text = ", ".join(items(module))
            before.append((module, vars(module).get("extra_repr")))
            module.extra_repr = lambda text=text: text  # type: ignore[method-assign, misc]
        yield
    finally:
        for module, own in before:
            if own is None:
                del module.extra_repr
            else:
                module.extra_repr = own  # type: ignore[method-assign]


def _items(prof: FlopsProfiler, module: nn.Module) -> Iterator[str]:
    total_params, total_flops, total_macs, total_time = prof.of_module(prof.model)
    own_params, flops, multiplies, seconds = prof.of_module(module)
    numbers = {
        "param": params(own_params),
        "flops": number(flops),
        "macs": macs(multiplies),
        "duration": duration(seconds),
        "FLOPS": rate(flops / seconds if seconds else 0.0),
        "params%": _share(own_params, total_params),
        "flops%": _share(flops, total_flops),
        "macs%": _share(multiplies, total_macs),
        "duration%": _share(seconds, total_time),
    }
    yield f"module = {numbers}"
    table, all_functions = prof.functions_of(module), prof.get_total_functional_duration()
    functions = {
        name: {
            "flops": number(entry.flops),
            "macs": macs(entry.macs),
            "duration": duration(entry.duration),
            "FLOPS": rate(entry.flops / entry.duration if entry.duration else 0.0),
            "flops%": _share(entry.flops, total_flops),
            "macs%": _share(entry.macs, total_macs),
            "duration%/allfuncs": _share(entry.duration, all_functions),
            "duration%/e2e": _share(entry.duration, total_time),
        }
        for name, entry in table.items()
    }
    yield f"functionals = {functions}"
    yield f"functionals_duration = {duration(sum(entry.duration for entry in table.values()))}"
