"""DeepSpeed's FlopsProfiler and get_model_profile: its counts and its layout, over the same engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from . import flops_profiler as base
from .calflops import flops_to_string, macs_to_string, number_to_string, params_to_string
from .flops_profiler_text import annotated, by_depth, elapsed

__all__ = ["FlopsProfiler", "get_model_profile"]

_LINE = "{:<70}  {:<8}"
_NOTATIONS = """Notations:
dp_size, mp_size: data and model parallel sizes; params: elements of parameters; MACs: multiply-adds;
flops: floating-point operations as DeepSpeed counts them; FLOPS: flops per second;
fwd, bwd latency: measured seconds of the forward and backward pass; step: of the weights' update; iter: of all three
"""
_NOTE = """After the name of each module: params, MACs, measured fwd latency with their shares of the totals, fwd FLOPS.

Note: 1. Functions that a module calls itself have no line of their own: they are what a parent has beyond the sum of
its children.
2. flops follow from shapes by formulas, latency is measured: FLOPS can exceed what the device has.
3. Latency is measured around each module's call, by the host's clock.
"""


def duration_to_string(seconds: float, units: str | None = None, precision: int = 2) -> str:
    return f"{number_to_string(seconds, units, precision)}s"


class FlopsProfiler(base.FlopsProfiler):
    """Profiles what a model does between :meth:`start_profile` and :meth:`stop_profile`, as DeepSpeed does; see
    :class:`fxcost.compat.flops_profiler.FlopsProfiler`. Experts that DeepSpeed spreads over devices count as those that
    this device holds."""

    def __init__(
        self,
        model: nn.Module,
        ds_engine: Any = None,
        recompute_fwd_factor: float = 0.0,
        *,
        exact_backward: bool = False,
    ) -> None:
        super().__init__(model, ds_engine, convention="deepspeed", exact_backward=exact_backward)
        self.recompute_fwd_factor = recompute_fwd_factor

    def get_total_flops(self, as_string: bool = False) -> Any:
        flops = super().get_total_flops()
        return number_to_string(flops) if as_string else flops

    def get_total_macs(self, as_string: bool = False) -> Any:
        macs = super().get_total_macs()
        return macs_to_string(macs) if as_string else macs

    def get_total_duration(self, as_string: bool = False) -> Any:
        seconds = super().get_total_duration()
        return duration_to_string(seconds) if as_string else seconds

    def get_total_params(self, as_string: bool = False) -> Any:
        params = super().get_total_params()
        return params_to_string(params) if as_string else params

    def _lines(self, step: int, depth: int, top: int, detailed: bool) -> Iterator[str]:
        yield "\n-------------------------- DeepSpeed Flops Profiler --------------------------"
        yield f"Profile Summary at step {step}:"
        yield _NOTATIONS
        yield from self._head()
        yield from self._latencies()
        yield "\n----------------------------- Aggregated Profile per GPU -----------------------------"
        yield from self._aggregated(depth, top)
        if detailed:
            yield "\n------------------------------ Detailed Profile per GPU ------------------------------"
            yield _NOTE
            with annotated(self.model, self._items):
                yield str(self.model)
        yield "------------------------------------------------------------------------------"

    def _head(self) -> Iterator[str]:
        engine, flops, params = self.ds_engine, self.get_total_flops(), self.get_total_params()
        parallel = 1
        if engine:
            parallel, replicas = engine.mp_world_size, engine.dp_world_size
            replicas = engine.seq_dp_world_size if replicas is None else replicas  # with sequence parallelism
            yield _LINE.format("world size: ", engine.world_size)
            yield _LINE.format("data parallel size: ", replicas)
            yield _LINE.format("model parallel size: ", parallel)
            yield _LINE.format("batch size per GPU: ", engine.train_micro_batch_size_per_gpu())
        yield _LINE.format("params per GPU: ", params_to_string(params))
        yield _LINE.format("params of model = params per GPU * mp_size: ", params_to_string(params * parallel))
        yield _LINE.format("fwd MACs per GPU: ", macs_to_string(self.get_total_macs()))
        yield _LINE.format("fwd flops per GPU: ", number_to_string(flops))
        yield _LINE.format("fwd flops of model = fwd flops per GPU * mp_size: ", number_to_string(flops * parallel))
        forward, backward = self.get_exact_flops()
        yield _LINE.format("fwd flops, every operator counted (fxcost): ", number_to_string(forward))
        if backward is not None:
            yield _LINE.format("bwd flops, every operator counted (fxcost): ", number_to_string(backward))

    def _latencies(self) -> Iterator[str]:
        engine, flops, forward = self.ds_engine, self.get_total_flops(), self.get_total_duration()
        clocks = bool(engine and engine.wall_clock_breakdown())
        forward = elapsed(engine, "fwd") if clocks else forward
        yield _LINE.format("fwd latency: ", duration_to_string(forward))
        yield _LINE.format("fwd FLOPS per GPU = fwd flops per GPU / fwd latency: ", _rate(flops, forward))
        if not clocks:
            return
        factor = 2 + self.recompute_fwd_factor
        backward, update = elapsed(engine, "bwd"), elapsed(engine, "step")
        whole = forward + backward + update
        yield _LINE.format("bwd latency: ", duration_to_string(backward))
        yield _LINE.format(
            f"bwd FLOPS per GPU = {factor:g} * fwd flops per GPU / bwd latency: ", _rate(factor * flops, backward)
        )
        yield _LINE.format(
            f"fwd+bwd FLOPS per GPU = {factor + 1:g} * fwd flops per GPU / (fwd+bwd latency): ",
            _rate((factor + 1) * flops, forward + backward),
        )
        yield _LINE.format("step latency: ", duration_to_string(update))
        yield _LINE.format("iter latency: ", duration_to_string(whole))
        yield _LINE.format(
            f"FLOPS per GPU = {factor + 1:g} * fwd flops per GPU / iter latency: ", _rate((factor + 1) * flops, whole)
        )
        samples = engine.train_micro_batch_size_per_gpu() * engine.world_size
        yield _LINE.format("samples/second: ", round(samples / whole, 2))

    def _aggregated(self, module_depth: int, top: int) -> Iterator[str]:
        """Params, flops, MACs and seconds are places 0 to 3 of the sums; flops have no line."""
        yield f"Top {top} modules in terms of params, MACs or fwd latency at different model depths:"
        columns = (("params     ", 0, params_to_string), ("MACs       ", 2, macs_to_string))
        for depth, sums in by_depth(self, module_depth):
            yield f"depth {depth}:"
            for title, place, text in (*columns, ("fwd latency", 3, duration_to_string)):
                heaviest = sorted(sums.items(), key=lambda item: item[1][place], reverse=True)[:top]
                yield f"    {title} - { {name: text(values[place]) for name, values in heaviest} }"

    def _items(self, module: nn.Module) -> Iterator[str]:
        params, flops, macs, seconds = self.of_module(module)
        all_params, _, all_macs, all_seconds = self.of_module(self.model)
        yield f"{params_to_string(params)} = {_share(params, all_params)} Params"
        yield f"{macs_to_string(macs)} = {_share(macs, all_macs)} MACs"
        yield f"{duration_to_string(seconds)} = {_share(seconds, all_seconds)} latency"
        yield _rate(flops, seconds)
        if module.extra_repr():
            yield module.extra_repr()


def _rate(flops: float, seconds: float) -> str:
    return flops_to_string(flops / seconds if seconds else 0)


def _share(part: float, whole: float) -> str:
    return f"{round(100 * part / whole, 2) if whole else 0:g}%"


def get_model_profile(
    model: nn.Module,
    input_shape: tuple[int, ...] | None = None,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    print_profile: bool = True,
    detailed: bool = True,
    module_depth: int = -1,
    top_modules: int = 1,
    warm_up: int = 1,
    as_string: bool = True,
    output_file: str | None = None,
    ignore_modules: Iterable[type[nn.Module]] | None = None,
    mode: str = "forward",
) -> tuple[Any, Any, Any]:
    """FLOPs, MACs and parameters of one run of a model, which is put into evaluation mode, as DeepSpeed counts them.
    It gets one tensor of ``input_shape``, or ``args`` and ``kwargs``; ``mode`` is the method that is run."""
    args, kwargs = base.inputs_of(model, input_shape, args, kwargs)
    prof = FlopsProfiler(model)
    with base.profiled(prof, mode, args, kwargs, warm_up, ignore_modules):
        flops, macs, params = prof.get_total_flops(), prof.get_total_macs(), prof.get_total_params()
        if print_profile:
            prof.print_model_profile(warm_up, module_depth, top_modules, detailed, output_file)
    if as_string:
        return number_to_string(flops), macs_to_string(macs), params_to_string(params)
    return flops, macs, params
