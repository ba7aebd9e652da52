"""Dynamic dimensions as the command line names them: ``batch,seq`` or ``x.0=batch`` or ``ids.1=seq:2..512``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch.export import Dim
from torch.export.dynamic_shapes import refine_dynamic_shapes_from_suggested_fixes

from .errors import FxcostError, usage

_EXAMPLES = "--dynamic batch,seq or --dynamic x.0=batch or --dynamic ids.1=seq:2..512"
_ENTRY = re.compile(r"(?P<input>[A-Za-z_]\w*)\.(?P<dim>-?\d+)=(?P<name>[A-Za-z_]\w*)(:(?P<min>\d+)\.\.(?P<max>\d+))?")
_UNBOUNDED = 2**31 - 1


@dataclass
class Flexible:
    """Dynamic shapes whose bounds nobody stated: torch.export may narrow them to what the model can do."""

    shapes: Any


@dataclass
class Deferred:
    """Dynamic shapes of which torch.export may leave what it cannot prove to be checked at run time."""

    shapes: Any


def words_of(specs: Iterable[str]) -> set[str]:
    """The dimensions that are named by kind (batch, seq, image) rather than by input."""
    return {part for spec in specs for part in spec.split(",") if "=" not in part}


def dynamic_shapes(specs: list[str], module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``dynamic_shapes`` of torch.export for a model with these example inputs, None without specs."""
    if not specs:
        return None
    inputs = _by_name(module, args, kwargs)
    shapes: dict[str, dict[int, Any]] = {name: {} for name in inputs}
    for part in (part for spec in specs for part in spec.split(",")):
        for name, dim, symbol in _chosen(part, inputs):
            if inputs[name].shape[dim] < 2:
                raise usage(
                    f"--dynamic {part}: dimension {dim} of {name} is {inputs[name].shape[dim]} in the example inputs, "
                    "which torch.export takes for a constant",
                    f"2 or more there for the capture; --dim {symbol.__name__}=1 then gives that size",
                )
            shapes[name][dim] = symbol
    return Flexible({name: dims or None for name, dims in shapes.items()})


def _by_name(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    names = list(inspect.signature(module.forward).parameters)
    if len(args) > len(names):
        raise usage("--dynamic: the model takes its inputs as *args", "dynamic_shapes of fxcost.capture")
    return dict(zip(names, args, strict=False)) | kwargs


def _chosen(part: str, inputs: dict[str, Any]) -> list[tuple[str, int, Any]]:
    tensors = {name: value for name, value in inputs.items() if isinstance(value, torch.Tensor)}
    kinds = {
        "batch": [(name, 0, "batch") for name, value in tensors.items() if value.dim() > 0],
        "seq": [(name, 1, "seq") for name, value in tensors.items() if value.dim() == 2 and not _is_real(value)],
        "image": [
            (name, dim, symbol)
            for name, value in tensors.items()
            if value.dim() >= 4 and _is_real(value)
            for dim, symbol in ((value.dim() - 2, "height"), (value.dim() - 1, "width"))
        ],
    }
    if part in kinds:
        if not kinds[part]:
            raise usage(f"--dynamic {part}: no input has such a dimension", f"inputs are {', '.join(tensors)}")
        return [(name, dim, Dim(symbol, max=_UNBOUNDED)) for name, dim, symbol in kinds[part]]
    match = _ENTRY.fullmatch(part)
    if match is None:
        raise usage(f"--dynamic {part}: neither batch, seq, image nor INPUT.DIM=NAME[:MIN..MAX]", _EXAMPLES)
    name, dim = match["input"], int(match["dim"])
    if name not in tensors or not -tensors[name].dim() <= dim < tensors[name].dim():
        known = ", ".join(f"{key} {list(value.shape)}" for key, value in tensors.items())
        raise usage(f"--dynamic {part}: no such input or dimension", f"one of {known}")
    low, high = int(match["min"] or 0), int(match["max"] or _UNBOUNDED)
    return [(name, dim % tensors[name].dim(), Dim(match["name"], min=low, max=high))]


def _is_real(value: torch.Tensor) -> bool:
    return value.is_floating_point() or value.is_complex()


# ---- what the model can do -----------------------------------------------------------------------------------------


def export(model: torch.nn.Module, args: Any, kwargs: Any, shapes: Any, strict: bool) -> Any:
    """torch.export.export; bounds that nobody stated are narrowed to what the model can do, and a dimension that the
    model fixes is refused."""
    if isinstance(shapes, Deferred):
        return torch.export.export(
            *(model, args, kwargs),
            dynamic_shapes=shapes.shapes,
            strict=strict,
            prefer_deferred_runtime_asserts_over_guards=True,
        )
    if not isinstance(shapes, Flexible):
        return torch.export.export(model, args, kwargs, dynamic_shapes=shapes, strict=strict)
    inputs = _by_name(model, args, kwargs or {})
    narrowed = shapes.shapes
    for divisor in (4, 2, 1, None):
        try:
            return torch.export.export(model, args, kwargs, dynamic_shapes=narrowed, strict=strict)
        except torch._dynamo.exc.UserError as error:
            message = str(error)
            if divisor is None or "Constraints violated" not in message:
                raise
            if "Suggested fixes" in message:
                # what torch says after the list is not for its own reader of it
                suggested = message[: message.find("\n\n", message.index("Suggested fixes"))]
                narrowed = refine_dynamic_shapes_from_suggested_fixes(suggested, narrowed)
                _refuse_fixed(shapes.shapes, narrowed)
            else:
                narrowed = _raise_minimum(narrowed, inputs, message, divisor)
    raise AssertionError("unreachable")


def _raise_minimum(shapes: dict[str, Any], inputs: dict[str, Any], message: str, divisor: int) -> dict[str, Any]:
    """Small sizes are where a model behaves in another way (a feature map of one pixel): torch says so, but not from
    where on. The dimensions that it names start at a part of the example size instead."""
    named = re.match(r"Constraints violated \(([^)]*)\)", message)
    names = set(named[1].split(", ")) if named else set()

    def raised(name: str, dim: int, symbol: Any) -> Any:
        if symbol.__name__ not in names:
            return symbol
        return Dim(symbol.__name__, min=max(2, inputs[name].shape[dim] // divisor), max=symbol.max)

    return {
        name: {dim: raised(name, dim, symbol) for dim, symbol in dims.items()} if dims else None
        for name, dims in shapes.items()
    }


def _refuse_fixed(before: dict[str, Any], after: Any) -> None:
    for name, dims in before.items():
        for dim, symbol in (dims or {}).items():
            if isinstance(after[name][dim], int):
                raise FxcostError(
                    f"--dynamic: the model fixes {symbol.__name__} at {after[name][dim]} (dimension {dim} of {name})\n"
                    f"  try:    leave {symbol.__name__} out, or capture at the size that is wanted",
                    status="CAPTURE",
                )
