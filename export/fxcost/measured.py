"""Time and memory of each node of a graph, measured while it runs."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
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
        self.bytes = 0
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
