"""flops_profiler's FlopsProfiler and get_model_profile: counts of captured calls, measured latency."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..conventions import LeftOut
from ..errors import usage
from . import flops_profiler_text as text
from .profiled import PER_PARENT, Entry, Table, Tables, Watch

__all__ = ["FlopsProfiler", "get_model_profile"]


class FlopsProfiler:
    """Profiles what a model does between :meth:`start_profile` and :meth:`stop_profile`, as flops_profiler does:
    FLOPs and MACs of the functions that it sees, parameters, and measured latency, by module.

    Each kind of call that reaches the model from outside is captured once, before it runs: the first step that is
    profiled takes longer, its latency is measured without. ``convention`` may also be "deepspeed" or "calflops".
    These tools take 2 x forward for the backward pass; ``exact_backward=True`` captures it, and
    :meth:`get_exact_flops` has it then, besides the forward pass with every operator counted.
    """

    def __init__(
        self,
        model: nn.Module,
        ds_engine: Any = None,
        *,
        convention: str = "flops_profiler",
        exact_backward: bool = False,
    ) -> None:
        if convention not in (*PER_PARENT, "deepspeed"):
            raise usage(f"convention={convention!r}", "flops_profiler, deepspeed or calflops")
        self.model, self.ds_engine = model, ds_engine
        self.convention = convention
        self.started = self.func_patched = False
        self.flops = self.macs = self.params = 0
        self._exact_backward = exact_backward
        self._ignored: tuple[type[nn.Module], ...] = ()
        self._blind = False  # to functions that the model calls itself
        self._watch: Watch | None = None
        self._forget()

    def _forget(self) -> None:
        self._version = -1
        self._tables: Tables | None = None
        self._sums: dict[nn.Module, tuple[int, int, int, float]] = {}
        self._functions: dict[nn.Module, Table] = {}

    # ---- profiling --------------------------------------------------------------------------------------------------

    def start_profile(self, ignore_list: Iterable[type[nn.Module]] | None = None) -> None:
        """Begins to profile. Modules of the types in ``ignore_list`` are part of those that call them."""
        if self.func_patched:
            self.stop_profile()
        self._ignored = tuple(ignore_list or ())
        self.reset_profile()
        assert self._watch is not None
        self._watch.start()
        self.started = self.func_patched = True

    def stop_profile(self) -> None:
        """Ends what is profiled; the numbers stay."""
        if self._watch is not None and self.func_patched:
            self._watch.stop()
        self.func_patched = False

    def reset_profile(self) -> None:
        """Forgets the numbers; goes on if it was profiling."""
        if self._watch is not None and self.func_patched:
            self._watch.stop()
        unseen = self.model if self._blind else None
        self._watch = Watch(self.model, self.convention, self._ignored, self._exact_backward, unseen)
        self._forget()
        if self.func_patched:
            self._watch.start()

    def end_profile(self) -> None:
        """Ends what is profiled and forgets the numbers."""
        self.stop_profile()
        self.started = False
        self._watch = None
        self._forget()

    def _profiled(self) -> Watch:
        if self._watch is None:
            raise usage("nothing is profiled", "ask after start_profile() and before end_profile()")
        if self._watch.version != self._version:  # more has run since
            self._forget()
            self._version = self._watch.version
        return self._watch

    # ---- numbers ----------------------------------------------------------------------------------------------------

    def get_total_flops(self, as_string: bool = False) -> Any:
        flops = self.of_module(self.model)[1]
        return text.number(flops) if as_string else flops

    def get_total_macs(self, as_string: bool = False) -> Any:
        macs = self.of_module(self.model)[2]
        return text.macs(macs) if as_string else macs

    def get_total_duration(self, as_string: bool = False) -> Any:
        """Measured seconds of the model's calls."""
        seconds = _duration(self._profiled(), self.model)
        return text.duration(seconds) if as_string else seconds

    def get_total_functional_duration(self, as_string: bool = False) -> Any:
        """Measured seconds of the functions that are counted."""
        seconds = sum(entry.duration for entry in self.functions_of(self.model).values())
        return text.duration(seconds) if as_string else seconds

    def get_total_params(self, as_string: bool = False) -> Any:
        self._profiled()
        params = _params(self.model)
        return text.params(params) if as_string else params

    def get_exact_flops(self) -> tuple[int, int | None]:
        """fxcost's own FLOPs with every operator counted: forward, and backward with ``exact_backward``."""
        return self._profiled().exact()

    def get_unseen_flops(self) -> int:
        """FLOPs of functions that the model calls itself, which flops_profiler's get_model_profile does not see."""
        self.functions_of(self.model)
        return self._profiled().unseen_flops

    def left_out(self) -> list[LeftOut]:
        """Operators that the convention does not count, with fxcost's own counts for them."""
        return self._profiled().left_out()

    def of_module(self, module: nn.Module) -> tuple[int, int, int, float]:
        """Parameters, FLOPs, MACs and measured seconds of a module with everything below it."""
        watch = self._profiled()
        if module not in self._sums:
            table = self.functions_of(module).values()
            flops, macs = sum(entry.flops for entry in table), sum(entry.macs for entry in table)
            self._sums[module] = (_params(module), flops, macs, _duration(watch, module))
        return self._sums[module]

    def functions_of(self, module: nn.Module) -> Table:
        """What runs in a module and below it, by function. A module that several hold counts in each, as in the tools;
        once under "deepspeed"."""
        watch = self._profiled()
        if self._tables is None:
            self._tables = watch.tables()
        if module not in self._functions:
            table: Table = defaultdict(Entry)
            parts: list[Mapping[str, Entry]] = [self._tables.get(module, {})]
            if self.convention in PER_PARENT:
                parts += map(self.functions_of, module.children())
            else:
                parts = [self._tables.get(part, {}) for part in module.modules()]
            for part in parts:
                for name, entry in part.items():
                    table[name].add(entry)
            self._functions[module] = table
        return self._functions[module]

    # ---- printing ---------------------------------------------------------------------------------------------------

    def print_model_profile(
        self,
        profile_step: int = 1,
        module_depth: int = -1,
        top_modules: int = 1,
        detailed: bool = True,
        output_file: str | None = None,
    ) -> None:
        """Prints totals, the heaviest classes of modules and the annotated model, or writes them to a file."""
        if not self.started:
            return
        self.params, self.flops, self.macs = self.of_module(self.model)[:3]
        lines = "\n".join(self._lines(profile_step, module_depth, top_modules, detailed))
        if not output_file:
            print(lines)
            return
        Path(output_file).resolve().parent.mkdir(parents=True, exist_ok=True)
        Path(output_file).write_text(lines + "\n")

    def print_model_aggregated_profile(self, module_depth: int = -1, top_modules: int = 1) -> None:
        """Prints the heaviest classes of modules at each depth."""
        print("\n".join(self._aggregated(module_depth, top_modules)))

    def _lines(self, step: int, depth: int, top: int, detailed: bool) -> Iterator[str]:
        return text.profile(self, step, depth, top, detailed)

    def _aggregated(self, module_depth: int, top: int) -> Iterator[str]:
        return text.aggregated(self, module_depth, top)


def _params(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _duration(watch: Watch, module: nn.Module) -> float:
    """Of a module that is never called itself (a list of modules), the sum of its children."""
    own = float(watch.seconds[module])
    return own or float(sum(watch.seconds[child] for child in module.children()))


def inputs_of(
    model: nn.Module, shape: tuple[int, ...] | None, args: Sequence[Any], kwargs: Mapping[str, Any] | None
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """What a model, which is put into evaluation mode, is run on: a tensor of this shape, or what is given."""
    if not isinstance(model, nn.Module):
        raise usage(f"get_model_profile() takes a torch.nn.Module, not {type(model).__name__}", "the model itself")
    model.eval()
    if shape is not None:
        parameter = next(model.parameters(), torch.empty(()))
        args = [torch.ones(tuple(shape), dtype=parameter.dtype, device=parameter.device)]
    if not args and not kwargs:
        raise usage("there is nothing to run the model on", "input_shape=, args= or kwargs=")
    return args, kwargs or {}


@contextlib.contextmanager
def profiled(
    prof: FlopsProfiler, method: str, args: Sequence[Any], kwargs: Mapping[str, Any], warm_up: int, ignored: Any
) -> Iterator[None]:
    """Runs a method of the profiler's model some times without and once with the profiler, whose numbers hold inside.
    forward is run by a call of the model, which is what is profiled."""
    function = prof.model if method == "forward" else getattr(prof.model, method)
    for _ in range(warm_up):
        function(*args, **kwargs)
    prof.start_profile(ignore_list=ignored)
    try:
        function(*args, **kwargs)
        prof.stop_profile()
        yield
    finally:
        prof.end_profile()


def get_model_profile(
    model: nn.Module,
    input_shape: tuple[int, ...] | None = None,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    print_profile: bool = True,
    detailed: bool = True,
    module_depth: int = -1,
    top_modules: int = 10,
    warm_up: int = 3,
    as_string: bool = False,
    output_file: str | None = None,
    ignore_modules: Iterable[type[nn.Module]] | None = None,
    func_name: str = "forward",
    *,
    mode: str | None = None,
    convention: str = "flops_profiler",
) -> tuple[Any, Any, Any]:
    """FLOPs, MACs and parameters of one run of a model, which is put into evaluation mode.

    It gets one tensor of ``input_shape``, or ``args`` and ``kwargs``; ``warm_up`` runs come before, for the measured
    latency. ``func_name`` (or ``mode``, DeepSpeed's name) is the method that is run, as "generate". flops_profiler runs
    ``model.forward`` past the hooks of the model itself and so leaves out what functions compute that the model calls
    outside of its layers; so does this, and prints how much it is. ``convention="deepspeed"`` counts it.
    """
    args, kwargs = inputs_of(model, input_shape, args, kwargs)
    prof = FlopsProfiler(model, convention=convention)
    prof._blind = convention == "flops_profiler"
    with profiled(prof, mode or func_name, args, kwargs, warm_up, ignore_modules):
        flops, macs, params = prof.get_total_flops(), prof.get_total_macs(), prof.get_total_params()
        if print_profile:
            prof.print_model_profile(warm_up, module_depth, top_modules, detailed, output_file)
    if as_string:
        return f"{text.number(flops)}{' ' if flops < 1000 else ''}", text.macs(macs), text.params(params)
    return flops, macs, params
