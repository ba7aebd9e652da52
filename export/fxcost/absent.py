"""Lowering for a device that is not there: for a GPU, on a machine without one, with fake tensors alone."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from .errors import FxcostError

# c10::impl::device_guard_impl_registry of libc10: for each type of device what switches to a device of it.
_REGISTRY = "_ZN3c104impl26device_guard_impl_registryE"
_CPU, _CUDA = 0, 1  # c10::DeviceType


@contextlib.contextmanager
def absent(device: str | None) -> Iterator[None]:
    """Lets torch's compiler lower for a device that may not be there. Nothing is run on it: three places would."""
    with contextlib.ExitStack() as stack:
        if device not in (None, "cpu") and not torch.get_device_module(device).is_available():
            if device != "cuda":
                raise FxcostError(
                    f"the lowered view for {device}\n  expected: cpu, cuda, or a device of this machine\n"
                    f"  found: torch {torch.__version__} without {device}",
                    status="USAGE",
                )
            from torch._inductor.fx_passes import joint_graph, post_grad, pre_grad

            stack.enter_context(_nothing_to_switch_to())
            # Patterns are traced with tensors of the device, though none depends on where its tensors are ...
            for module in (joint_graph, post_grad, pre_grad):
                stock = module.lazy_init
                stack.enter_context(mock.patch.object(module, "lazy_init", _for_the_cpu(stock)))
            # ... and constants are folded on it.
            folder = joint_graph.UniformValueConstantFolder
            stack.enter_context(mock.patch.object(folder, "_deduce_value", _on_the_cpu(folder._deduce_value)))
        yield


def _for_the_cpu(stock: Any) -> Any:
    """The same patterns as for programs of the CPU: they are registered once for each device, and refuse repetition."""
    return lambda *given: stock(*(torch.device("cpu") for _ in given))


def _on_the_cpu(stock: Any) -> Any:
    def deduce_value(self: Any, node: torch.fx.Node) -> Any:
        kept = node.kwargs
        if "device" in kept:
            node.kwargs = {**kept, "device": torch.device("cpu")}
        try:
            return stock(self, node)
        finally:
            node.kwargs = kept

    return deduce_value


@contextlib.contextmanager
def _nothing_to_switch_to() -> Iterator[None]:
    """Calls of tensors switch to their device. A torch without CUDA has nothing that does so and refuses; for a CPU it
    has a guard that does nothing, which serves here too."""
    library = next(Path(torch.__file__).parent.glob("lib/libc10.*"), None)
    try:
        registry = (ctypes.c_void_p * (_CUDA + 1)).in_dll(ctypes.CDLL(str(library)), _REGISTRY)
    except (OSError, ValueError):  # then in-place writes and slices are refused, with a message of torch
        yield
        return
    before = registry[_CUDA]
    if before is None:
        registry[_CUDA] = registry[_CPU]
    try:
        yield
    finally:
        registry[_CUDA] = before
