"""Proxies for tracing on into torch's own modules and functions."""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from typing import Any

import torch
from torch.fx import Node, Proxy


def _python(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function of Python's that takes a proxy for a number too, and is then recorded."""

    def call(value: Any) -> Any:
        if isinstance(value, Proxy):
            return value.tracer.create_proxy("call_function", function, (value,), {})
        return function(value)

    return call


def _no(*_: Any) -> bool:
    return False


def _in_projection(q: Any, k: Any, v: Any, w_q: Any, w_k: Any, w_v: Any, *biases: Any) -> tuple[Any, Any, Any]:
    """That of multi-head attention, without a question about the sizes of a part of the bias."""
    linear, (b_q, b_k, b_v) = torch.nn.functional.linear, biases or (None, None, None)
    return linear(q, w_q, b_q), linear(k, w_k, b_k), linear(v, w_v, b_v)


# What a Python function of torch finds under these names instead: nobody wants to handle the call in its place, as a
# Proxy would, and what turns sizes into other numbers takes proxies.
_GLOBALS: dict[str, Any] = {
    "has_torch_function": _no,
    "has_torch_function_unary": _no,
    "has_torch_function_variadic": _no,
    "_in_projection": _in_projection,
    "float": _python(float),
    "math": types.SimpleNamespace(**{**vars(math), "sqrt": _python(math.sqrt), "floor": _python(math.floor)}),
}


class Value(Proxy):
    """A proxy that follows Python functions of torch into their bodies."""

    @classmethod
    def __torch_function__(cls, orig_method: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = next((a for a in torch.utils._pytree.tree_leaves((args, kwargs)) if isinstance(a, Proxy)), None)
        if found is None or torch.overrides.is_tensor_method_or_property(orig_method):
            return super().__torch_function__(orig_method, types, args, kwargs)
        opener: Any = found.tracer
        return opener.call_function(orig_method, tuple(args), kwargs or {})


class Known(Value):
    """A proxy of which more is known: its sizes (of which some may be proxies), that type, device and gradient are like
    a tensor's, and that it is dense. What asks for them gets them at once and leaves no node."""

    def __init__(self, node: Node, tracer: Any, sizes: tuple[Any, ...], like: Any) -> None:
        super().__init__(node, tracer)
        self.shape, self.ndim, self.is_nested = sizes, len(sizes), False
        self.dtype, self.device, self.requires_grad = like.dtype, like.device, like.requires_grad

    def dim(self) -> int:
        return len(self.shape)

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]


def known(value: Any, sizes: tuple[Any, ...], like: Any) -> Any:
    """A proxy with these sizes, of the type and on the device of a tensor."""
    return Known(value.node, value.tracer, sizes, like)


def transparent(function: types.FunctionType) -> Callable[..., Any]:
    """The same function, not asking whether its arguments handle the call themselves."""
    closure = function.__closure__
    if closure is not None and "if_true" in function.__code__.co_freevars:  # torch's boolean_dispatch
        cells = []
        for cell in closure:
            inner = cell.cell_contents
            cells.append(types.CellType(transparent(inner) if isinstance(inner, types.FunctionType) else inner))
        closure = tuple(cells)
    copy = types.FunctionType(
        function.__code__, {**function.__globals__, **_GLOBALS}, function.__name__, function.__defaults__, closure
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy
