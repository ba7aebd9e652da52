"""Where events belong: module calls, source positions, functions of torch."""

from __future__ import annotations

import bisect
from collections import Counter
from typing import Any

import torch

from ..columns import NONE, Columns
from ..convert import Sources
from ..enums import bits, enum
from ..modules import Modules
from ..ops import function_name
from .ending import Ending
from .events import Events, Ref
from .phases import NO_NUMBER
from .repeats import Fold


def attribution(tape: Events) -> tuple[list[int], list[Any]]:
    """Module call and position (code, offset in it) of each event. A backward operator has those of the forward
    operator whose autograd node it runs for, and what autograd adds up those of the operator before it."""
    numbers: list[int] = []
    events: list[int] = []
    calls: list[int] = []
    places: list[Any] = []
    flag = bits("node_flag")
    backward, accumulation = flag["backward"], flag["gradient_accumulation"]
    for index, (_, _, _, _, call, _, code, position, flags, number) in enumerate(tape.events):
        if not flags & backward:
            calls.append(call)
            places.append((code, position))
            if number >= 0 and (not numbers or number > numbers[-1]):
                numbers.append(number)
                events.append(index)
            continue
        at = bisect.bisect_left(numbers, number) if number >= 0 else len(numbers)
        if at < len(numbers):
            calls.append(calls[events[at]])
            places.append(places[events[at]])
        elif flags & accumulation and calls:
            calls.append(calls[-1])
            places.append(places[-1])
        else:
            calls.append(-1)
            places.append((None, 0))
    return calls, places


def dead_events(events: list[tuple[Any, ...]], alive: list[bool]) -> list[bool]:
    """Which operators ran for nothing: they write to no argument, no live operator takes their result, and nobody held
    it when the recording ended. What gives no tensor (a number, an assertion) ran for the code around it."""
    dead, taken, mutable = [False] * len(events), [False] * len(events), dict[int, bool]()

    def take(args: Any) -> None:
        for arg in args:
            if type(arg) is Ref:
                if arg.node >= 0:
                    taken[arg.node] = True
            elif type(arg) is list:
                take(arg)

    for index in range(len(events) - 1, -1, -1):
        event = events[index]
        if not taken[index]:
            func, result = event[0], event[3]
            writes = mutable.get(id(func))
            if writes is None:
                schema = getattr(func, "_schema", None)
                writes = mutable[id(func)] = (
                    schema is None or schema.is_mutable or not func.namespace.startswith("aten")
                )
            if not writes and _given_up(result, alive):
                dead[index] = True
                continue
        take(event[1])
        if event[2]:
            take(event[2].values())
    return dead


def _given_up(result: Any, alive: list[bool]) -> bool:
    """Whether a result is a tensor, or several, and nobody holds any."""
    if type(result) is Ref:
        return result.storage >= 0 and not alive[result.storage]
    refs = [ref for ref in result if type(ref) is Ref] if type(result) is list else []
    return bool(refs) and all(_given_up(ref, alive) for ref in refs)


class Positions:
    """Rows of source positions."""

    def __init__(self, columns: Columns) -> None:
        self.sources = Sources(columns)
        self._rows: dict[tuple[int, int], int] = {}

    def row(self, place: Any) -> int:
        code, offset = place
        if code is None:
            return NONE
        if type(code) is str:  # of an exported node: the whole trace
            return self.sources.of(code)
        key = (id(code), offset)
        row = self._rows.get(key)
        if row is None:
            line = code.co_firstlineno
            for start, end, at in code.co_lines():
                if start <= offset < end and at is not None:
                    line = at
                    break
            row = self._rows[key] = self.sources.row(code.co_filename, line, code.co_name)
        return row


class Gradients:
    """Regions for the nodes of autograd that ran several operators one after the other in a backward pass."""

    def __init__(self, events: list[tuple[Any, ...]], columns: Columns) -> None:
        self.columns = columns
        self.runs = [-1] * len(events)  # by event: the first event of its run
        self._rows: dict[int, int] = {}
        self._kind = enum("region_kind")["gradient"]
        backward = bits("node_flag")["backward"]
        begin, before = 0, NO_NUMBER
        for index, event in enumerate([*events, None]):
            number = event[9] if event is not None and event[8] & backward else NO_NUMBER
            if number != before:
                end = index if before != NO_NUMBER else begin
                while end > begin and _adds_up(events[end - 1], begin):
                    end -= 1
                if end > begin + 1:
                    self.runs[begin:end] = [begin] * (end - begin)
                begin, before = index, number

    def row(self, at: int) -> int:
        """The region of an event of a run."""
        begin = self.runs[at]
        row = self._rows.get(begin)
        if row is None:
            row = self._rows[begin] = self.columns.add("region", kind=self._kind, parent=NONE, config=NONE)
        return row


def _adds_up(event: tuple[Any, ...], begin: int) -> bool:
    """Whether an operator adds a gradient to one that was there when its node of autograd began: torch's engine does
    that, under the node's number, when the node has returned."""
    func, taken = event[:2]
    adds = func in (torch.ops.aten.add.Tensor, torch.ops.aten.add_.Tensor)
    return adds and type(taken[0]) is Ref and taken[0].node < begin


class Functions:
    """Regions for functions of torch that dispatch sees only in parts: one for each call that ran several operators,
    or one of another name."""

    def __init__(self, tape: Events, columns: Columns) -> None:
        self.columns = columns
        self._sizes = Counter([event[5][1] for event in tape.events if event[5] is not None])
        self._rows: dict[int, int] = {}
        self._configs: dict[Any, int] = {}
        self._names: dict[int, str] = {}  # by the id of a function, which the tape keeps
        self._string = enum("kind")["string"]
        self._kind = enum("region_kind")["function"]

    def row(self, function: tuple[Any, int], operator: str, around: int) -> int:
        """The region of a call, or the one around it where it needs none."""
        func, serial = function
        row = self._rows.get(serial)
        if row is None:
            row = self._rows[serial] = self._make(func, self._sizes[serial], operator, around)
        return row

    def _make(self, func: Any, size: int, operator: str, around: int) -> int:
        name = self._names.get(id(func))
        if name is None:
            name = self._names[id(func)] = _qualified(func)
        if size == 1 and name.rpartition(".")[2].strip("_") == operator.strip("_"):
            return around
        config = self._configs.get(name)
        if config is None:
            string = self.columns.string
            config = self._configs[name] = self.columns.list_row(
                [(self._string, string("name")), (self._string, string(name))]
            )
        return self.columns.add("region", kind=self._kind, parent=around, config=config)


def _qualified(func: Any) -> str:
    if hasattr(func, "__objclass__"):
        return f"torch.Tensor.{func.__name__}"
    owner = getattr(func, "__self__", None)
    if owner is not None and hasattr(owner, "__objclass__"):  # a property
        return f"torch.Tensor.{owner.__name__}"
    name = function_name(func)
    return name.replace("torch._tensor.", "torch.Tensor.")


class CallRows:
    """Rows of module calls. Of a fold only the calls of its first trip are kept."""

    def __init__(self, ending: Ending, modules: Modules) -> None:
        self.calls, self.modules = ending.calls, modules
        self._paths: dict[int, str] = {}
        for path, identity, _, _ in ending.modules:
            self._paths.setdefault(identity, path)
        self._families = {identity: family for family in ending.others for identity in family}
        self.rows = {-1: NONE}  # by the index of a call, or for none

    def add(self, used: set[int], folds: list[Fold], without_hooks: set[int]) -> None:
        """``used`` are the calls that written events name, ``without_hooks`` those of what was reached by its forward
        alone."""
        keep = set(used)
        for index in used:
            parent = self.calls[index][1]
            while parent >= 0 and parent not in keep:
                keep.add(parent)
                parent = self.calls[parent][1]
        starts = [fold.start + fold.period for fold in folds]
        flag, rows = bits("call_flag"), self.modules.columns.rows
        numbers: dict[int, int] = {}
        for index, (module, parent, trains, begin) in enumerate(self.calls):
            if index not in keep and folds:
                fold = bisect.bisect_right(starts, begin) - 1
                if parent >= 0 and parent not in self.rows or fold >= 0 and begin < folds[fold].end:
                    continue
            row = self._row(module)
            number = numbers[row] = numbers.get(row, -1) + 1
            self.rows[index] = len(rows["call_module"])
            rows["call_module"].append(row)
            rows["call_parent"].append(self.rows[parent])
            rows["call_number"].append(number)
            unhooked = flag["owner_view"] if index in without_hooks else 0
            rows["call_flags"].append((flag["training"] if trains else 0) | unhooked)
            rows["call_inputs"].append(NONE)
            rows["call_outputs"].append(NONE)

    def _row(self, identity: int) -> int:
        path = self._paths.get(identity)
        if path is None:  # of no model: with it comes all that is in it
            family = self._families[identity]
            self._paths |= {part: path for part, (path, _) in family.items()}
            for path, name in family.values():
                self.modules.add(path, name)
            path = self._paths[identity]
        return self.modules.rows[path]
