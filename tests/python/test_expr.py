"""Size expressions in C against torch's own sympy functions, on random trees."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import sympy
from torch.utils._sympy import functions as torch_functions

from fxcost.binding import Analysis, Program
from fxcost.errors import FxcostError

# name -> operand kinds (i: integer, f: float), result kind, the reference
OPERATIONS: dict[str, tuple[str, str, Any]] = {
    "Add": ("ii", "i", lambda a, b: a + b),
    "Mul": ("ii", "i", lambda a, b: a * b),
    "Min": ("ii", "i", sympy.Min),
    "Max": ("ii", "i", sympy.Max),
    "FloorDiv": ("ii", "i", torch_functions.FloorDiv),
    "Mod": ("ii", "i", torch_functions.Mod),
    "PythonMod": ("ii", "i", torch_functions.PythonMod),
    "ModularIndexing": ("iii", "i", torch_functions.ModularIndexing),
    "Where": ("bii", "i", lambda c, a, b: a if c else b),
    "CeilToInt": ("f", "i", torch_functions.CeilToInt),
    "FloorToInt": ("f", "i", torch_functions.FloorToInt),
    "TruncToInt": ("f", "i", torch_functions.TruncToInt),
    "IntTrueDiv": ("ii", "f", torch_functions.IntTrueDiv),
    "ToFloat": ("i", "f", torch_functions.ToFloat),
    "Lt": ("ii", "b", lambda a, b: a < b),
    "Eq": ("ii", "b", lambda a, b: a == b),
    "And": ("bb", "b", lambda a, b: bool(a) and bool(b)),
}
SYMBOL = 7


def tree(kind: str, depth: int, draw: random.Random) -> tuple[str, Any]:
    """A random expression: its text, and its value by torch's functions. Raises where the reference has no value."""
    if kind == "i" and (depth == 0 or draw.random() < 0.2):
        literal = draw.choice([0, 1, 2, 3, 5, 12, 100, -1, -4])
        return ("s0", sympy.Integer(SYMBOL)) if draw.random() < 0.4 else (str(literal), sympy.Integer(literal))
    name = draw.choice([name for name, (_, result, _) in OPERATIONS.items() if result == kind])
    parts = [tree(operand, max(depth - 1, 0), draw) for operand in OPERATIONS[name][0]]
    values = [value for _, value in parts]
    if name in ("FloorDiv", "Mod", "PythonMod", "IntTrueDiv", "ModularIndexing") and any(v == 0 for v in values[1:]):
        raise ZeroDivisionError
    if name in ("Mod", "ModularIndexing") and any(value < 0 for value in values):
        raise ValueError("torch defines these for sizes only")
    return f"{name}({', '.join(text for text, _ in parts)})", OPERATIONS[name][2](*values)


def program(sizes: list[str]) -> str:
    """A program with one relu a size."""
    lines = ["fxir 1.0", 'device "cpu"', "symbol s0 hint=7"]
    lines += ['op aten.relu.default aten "(Tensor self) -> Tensor" core pointwise', 'module 0 "" "M"']
    lines += [f'storage @{i} bytes=0 device="cpu" intermediate' for i in range(2 * len(sizes))]
    lines += ['graph "main" captured']
    lines += [f"  input %x{i}: f32[{size}] @{2 * i}" for i, size in enumerate(sizes)]
    lines += [f"  %r{i} = aten.relu.default(self=%x{i}) -> f32[{size}] @{2 * i + 1}" for i, size in enumerate(sizes)]
    return "\n".join([*lines, "  return %r0", ""])


def evaluate(sizes: list[str]) -> list[int]:
    analysis = Analysis(Program.from_bytes(program(sizes).encode(), "expr"))
    rows = json.loads(analysis.render(format="json", by="node"))["rows"]
    return [int(row["shape"][len("f32[") : -1]) for row in rows]


def test_random_expressions() -> None:
    draw = random.Random(3)
    cases: list[tuple[str, int]] = []
    while len(cases) < 600:
        try:
            text, value = tree("i", 4, draw)
        except (ZeroDivisionError, ValueError, AssertionError):
            continue
        if text != str(value) and value.is_Integer and 0 <= value < 2**53:
            cases.append((text, int(value)))
    assert all(any(name in text for text, _ in cases) for name in OPERATIONS), "every operation occurs"
    assert evaluate([text for text, _ in cases]) == [value for _, value in cases]


@pytest.mark.parametrize(
    "text", ["FloorDiv(s0, 0)", "Mod(s0, 0)", "Mul(s0, 9223372036854775807)", "Pow(s0, 40)", "IntTrueDiv(s0, 2)"]
)
def test_no_value_is_no_number(text: str) -> None:
    """Division by zero, overflow, a size that is no integer: no number comes out, and the report says so or fails."""
    analysis = Analysis(Program.from_bytes(program([text]).encode(), "expr"))
    try:
        report = json.loads(analysis.render(format="json", by="node"))
    except FxcostError as error:
        assert error.status in ("OVERFLOW", "PROGRAM", "UNBOUND")
    else:
        assert report["totals"]["unsized_values"] > 0
        assert report["totals"]["unknown_nodes"] == 1 and report["totals"]["flops"] == 0


def test_negative_size_is_refused() -> None:
    with pytest.raises(FxcostError):
        evaluate(["Add(s0, -8)"])
