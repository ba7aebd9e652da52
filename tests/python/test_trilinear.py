"""aten._trilinear, which bilinear layers run: FLOPs of the products that torch really runs, results of its einsum."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from operator_calls import Calls, Recorder
from real_products import products_run
from rule_results import Results
from torch import Tensor

import fxcost

SIZES = {"b": 3, "c": 4, "i": 5, "j": 6, "k": 7, "o": 2, "u": 1}
# Indices of three tensors and of the result, in alphabetical order, and the dimension that is unrolled.
CASES = [
    ("bi,ijo,bj->bo", 3),
    ("bi,ijo,bj->bo", 0),
    ("bij,bjk,ck->bci", 0),
    ("ij,jk,ik->i", 2),
    ("i,j,k->ijk", 1),
    ("bu,ijo,bj->bo", 1),
    ("ij,ij,ij->", 1),
    ("bi,k,bi->bk", 2),
]


def arguments(equation: str, unrolled: int) -> tuple[Any, ...]:
    inputs, kept = equation.split("->")
    terms = inputs.split(",")
    letters = sorted(set(inputs) - {","})
    operands = [torch.randn([SIZES[letter] for letter in term]) for term in terms]
    expanded = [[at for at, letter in enumerate(letters) if letter not in term] for term in terms]
    return (*operands, *expanded, [at for at, letter in enumerate(letters) if letter not in kept], unrolled)


class Function(torch.nn.Module):
    def __init__(self, rest: tuple[Any, ...]) -> None:
        super().__init__()
        self.rest = rest

    def forward(self, i1: Tensor, i2: Tensor, i3: Tensor) -> Tensor:
        return torch.ops.aten._trilinear(i1, i2, i3, *self.rest)


@pytest.mark.parametrize(("equation", "unrolled"), CASES)
def test_flops_are_those_of_the_products_that_run(equation: str, unrolled: int) -> None:
    args = arguments(equation, unrolled)
    report = fxcost.analyze(Function(args[3:]), args[:3])
    torch.testing.assert_close(torch.ops.aten._trilinear(*args), torch.einsum(equation, *args[:3]))
    assert report.unknown == {}
    assert report.matrix_flops == products_run(lambda: torch.ops.aten._trilinear(*args))


def test_sizes_types_and_strides_are_told_by_rule() -> None:
    """And contradict no result of the operator itself."""
    recorder, calls = Recorder(), Calls()
    recorder.calls = calls
    with recorder:
        for equation, unrolled in CASES:
            torch.ops.aten._trilinear(*arguments(equation, unrolled))
    results = Results(calls.to_bytes(), calls)
    nodes = [node for op, node in zip(calls.ops, results.nodes, strict=True) if "_trilinear" in op]
    assert len(nodes) == len(CASES)
    assert [node.contradiction for node in nodes if node.contradiction] == []
    assert all(node.complete(part) for node in nodes for part in ("sizes", "type", "strides"))
