"""The module tree, the configuration of nn.* leaf modules, and the calls of modules during capture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch

from .args import scalar
from .columns import NONE
from .enums import bits
from .values import Values

_CONTAINERS = (torch.nn.Sequential, torch.nn.ModuleList, torch.nn.ModuleDict)
# Keys of a module's configuration that are no attributes: its nearest class of torch.nn, where its own class is none;
# and the row of the same module under an earlier name.
BASE, SAME = "__base__", "__same__"
_SCALARS = (type(None), bool, int, float, str, torch.dtype)
Described = tuple[str, int, type, dict[str, Any]]  # qualified name, id, class and configuration of a module
_NOT_CONFIGURATION = frozenset({"training", "call_super_init", "dump_patches"})


# Key of the mark in a node's meta.
MARK = "fxcost_mark"
# And of the path of a module whose forward was called without its hooks.
OWNER = "fxcost_owner"


def class_name(cls: type) -> str:
    if issubclass(cls, torch.fx.GraphModule):  # each instance has a class of its own, made on the spot
        cls = torch.fx.GraphModule
    return f"{cls.__module__}.{cls.__qualname__}"


def named_modules(model: torch.nn.Module) -> list[tuple[str, torch.nn.Module]]:
    """Qualified names and modules, parents before children, a module under each of its names. As torch's own, which
    takes as many steps for each module as it lies deep."""
    found: list[tuple[str, torch.nn.Module]] = []
    _visit("", model, found)
    return found


def _visit(path: str, module: torch.nn.Module, found: list[tuple[str, torch.nn.Module]]) -> None:
    found.append((path, module))
    prefix = f"{path}." if path else ""
    for name, child in module._modules.items():
        if child is not None:
            _visit(prefix + name, child, found)


@dataclass(slots=True)
class Call:
    """One call of a module, as seen while the model ran: the module's path, the call around it, and the tensors in and
    out as marks on their nodes (None for a tensor that no node made)."""

    path: str
    parent: int | None
    training: bool
    inferred: bool = False
    inputs: list[int | None] = field(default_factory=list)
    outputs: list[int | None] | None = None


class Modules:
    """Module rows by qualified name; parents come before children."""

    def __init__(self, values: Values) -> None:
        self.values, self.columns = values, values.columns
        self.rows: dict[str, int] = {}
        self._modules = [self.columns.rows[f"module_{field}"] for field in ("parent", "name", "class")]
        self._configs = [self.columns.rows[f"config_{field}"] for field in ("module", "key", "kind", "payload")]
        self._classes: dict[type, str] = {}  # names

    def add_model(self, model: torch.nn.Module) -> None:
        self.add_described(described(named_modules(model)))

    def add_described(self, modules: Iterable[Described]) -> None:
        first: dict[int, int] = {}
        for path, identity, cls, configuration in modules:
            name = self._classes.get(cls)
            if name is None:
                name = self._classes[cls] = class_name(cls)
            row = self.add(path, name)
            same = first.setdefault(identity, row)
            if same != row:
                self._entry(row, SAME, same)
            for key, value in configuration.items():
                self._entry(row, key, value)

    def add(self, path: str, cls: str) -> int:
        """The row of a path; missing ancestors are made without a class."""
        row = self.rows.get(path)
        if row is None:
            parent, _, name = path.rpartition(".")
            above = self.rows.get(parent) if path else NONE
            if above is None:
                above = self.add(parent, "")
            string = self.columns.string
            parents, names, classes = self._modules
            row = self.rows[path] = len(parents)
            parents.append(above)
            names.append(string(name))
            classes.append(string(cls))
        elif cls and self.columns.rows["module_class"][row] == 0:
            self.columns.rows["module_class"][row] = self.columns.string(cls)
        return row

    def _entry(self, row: int, key: str, value: Any) -> None:
        modules, keys, kinds, payloads = self._configs
        kind, payload = self._encoded(value)
        modules.append(row)
        keys.append(self.columns.string(key))
        kinds.append(kind)
        payloads.append(payload)

    def _encoded(self, value: Any) -> tuple[int, int]:
        if isinstance(value, tuple):
            return self.values.kind["list"], self.columns.list_row([self._encoded(item) for item in value])
        encoded = scalar(self.values, value)
        assert encoded is not None  # one of _SCALARS
        return encoded


def described(named: Iterable[tuple[str, torch.nn.Module]]) -> list[Described]:
    """What is written of modules. It holds neither a module nor a tensor."""
    bases: dict[type, type | None] = {}
    names: dict[tuple[Any, ...], list[str]] = {}  # of attributes, by class and what a module of it holds
    found: list[Described] = []
    for path, module in named:
        cls = type(module)
        if cls not in bases:
            bases[cls] = _configured(cls)
        base, configuration = bases[cls], dict[str, Any]()
        if base is not None:
            if base is not cls:
                configuration[BASE] = class_name(base)
            held = vars(module)
            kind = (cls, *held)
            attributes = names.get(kind)
            if attributes is None:
                attributes = names[kind] = _attributes(cls, held)
            for name in attributes:
                value = held[name] if name in held else getattr(module, name, None)
                if isinstance(value, _SCALARS):
                    configuration[name] = value
                elif isinstance(value, (tuple, list)) and _is_plain(value):
                    configuration[name] = _frozen(value)
        found.append((path, id(module), cls, configuration))
    return found


def _is_plain(value: Any) -> bool:
    return isinstance(value, _SCALARS) or (isinstance(value, (tuple, list)) and all(map(_is_plain, value)))


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, (tuple, list)) else value


def _attributes(cls: type, held: Iterable[str]) -> list[str]:
    """The attributes of a module that may be its configuration."""
    names = dict.fromkeys([name for name in held if not name.startswith("_")])
    names.update(dict.fromkeys(getattr(cls, "__constants__", ())))
    return [name for name in names if name not in _NOT_CONFIGURATION]


def _configured(cls: type) -> type | None:
    """The class of torch.nn whose configuration a module of this class has."""
    base = next((base for base in cls.__mro__ if base.__module__.startswith("torch.nn.")), torch.nn.Module)
    return None if base is torch.nn.Module or issubclass(base, _CONTAINERS) else base


class Calls:
    """The module-call table, and the way from a node's nn_module_stack to its innermost call."""

    def __init__(self, values: Values, modules: Modules, training: bool) -> None:
        self.values, self.columns, self.modules = values, values.columns, modules
        self.flags = bits("call_flag")
        self.training = training
        self._by_number: dict[tuple[str, int], int] = {}
        self._counts: dict[str, int] = {}
        self._by_key: dict[tuple[str, str], int] = {}
        self._unhooked: dict[tuple[int, str], int] = {}

    def _add(self, path: str, parent: int, flags: int) -> int:
        number = self._counts.get(path, 0)
        self._counts[path] = number + 1
        row = self.columns.add(
            "call",
            module=self.modules.add(path, ""),
            parent=parent,
            number=number,
            flags=flags,
            inputs=NONE,
            outputs=NONE,
        )
        self._by_number[path, number] = row
        return row

    def record(self, calls: Iterable[Call]) -> None:
        """Rows for the calls that were seen, in their order."""
        for call in calls:
            parent = NONE if call.parent is None else call.parent
            flags = (self.flags["training"] if call.training else 0) | (self.flags["inferred"] if call.inferred else 0)
            self._add(call.path, parent, flags)

    def link(self, calls: Iterable[Call], by_mark: dict[int, int]) -> None:
        """Fills in the values of calls, once values exist."""
        rows = self.columns.rows
        for row, call in enumerate(calls):
            rows["call_inputs"][row] = self._list(call.inputs, by_mark)
            if call.outputs is not None:
                rows["call_outputs"][row] = self._list(call.outputs, by_mark)

    def _list(self, marks: list[int | None], by_mark: dict[int, int]) -> int:
        kind = self.values.kind
        values = [by_mark.get(mark) if mark is not None else None for mark in marks]
        return self.columns.list_row(
            [(kind["none"], 0) if value is None else (kind["value"], value) for value in values]
        )

    def without_hooks(self, parent: int, path: str) -> int:
        """The call of a module whose forward another one calls, without hooks."""
        row = self._unhooked.get((parent, path))
        if row is None:
            flags = self.flags["owner_view"] | (self.flags["training"] if self.training else 0)
            row = self._unhooked[parent, path] = self._add(path, parent, flags)
        return row

    def innermost(self, stack: dict[str, tuple[str, Any]]) -> int:
        """The call of the last entry of an nn_module_stack; made from the stack itself where none was recorded."""
        key = next(reversed(stack))
        path = clean_path(stack[key][0])
        row = self._by_key.get((key, path))
        if row is None:
            row = self._by_key[key, path] = self._from_stack(stack)
        return row

    def _from_stack(self, stack: dict[str, tuple[str, Any]]) -> int:
        row = NONE
        if clean_path(next(iter(stack.values()))[0]):  # Dynamo's stacks leave the root out
            stack = {"": ("", ""), **stack}
        for key, (raw, cls) in stack.items():
            path = clean_path(raw)
            text = cls if isinstance(cls, str) else class_name(cls)
            if path not in self.modules.rows or text:
                self.modules.add(path, text)
            _, _, suffix = key.rpartition("@")
            number = int(suffix) if "@" in key and suffix.isdigit() else 0
            known = self._by_number.get((path, number))
            while known is None:
                flags = self.flags["inferred"] | (self.flags["training"] if self.training else 0)
                made = self._add(path, row, flags)
                known = made if self._by_number.get((path, number)) == made else None
            row = known
        return row


def clean_path(path: str) -> str:
    """Dynamo writes L['self'].layers[0] or L['self']._modules['fc']: the qualified name in it."""
    if path.startswith("L["):
        path = path.partition("]")[2].replace("._modules", "")
        path = path.replace("['", ".").replace("']", "").replace("[", ".").replace("]", "")
    return path.strip(".")
