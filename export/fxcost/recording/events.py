"""What a recording is made of: events, and what stands in them for tensors and their memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch._subclasses.fake_tensor import FakeTensor

OUTSIDE = -1  # node of a reference to a tensor that no recorded operator made
PLAIN_TENSORS = frozenset({torch.Tensor, torch.nn.Parameter, torch.nn.Buffer, FakeTensor})  # others are subclasses

Key = tuple[torch.dtype, tuple[int, ...], tuple[int, ...], int]  # type, sizes, strides, offset


class Ref:
    """One tensor as operators saw it. ``node`` and ``place`` say what made it: which event, which of its results
    (-1: the only one)."""

    __slots__ = ("flags", "key", "node", "place", "row", "storage")

    row: int  # of the value, once it is written

    def __init__(self, key: Key, storage: int, node: int, place: int, flags: int = 0) -> None:
        self.key, self.storage, self.node, self.place, self.flags = key, storage, node, place, flags

    @property
    def dtype(self) -> torch.dtype:
        return self.key[0]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.key[1]


class Odd:
    """What a reference cannot say by its storage: a tensor without one (sparse, nested, a subclass)."""

    __slots__ = ("device", "layout", "quantized", "subclass")

    def __init__(self, tensor: torch.Tensor) -> None:
        self.layout = "nested" if tensor.is_nested else tensor.layout
        self.device, self.quantized = str(tensor.device), tensor.is_quantized
        self.subclass = type(tensor) not in PLAIN_TENSORS


class Kernel(NamedTuple):
    """The operator that a launched kernel is."""

    name: str
    schema: str


class Storage:
    """Memory that tensors have. ``key`` and ``ref`` are the description under which an operator saw it last, and what
    stands for that: nearly always the next one takes it so."""

    __slots__ = ("bytes", "device", "key", "ref", "row")

    ref: Ref

    def __init__(self, row: int, size: int, device: torch.device) -> None:
        self.row, self.bytes, self.device = row, size, device
        self.key: Key | None = None


class Events:
    """What a program is written from. An event is (operator, arguments, keyword arguments, results, call, function,
    code, position in the code, flags, autograd number)."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.outside: list[tuple[Ref, int]] = []  # with the event that met it first
        self.storages: list[Storage] = []
        self.odd: list[Odd] = []
        # Calls of modules: (module, calling call, training, events before it). Modules live as long as these.
        self.calls: list[tuple[torch.nn.Module, int, bool, int]] = []
        self.without_hooks: set[int] = set()  # calls of what was reached by its forward alone


def refs(value: Any) -> Iterator[Ref]:
    """All references in an argument, or in several."""
    if type(value) is Ref:
        yield value
    elif type(value) in (list, tuple):
        for item in value:
            yield from refs(item)
    elif type(value) is dict:
        yield from refs(list(value.values()))
