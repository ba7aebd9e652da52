"""The operators of a graph: names, schemas, tags, and the names of their arguments."""

from __future__ import annotations

import functools
import inspect
import re
import types
from typing import Any, NamedTuple

import torch

from .columns import Columns
from .enums import bits, enum

_POSITIONAL = ("a", "b", "c", "d", "e", "f")


class Operator:
    """One row of the op table, and how arguments are named for it."""

    __slots__ = ("names", "records_float_for_quantized", "rest", "returns_nothing", "row")

    def __init__(self, row: int, names: tuple[str, ...], rest: str, returns_nothing: bool = False) -> None:
        self.row, self.names, self.rest, self.returns_nothing = row, names, rest, returns_nothing
        self.records_float_for_quantized = False

    def name(self, position: int) -> str:
        """Name of a positional argument; those past the named ones are rest0, rest1, ..."""
        if position < len(self.names):
            return self.names[position]
        return f"{self.rest}{position - len(self.names)}"


class Operators:
    """Interns the call targets of a program."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.origin = enum("op_origin")
        self.tags = bits("op_tag")
        self._by_target: dict[Any, Operator] = {}

    def get(self, target: Any) -> Operator:
        found = self._by_target.get(target)
        if found is None:
            found = self._by_target[target] = self._make(target)
        return found

    def on_tensors(self, target: Any) -> Operator:
        """A Python operator whose result is a tensor: an ATen packet without a chosen overload, no scalar work."""
        key = ("tensor", target)
        if key not in self._by_target:
            name = target.__name__.strip("_")
            if name[0] == "i" and hasattr(torch.ops.aten, name[1:] + "_"):  # operator.iadd is add_
                name = name[1:] + "_"
            self._by_target[key] = Operator(self._row(f"aten.{name}", "packet", "", 0), _POSITIONAL, "operand")
        return self._by_target[key]

    def method(self, name: str) -> Operator:
        key = ("method", name)
        if key not in self._by_target:
            row = self._row(f"method.{name}", "method", "", 0)
            self._by_target[key] = Operator(row, ("self",), "operand")
        return self._by_target[key]

    def unresolved(self, target: Any) -> Operator:
        """A function of a graph without shapes: torch's built-in functions are ATen packets."""
        name = getattr(target, "__name__", "")
        if isinstance(target, types.BuiltinFunctionType) and function_name(target).startswith("torch."):
            return self._packet(name) or self.get(target)
        return self.get(target)

    def unresolved_method(self, name: str) -> Operator:
        """A tensor's method in a graph without shapes."""
        return self._packet(name) or self.method(name)

    def _packet(self, name: str) -> Operator | None:
        if not isinstance(getattr(torch.ops.aten, name, None), torch._ops.OpOverloadPacket):
            return None
        key = ("packet", name)
        if key not in self._by_target:
            self._by_target[key] = Operator(self._row(f"aten.{name}", "packet", "", 0), _POSITIONAL, "operand")
        return self._by_target[key]

    def repeat(self) -> Operator:
        """A run of a recording that is stored once (docs/fxir.md)."""
        if "repeat" not in self._by_target:
            row = self._row("higher_order.repeat", "higher_order", "", 0)
            self._by_target["repeat"] = Operator(row, (), "operand")
        return self._by_target["repeat"]

    def kernel(self, name: str, schema: str) -> Operator:
        """A Triton kernel of the user's own."""
        key = ("kernel", name, schema)
        if key not in self._by_target:
            row = self._row(name, "custom", schema, self.tags["mutable"])
            self._by_target[key] = Operator(row, (), "operand", returns_nothing=True)
        return self._by_target[key]

    def module(self, class_name: str) -> Operator:
        key = ("module", class_name)
        if key not in self._by_target:
            self._by_target[key] = Operator(self._row(class_name, "module", "", 0), (), "operand")
        return self._by_target[key]

    def _row(self, name: str, origin: str, schema: str, tags: int) -> int:
        string = self.columns.string
        return self.columns.add("op", name=string(name), origin=self.origin[origin], schema=string(schema), tags=tags)

    def _make(self, target: Any) -> Operator:
        if isinstance(target, torch._ops.OpOverload):
            return self._overload(target)
        if isinstance(target, torch._ops.HigherOrderOperator):
            row = self._row(f"higher_order.{target.name()}", "higher_order", "", 0)
            names, rest = _python_names(type(target).__call__)
            return Operator(row, names, rest)
        if isinstance(target, torch._ops.OpOverloadPacket):
            arguments = getattr(target, target.overloads()[0])._schema.arguments
            return Operator(self._row(str(target), "packet", "", 0), tuple(a.name for a in arguments), "operand")
        return Operator(self._row(function_name(target), "builtin", "", 0), _POSITIONAL, "operand")

    def _overload(self, op: torch._ops.OpOverload) -> Operator:
        facts = _facts(op)
        mask = sum(self.tags[name] for name in facts.tags if name in self.tags)
        row = self._row(facts.name, "aten" if op.namespace == "aten" else "custom", facts.schema, mask)
        made = Operator(row, facts.arguments, "operand", facts.returns_nothing)
        # Under fake tensors these return an ordinary float tensor, which would be a false record.
        made.records_float_for_quantized = facts.name.startswith("aten.quantize_per")
        return made


class _Facts(NamedTuple):
    """What an overload says of itself."""

    name: str
    schema: str
    arguments: tuple[str, ...]
    returns_nothing: bool
    tags: frozenset[str]


@functools.cache
def _facts(op: torch._ops.OpOverload) -> _Facts:
    schema = op._schema
    text = str(schema)
    tags = {tag.name for tag in op.tags}
    if schema.is_mutable:
        tags.add("mutable")
    if op.is_view:
        tags.add("view")
    if op.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd):
        tags.add("composite")
    arguments = tuple(argument.name for argument in schema.arguments)
    return _Facts(str(op), text[text.index("(") :], arguments, not schema.returns, frozenset(tags))


def function_name(target: Any) -> str:
    module = getattr(target, "__module__", None) or "builtins"
    name = getattr(target, "__name__", None) or type(target).__name__
    module = {"_operator": "operator", "torch._C": "torch", "torch._C._nn": "torch.nn.functional"}.get(module, module)
    if module == "builtins" and getattr(torch, name, None) is target:
        module = "torch"
    return f"{module}.{name}"


def _python_names(function: Any) -> tuple[tuple[str, ...], str]:
    """Parameter names of a Python-defined operator; its *args are called operand0, operand1, ..."""
    names = []
    try:
        parameters = list(inspect.signature(function).parameters.values())[1:]
    except (TypeError, ValueError):
        return (), "operand"
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY):
            break
        names.append(re.sub(r"^_+", "", parameter.name))
    return tuple(names), "operand"
