"""The model of torch's CUDA caching allocator against a second one, written from the description of its rules.

Sources: "CUDA semantics, memory management" of torch's documentation, and the comment that opens
c10/cuda/CUDACachingAllocator.cpp. This one keeps segments as lists of spans and is slow; the library keeps rows."""

from __future__ import annotations

import ctypes
import random

import pytest
import torch
from shape_models import WRITTEN
from torch import nn

import fxcost
from fxcost import abi, binding

MB = 1 << 20


class Allocator:
    """Segments are lists of [size, handle or None]: None is free."""

    def __init__(self) -> None:
        self.segments: dict[bool, list[list[list[int | None]]]] = {True: [], False: []}  # by pool: small?
        self.order: list[list[list[int | None]]] = []  # in the order of their making, which is that of addresses
        self.allocated = self.reserved = self.most_allocated = self.most_reserved = 0
        self.handles = 0

    def take(self, size: int) -> int:
        size = (size + 511) // 512 * 512
        small = size <= MB
        # the smallest hole that is large enough, at the lowest address
        holes = [
            (span[0], place, at, segment)
            for place, segment in enumerate(self.order)
            if any(segment is one for one in self.segments[small])
            for at, span in enumerate(segment)
            if span[1] is None and (span[0] or 0) >= size
        ]
        if holes:
            _, _, at, segment = min(holes, key=lambda hole: hole[:3])
        else:
            whole = 2 * MB if small else 20 * MB if size < 10 * MB else (size + 2 * MB - 1) // (2 * MB) * 2 * MB
            segment, at = [[whole, None]], 0
            self.segments[small].append(segment)
            self.order.append(segment)
            self.reserved += whole
            self.most_reserved = max(self.most_reserved, self.reserved)
        rest = (segment[at][0] or 0) - size
        if rest >= 512 if small else rest > MB:
            segment[at : at + 1] = [[size, None], [rest, None]]
        self.handles += 1
        segment[at][1] = self.handles
        self.allocated += segment[at][0] or 0
        self.most_allocated = max(self.most_allocated, self.allocated)
        return self.handles

    def give(self, handle: int) -> None:
        for segment in self.order:
            for span in segment:
                if span[1] == handle:
                    span[1] = None
                    self.allocated -= span[0] or 0
            at = 0
            while at + 1 < len(segment):
                if segment[at][1] is None and segment[at + 1][1] is None:
                    segment[at : at + 2] = [[(segment[at][0] or 0) + (segment[at + 1][0] or 0), None]]
                else:
                    at += 1

    def state(self) -> tuple[int, int, int, int]:
        return self.allocated, self.reserved, self.most_allocated, self.most_reserved


class State(abi.Sized):
    """``fxc_allocator_state``."""

    _fields_ = [("struct_size", ctypes.c_size_t)]
    _fields_ += [(name, ctypes.c_int64) for name in ("allocated", "reserved", "most_allocated", "most_reserved")]


class Library:
    """The library's allocator."""

    def __init__(self) -> None:
        self.library, self.handle = binding.library(), ctypes.c_void_p()
        for name in ("fxc_allocator_free", "fxc_allocator_give", "fxc_allocator_get"):
            getattr(self.library, name).restype = None
        assert self.library.fxc_allocator_new(ctypes.byref(self.handle), None) == 0

    def take(self, size: int) -> int:
        block = ctypes.c_uint32()
        assert self.library.fxc_allocator_take(self.handle, ctypes.c_int64(size), ctypes.byref(block), None) == 0
        return block.value

    def give(self, block: int) -> None:
        self.library.fxc_allocator_give(self.handle, ctypes.c_uint32(block))

    def state(self) -> tuple[int, int, int, int]:
        state = State()
        self.library.fxc_allocator_get(self.handle, ctypes.byref(state))
        return state.allocated, state.reserved, state.most_allocated, state.most_reserved

    def __del__(self) -> None:
        self.library.fxc_allocator_free(self.handle)


SIZES = [
    1,
    4,
    511,
    512,
    513,
    4096,
    100_000,
    MB - 512,
    MB,
    MB + 1,
    3 * MB,
    9 * MB,
    10 * MB - 1,
    10 * MB,
    19 * MB,
    33 * MB,
]


@pytest.mark.parametrize("seed", range(12))
def test_random_traces(seed: int) -> None:
    """Four hundred requests each, with every size that a rule turns at, the state compared after each."""
    chance = random.Random(seed)
    ours, theirs = Library(), Allocator()
    held: list[tuple[int, int]] = []
    taken = 0
    while taken < 400:
        if held and chance.random() < 0.45:
            one, other = held.pop(chance.randrange(len(held)))
            ours.give(one)
            theirs.give(other)
        else:
            size = chance.choice(SIZES) if chance.random() < 0.5 else int(2 ** chance.uniform(0, 26))
            held.append((ours.take(size), theirs.take(size)))
            taken += 1
        assert ours.state() == theirs.state(), taken
    for one, other in held:
        ours.give(one)
        theirs.give(other)
    assert ours.state() == theirs.state()
    assert ours.state()[0] == 0 and ours.state()[1] > 0  # cached, not given back


def test_a_model_is_rounded_and_cached() -> None:
    """Four tensors of parameters and an input round up to 512 bytes; all fit one small segment."""
    report = fxcost.analyze(nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 10)), (torch.randn(3, 10),))
    analysis = report._analysis
    assert (analysis.memory().allocated_bytes, analysis.memory().reserved_bytes) == (-1, -1)
    analysis.set("allocator", "cuda")
    memory = analysis.memory()
    assert memory.allocated_bytes == (4 + 1 + 2) * 512  # and two activations, 400 and 120 bytes long at most
    assert memory.reserved_bytes == 2 * MB
    assert "reserved by torch's CUDA allocator" in analysis.render()
    with pytest.raises(fxcost.FxcostError, match="'exact' or 'cuda'"):
        analysis.set("allocator", "jemalloc")


@pytest.mark.parametrize("name", [name for name in WRITTEN if name != "recurrent"])
def test_allocated_is_above_exact_and_below_reserved(name: str) -> None:
    model = WRITTEN[name]()
    analysis = fxcost.analyze(model.module.eval(), model.args, dict(model.kwargs or {}))._analysis
    analysis.set("allocator", "cuda")
    memory = analysis.memory()
    assert memory.peak_bytes <= memory.allocated_bytes <= memory.reserved_bytes
