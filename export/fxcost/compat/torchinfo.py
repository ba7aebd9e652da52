"""torchinfo's summary: the table of layers, with multiply-adds that the library counts under torchinfo's convention."""

from __future__ import annotations

import itertools
import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ..binding import Analysis, Program
from ..errors import usage
from ..exporter import capture

__all__ = ["ModelStatistics", "summary"]

_TITLES = {
    "kernel_size": "Kernel Shape",
    "input_size": "Input Shape",
    "output_size": "Output Shape",
    "num_params": "Param #",
    "params_percent": "Param %",
    "mult_adds": "Mult-Adds",
    "trainable": "Trainable",
}
_ROW_SETTINGS = ("ascii_only", "depth", "hide_recursive_layers", "var_names")


@dataclass(eq=False)
class LayerInfo:
    """One call of a module, or a container of modules that are called."""

    var_name: str
    module: nn.Module
    depth: int
    parent: LayerInfo | None = None
    input_size: list[int] = field(default_factory=list)
    output_size: list[int] = field(default_factory=list)
    output_bytes: int = 0
    macs: int = 0
    is_recursive: bool = False
    depth_index: int = 0
    children: list[LayerInfo] = field(default_factory=list)  # all below it

    def __post_init__(self) -> None:
        self.class_name = type(self.module).__name__
        self.is_leaf_layer = not any(self.module.children())
        parameters = list(self.module.parameters())
        self.num_params = sum(p.numel() for p in parameters)
        self.trainable_params = sum(p.numel() for p in parameters if p.requires_grad)
        self.param_bytes = sum(p.numel() * p.element_size() for p in parameters)
        size = getattr(self.module, "kernel_size", None)
        self.kernel_size = list(size) if isinstance(size, Iterable) else size

    def leftover(self, trainable: bool = False) -> int:
        """Parameters that no layer below it has."""
        own = self.trainable_params if trainable else self.num_params
        for child in self.children:
            if not child.is_recursive and child.is_leaf_layer:
                own -= child.trainable_params if trainable else child.num_params
            elif not child.is_recursive:
                own -= child.leftover(trainable)
        return own

    def _weighted(self) -> bool:
        return any("weight" in name or "bias" in name for name, _ in self.module.named_parameters())

    def cells(self, last_level: bool, total: int) -> dict[str, str]:
        """The text of every column. ``last_level``: what is below it is not shown."""
        whole = last_level or self.is_leaf_layer
        shown = self.num_params if whole else self.leftover()
        share = f"{shown / total:>7.2%}" if total and shown else "     --"
        count = f"{shown:,}" if shown > 0 else "--"
        if whole and self.num_params and not self.trainable_params:
            count = f"({count})"
        if self.is_recursive:
            count = share = "(recursive)"
        done = f"{self.macs:,}" if self.is_leaf_layer and self.macs > 0 else "--"
        if last_level and not self.is_leaf_layer and self.output_size and self._weighted():
            done = f"{sum(child.macs for child in self.children if child.is_leaf_layer):,}"
        trained = {0: "False", self.num_params: "True"}.get(self.trainable_params, "Partial")
        return {
            "kernel_size": str(self.kernel_size) if self.kernel_size else "--",
            "input_size": str(self.input_size) if self.input_size else "--",
            "output_size": str(self.output_size) if self.output_size else "--",
            "num_params": count if self.num_params else "--",
            "params_percent": share,
            "mult_adds": done,
            "trainable": trained if self.num_params else "--",
        }


class ModelStatistics:
    """What :func:`summary` returns: ``summary_list``, totals, and the table as text."""

    def __init__(self, layers: list[LayerInfo], input_bytes: int, ran: bool, look: _Look) -> None:
        self.summary_list, self.total_input, self._ran, self._look = layers, input_bytes, ran, look
        leaves = [layer for layer in layers if layer.is_leaf_layer]
        first = [layer for layer in layers if not layer.is_recursive]
        self.total_mult_adds = sum(layer.macs for layer in leaves)
        self.total_output_bytes = sum(2 * layer.output_bytes for layer in leaves if layer.num_params > 0)
        self.total_param_bytes = sum(layer.param_bytes for layer in first if layer.is_leaf_layer)
        self.total_params = sum(
            max(layer.num_params if layer.is_leaf_layer else layer.leftover(), 0) for layer in first
        )
        self.trainable_params = sum(
            max(layer.trainable_params if layer.is_leaf_layer else layer.leftover(True), 0) for layer in first
        )

    def __repr__(self) -> str:
        rule = "=" * self._look.width(self.summary_list)
        lines = [rule, *self._look.table(self.summary_list, self.total_params, rule), rule]
        lines += [f"Total params: {self.total_params:,}", f"Trainable params: {self.trainable_params:,}"]
        lines += [f"Non-trainable params: {self.total_params - self.trainable_params:,}"]
        if self._ran:
            sizes = self.total_input, self.total_output_bytes, self.total_param_bytes
            names = "Input size", "Forward/backward pass size", "Params size", "Estimated Total Size"
            lines += [f"Total mult-adds{_readable(self.total_mult_adds)}", rule]
            lines += [f"{n} (MB): {size / 1e6:0.2f}" for n, size in zip(names, (*sizes, sum(sizes)), strict=True)]
        return "\n".join([*lines, rule])


@dataclass
class _Look:
    """How the table is laid out."""

    depth: int
    columns: Sequence[str]
    column_width: int
    settings: frozenset[str]

    def _title(self, layer: LayerInfo) -> str:
        name = f" ({layer.var_name})" if "var_names" in self.settings and layer.var_name else ""
        place = f": {layer.depth}-{layer.depth_index}" if "depth" in self.settings and layer.depth > 0 else ""
        return f"{layer.class_name}{name}{place}"

    def _name_width(self, layers: list[LayerInfo]) -> int:
        longest = max((len(self._title(layer)) + 5 * layer.depth + 1 for layer in layers), default=0)
        return max(40, math.ceil(longest / 5) * 5)

    def width(self, layers: list[LayerInfo]) -> int:
        return len(self.columns) * self.column_width + self._name_width(layers)

    def _row(self, name: str, cells: Mapping[str, str], width: int) -> str:
        return " ".join([f"{name:<{width}}", *(f"{cells[c]:<{self.column_width}}" for c in self.columns)]).rstrip()

    def table(self, layers: list[LayerInfo], total: int, rule: str) -> Iterator[str]:
        plain, width = "ascii_only" in self.settings, self._name_width(layers)
        name = " (var_name)" if "var_names" in self.settings else ""
        place = ":depth-idx" if "depth" in self.settings else ""
        yield self._row(f"Layer (type{name}{place})", _TITLES, width)
        yield rule
        for layer in layers:
            if layer.depth > self.depth or (layer.is_recursive and "hide_recursive_layers" in self.settings):
                continue
            branch = "+ " if plain else "├─" if layer.depth == 1 else "└─"
            start = ("|    " if plain else "│    ") * (layer.depth - 1) + branch if layer.depth else ""
            yield self._row(start + self._title(layer), layer.cells(layer.depth == self.depth, total), width)


def summary(
    model: nn.Module,
    input_size: Any = None,
    input_data: Any = None,
    col_names: Iterable[str] | None = None,
    col_width: int = 25,
    depth: int = 3,
    dtypes: Sequence[torch.dtype] | None = None,
    mode: str = "eval",
    row_settings: Iterable[str] | None = None,
    verbose: int = 1,
    **kwargs: Any,
) -> ModelStatistics:
    """As torchinfo's: runs the model once for the shapes of its layers, and prints the table (``verbose`` 1). Without
    input_size and input_data only parameters are shown. ``kwargs`` are arguments of the model."""
    columns = tuple(col_names or (("output_size", "num_params") if _given(input_size, input_data) else ("num_params",)))
    settings = frozenset(row_settings if row_settings is not None else ("depth",))
    for wrong in (*(set(columns) - set(_TITLES)), *(settings - set(_ROW_SETTINGS))):
        raise usage(f"summary: {wrong!r}", ", ".join((*_TITLES, *_ROW_SETTINGS)))
    if verbose not in (0, 1):
        raise usage(f"summary(verbose={verbose})", "0 or 1; rows of single parameters are not shown here")
    args, named = _inputs(model, input_size, input_data, dtypes)
    ran = _given(input_size, input_data)
    training = model.training
    model.train(mode == "train")
    try:
        layers = _called(model, args, {**named, **kwargs}) if ran else _held(model)
        if ran:
            _count(model, args, {**named, **kwargs}, layers)
    finally:
        model.train(training)
    layers = _with_containers(layers)
    _link(layers)
    tensors = [*args, *named.values()]
    stored = sum(sys.getsizeof(t.untyped_storage()) for t in tensors if isinstance(t, torch.Tensor))
    found = ModelStatistics(layers, stored, ran, _Look(depth, columns, col_width, settings))
    if verbose:
        print(found)
    return found


def _given(input_size: Any, input_data: Any) -> bool:
    return input_size is not None or input_data is not None


def _inputs(
    model: nn.Module, input_size: Any, input_data: Any, dtypes: Sequence[torch.dtype] | None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if input_data is not None:
        if isinstance(input_data, Mapping):
            return (), dict(input_data)
        return (input_data,) if isinstance(input_data, torch.Tensor) else tuple(input_data), {}
    if input_size is None:
        return (), {}
    sizes = [input_size] if isinstance(input_size[0], int) else list(input_size)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    kinds = dtypes or [torch.float32] * len(sizes)
    return tuple(torch.rand(*s).to(device, kind) for s, kind in zip(sizes, kinds, strict=False)), {}


# ---- layers ---------------------------------------------------------------------------------------------------------


def _held(model: nn.Module) -> list[LayerInfo]:
    """All modules in order of registration; one under several parents at the place of each."""
    found: list[LayerInfo] = []

    def visit(name: str, module: nn.Module, parent: LayerInfo | None) -> None:
        found.append(LayerInfo(name, module, parent.depth + 1 if parent else 0, parent))
        last = found[-1]
        for key, child in module._modules.items():
            if child is not None:
                visit(key, child, last)

    visit(type(model).__name__, model, None)
    known: set[int] = set()
    for layer in found:
        layer.is_recursive = id(layer.module) in known
        known.add(id(layer.module))
    return found


def _called(model: nn.Module, args: Any, kwargs: Any) -> list[LayerInfo]:
    """A layer for each call, in order. A module under several parents is named after the last of them."""
    place = {id(layer.module): layer for layer in _held(model)}
    found: list[LayerInfo] = []
    open_calls: list[LayerInfo] = []
    known: set[int] = set()

    def enter(module: nn.Module, _inputs: Any) -> None:
        at = place[id(module)]
        layer = LayerInfo(at.var_name, module, at.depth, at.parent, is_recursive=id(module) in known)
        known.add(id(module))
        found.append(layer)
        open_calls.append(layer)

    def leave(_module: nn.Module, inputs: Any, output: Any) -> None:
        layer = open_calls.pop()
        layer.input_size, _ = _size(inputs)
        layer.output_size, item = _size(output)
        layer.output_bytes = item * math.prod(layer.output_size)

    handles = [
        handle
        for layer in place.values()
        for handle in (
            layer.module.register_forward_pre_hook(enter),
            layer.module.register_forward_hook(leave),
        )
    ]
    try:
        with torch.no_grad():
            model(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _size(value: Any) -> tuple[list[int], int]:
    """Sizes of the first tensor, of a dictionary of its last value; and the bytes of an element."""
    if isinstance(value, torch.Tensor):
        return list(value.shape), value.element_size()
    if isinstance(value, Mapping):
        return _size(list(value.values())[-1]) if value else ([], 0)
    if isinstance(value, (list, tuple)) and value:
        return _size(value[0])
    return [], 0


def _with_containers(layers: list[LayerInfo]) -> list[LayerInfo]:
    """Puts modules that are not called themselves above the first of those in them that are."""
    found: list[LayerInfo] = []
    shown: dict[int, nn.Module] = {}
    known = {id(layer.module) for layer in layers}
    for layer in layers:
        above: list[LayerInfo] = []
        parent = layer.parent
        while parent is not None and parent.depth > 0:
            above.insert(0, parent)
            parent = parent.parent
        for container in above:
            if shown.get(container.depth) is not container.module:
                recursive = id(container.module) in known
                found.append(
                    LayerInfo(
                        container.var_name, container.module, container.depth, container.parent, is_recursive=recursive
                    )
                )
                known.add(id(container.module))
                shown[container.depth] = container.module
        shown = {depth: module for depth, module in shown.items() if depth < layer.depth}
        shown[layer.depth] = layer.module
        found.append(layer)
    return found


def _link(layers: list[LayerInfo]) -> None:
    """What is below each layer, and its number among those of its depth."""
    numbers: Counter[int] = Counter()
    for index, layer in enumerate(layers):
        numbers[layer.depth] += 1
        layer.depth_index = numbers[layer.depth]
        layer.children = list(itertools.takewhile(lambda below, at=layer: below.depth > at.depth, layers[index + 1 :]))  # type: ignore[misc]


# ---- multiply-adds --------------------------------------------------------------------------------------------------


def _count(model: nn.Module, args: Any, kwargs: Any, layers: list[LayerInfo]) -> None:
    """What the library counts for each call of a leaf, in order."""
    with torch.no_grad():
        program = Program.from_bytes(capture(model, args, kwargs).to_bytes(), type(model).__name__)
    rows = Analysis(program, convention="torchinfo").report("node")["rows"]
    modules = dict(model.named_modules(remove_duplicate=False))
    counts: dict[int, list[int]] = {}
    for row in rows:
        if row["tool"]:
            counts.setdefault(id(modules[row["module"]]), []).append(row["tool"])
    for layer in layers:
        waiting = counts.get(id(layer.module))
        layer.macs = waiting.pop(0) if waiting else 0


def _readable(number: int) -> str:
    unit, size = ("T", 1e12) if number >= 1e12 else ("G", 1e9) if number >= 1e9 else ("M", 1e6)
    value = number / size
    return f" ({unit}): {int(value):,}" if value.is_integer() else f" ({unit}): {value:,.2f}"
