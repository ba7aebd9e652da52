"""``fxcost measure``: what a captured program takes when it runs, operator by operator and as a whole.

The operators of the captured graph run one by one, and the model runs as the user would run it, in turns, so that both
meet the same state of the machine. What was found is stored in the program beside its nodes.
"""

from __future__ import annotations

import contextlib
import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._pytree import tree_leaves, tree_map

from .columns import NONE
from .convert import Converter
from .enums import enum
from .errors import FxcostError, usage
from .exporter import Capture, capture
from .guard import Progress
from .measured import Held, HoldingInterpreter, TimedInterpreter
from .models import Model


@dataclass(frozen=True)
class Repetitions:
    """How often everything runs: ``warmup`` runs are not counted, ``counted`` ones give the least and the median."""

    counted: int = 10
    warmup: int = 3
    compiled: bool = False  # torch.compile's form of the model too

    def __post_init__(self) -> None:
        if self.counted < 1 or self.warmup < 0:
            raise usage(f"{self.counted} repetitions after {self.warmup} of warm-up", "at least one repetition")


def measure(
    model: torch.nn.Module,
    args: Any = (),
    kwargs: dict[str, Any] | None = None,
    dynamic_shapes: Any = None,
    *,
    repetitions: Repetitions | None = None,
    name: str | None = None,
    lowered: bool | str = False,
    progress: Progress | None = None,
) -> Capture:
    """Captures a model and measures it on these inputs, in the grad mode of the caller.

    Every operator: nanoseconds of the fastest and of the median run, and bytes of live tensors before and after it
    (parameters, buffers and inputs included, each storage once; on CUDA those of torch's allocator, and their peak).
    The model as a whole: nanoseconds without any instrument, also of torch.compile's form of it on request. A CUDA
    device is waited for after every operator. Raises FxcostError for models that do not export or have no weights.
    """
    args = tuple(args) if isinstance(args, (list, tuple)) else (args,)
    tensors = [*model.parameters(), *model.buffers(), *tree_leaves((args, kwargs))]
    if any(isinstance(leaf, torch.Tensor) and (isinstance(leaf, FakeTensor) or leaf.is_meta) for leaf in tensors):
        raise usage("a model without weights cannot be measured", "parameters and inputs with memory of their own")
    measuring = _Measuring(model, args, kwargs or {}, repetitions or Repetitions(), progress or Progress())
    return capture(
        model, args, kwargs, dynamic_shapes, name=name, progress=progress, lowered=lowered, parts=[measuring]
    )


def measure_model(model: Model, repetitions: Repetitions, train: bool, grad: bool, progress: Progress) -> Capture:
    """Measures as the command line does: eval and without gradients, unless told otherwise."""
    if not isinstance(model.module, torch.nn.Module):
        raise usage(f"{model.name} cannot be measured", "a model that can run, such as FILE.py or hf:bert")
    model.module.train(train)
    with torch.enable_grad() if grad else torch.no_grad():
        return measure(
            model.module, model.args, model.kwargs, repetitions=repetitions, name=model.name, progress=progress
        )


@dataclass
class _Times:
    """Nanoseconds of repeated runs."""

    runs: list[int] = field(default_factory=list)

    @property
    def least(self) -> int:
        return min(self.runs)

    @property
    def median(self) -> int:
        return round(statistics.median(self.runs))


class _Measuring:
    """A part of a capture: adds the rows of the group ``measure``."""

    def __init__(
        self, model: torch.nn.Module, args: Any, kwargs: dict[str, Any], repetitions: Repetitions, progress: Progress
    ) -> None:
        self.model, self.args, self.kwargs, self.progress = model, args, kwargs, progress
        self.repetitions = repetitions
        leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        own = (tensor.device for tensor in (*model.parameters(), *model.buffers(), *leaves))
        self.device = next(own, torch.device("cpu"))

    def __call__(self, converter: Converter, program: Any) -> dict[str, Any]:
        runner = _NodeRunner(program, self.device)
        whole = {"": self._eager}
        if self.repetitions.compiled:
            compiled = torch.compile(self.model)
            whole["compiled_"] = lambda args, kwargs: compiled(*args, **kwargs)
        times: dict[str, _Times] = {prefix: _Times() for prefix in whole}
        for number in range(self.repetitions.warmup + self.repetitions.counted):
            self.progress.stage(f"measuring, run {number + 1} of {self.repetitions.warmup + self.repetitions.counted}")
            counted = number >= self.repetitions.warmup
            for prefix, call in whole.items():
                nanoseconds = self._timed(call)
                if counted:
                    times[prefix].runs.append(nanoseconds)
            runner.run(counted)
        _add_rows(converter, times, runner)
        return {
            "measured_on": device_name(self.device),
            "measured_threads": torch.get_num_threads(),
            "measured_repeats": self.repetitions.counted,
            "measured_torch": torch.__version__,
        }

    def _eager(self, args: Any, kwargs: Any) -> Any:
        return self.model(*args, **kwargs)

    def _timed(self, call: Callable[[Any, Any], Any]) -> int:
        args, kwargs = _own((self.args, self.kwargs))
        with _quiet(self.device):
            start = time.perf_counter_ns()
            result = call(args, kwargs)
            _wait(self.device)
            nanoseconds = time.perf_counter_ns() - start
        del result
        return nanoseconds


class _NodeRunner:
    """Runs an exported graph node by node, over the model's own parameters: for time, and apart from that for memory,
    whose bookkeeping would be part of the time."""

    def __init__(self, program: Any, device: torch.device) -> None:
        self.times: dict[str, _Times] = {}
        self._program, self._device = program, device
        self._timed = TimedInterpreter(program.graph_module, device)

    def run(self, counted: bool) -> None:
        inputs = list(_flat_inputs(self._program))
        with _quiet(self._device):
            found = self._timed.timed(inputs)
        for name, nanoseconds in found.items() if counted else ():
            self.times.setdefault(name, _Times()).runs.append(nanoseconds)

    def held(self) -> dict[str, Held]:
        return HoldingInterpreter(self._program.graph_module, self._device).held(list(_flat_inputs(self._program)))


def _flat_inputs(program: Any) -> Iterator[Any]:
    """What the placeholders of an exported graph stand for; inputs of the user are copies."""
    args, kwargs = program.example_inputs
    order = program.call_spec.in_spec.child(1).context
    leaves = iter(tree_leaves((args, {key: kwargs[key] for key in order})))
    for spec in program.graph_signature.input_specs:
        kind = spec.kind.name
        if kind == "USER_INPUT":
            yield _own(next(leaves))
        elif kind in ("PARAMETER", "BUFFER") and spec.target in program.state_dict:
            yield program.state_dict[spec.target]
        elif spec.target in program.constants:
            yield program.constants[spec.target]
        else:
            raise FxcostError(
                f"measuring\n  expected: inputs, parameters, buffers and constants\n"
                f"  found: {kind.lower()} {spec.target}",
                status="CAPTURE",
            )


def _own(tree: Any) -> Any:
    """Copies of tensors: a model may write into what it is given."""
    return tree_map(lambda leaf: leaf.detach().clone() if isinstance(leaf, torch.Tensor) else leaf, tree)


@contextlib.contextmanager
def _quiet(device: torch.device) -> Iterator[None]:
    """No garbage collection, and nothing left to do on the device."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    _wait(device)
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _add_rows(converter: Converter, whole: dict[str, _Times], runner: _NodeRunner) -> None:
    what, columns, held = enum("measure"), converter.columns, runner.held()
    for prefix, times in whole.items():
        columns.add("measure", node=NONE, what=what[prefix + "min_ns"], value=times.least)
        columns.add("measure", node=NONE, what=what[prefix + "median_ns"], value=times.median)
    for fx_node, value in converter.value_of.items():
        node = columns.rows["value_producer"][value]
        times_of = runner.times.get(fx_node.name)
        if node == NONE or times_of is None or fx_node.op != "call_function":
            continue
        here = held[fx_node.name]
        found = {"min_ns": times_of.least, "median_ns": times_of.median}
        found |= {"bytes_before": here.before, "bytes_after": here.after}
        if here.most is not None:
            found["bytes_peak"] = here.most
        for key, number in found.items():
            columns.add("measure", node=node, what=what[key], value=number)


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _processor() or platform.processor() or platform.machine()


def _processor() -> str:
    """The processor's name, where Linux tells it, with the number of them that this process may use."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{names[0]}, {count} cores" if names else ""
