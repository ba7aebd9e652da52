"""Fusion decisions of Inductor on a CPU by what a merge of two kernels saves (docs/compiler.md)."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Iterator
from ctypes import POINTER, byref, c_char_p, c_double, c_int32, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import Any

import torch

from ..abi import ERROR, Sized
from ..binding import _call, declare, function
from ..errors import usage
from . import call
from .choices import choices_class
from .hooks import cache_key, seam
from .seconds import DEVICE

_PURPOSE = "fusion decisions"


class _Merge(Sized):
    """``fxc_merge``: two kernels that could be one."""

    _fields_ = [("struct_size", c_size_t)]
    _fields_ += [(name, c_int64) for name in ("bytes_saved", "operations", "calls")]


declare(
    {
        "fxc_device_find": (c_void_p, [c_char_p]),
        "fxc_device_parse": (c_int32, [c_char_p, c_size_t, c_char_p, POINTER(c_void_p), ERROR]),
        "fxc_device_free": (None, [c_void_p]),
        "fxc_merge_seconds": (c_int32, [c_void_p, POINTER(_Merge), POINTER(c_double), ERROR]),
    }
)


def cost_choices(device: str = DEVICE) -> Any:
    """A subclass of ``InductorChoices`` for :func:`fxcost.compiler.fusion_choices`, which decides about kernels on a
    CPU by the seconds that a merge saves on the device: what saves most is merged first, and what costs more than it
    saves is not. Merges between which it is the order alone that decides, and other devices, are left to torch."""
    base: Any = choices_class()
    seam("torch._inductor.choices", "FusionScore", _PURPOSE)  # what score_fusion gives; older torch has tuples
    costs = _Costs(device)

    class CostChoices(base):  # type: ignore[misc]
        @staticmethod
        def score_fusion(scheduler: Any, node1: Any, node2: Any) -> Any:
            score = base.score_fusion(scheduler, node1, node2)
            if not (node1.is_cpu() and node2.is_cpu()):
                return score
            return dataclasses.replace(score, node_type_score=0, memory_score=costs.saved(scheduler, node1, node2))

        @staticmethod
        def can_fuse(scheduler: Any, node1: Any, node2: Any, shared_data_score: int) -> bool:
            if not base.can_fuse(scheduler, node1, node2, shared_data_score):
                return False
            return not (node1.is_cpu() and node2.is_cpu()) or costs.pays(scheduler, node1, node2)

        def uuid(self) -> str:
            return cache_key("cost choices", device)

    return CostChoices


class _Costs:
    """What merges of Inductor's scheduler nodes save on a device."""

    def __init__(self, device: str) -> None:
        self._device, parsed = _opened(device)
        if parsed:
            weakref.finalize(self, function("fxc_device_free"), self._device)
        self._vectorised: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()
        self._seconds(0, 1, 1)  # a device without the figures is refused at once

    def saved(self, scheduler: Any, node1: Any, node2: Any) -> float:
        operations, calls = self._no_longer_vectorised(scheduler, node1, node2)
        return self._seconds(_bytes_saved(scheduler, node1, node2), operations, calls)

    def pays(self, scheduler: Any, node1: Any, node2: Any) -> bool:
        """Only what is no longer vectorised can cost more than it saves."""
        return not any(self._no_longer_vectorised(scheduler, node1, node2)) or self.saved(scheduler, node1, node2) >= 0

    def _seconds(self, bytes_saved: int, operations: int, calls: int) -> float:
        merge, seconds = _Merge(), c_double()
        merge.bytes_saved, merge.operations, merge.calls = bytes_saved, operations, calls
        _call("fxc_merge_seconds", self._device, byref(merge), byref(seconds))
        return seconds.value

    def _no_longer_vectorised(self, scheduler: Any, node1: Any, node2: Any) -> tuple[int, int]:
        """Operations and calls of the loops that would become scalar code, where only one of the two is vectorised
        by torch. Loops that have no more in common than outer loops keep their own code."""
        kinds = [self._is_vectorised(node) for node in (node1, node2)]
        if kinds[0] == kinds[1]:
            return 0, 0
        if scheduler.get_backend(node1.get_device()).get_fusion_pair_priority(node1, node2) > 0:
            return 0, 0
        return _work(scheduler, node1 if kinds[0] else node2)

    def _is_vectorised(self, node: Any) -> bool:
        found = self._vectorised.get(node)
        if found is None:
            types: Any = seam("torch._inductor.codegen.cpp", "VECTORIZABLE_DTYPES", _PURPOSE)
            found = self._vectorised[node] = all(dtype in types for dtype in _types(node))
        return found


def _opened(name: str) -> tuple[c_void_p, bool]:
    """A device of the table, or of a file, which has to be freed."""
    if Path(name).is_file():
        text, parsed = Path(name).read_bytes(), c_void_p()
        _call("fxc_device_parse", text, len(text), name.encode(), byref(parsed))
        return parsed, True
    found = function("fxc_device_find")(name.encode())
    if not found:
        raise usage(f"device {name!r} of fusion decisions is none that fxcost knows, and no file", "fxcost devices")
    return c_void_p(found), False


def _bytes_saved(scheduler: Any, node1: Any, node2: Any) -> int:
    """What both touch in the same order is touched once. What one writes for the other is not written at all when it
    has no other readers; where a part of its readers are here, that part of the write counts."""
    writes = node1.read_writes.writes | node2.read_writes.writes
    ours = {part.get_name() for node in (node1, node2) for part in node.get_nodes()}
    saved = 0
    touched = [node.read_writes.reads | node.read_writes.writes for node in (node1, node2)]
    for access in touched[0] & touched[1]:
        size = scheduler.dep_size_hint(access)
        saved += size
        if access in writes:
            inside, readers = _readers(scheduler, access.name, ours)
            saved += size * inside // max(readers, 1)
    return saved


def _readers(scheduler: Any, name: str, ours: set[str]) -> tuple[int, int]:
    """How many of a buffer's readers are among ours, and how many there are; (0, 0) where it has to be in memory."""
    buffer = scheduler.name_to_buf.get(name)
    if buffer is None or name in scheduler.mutation_renames or name in scheduler.mutation_real_name:
        return 0, 0
    users = [user for user in buffer.users if not user.is_weak]
    if any(not hasattr(user.node, "is_extern") or user.node.is_extern() for user in users):
        return 0, 0  # the caller, or a library
    return sum(user.get_name() in ours for user in users), len(users)


def _types(node: Any) -> Iterator[torch.dtype]:
    """Element types of what a node loads, stores and computes with."""
    graph: Any = seam("torch._inductor.virtualized", "V", _PURPOSE).graph
    for part in node.get_nodes():
        for access in part.read_writes.reads | part.read_writes.writes:
            yield graph.get_dtype(access.name)
        body = getattr(part, "_body", None)
        for block in () if body is None else (body.root_block, *body.subblocks.values()):
            for step in block.graph.nodes:
                yield from (value for value in (*step.args, *step.kwargs.values()) if isinstance(value, torch.dtype))


def _work(scheduler: Any, node: Any) -> tuple[int, int]:
    """Operations, accesses among them, and functions of the mathematical library, as fxcost counts the graph's nodes
    that a kernel was made from; none where it does not know one."""
    operations = calls = 0
    for part in node.get_nodes():
        for access in part.read_writes.reads | part.read_writes.writes:
            operations += scheduler.dep_size_hint(access, False)
        for origin in part.node.get_origins():
            if origin.op != "call_function" or not isinstance(origin.target, torch._ops.OpOverload):
                continue
            counts = call.counts(call.of_node(origin))
            if counts is None:
                return 0, 0
            operations += counts.vector_flops + counts.int_ops
            calls += counts.transcendentals
    return operations, calls
