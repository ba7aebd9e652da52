"""A tape as the columns of a program."""

from __future__ import annotations

import bisect
from typing import Any

import torch

from ..args import Pair, scalar
from ..columns import NONE, Columns
from ..convert import Sources
from ..enums import bits, enum
from ..modules import Modules, class_name
from ..ops import Operator, Operators
from ..params import Params, named_tensors
from ..symbols import Symbols
from ..values import Values
from .calls import Calls
from .tape import Ref, Tape

Event = tuple[Any, ...]
_SHARED = frozenset({int, float, bool, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format})
_DESCRIBED = 8  # inputs that the head of a report names


class Writer:
    """Writes one tape."""

    def __init__(self, tape: Tape, calls: Calls, model: torch.nn.Module | None) -> None:
        self.tape, self.calls = tape, calls
        self.columns = Columns()
        self.symbols = Symbols(self.columns)
        self.values = Values(self.columns, self.symbols)
        self.operators = Operators(self.columns)
        self.modules = Modules(self.values)
        self.params = Params(self.columns, self.modules, self.values)
        self.sources = Sources(self.columns)
        self.kind, self.origin = enum("kind"), enum("storage_origin")
        self.flag = bits("node_flag")
        self._value_kind, self._tensor_kind, self._list_kind = (
            self.kind["value"],
            self.kind["tensor"],
            self.kind["list"],
        )
        self._scalars: dict[Any, Pair] = {}
        self._ops: dict[Any, tuple[Operator, str]] = {}
        self._counts: dict[str, int] = {}
        self._metas: dict[Any, int] = {}
        self._storage_rows: dict[int, int] = {}
        self._positions: dict[Any, int] = {}
        self._described: list[tuple[int, Ref]] = []
        self._not_forward = self.flag["backward"] | self.flag["optimizer"]
        self._paths: dict[int, str] = {}
        self.owners = self._add_modules(model)
        self._add_calls()

    # ---- modules and calls ------------------------------------------------------------------------------------------

    def _add_modules(self, model: torch.nn.Module | None) -> dict[int, tuple[str, str, torch.Tensor]]:
        """Module rows; the parameters and buffers of the model by the storage that the tape saw."""
        self.tensors: dict[str, tuple[str, torch.Tensor, bool]] = {}
        if model is None:
            self.modules.add("", "")
        else:
            named = list(model.named_modules(remove_duplicate=False))
            for path, module in named:
                self._paths.setdefault(id(module), path)
            self.modules.add_named(named)
            self.tensors = named_tensors(named)
        owners: dict[int, tuple[str, str, torch.Tensor]] = {}
        for name, (role, tensor, _) in self.tensors.items():
            storage = self.tape.storage_row(tensor)
            if storage is not None:
                owners.setdefault(storage, (role, name, tensor))
        return owners

    def _add_calls(self) -> None:
        """A row for each call. Modules that are no part of the model are named by their class."""
        paths = self._paths
        training, rows = bits("call_flag")["training"], self.columns.rows
        numbers: dict[int, int] = {}
        for module, parent, trains in self.calls.rows:
            path = paths.get(id(module))
            if path is None:
                path = self._adopt(module, paths)
            row = self.modules.rows[path]
            number = numbers[row] = numbers.get(row, -1) + 1
            rows["call_module"].append(row)
            rows["call_parent"].append(parent if parent >= 0 else NONE)
            rows["call_number"].append(number)
            rows["call_flags"].append(training if trains else 0)
            rows["call_inputs"].append(NONE)
            rows["call_outputs"].append(NONE)

    def _adopt(self, module: torch.nn.Module, paths: dict[int, str]) -> str:
        base = name = type(module).__name__
        count = 1
        while name in self.modules.rows:
            count += 1
            name = f"{base}_{count}"
        self.modules.add(name, class_name(type(module)))
        for path, part in module.named_modules():
            full = f"{name}.{path}" if path else name
            if id(part) not in paths:
                paths[id(part)] = full
                self.modules.add(full, class_name(type(part)))
        return paths[id(module)]

    # ---- values -----------------------------------------------------------------------------------------------------

    def meta(self, ref: Ref) -> int:
        key = (*ref.key[1:], ref.flags, ref.storage if ref.storage < 0 else 0)
        row = self._metas.get(key)
        if row is None:
            row = self._metas[key] = self._meta(ref)
        return row

    def _meta(self, ref: Ref) -> int:
        values, symint = self.values, self.symbols.symint
        layout, flags = values.layout_strided, 0
        if ref.storage < 0:
            odd = self.tape.odd[-1 - ref.storage]
            layout = values.layout_nested if odd.layout == "nested" else values.layouts.get(odd.layout, 0)
            flags = (values.quantized if odd.quantized else 0) | (values.subclass if odd.subclass else 0)
            if layout == values.layout_strided:
                layout = values.layout_opaque
        flags |= (values.conj if ref.flags & 2 else 0) | (values.neg if ref.flags & 4 else 0)
        return self.columns.meta_row(
            values.dtypes.get(ref.dtype, values.dtype_opaque),
            layout,
            flags,
            tuple(map(symint, ref.shape)),
            tuple(map(symint, ref.key[3])),
            symint(ref.key[4]),
        )

    def storage(self, ref: Ref, origin: int) -> int:
        if ref.storage < 0:
            return NONE
        row = self._storage_rows.get(ref.storage)
        if row is None:
            size, device = self.tape.storages[ref.storage]
            row = self._storage_rows[ref.storage] = self.columns.add(
                "storage", bytes=size, device=self.columns.string(str(device)), origin=origin
            )
        return row

    def value(self, ref: Ref, name: str, producer: int, origin: int) -> int:
        rows = self.columns.rows
        rows["value_kind"].append(self._tensor_kind)
        rows["value_payload"].append(self.meta(ref))
        rows["value_producer"].append(producer)
        rows["value_name"].append(self.columns.string(name))
        rows["value_storage"].append(self.storage(ref, origin))
        ref.row = len(rows["value_kind"]) - 1
        return ref.row

    # ---- graphs -----------------------------------------------------------------------------------------------------

    def write(self, inputs: dict[int, str]) -> None:
        """``inputs``: names of tensors that the caller knows, by storage."""
        columns, rows = self.columns, self.columns.rows
        columns.add("graph", name=columns.string("main"), view=enum("view")["captured"])
        for ref, first in self.tape.outside:
            self._add_input(ref, inputs, self.tape.events[first][8] if first < len(self.tape.events) else 0)
        calls, sources = self._attribution()
        for index, event in enumerate(self.tape.events):
            self._add_node(event, calls[index], sources[index])
        rows["graph_node_begin"].append(len(rows["node_op"]))
        rows["graph_input_begin"].append(len(rows["input_value"]))
        rows["graph_output_begin"].append(len(rows["output_role"]))
        self.params.add_unused(self.tensors)

    def _add_input(self, ref: Ref, names: dict[int, str], flags: int) -> None:
        """Parameters and buffers by name; gradients and the optimiser's state are no inputs of the user."""
        role, target, tensor = self.owners.get(ref.storage, ("user_input", "", None))
        name = target.replace(".", "_") or names.get(ref.storage, "")
        if role == "user_input" and flags & self._not_forward:
            role, name = "opaque", name or ("state" if flags & self.flag["optimizer"] else "grad")
        whole = tensor is not None and ref.shape == tensor.shape and ref.dtype == tensor.dtype
        value = self.value(ref, self._name(f"p_{name}" if target else name or "input"), NONE, self.origin[role])
        rows = self.columns.rows
        rows["input_value"].append(value)
        rows["input_kind"].append(self.params.input_kind[role])
        rows["input_target"].append(self.columns.string(target))
        if role == "user_input":
            self._described.append((rows["value_name"][value], ref))
        if tensor is not None:
            storage = rows["value_storage"][value]
            self.params.used_storages.add(storage)
            self.values.alias_storage(tensor, storage)
            if whole and target not in self.params.named:
                self.params.row(value, target, role, tensor.requires_grad, self.tensors[target][2])

    def _attribution(self) -> tuple[list[int], list[int]]:
        """Module call and source position of each event. A backward operator has those of the forward operator whose
        autograd node it runs for, and what autograd adds up those of the operator before it."""
        numbers: list[int] = []
        events: list[int] = []
        calls: list[int] = []
        sources: list[int] = []
        backward, accumulation = self.flag["backward"], self.flag["gradient_accumulation"]
        for index, (_, _, _, _, call, _, code, position, flags, number) in enumerate(self.tape.events):
            if not flags & backward:
                calls.append(call)
                sources.append(self._position(code, position))
                if number >= 0 and (not numbers or number > numbers[-1]):
                    numbers.append(number)
                    events.append(index)
                continue
            at = bisect.bisect_left(numbers, number) if number >= 0 else len(numbers)
            if at < len(numbers):
                calls.append(calls[events[at]])
                sources.append(sources[events[at]])
            elif flags & accumulation and calls:
                calls.append(calls[-1])
                sources.append(sources[-1])
            else:
                calls.append(-1)
                sources.append(NONE)
        return calls, sources

    def _position(self, code: Any, position: int) -> int:
        if code is None:
            return NONE
        key = (id(code), position)
        row = self._positions.get(key)
        if row is None:
            line = code.co_firstlineno
            for start, end, at in code.co_lines():
                if start <= position < end and at is not None:
                    line = at
                    break
            row = self._positions[key] = self.sources.row(code.co_filename, line, code.co_name)
        return row

    def _name(self, base: str) -> str:
        count = self._counts.get(base, 0)
        self._counts[base] = count + 1
        return f"{base}_{count}" if count else base

    def _add_node(self, event: Event, call: int, source: int) -> None:
        func, taken, named, result, _, _, _, _, flags, _ = event
        known = self._ops.get(func)
        if known is None:
            known = self._ops[func] = (self.operators.get(func), _base_name(func))
        op, base = known
        rows = self.columns.rows
        index = len(rows["node_op"])
        argname, encode = self.columns.argname, self.encode
        names, kinds, payloads = rows["arg_name"], rows["arg_kind"], rows["arg_payload"]
        for position, arg in enumerate(taken):
            names.append(argname(op.name(position)))
            kind, payload = (self._value_kind, arg.row) if type(arg) is Ref else encode(arg)
            kinds.append(kind)
            payloads.append(payload)
        if named:
            for key, arg in named.items():
                kind, payload = encode(arg)
                names.append(argname(key))
                kinds.append(kind)
                payloads.append(payload)
        rows["node_arg_begin"].append(len(names))
        rows["node_op"].append(op.row)
        rows["node_result"].append(self._result(result, self._name(base), index))
        rows["node_call"].append(call if call >= 0 else NONE)
        rows["node_flags"].append(flags)
        rows["node_source"].append(source)

    def _result(self, result: Any, name: str, index: int) -> int:
        origin = self.origin["intermediate"]
        if type(result) is Ref:
            return self.value(result, name, index, origin)
        if isinstance(result, list):
            items: list[Pair] = []
            for item in result:
                if type(item) is Ref:
                    items.append((self._value_kind, self.value(item, "", index, origin)))
                else:
                    items.append(self.encode(item))
            kind, payload = self._list_kind, self.columns.list_row(items)
        else:
            kind, payload = self.encode(result)
        return self.columns.add(
            "value", kind=kind, payload=payload, producer=index, name=self.columns.string(name), storage=NONE
        )

    # ---- arguments --------------------------------------------------------------------------------------------------

    def encode(self, arg: Any) -> Pair:
        if type(arg) is Ref:
            return self._value_kind, arg.row
        if type(arg) is list:
            return self._list_kind, self.columns.list_row([self.encode(item) for item in arg])
        if type(arg) not in _SHARED:
            return self._scalar(arg)
        key = (type(arg), arg)
        found = self._scalars.get(key)
        if found is None:
            found = self._scalars[key] = self._scalar(arg)
        return found

    def describe_inputs(self) -> str:
        """The inputs for people: "x f32[1, 5]"."""
        from torch.utils._dtype_abbrs import dtype_abbrs

        texts = []
        for name, ref in self._described[:_DESCRIBED]:
            sizes = ", ".join(map(str, ref.shape))
            texts.append(f"{self.columns.text(name)} {dtype_abbrs.get(ref.dtype, str(ref.dtype))}[{sizes}]")
        more = len(self._described) - _DESCRIBED
        return ", ".join(texts) + (f" and {more} more" if more > 0 else "")

    def encode_entry(self, value: Any) -> Pair:
        """A value of the capture table."""
        return self.encode(self.tape.noted(value) if isinstance(value, tuple) else value)

    def _scalar(self, arg: Any) -> Pair:
        found = scalar(self.values, arg)
        if found is None and isinstance(arg, dict):
            entries: list[Pair] = []
            for key, item in arg.items():
                entries += [self.encode(key), self.encode(item)]
            return self.kind["dict"], self.columns.list_row(entries)
        return found or (self.kind["opaque"], self.columns.string(type(arg).__name__))


def _base_name(func: Any) -> str:
    if isinstance(func, torch._ops.OpOverload):
        return str(func._schema.name.partition("::")[2])
    return str(getattr(func, "__name__", "call"))
