"""Time and memory of each node of a graph, measured while it runs."""

from __future__ import annotations

import contextlib
import time
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@dataclass(frozen=True)
class Measured:
    """Of one run of a node; bytes before and after it."""

    milliseconds: float
    before: int
    after: int

    @property
    def delta(self) -> int:
        return self.after - self.before


class LiveTensors:
    """Bytes of the storages that were shown to it and are alive."""

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self.bytes = self.most = 0
        self._storages: set[int] = set()
        self.hold(list(values))

    def hold(self, value: Any) -> None:
        """Counts the storages of all tensors in a value until they are freed."""
        for leaf in tree_leaves(value):
            if isinstance(leaf, torch.Tensor) and leaf.layout is torch.strided:
                storage = leaf.untyped_storage()
                key, size = storage._cdata, storage.nbytes()
                if key not in self._storages:
                    self._storages.add(key)
                    self.bytes += size
                    self.most = max(self.most, self.bytes)
                    weakref.finalize(storage, self._drop, key, size).atexit = False

    def _drop(self, key: int, size: int) -> None:
        self._storages.discard(key)
        self.bytes -= size


class MeasuredInterpreter(torch.fx.Interpreter):
    """Runs a graph, and keeps in :attr:`found` what each node took."""

    def __init__(self, module: torch.fx.GraphModule, mem_func_name: str) -> None:
        super().__init__(module)
        self.found: dict[torch.fx.Node, Measured] = {}
        self._mem_func_name = mem_func_name
        self._device = torch.device("cpu")
        self._live = LiveTensors()

    def run(self, *args: Any, **options: Any) -> Any:
        tensors = [*self.module.parameters(), *self.module.buffers()]
        inputs = [leaf for leaf in tree_leaves(args) if isinstance(leaf, torch.Tensor)]
        self._device = next((tensor.device for tensor in (*tensors, *inputs)), self._device)
        self._live = LiveTensors([*tensors, *inputs])
        self.found.clear()
        return super().run(*args, **options)

    def run_node(self, n: torch.fx.Node) -> Any:
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        before = self._memory(reset=True)
        start = self._now()
        result = getattr(self, n.op)(n.target, args, kwargs)
        milliseconds = (self._now() - start) * 1e3
        self._live.hold(result)
        self.found[n] = Measured(milliseconds, before, self._memory())
        return result

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def _memory(self, reset: bool = False) -> int:
        if self._device.type != "cuda":
            return self._live.bytes
        if reset and self._mem_func_name == "max_memory_allocated":
            torch.cuda.reset_peak_memory_stats(self._device)
        return int(getattr(torch.cuda, self._mem_func_name)(self._device))


# ---- time and memory apart, for fxcost measure ----------------------------------------------------------------------


class _Interpreter(torch.fx.Interpreter):
    """Drops what a node was the last to use within :meth:`run_node`, as a model's frames do when a call returns."""

    def __init__(self, module: torch.fx.GraphModule, device: torch.device) -> None:
        super().__init__(module)
        self.device = device
        self.garbage_collect_values = False  # but in compute(): the map of last uses is made all the same

    def compute(self, n: torch.fx.Node) -> Any:
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        result = getattr(self, n.op)(n.target, args, kwargs)
        del args, kwargs
        for dead in self.user_to_last_uses.get(n, ()):
            del self.env[dead]
        return result


class TimedInterpreter(_Interpreter):
    """Times every call of an operator, with giving back the memory that it was the last to use. Nothing is done in
    between; on CUDA events are recorded, which nobody waits for until the end."""

    def timed(self, inputs: list[Any]) -> dict[str, int]:
        """Nanoseconds of each call in one run, by the name of its node."""
        self._marks: list[tuple[str, Any, Any]] = []
        self.run(*inputs, enable_io_processing=False)
        if self.device.type != "cuda":
            return {name: end - start for name, start, end in self._marks}
        torch.cuda.synchronize(self.device)
        return {name: round(start.elapsed_time(end) * 1e6) for name, start, end in self._marks}

    def run_node(self, n: torch.fx.Node) -> Any:
        if n.op != "call_function":
            return self.compute(n)
        start = self._mark()
        result = self.compute(n)
        self._marks.append((n.name, start, self._mark()))
        return result

    def _mark(self) -> Any:
        if self.device.type != "cuda":
            return time.perf_counter_ns()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


@dataclass(frozen=True)
class Held:
    """Bytes of live tensors before a node, after it with what it used last gone, and at most in between; None where
    that could not be seen."""

    before: int
    after: int
    most: int | None


class HoldingInterpreter(_Interpreter):
    """Tells what is alive at every call of an operator: storages that it and the kernels behind it make, followed until
    they are freed; on CUDA what torch's allocator says."""

    def held(self, inputs: list[Any]) -> dict[str, Held]:
        self._live = LiveTensors([*self.module.parameters(), *self.module.buffers(), *inputs])
        self._found: dict[str, Held] = {}
        with _Seen(self._live) if self.device.type != "cuda" else contextlib.nullcontext():
            self.run(*inputs, enable_io_processing=False)
        return self._found

    def run_node(self, n: torch.fx.Node) -> Any:
        if n.op != "call_function":
            return self.compute(n)
        before = self._restart()
        result = self.compute(n)
        inside = isinstance(n.target, torch._ops.HigherOrderOperator)  # bodies are not seen
        self._found[n.name] = Held(before, self._now(), None if inside else self._most())
        return result

    def _now(self) -> int:
        return self._live.bytes if self.device.type != "cuda" else torch.cuda.memory_allocated(self.device)

    def _restart(self) -> int:
        now = self._live.most = self._now()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        return now

    def _most(self) -> int:
        return self._live.most if self.device.type != "cuda" else torch.cuda.max_memory_allocated(self.device)


class _Seen(TorchDispatchMode):
    """Shows the results of all operators to a LiveTensors, those too that only another operator uses."""

    supports_higher_order_operators = True

    def __init__(self, live: LiveTensors) -> None:
        super().__init__()
        self._live = live

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self._live.hold(result)
        return result
