"""Runs of equal events on a tape: a loop that ran a thousand times is stored once.

Two events are alike when they are the same call but for numbers and tensors. A run of alike events can be folded when,
from trip to trip, every tensor comes from the same place (the trip itself, the trip before, or outside of the run)
and every size is constant or grows by a constant; other numbers may vary freely, since nothing is counted by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from .events import OUTSIDE, Events, Ref

Event = tuple[Any, ...]
Sequence = list[Any]

_WINDOW = 8  # events that must be alike before a distance is looked at
_CANDIDATES = 32  # distances that are tried
_LEAST_TRIPS, _LEAST_SAVED = 3, 64  # below these a loop is written out
_COMPARED = frozenset({str, torch.dtype, torch.device, torch.layout, torch.memory_format})
_TRIMS = ((0, 0), (1, 0), (1, 1), (2, 1))  # trips left out before and after, until the rest folds


@dataclass(frozen=True, slots=True)
class Linear:
    """A number that is ``base`` in the first trip and grows by ``slope``."""

    base: int
    slope: int


@dataclass(frozen=True, slots=True)
class Varying:
    """A number of this type that changes from trip to trip and decides no size."""

    type: type


@dataclass
class Slopes:
    """How the description of a tensor grows from trip to trip."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int


@dataclass
class Fold:
    """A run that is stored once: the events of its first trip, with ``Linear`` and ``Varying`` where trips differ."""

    start: int
    period: int
    trips: int
    events: list[Event] = field(default_factory=list)
    operands: list[Ref] = field(default_factory=list)  # what goes into the first trip ...
    inputs: list[Ref] = field(default_factory=list)  # ... and stands for it in the body
    outputs: list[tuple[Ref, Ref]] = field(default_factory=list)  # carried to the next trip: in the first, in the last
    slopes: dict[int, Slopes] = field(default_factory=dict)  # by id of the reference
    bytes_slope: dict[int, int] = field(default_factory=dict)  # by storage
    storages: dict[int, int] = field(default_factory=dict)  # of operands: what stands for them in the body
    varies: bool = False

    @property
    def end(self) -> int:
        return self.start + self.period * self.trips


class Unequal(Exception):
    """The trips of a run differ in more than numbers."""


# ---- finding runs ---------------------------------------------------------------------------------------------------


def find_folds(signatures: np.ndarray[Any, Any], fold: Callable[[int, int, int], Fold | None]) -> list[Fold]:
    """Folds that do not overlap, by rising start; ``fold`` takes start, period and trips."""
    free = np.ones(len(signatures), dtype=bool)
    found = []
    for period in _periods(signatures):
        for start, trips in _runs(signatures, free, period):
            made = _trimmed(fold, start, period, trips)
            if made is not None:
                free[made.start : made.end] = False
                found.append(made)
    return sorted(found, key=lambda made: made.start)


def _periods(signatures: np.ndarray[Any, Any]) -> list[int]:
    """Distances at which windows of events come again, those of most windows first."""
    count = len(signatures) - _WINDOW + 1
    if count < _LEAST_SAVED:
        return []
    windows = np.zeros(count, dtype=np.uint64)
    for i in range(_WINDOW):
        windows = windows * np.uint64(0x9E3779B97F4A7C15) + signatures[i : i + count].astype(np.uint64)
    order = np.argsort(windows, kind="stable")
    again = windows[order[1:]] == windows[order[:-1]]
    periods, counts = np.unique((order[1:] - order[:-1])[again], return_counts=True)
    enough = counts + _WINDOW >= np.maximum(periods, _LEAST_SAVED - _WINDOW)
    periods, counts = periods[enough], counts[enough]
    return [int(period) for period in periods[np.argsort(-counts, kind="stable")][:_CANDIDATES]]


def _runs(signatures: np.ndarray[Any, Any], free: np.ndarray[Any, Any], period: int) -> Iterator[tuple[int, int]]:
    equal = (signatures[period:] == signatures[:-period]) & free[period:] & free[:-period]
    edges = np.flatnonzero(np.diff(np.concatenate(([0], equal.astype(np.int8), [0]))))
    for begin, end in zip(edges[::2].tolist(), (edges[1::2] + period).tolist(), strict=True):
        taken = np.flatnonzero(~free[begin:end])  # by the run before, which reaches a period further than its equals
        begin += int(taken[-1]) + 1 if len(taken) else 0
        trips = (end - begin) // period
        if trips >= _LEAST_TRIPS and (trips - 1) * period >= _LEAST_SAVED:
            yield begin, trips


def _trimmed(fold: Callable[[int, int, int], Fold | None], start: int, period: int, trips: int) -> Fold | None:
    """The first trips of a loop may take what others do not, and a run may end inside a trip of the loop proper."""
    for front, back in _TRIMS:
        left = trips - front - back
        if left < _LEAST_TRIPS:
            return None
        made = fold(start + front * period, period, left)
        if made is not None:
            return made
    return None


# ---- folding one ----------------------------------------------------------------------------------------------------


class Folder:
    """Folds runs of a tape. ``owned`` are the storages of the model's tensors, which never stand for one another."""

    def __init__(self, tape: Events, owned: Any) -> None:
        self.tape, self.events, self.owned = tape, tape.events, owned

    def fold(self, start: int, period: int, trips: int) -> Fold | None:
        made = Fold(start, period, trips)
        self._made = made
        self._placeholders: dict[Any, Ref] = {}
        self._carried: dict[tuple[int, int], Ref] = {}
        try:
            for at in range(period):
                made.events.append(self._event([self.events[start + at + t * period] for t in range(trips)], at))
            for (position, place), _ in self._carried.items():
                first = _result(self.events[start + position], place)
                made.outputs.append((first, _result(self.events[made.end - period + position], place)))
        except Unequal:
            return None
        return made

    def _event(self, trips: list[Event], at: int) -> Event:
        func, taken, named, result, *rest = trips[0]
        arguments = [self._argument([event[1][i] for event in trips], at) for i in range(len(taken))]
        keywords = {key: self._argument([event[2][key] for event in trips], at) for key in named} if named else None
        result = self._results([event[3] for event in trips])
        return (func, arguments, keywords, result, *rest)

    def _argument(self, values: Sequence, at: int) -> Any:
        first = values[0]
        kind = type(first)
        if kind is Ref:
            return self._tensor(values, at)
        if any(type(value) is not kind for value in values):
            raise Unequal
        if kind is list:
            if any(len(value) != len(first) for value in values):
                raise Unequal
            return [self._argument([value[i] for value in values], at) for i in range(len(first))]
        if all(value is first for value in values):
            return first
        if kind in (int, float, bool):
            return self._scalar(values)
        if kind not in _COMPARED or any(value != first for value in values):
            raise Unequal
        return first

    def _scalar(self, values: Sequence) -> Any:
        first = values[0]
        if all(value == first for value in values):
            return first
        return (self._number(values) if type(first) is int else None) or Varying(type(first))

    def _number(self, values: Sequence) -> Linear | None:
        base, slope = values[0], values[1] - values[0]
        if any(value != base + slope * t for t, value in enumerate(values)):
            return None
        self._made.varies = True
        return Linear(base, slope)

    # ---- where tensors come from ------------------------------------------------------------------------------------

    def _tensor(self, refs: list[Ref], at: int) -> Ref:
        if any(type(ref) is not Ref for ref in refs):
            raise Unequal
        first, start, period = refs[0], self._made.start, self._made.period
        inside = first.node - start
        if 0 <= inside < at:  # of the same trip
            if any(ref.node != first.node + t * period or ref.place != first.place for t, ref in enumerate(refs)):
                raise Unequal
            return first
        if all(ref is first for ref in refs):
            return self._input(("same", id(first)), first, refs)
        second = refs[1].node - start
        if 0 <= second < period:  # of the trip before
            for t, ref in enumerate(refs[1:]):
                if ref.node != start + second + t * period or ref.place != refs[1].place:
                    raise Unequal
            key = (second, refs[1].place)
            placeholder = self._input(("carried", *key, id(first)), first, refs)
            self._carried[key] = placeholder
            return placeholder
        if all(ref.node == OUTSIDE and ref.storage not in self.owned for ref in refs):  # a batch for every trip
            return self._input(("each", id(first)), first, refs)
        raise Unequal

    def _input(self, key: Any, first: Ref, refs: list[Ref]) -> Ref:
        placeholder = self._placeholders.get(key)
        if placeholder is None:
            made = self._made
            storage = first.storage
            if key[0] != "same" and storage >= 0:
                storage = made.storages.get(first.storage, -1)
                if storage < 0:
                    self.tape.storages.append(self.tape.storages[first.storage])
                    storage = made.storages[first.storage] = len(self.tape.storages) - 1
            placeholder = self._placeholders[key] = Ref(first.key, storage, OUTSIDE, -1, first.flags)
            made.operands.append(first)
            made.inputs.append(placeholder)
            self._describe(placeholder, refs)
        return placeholder

    # ---- what tensors are -------------------------------------------------------------------------------------------

    def _results(self, results: Sequence) -> Any:
        first = results[0]
        kind = type(first)
        if any(type(result) is not kind for result in results):
            raise Unequal
        if kind is Ref:
            self._describe(first, results)
        elif kind is list:
            if any(len(result) != len(first) for result in results):
                raise Unequal
            return [self._results([result[i] for result in results]) for i in range(len(first))]
        elif kind in (int, float, bool):
            return self._scalar(results)
        return first

    def _describe(self, first: Ref, refs: list[Ref]) -> None:
        """Notes how the description grows; raises where it does not grow evenly."""
        key = first.key
        storages, made = self.tape.storages, self._made
        if not all(ref.key is key or ref.key == key for ref in refs):
            if any(ref.dtype is not key[0] or len(ref.shape) != len(key[1]) for ref in refs) or first.storage < 0:
                raise Unequal
            made.slopes[id(first)] = Slopes(
                tuple(self._slope([ref.key[1][d] for ref in refs]) for d in range(len(key[1]))),
                tuple(self._slope([ref.key[2][d] for ref in refs]) for d in range(len(key[1]))),
                self._slope([ref.key[3] for ref in refs]),
            )
            made.varies = True
        if first.storage >= 0 and first.storage not in made.bytes_slope:
            slope = self._slope([storages[ref.storage].bytes for ref in refs])
            made.bytes_slope[first.storage] = slope

    @staticmethod
    def _slope(values: list[int]) -> int:
        base, slope = values[0], values[1] - values[0]
        if slope == 0:
            if any(value != base for value in values):
                raise Unequal
        elif any(value != base + slope * t for t, value in enumerate(values)):
            raise Unequal
        return slope


def _result(event: Event, place: int) -> Ref:
    found = event[3] if place < 0 else event[3][place]
    assert type(found) is Ref
    return found
