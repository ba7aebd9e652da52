"""Stages of a pipeline: a program cut into contiguous parts by predicted time (include/fxcost/partition.h)."""

from __future__ import annotations

import json
import weakref
from ctypes import POINTER, byref, c_double, c_int32, c_int64, c_size_t, c_uint32, c_void_p
from dataclasses import dataclass
from typing import Any

from .abi import ERROR, WRITE, RenderOptions, Sized
from .binding import Analysis, _call, _collect, declare, function


class _Options(Sized):
    """``fxc_partition_options``."""

    _fields_ = [("struct_size", c_size_t), ("stages", c_uint32), ("memory_bytes", c_int64), ("slack", c_double)]


declare(
    {
        "fxc_partition_new": (c_int32, [c_void_p, POINTER(_Options), POINTER(c_void_p), ERROR]),
        "fxc_partition_free": (None, [c_void_p]),
        "fxc_partition_render": (c_int32, [c_void_p, POINTER(RenderOptions), WRITE, c_void_p, ERROR]),
    }
)


@dataclass(frozen=True)
class Stage:
    """Nodes that run on one device, one after the other. ``held_bytes`` are the parameters, buffers and inputs that
    they use, ``alive_bytes`` what is alive besides at most; ``memory_bytes`` is their sum."""

    first_node: str
    last_node: str
    nodes: int
    module: str
    seconds: float
    flops: int
    held_bytes: int
    alive_bytes: int
    memory_bytes: int
    received_bytes: int
    sent_bytes: int


class Partition:
    """A program cut into stages; docs/partition.md says what is in it. Printed it is the table of the command."""

    def __init__(self, analysis: Analysis, stages: int, memory_bytes: int | None = None, slack: float = 0.01) -> None:
        """``memory_bytes`` is the limit of a stage: by default the memory of the analysis's device, -1 for none."""
        options = _Options()
        options.stages, options.slack = stages, slack
        options.memory_bytes = memory_bytes or 0
        self._program = analysis.program  # kept as long as this
        self._handle = c_void_p()
        analysis.call("fxc_partition_new", byref(options), byref(self._handle))
        weakref.finalize(self, function("fxc_partition_free"), self._handle)
        data = self.to_dict()
        self.stages = tuple(Stage(**stage) for stage in data["stages"])
        self.seconds: float = data["seconds"]
        self.bottleneck_seconds: float = data["bottleneck_seconds"]
        self.best_seconds: float = data["best_seconds"]
        self.imbalance: float = data["imbalance"]
        self.sent_bytes: int = data["sent_bytes"]
        self.untimed_nodes: int = data["untimed_nodes"]

    def render(self, format: str = "table", raw: bool = False) -> str:
        """As ``table``, ``csv`` or ``json``."""
        options = RenderOptions()
        options.format, options.raw = format.encode(), raw
        return _collect(lambda write: _call("fxc_partition_render", self._handle, byref(options), write, None)).decode()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form (docs/partition.schema.json) as Python data."""
        data: dict[str, Any] = json.loads(self.render("json"))
        return data

    def __str__(self) -> str:
        return self.render()
