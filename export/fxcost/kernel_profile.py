"""What each of Inductor's kernels takes when a compiled model runs, by Inductor's own kernel profile.

``config.cpp.enable_kernel_profile`` makes every generated function an event of torch's profiler; operators that a
library runs are events anyway. They come in the order in which code was generated, so that they are paired by place."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import torch

from .errors import FxcostError

_GENERATED = "graph_"  # how events of generated functions begin


@dataclass
class Step:
    """Something that a compiled graph runs: scheduler nodes, and nanoseconds of every profiled run."""

    nodes: tuple[Any, ...]
    extern: bool
    runs: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return 1e-9 * statistics.median(self.runs)


@contextlib.contextmanager
def steps_of(*, nests: bool = False) -> Iterator[list[Step]]:
    """The steps of what is compiled meanwhile, in the order in which they run: one for each call of a generated
    function, of which stock Inductor makes one of all kernels between two calls of a library. With ``nests`` every
    kernel in a function is an event of its own."""
    from torch._inductor import config, scheduler
    from torch._inductor.codegen import cpp

    steps: list[Step] = []
    waiting: list[Any] = []
    stock_node, stock_flush = cpp.CppScheduling.codegen_node, cpp.CppScheduling.flush
    stock_extern = scheduler.Scheduler.codegen_extern_call

    def codegen_node(self: Any, node: Any) -> None:
        if not nests:
            waiting.append(node)
            stock_node(self, node)
            return
        code, name = self.kernel_group.loops_code, f"nest_{len(steps)}"
        code.writeline("{")
        code.writeline(f'torch::aot_inductor::RAIIAtenRecordFunctionHandle {name}("{_GENERATED}{name}", nullptr);')
        stock_node(self, node)
        self.kernel_group.ws.close()  # a parallel region ends with its kernel
        code.writeline("}")
        steps.append(Step((node,), False))

    def flush(self: Any) -> None:
        if waiting:
            steps.append(Step(tuple(waiting), False))
        waiting.clear()
        stock_flush(self)

    def codegen_extern_call(self: Any, node: Any) -> None:
        stock_extern(self, node)
        if type(node.node).__name__ != "MultiOutput":  # picks a result
            steps.append(Step((node,), True))

    with (
        mock.patch.object(cpp.CppScheduling, "codegen_node", codegen_node),
        mock.patch.object(cpp.CppScheduling, "flush", flush),
        mock.patch.object(scheduler.Scheduler, "codegen_extern_call", codegen_extern_call),
        config.patch({"cpp.enable_kernel_profile": True, "fx_graph_cache": False}),
    ):
        yield steps


def profile(steps: list[Step], call: Callable[[], object], runs: int, *, nests: bool = False) -> None:
    """Runs what was compiled so often under torch's profiler, and keeps what each step took."""
    for _ in range(runs):
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
            call()
        events = list(_events(profiler, nests))
        if len(events) != len(steps):
            raise FxcostError(
                f"the profile of Inductor's kernels\n  expected: {len(steps)} events\n  found: {len(events)}",
                status="CAPTURE",
            )
        for step, event in zip(steps, events, strict=True):
            if event.name.startswith(_GENERATED) == step.extern:
                raise FxcostError(
                    f"the profile of Inductor's kernels\n  expected: {step.nodes[0].get_name()}\n"
                    f"  found: an event {event.name}",
                    status="CAPTURE",
                )
            step.runs.append(1e3 * event.time_range.elapsed_us())


def _events(profiler: Any, nests: bool) -> Iterator[Any]:
    """The outermost events of kernels and operators; with ``nests`` generated functions are looked into."""

    def is_kernel(event: Any) -> bool:
        generated = event.name.startswith(_GENERATED + "nest_" if nests else _GENERATED)
        return generated or "::" in event.name

    for event in sorted(profiler.events(), key=lambda event: event.time_range.start):
        parent, inside = event.cpu_parent, False
        while parent is not None and not inside:
            inside, parent = is_kernel(parent), parent.cpu_parent
        if is_kernel(event) and not inside:
            yield event
