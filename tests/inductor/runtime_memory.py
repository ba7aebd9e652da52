"""What a program compiled by Inductor for a CPU allocates while it runs, to the byte.

Generated code takes its buffers from ``_empty_strided_cpu``, which no dispatch mode sees, and library kernels give
tensors of their own, which one does see. Both are followed by weak references to their storages.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from torch._inductor import config as inductor_config
from torch._inductor.compile_fx import compile_fx, compile_fx_inner
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_leaves

import fxcost.fusion
from fxcost.binding import Program

_GUARDS = torch._C._dynamo.guards


class Allocations(TorchDispatchMode):
    """Bytes of storages that are alive, and the most of them."""

    def __init__(self) -> None:
        super().__init__()
        self._alive: set[int] = set()
        self.now = self.peak = 0

    def add(self, tensor: Any) -> Any:
        if isinstance(tensor, torch.Tensor):
            storage = tensor.untyped_storage()
            key, size = storage._cdata, storage.nbytes()
            if key not in self._alive:
                self._alive.add(key)
                weakref.finalize(storage, self._drop, key, size).atexit = False
                self.now += size
                self.peak = max(self.peak, self.now)
        return tensor

    def _drop(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self.now -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            self.add(tensor)
        return result


def compiled_peak(module: Callable[..., Any], inputs: tuple[Any, ...]) -> tuple[int, int]:
    """Bytes that are there when the compiled graph begins (parameters, buffers, inputs), and the peak while it runs."""
    found: list[Allocations] = []
    stock = _GUARDS._empty_strided_cpu

    def empty(*args: Any) -> torch.Tensor:
        tensor: torch.Tensor = stock(*args)
        return found[-1].add(tensor) if found else tensor

    def inner(graph: torch.fx.GraphModule, example: Any, **kwargs: Any) -> Any:
        compiled = compile_fx_inner(graph, example, **kwargs)

        def call(args: list[Any]) -> Any:
            found.append(Allocations())
            for tensor in tree_leaves(args):
                found[-1].add(tensor)
            given.append(found[-1].now)
            held = list(args)  # the caller's own references
            with found[-1]:
                result = compiled(args)
            del held
            return result

        call._boxed_call = True  # type: ignore[attr-defined]
        return call

    given: list[int] = []
    torch._dynamo.reset()
    with (
        torch.no_grad(),
        mock.patch.object(_GUARDS, "_empty_strided_cpu", empty),
        inductor_config.patch({"fx_graph_cache": False}),
    ):
        torch.compile(module, backend=lambda graph, example: compile_fx(graph, example, inner_compile=inner))(*inputs)
    assert len(found) == 1, "one graph"
    return given[0], found[0].peak


def compared(module: Callable[..., Any], inputs: tuple[Any, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Peak and what was given: as they were while it ran, and of the kernels of the graph that was compiled."""
    with torch.no_grad(), fxcost.compiled() as programs:
        given, peak = compiled_peak(module, inputs)
    (program,) = programs
    return (peak, given), fxcost.fusion.peak(Program.from_bytes(program.to_bytes()), "inductor-cpu")
