"""An independent count of work: what plain operators compute while they really run.

A definition is written with operators whose cost is beyond dispute: one operation per element of the result for
arithmetic and comparisons, one transcendental per element for exp and its kind, n - m operations for folding n elements
into m, 2 M N K for matrix products. Anything else that runs under ``PlainCounts`` is an error, so a definition cannot
hide work.
"""

from __future__ import annotations

from typing import Any

import torch
from costs import work_of
from torch.utils._python_dispatch import TorchDispatchMode

ARITHMETIC = frozenset(
    (
        "add",
        "sub",
        "rsub",
        "mul",
        "div",
        "neg",
        "abs",
        "reciprocal",
        "maximum",
        "minimum",
        "clamp",
        "clamp_min",
        "relu",
        "gt",
        "ge",
        "lt",
        "le",
    )
)
TRANSCENDENTAL = frozenset(("exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "tanh", "erf", "sin", "cos"))
FOLDS = frozenset(("sum", "amax", "amin"))
PRODUCTS = frozenset(("mm", "bmm", "addmm"))
FREE = frozenset(
    (
        "view",
        "_unsafe_view",
        "reshape",
        "t",
        "transpose",
        "permute",
        "expand",
        "unsqueeze",
        "squeeze",
        "slice",
        "select",
        "split",
        "unbind",
        "clone",
        "copy_",
        "detach",
        "alias",
        "cat",
        "stack",
        "where",
        "gather",
        "index",
        "unfold",
        "_to_copy",
        "empty_like",
        "zeros",
        "zeros_like",
        "full",
        "full_like",
        "ones_like",
        "scalar_tensor",
        "lift_fresh",
        "constant_pad_nd",
        "as_strided",
        "index_select",
        "im2col",
        "masked_fill",
        "empty",
        "new_zeros",
        "arange",
        "repeat",
        "split_with_sizes",
    )
)


class PlainCounts(TorchDispatchMode):
    """Counts while plain operators run: matrix_flops, vector_flops, transcendentals."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix_flops = self.vector_flops = self.transcendentals = 0

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = op(*args, **(kwargs or {}))
        name = op._schema.name.removeprefix("aten::").rstrip("_") if op._schema.name != "aten::copy_" else "copy_"
        if name in ARITHMETIC:
            assert (kwargs or {}).get("alpha", 1) == 1, "write the product out"
            self.vector_flops += out.numel()
        elif name in TRANSCENDENTAL:
            self.transcendentals += out.numel()
        elif name in FOLDS:
            self.vector_flops += args[0].numel() - out.numel()
        elif name == "mean":
            self.vector_flops += args[0].numel()
        elif name in PRODUCTS:
            a, b = args[-2:]
            self.matrix_flops += 2 * a.numel() * b.shape[-1]
        elif name not in FREE:
            raise AssertionError(f"{op} is no plain operator")
        return out


def plain_counts(definition: Any, *args: Any) -> tuple[Any, tuple[int, int, int]]:
    """The result of a definition, and its matrix FLOPs, vector FLOPs and transcendentals."""
    with torch.no_grad(), PlainCounts() as counts:
        out = definition(*args)
    return out, (counts.matrix_flops, counts.vector_flops, counts.transcendentals)


def assert_equals_definition(function: Any, definition: Any, args: Any) -> None:
    """The definition gives torch's values, and its operations are the work that the function is said to be."""
    values, expected = plain_counts(definition, *args)
    torch.testing.assert_close(values, function(*args), rtol=1e-4, atol=1e-4)
    assert work_of(function, *args) == expected
