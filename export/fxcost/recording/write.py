"""A tape as the columns of a program: the main graph, and a body for every run of it that is stored once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..args import Pair
from ..columns import NONE, Columns
from ..enums import bits, enum
from ..modules import Modules
from ..ops import Operator, Operators
from ..params import Params
from ..symbols import Symbols
from ..values import Values
from .describe import Describer
from .ending import Ending, Held
from .events import Events, Kernel, Ref, refs
from .place import CallRows, Functions, Gradients, Positions, attribution, dead_events
from .repeats import Fold, Folder, find_folds

Event = tuple[Any, ...]
_DESCRIBED = 8  # inputs that the head of a report names
_NOBODYS: tuple[str, None] = ("", None)


class Writer:
    """Writes one tape, of a recording that has ended."""

    def __init__(self, tape: Events, ending: Ending) -> None:
        self.tape, self.ending = tape, ending
        self.columns = Columns()
        self.values = Values(self.columns, Symbols(self.columns))
        self.operators = Operators(self.columns)
        self.modules = Modules(self.values)
        self.params = Params(self.columns, self.modules, self.values)
        self.positions = Positions(self.columns)
        self.functions = Functions(tape, self.columns)
        self.gradients = Gradients(tape.events, self.columns)
        self.describer = Describer(tape, self.values, self.columns)
        self.origin, self.flag = enum("storage_origin"), bits("node_flag")
        self._not_forward = self.flag["backward"] | self.flag["optimizer"]
        rows = self.columns.rows
        self._arg_rows = [rows[f"arg_{field}"] for field in ("name", "kind", "payload")]
        fields = ("op", "arg_begin", "result", "call", "flags", "region", "source")
        self._node_rows = [rows[f"node_{field}"] for field in fields]
        self._ops: dict[int, _Written] = {}
        self._counts: dict[str, int] = {}
        self._described: list[tuple[int, Ref]] = []
        self.modules.add_described(ending.modules)
        if not ending.modules:
            self.modules.add("", "")
        self.owners: dict[int, tuple[str, Held]] = {}  # the model's tensors by storage
        for name, held in ending.tensors.items():
            self.owners.setdefault(held.ref.storage, (name, held))
        self._calls, self._places = attribution(tape)
        self.call_rows = CallRows(ending, self.modules)

    # ---- graphs -----------------------------------------------------------------------------------------------------

    def write(self, folds: list[Fold]) -> None:
        """The graph; ``folds`` are the runs in it that are stored once (:meth:`find_folds`)."""
        events, rows = self.tape.events, self.columns.rows
        self._dead = dead_events(events, self.ending.alive)
        kept = _kept(len(events), folds)
        self.call_rows.add({self._calls[i] for i in kept if self._calls[i] >= 0}, folds, self.tape.without_hooks)
        used, late = _uses(events, kept, folds)
        self._start_graph("main", "captured")
        for ref, first in self.tape.outside:
            if not folds or id(ref) in used:
                self._add_input(ref, events[first][8] if first < len(events) else 0)
        written = 0
        for number, fold in enumerate(folds):
            self._add_nodes(events[written : fold.start], written)
            self._add_repeat(number, fold, late[number])
            written = fold.end
        self._add_nodes(events[written:], written)
        self._end_graph()
        for number, fold in enumerate(folds):
            self._add_body(number, fold)
        self._add_unused()
        if not rows["region_kind"]:
            rows["node_region"].clear()

    def find_folds(self) -> list[Fold]:
        events = self.tape.events
        folder = Folder(self.tape, self.owners)
        modules = [call[0] for call in self.ending.calls]
        known: dict[Any, int] = {}
        signatures = np.empty(len(events), dtype=np.int64)
        for index, event in enumerate(events):
            func, call, (code, offset) = event[0], self._calls[index], self._places[index]
            named = tuple(event[2]) if event[2] else None
            module = modules[call] if call >= 0 else 0
            operator = func if type(func) is Kernel else id(func)  # each launch has a Kernel of its own
            key = (operator, module, id(code), offset, len(event[1]), named, event[8])
            signatures[index] = known.setdefault(key, len(known))
        return find_folds(signatures, folder.fold)

    def _start_graph(self, name: str, view: str) -> None:
        self.columns.add("graph", name=self.columns.string(name), view=enum("view")[view])

    def _end_graph(self) -> None:
        rows = self.columns.rows
        rows["graph_node_begin"].append(len(rows["node_op"]))
        rows["graph_input_begin"].append(len(rows["input_value"]))
        rows["graph_output_begin"].append(len(rows["output_role"]))

    def _add_input(self, ref: Ref, flags: int) -> None:
        """Parameters and buffers by name; gradients and the optimiser's state are no inputs of the user."""
        target, held = self.owners.get(ref.storage, _NOBODYS)
        names, role = self.ending.inputs, held.role if held is not None else "user_input"
        name = target.replace(".", "_") or names.get(ref.storage, "")
        if role == "user_input" and flags & self._not_forward:
            role, name = "opaque", name or ("state" if flags & self.flag["optimizer"] else "grad")
        elif role == "user_input" and names and not name:  # the caller has named the inputs; this one code made
            role, name = "constant", "constant"
        text = self._name(f"p_{name}" if target else name or "input")
        value = self.describer.value(ref, text, NONE, self.origin[role])
        self._input_row(value, role, target)
        rows = self.columns.rows
        if role == "user_input":
            self._described.append((rows["value_name"][value], ref))
        if held is not None:
            self.params.used_storages.add(rows["value_storage"][value])
            if ref.key[:2] == held.ref.key[:2] and target not in self.params.named:  # all of it, not a part
                self.params.row(value, target, role, held.requires_grad, held.persistent)

    def _add_unused(self) -> None:
        """Parameters and buffers that no operator took."""
        for target, held in self.ending.tensors.items():
            if target not in self.params.named:
                value = self.describer.value(held.ref, "", NONE, self.origin[held.role])
                self.params.row(value, target, held.role, held.requires_grad, held.persistent)
        self.params.finish(self.ending.tensors)

    def _input_row(self, value: int, role: str, target: str) -> None:
        rows = self.columns.rows
        rows["input_value"].append(value)
        rows["input_kind"].append(self.params.input_kind[role])
        rows["input_target"].append(self.columns.string(target))

    # ---- runs that are stored once ----------------------------------------------------------------------------------

    def _add_repeat(self, number: int, fold: Fold, late: list[Ref]) -> None:
        """The node that stands for a run in the main graph. Its results are what the last trip hands on, then what
        later operators take from any trip."""
        columns, rows, kind = self.columns, self.columns.rows, self.values.kind
        index, names, kinds, payloads = len(rows["node_op"]), rows["arg_name"], rows["arg_kind"], rows["arg_payload"]
        symbol = self.describer.add_trip(number, fold.trips)
        arguments = [("body", (kind["graph"], 1 + number)), ("trips", (kind["int"], fold.trips))]
        if fold.varies:
            arguments.append(("trip", (kind["symint"], symbol)))
        operands = [(kind["value"], ref.row) for ref in fold.operands]
        arguments += [(f"operand{i}", operand) for i, operand in enumerate(operands)]
        for name, (which, payload) in arguments:
            names.append(columns.argname(name))
            kinds.append(which)
            payloads.append(payload)
        last = [ref for _, ref in fold.outputs]
        origin = self.origin["intermediate"]
        values = {id(ref): self.describer.value(ref, "", index, origin) for ref in [*last, *late]}
        name = self._name("repeat")
        result = columns.add(
            "value",
            kind=kind["list"],
            payload=columns.list_row([(kind["value"], value) for value in values.values()]),
            producer=index,
            name=columns.string(name),
            storage=NONE,
        )
        row = (self.operators.repeat().row, len(names), result, NONE, 0, NONE, NONE)
        for column, entry in zip(self._node_rows, row, strict=True):
            column.append(entry)

    def _add_body(self, number: int, fold: Fold) -> None:
        kind, role = self.values.kind["value"], enum("output_kind")["user_output"]
        self._start_graph(f"trip{number}" if number else "trip", "body")
        self._counts = {}
        with self.describer.inside(fold, number):
            for placeholder in fold.inputs:
                value = self.describer.value(placeholder, self._name("input"), NONE, self.origin["intermediate"])
                self._input_row(value, "user_input", "")
            for at in range(fold.start, fold.start + fold.period):
                self._dead[at] = all(self._dead[at : fold.end : fold.period])
            self._add_nodes(fold.events, fold.start)
            for ref in {id(first): first for first, _ in fold.outputs}.values():
                self.columns.add("output", role=role, kind=kind, payload=ref.row, target=0)
        self._end_graph()

    # ---- nodes ------------------------------------------------------------------------------------------------------

    def _name(self, base: str) -> str:
        count = self._counts.get(base, 0)
        self._counts[base] = count + 1
        return f"{base}_{count}" if count else base

    def _add_nodes(self, events: list[Event], first: int) -> None:
        """Nodes of events that follow one another, of which the first has this index on the tape. All in one loop,
        since a call for each part of a node takes longer than the part."""
        names, kinds, payloads = self._arg_rows
        ops, begins, results, calls, all_flags, regions, sources = self._node_rows
        describer, functions, gradients, call_rows = self.describer, self.functions, self.gradients, self.call_rows.rows
        operand, origin, dead = self.values.kind["value"], self.origin["intermediate"], self.flag["dead"]
        for at, (func, taken, named, result, _, function, _, _, flags, _) in enumerate(events, first):
            op = self._ops.get(id(func)) or self._operator(func)  # an id which the tape keeps; torch's own hash is slow
            names += op.argnames(len(taken), self.columns)
            if named:
                names += map(self.columns.argname, named)
                taken = [*taken, *named.values()]
            for arg in taken:
                kind, payload = (operand, arg.row) if type(arg) is Ref else describer.encode(arg)
                kinds.append(kind)
                payloads.append(payload)
            name = self._name(op.base)
            if type(result) is Ref:
                results.append(describer.value(result, name, len(ops), origin))
            else:
                results.append(describer.result(result, name, len(ops)))
            ops.append(op.row)
            begins.append(len(names))
            calls.append(call_rows[self._calls[at]])
            all_flags.append(flags | dead if self._dead[at] else flags)
            region = NONE if gradients.runs[at] < 0 else gradients.row(at)
            regions.append(region if function is None else functions.row(function, op.base, region))
            sources.append(self.positions.row(self._places[at]))

    def _operator(self, func: Any) -> _Written:
        made = self.operators.kernel(*func) if isinstance(func, Kernel) else self.operators.get(func)
        written = self._ops[id(func)] = _Written(made, _base_name(func))
        return written

    # ---- head -------------------------------------------------------------------------------------------------------

    def describe_inputs(self) -> str:
        """The inputs for people: "x f32[1, 5]"."""
        from torch.utils._dtype_abbrs import dtype_abbrs

        texts = []
        for name, ref in self._described[:_DESCRIBED]:
            sizes = ", ".join(map(str, ref.shape))
            texts.append(f"{self.columns.text(name)} {dtype_abbrs.get(ref.dtype, str(ref.dtype))}[{sizes}]")
        more = len(self._described) - _DESCRIBED
        return ", ".join(texts) + (f" and {more} more" if more > 0 else "")

    def encode(self, arg: Any) -> Pair:
        """A reference or a plain value as kind and payload."""
        return self.describer.encode(arg)

    def capture_entry(self, key: str, value: Any) -> None:
        kind, payload = self.encode(value)
        self.columns.add("capture", key=self.columns.string(key), kind=kind, payload=payload)


class _Written:
    """An operator of the tape as rows: its own, and those of its arguments' names by how many are given by position.
    ``base`` is what the names of its nodes begin with."""

    __slots__ = ("_argnames", "_operator", "base", "row")

    def __init__(self, operator: Operator, base: str) -> None:
        self._operator, self.row, self.base = operator, operator.row, base
        self._argnames: dict[int, list[int]] = {}

    def argnames(self, count: int, columns: Columns) -> list[int]:
        rows = self._argnames.get(count)
        if rows is None:
            rows = self._argnames[count] = [columns.argname(self._operator.name(i)) for i in range(count)]
        return rows


def _base_name(func: Any) -> str:
    if isinstance(func, torch._ops.OpOverload):
        return str(func._schema.name.partition("::")[2])
    if isinstance(func, Kernel):
        return func.name.rpartition(".")[2]
    return str(getattr(func, "__name__", "call"))


def _kept(count: int, folds: list[Fold]) -> list[int]:
    """The events that are written: those of a fold's first trip, and all outside of folds."""
    kept: list[int] = []
    at = 0
    for fold in folds:
        kept += range(at, fold.start + fold.period)
        at = fold.end
    return [*kept, *range(at, count)]


def _uses(events: list[Event], kept: list[int], folds: list[Fold]) -> tuple[set[int], list[list[Ref]]]:
    """What the main graph takes: the ids of all references, and for each fold those that it makes."""
    if not folds:
        return set(), []
    used: set[int] = set()
    late: list[dict[int, Ref]] = [{} for _ in folds]
    owner = np.full(len(events), -1, dtype=np.int32)
    for number, fold in enumerate(folds):
        owner[fold.start : fold.end] = number

    taken = [events[index][1:3] for index in kept if owner[index] < 0]
    for ref in refs([taken, [fold.operands for fold in folds]]):
        used.add(id(ref))
        if ref.node >= 0 and owner[ref.node] >= 0:
            late[owner[ref.node]].setdefault(id(ref), ref)
    return used, [list(found.values()) for found in late]
