"""Arguments: anything that may stand in an fx node's args as a (kind, payload) pair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .columns import float_bits
from .enums import enum
from .symbols import INT_MAX, INT_MIN
from .values import Values, named_constants

Pair = tuple[int, int]


def _bool(values: Values, val: bool) -> Pair:
    return values.kind["bool"], int(val)


def _int(values: Values, val: int) -> Pair:
    if INT_MIN <= val <= INT_MAX:
        return values.kind["int"], val
    return values.kind["opaque"], values.columns.string(str(val))


def _float(values: Values, val: float) -> Pair:
    return values.kind["float"], float_bits(val)


def _complex(values: Values, val: complex) -> Pair:
    return values.kind["complex"], values.columns.list_row([_float(values, val.real), _float(values, val.imag)])


def _string(values: Values, val: str) -> Pair:
    return values.kind["string"], values.columns.string(val)


def _dtype(values: Values, val: torch.dtype) -> Pair:
    return values.kind["dtype"], values.dtypes.get(val, values.dtype_opaque)


def _device(values: Values, val: torch.device) -> Pair:
    return values.kind["device"], values.columns.string(str(val))


def _layout(values: Values, val: torch.layout) -> Pair:
    nested = values.layout_nested if str(val) == "torch.jagged" else values.layout_opaque
    return values.kind["layout"], values.layouts.get(val, nested)


def _memory_format(values: Values, val: torch.memory_format) -> Pair:
    formats = named_constants(enum("memory_format"))
    return values.kind["memory_format"], formats.get(val, enum("memory_format")["opaque"])


def _none(values: Values, val: None) -> Pair:
    return values.kind["none"], 0


def _ellipsis(values: Values, val: Any) -> Pair:
    return values.kind["ellipsis"], 0


_SCALARS: dict[type, Callable[[Values, Any], Pair]] = {
    bool: _bool,
    int: _int,
    float: _float,
    complex: _complex,
    str: _string,
    type(None): _none,
    type(Ellipsis): _ellipsis,
    torch.dtype: _dtype,
    torch.device: _device,
    torch.layout: _layout,
    torch.memory_format: _memory_format,
}


def scalar(values: Values, val: Any) -> Pair | None:
    """A value that is no tensor and no container; None when it is none of the known scalars."""
    convert = _SCALARS.get(type(val))
    if convert is not None:
        return convert(values, val)
    if isinstance(val, (torch.SymInt, torch.SymFloat, torch.SymBool)):
        return symbolic(values, val)
    for kind, convert in _SCALARS.items():  # subclasses: torch.Size's ints, enums, numpy's floats
        if isinstance(val, kind):
            return convert(values, val)
    if isinstance(val, torch.ScriptObject) or type(val).__name__ == "FakeScriptObject":
        name = getattr(val, "script_class_name", None) or str(getattr(val, "_type", lambda: "object")())
        return values.kind["script_object"], values.columns.string(str(name))
    return None


def symbolic(values: Values, val: Any) -> Pair:
    constant = None
    if isinstance(val, torch.SymInt):
        kind, constant = "symint", val.node.maybe_as_int()
    elif isinstance(val, torch.SymFloat):
        kind, constant = "symfloat", getattr(val.node, "maybe_as_float", lambda: None)()
    else:
        kind, constant = "symbool", getattr(val.node, "maybe_as_bool", lambda: None)()
    if constant is not None:
        return _SCALARS[type(constant)](values, constant)
    return values.kind[kind], values.symbols.symbolic(val)


class Arguments:
    """Encodes node arguments; ``node`` answers for fx nodes (a value, a graph or a lifted attribute)."""

    def __init__(self, values: Values, node: Callable[[torch.fx.Node], Pair], op: Callable[[Any], int]) -> None:
        self.values, self.node, self.op = values, node, op
        kind = values.kind
        self._list, self._dict, self._slice = kind["list"], kind["dict"], kind["slice"]

    def encode(self, arg: Any) -> Pair:
        if isinstance(arg, torch.fx.Node):
            return self.node(arg)
        if isinstance(arg, (list, tuple)):
            return self._list, self.values.columns.list_row([self.encode(item) for item in arg])
        found = scalar(self.values, arg)
        if found is not None:
            return found
        if isinstance(arg, dict):
            entries: list[Pair] = []
            for key, item in arg.items():
                entries += [self.encode(key), self.encode(item)]
            return self._dict, self.values.columns.list_row(entries)
        if isinstance(arg, slice):
            parts = [self.encode(part) for part in (arg.start, arg.stop, arg.step)]
            return self._slice, self.values.columns.list_row(parts)
        if isinstance(arg, (torch._ops.OpOverload, torch._ops.HigherOrderOperator, torch._ops.OpOverloadPacket)):
            return self.values.kind["op"], self.op(arg)
        return self.values.kind["opaque"], self.values.columns.string(type(arg).__name__)
