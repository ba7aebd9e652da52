"""A checkpoint for people: what it holds, by module and dtype, and what is needed to count with it."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from .files import Checkpoint, elements
from .inert import Described

_BYTES = {
    "float64": 8,
    "int64": 8,
    "uint64": 8,
    "complex64": 8,
    "complex128": 16,
    "float32": 4,
    "int32": 4,
    "uint32": 4,
}
_BYTES |= {"float16": 2, "bfloat16": 2, "int16": 2, "uint16": 2, "qint32": 4}
_DEPTH = 2
_USUAL = ("torch", "collections", "__torch__", "builtins", "__builtin__")


def size(tensors: dict[str, Described]) -> int:
    """Bytes; tensors that share a storage count once."""
    seen, total = set(), 0
    for tensor in tensors.values():
        if tensor.storage is not None:
            if tensor.storage in seen:
                continue
            seen.add(tensor.storage)
        total += math.prod(tensor.shape) * _BYTES.get(tensor.dtype, 1)
    return total


def by_dtype(tensors: dict[str, Described]) -> dict[str, int]:
    """Elements by dtype, most first."""
    counts: Counter[str] = Counter()
    for tensor in tensors.values():
        counts[tensor.dtype] += math.prod(tensor.shape)
    return dict(counts.most_common())


def by_module(tensors: dict[str, Described], depth: int) -> dict[str, dict[str, Described]]:
    """Tensors by the modules that own them or lie above, down to a depth; "" is all."""
    modules: dict[str, dict[str, Described]] = {"": {}}
    children: dict[str, list[str]] = {"": []}
    for name, tensor in tensors.items():
        path = name.split(".")[:-1]
        for level in range(min(len(path), depth) + 1):
            module = ".".join(path[:level])
            if module not in modules:
                modules[module], children[module] = {}, []
                children[".".join(path[: level - 1])].append(module)
            modules[module][name] = tensor
    ordered, waiting = {}, [""]
    while waiting:
        module = waiting.pop()
        ordered[module] = modules[module]
        waiting += reversed(children[module])
    return ordered


def as_json(found: Checkpoint, depth: int | None) -> dict[str, Any]:
    tensors = found.tensors
    return {
        "file": str(found.path),
        "kind": found.kind,
        "format": found.format,
        "class": found.cls if found.kind in ("module", "TorchScript") else None,
        "sections": {name: elements(section) for name, section in found.sections.items()},
        "elements": elements(tensors),
        "bytes": size(tensors),
        "dtypes": by_dtype(tensors),
        "modules": [
            {
                "name": name,
                "class": found.classes.get(name),
                "tensors": len(inside),
                "elements": elements(inside),
                "bytes": size(inside),
                "dtypes": by_dtype(inside),
            }
            for name, inside in by_module(tensors, depth or 99).items()
        ],
        "tensors": {name: {"dtype": tensor.dtype, "shape": list(tensor.shape)} for name, tensor in tensors.items()},
    }


def as_text(found: Checkpoint, depth: int | None, raw: bool) -> str:
    tensors = found.tensors
    number = (lambda value: f"{value:,}") if raw else short
    what = {"module": f"a pickled module of class {found.cls}", "TorchScript": f"a TorchScript module {found.cls}"}
    title = what.get(found.kind, found.cls if found.kind == "other" else f"a {found.kind}")
    lines = [str(found.path), f"holds     {title} ({found.format})"]
    if len(found.sections) > 1:
        parts = [f"{name or '(own)'} {number(elements(section)).strip()}" for name, section in found.sections.items()]
        lines.append("sections  " + ", ".join(parts) + " elements; the largest is shown")
    lines.append(f"elements  {number(elements(tensors))} in {len(tensors)} tensors, {number(size(tensors))}B")
    lines.append(
        "dtypes    " + ", ".join(f"{name} {number(count).strip()}" for name, count in by_dtype(tensors).items())
    )
    foreign = [name for name in found.names if name.partition(".")[0] not in _USUAL]
    if foreign:
        more = f" and {len(foreign) - 6} more" if len(foreign) > 6 else ""
        lines.append(
            f"names     {', '.join(foreign[:6])}{more}, which loading would import and may run; nothing was run"
        )
    lines.append("")
    rows: list[tuple[str, ...]] = [("module", "class", "tensors", "elements", "bytes", "dtypes")]
    for name, inside in by_module(tensors, depth or _DEPTH).items():
        level = name.count(".") + 1 if name else 0
        dtypes = ", ".join(by_dtype(inside))
        title = "  " * level + name.rpartition(".")[2] if name else "(all)"
        cls = found.classes.get(name, "").rpartition(".")[2]
        rows.append((title, cls, str(len(inside)), number(elements(inside)), f"{number(size(inside))}B", dtypes))
    if not found.classes:
        rows = [(row[0], *row[2:]) for row in rows]
    return "\n".join(lines + _table(rows)) + "\n"


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = len(rows[0]) - 4  # names on the left, numbers on the right
    return [
        "  ".join(
            cell.ljust(width) if index < left or index == len(row) - 1 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def short(value: int) -> str:
    """Three digits and a prefix, as the report writes them."""
    for prefix, power in (("T", 12), ("G", 9), ("M", 6), ("K", 3)):
        if value >= 10**power:
            scaled = value / 10**power
            return f"{scaled:.{max(0, 2 - int(math.log10(scaled)))}f} {prefix}"
    return f"{value} "


def next_step(found: Checkpoint) -> str:
    """Why nothing is counted, and what to do; for standard error."""
    path = found.path
    if found.kind == "state dict":
        return (
            f"{path}: numbers without an architecture: nothing to count\n"
            f"  expected: the class that these keys belong to\n"
            f"  try:      fxcost {path} --model PACKAGE.MODULE:CLASS --input 'x=f32[1,3,224,224]', or --model hf:TYPE"
        )
    if found.kind == "module":
        return (
            f"{path}: a pickled module of class {found.cls}; unpickling it runs code that the file chooses\n"
            f"  try:      fxcost {path} --trust-pickle --input 'x=f32[1,3,224,224]', if you trust who wrote it,\n"
            f"            or its class alone: fxcost {_spec(found.cls)} --input ..."
        )
    if found.kind == "TorchScript":
        return (
            f"{path}: a TorchScript archive of {found.cls}: compiled code, which torch.export does not take\n"
            f"  try:      the Python class that it was made from ({_spec(found.cls)} perhaps), or record it:\n"
            f"            with fxcost.record() as r: torch.jit.load({str(path)!r})(*inputs)"
        )
    called = [name for name in found.names if name.partition(".")[0] not in _USUAL]
    note = f", which asks for {', '.join(called[:4])}; nothing was run" if called else ""
    return f"{path}\n  expected: a state dict or a module\n  found: {found.cls}{note}"


def _spec(cls: str) -> str:
    module, _, name = cls.rpartition(".")
    return f"{module or 'FILE.py'}:{name}"
