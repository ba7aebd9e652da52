"""Sizes, element types and strides by rule. Truth is torch's FakeTensor, which the capture records: the shapes pass
refuses a program whose recording a rule contradicts, so every program here that is analysed agrees. How much was told
by rule is asserted too: a lower share later is a regression."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pytest
import torch
from costs import Function
from test_flops_oracle import MODELS
from torch import Tensor, nn

import fxcost
from fxcost import binding

SIZES, DTYPE, STRIDES = 1, 2, 4  # enum fxc_shape_told


def told(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> tuple[list[int], int]:
    """What rules told of each value, and how many tensors nodes compute."""
    program = binding.Program.from_bytes(fxcost.capture(model, args, kwargs).to_bytes())
    analysis = binding.Analysis(program, shapes="strict")
    analysis.require("shapes")
    bits = ctypes.c_uint32()
    call = binding.library().fxc_analysis_value_told
    call.restype = ctypes.c_int32
    call.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32), ctypes.c_void_p]
    found = []
    for value in range(program.info().values):
        assert call(analysis._handle, value, ctypes.byref(bits), None) == 0
        found.append(bits.value)
    return found, analysis.totals().values


def shares(found: list[int], values: int) -> tuple[float, float, float]:
    """Per cent of the values with sizes, element type and strides by rule."""
    sizes, dtypes, strides = (sum(bool(bits & bit) for bits in found) for bit in (SIZES, DTYPE, STRIDES))
    return 100 * sizes / values, 100 * dtypes / values, 100 * strides / values


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_models(build: Callable[[], tuple[nn.Module, dict[str, Any]]], mode: str) -> None:
    torch.manual_seed(0)
    model, kwargs = build()
    model.train(mode == "train")
    with torch.no_grad():
        found, values = told(model, (), kwargs)
    sizes, dtypes, strides = shares(found, values)
    assert values > 30
    assert sizes >= 99.0, f"sizes of {sizes:.1f} % by rule"
    assert dtypes >= 99.0, f"element types of {dtypes:.1f} % by rule"
    assert strides >= 94.0, f"strides of {strides:.1f} % by rule"


X = torch.randn(2, 3, 4, 5)
LAST = X.contiguous(memory_format=torch.channels_last)
MIXED = X.permute(2, 0, 3, 1)
ROW, WHOLE, BYTE, MASK = torch.randn(5), torch.arange(5), torch.arange(5, dtype=torch.uint8), torch.arange(5) > 2
HALF, BRAIN, DOUBLE = ROW.half(), ROW.bfloat16(), ROW.double()
POINT, WIDE_POINT = torch.tensor(2), torch.tensor(2.0, dtype=torch.float64)

PROMOTION: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...]]] = {
    "integer and float": (torch.add, (WHOLE, HALF)),
    "two halves": (torch.mul, (HALF, BRAIN)),
    "signed and unsigned": (torch.add, (BYTE, BYTE.to(torch.int8))),
    "bool and integer": (torch.add, (MASK, BYTE)),
    "zero-dim float64 yields to float16": (torch.add, (HALF, WIDE_POINT)),
    "zero-dim float64 over integers": (torch.add, (WHOLE, WIDE_POINT)),
    "zero-dim integer": (torch.mul, (BYTE, POINT)),
    "two zero-dims": (torch.add, (POINT, WIDE_POINT)),
    "number over integers": (lambda x: x * 0.5, (WHOLE,)),
    "number yields": (lambda x: x + 1, (BYTE,)),
    "number over bool": (lambda x: x + 1, (MASK,)),
    "number and zero-dim": (lambda x: x + 1.5, (POINT,)),
    "complex number": (lambda x: x * 2j, (HALF.float(),)),
    "complex number over float64": (lambda x: x * 2j, (DOUBLE,)),
    "complex and float64": (torch.add, (ROW.to(torch.complex64), DOUBLE)),
    "size of a complex": (torch.abs, (ROW.to(torch.complex64),)),
    "true division": (torch.div, (WHOLE, BYTE)),
    "floor division": (torch.floor_divide, (WHOLE, BYTE)),
    "root of integers": (torch.sqrt, (WHOLE,)),
    "power": (lambda x: x**2.0, (WHOLE,)),
    "number to a power": (lambda x: 2**x, (BYTE,)),
    "comparison": (lambda x, y: x > y, (WHOLE, ROW)),
    "where": (lambda m, x, y: torch.where(m, x, y), (MASK, WHOLE, HALF)),
    "where with numbers": (lambda m: torch.where(m, 1, 0.5), (MASK,)),
    "sum of bools": (torch.sum, (MASK,)),
    "sum as asked": (lambda x: x.sum(dtype=torch.float64), (WHOLE,)),
    "product of bytes": (lambda x: x.prod(0), (BYTE,)),
    "scan of bytes": (lambda x: x.cumsum(0), (BYTE,)),
    "mean as asked": (lambda x: x.mean(dtype=torch.float32), (WHOLE,)),
    "softmax as asked": (lambda x: torch.softmax(x, 0, dtype=torch.float32), (HALF,)),
    "largest and where": (lambda x: torch.max(x, 0), (HALF,)),
    "where largest": (torch.argmax, (HALF,)),
    "clamp by float": (lambda x: x.clamp(min=0.5), (WHOLE,)),
    "cat": (lambda x, y: torch.cat([x, y]), (WHOLE, HALF)),
    "casts": (lambda x: (x.to(torch.bfloat16), x.int(), x.type_as(x)), (ROW,)),
    "masked": (lambda x, m: x.masked_fill(m, 0.5), (HALF, MASK)),
    "made": (lambda x: (torch.arange(3), torch.arange(0, 1, 0.5), torch.full((2,), 1), x.new_zeros(3)), (HALF,)),
}
LAYOUT: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...]]] = {
    "channels-last alone": (torch.relu, (LAST,)),
    "channels-last first": (torch.add, (LAST, X)),
    "channels-last second": (torch.add, (X, LAST)),
    "channels-last and a row": (torch.add, (LAST, ROW)),
    "row and channels-last": (torch.add, (ROW, LAST)),
    "zero-dim and channels-last": (torch.add, (WIDE_POINT, LAST)),
    "permuted": (lambda x: x.exp() + 1, (MIXED,)),
    "permuted and expanded": (lambda x, y: x + y.expand(4, 2, 5, 3), (MIXED, torch.randn(5, 1))),
    "expanded alone": (lambda x: x.expand(3, 5) * 2, (ROW,)),
    "steps": (lambda x: x[::2, :, 1:3] + 0, (MIXED,)),
    "no elements": (lambda x: x[:, :0] + 1, (LAST,)),
    "no dimensions": (lambda x: x + x, (POINT,)),
    "view that stays": (lambda x: x.view(4, 2, 15), (torch.randn(4, 2, 5, 3),)),
    "reshape that copies": (lambda x: x.reshape(8, 15), (MIXED,)),
    "reshape of an expansion": (lambda x: x.expand(3, 4, 5).reshape(12, 5), (torch.randn(4, 5),)),
    "split and squeezed": (lambda x: [y.squeeze(0) for y in x.split(1)], (MIXED,)),
    "select and unsqueeze": (lambda x: x.select(1, 0).unsqueeze(-1), (MIXED,)),
    "clones": (lambda x: (x.clone(), x.contiguous(), x.clone(memory_format=torch.contiguous_format)), (LAST,)),
    "to channels-last": (lambda x: x.to(memory_format=torch.channels_last), (X,)),
    "clone of an expansion": (lambda x: x.expand(3, 5).clone(), (ROW,)),
    "like": (lambda x: (torch.zeros_like(x), torch.empty_like(x, dtype=torch.int8)), (MIXED,)),
    "cat of channels-last": (lambda x: torch.cat([x, x], 1), (LAST,)),
    "cat of both": (lambda x, y: torch.cat([x, y], 1), (LAST, X)),
    "convolution": (lambda x, w: torch.conv2d(x, w, padding=1), (X, torch.randn(6, 3, 3, 3))),
    "convolution channels-last": (lambda x, w: torch.conv2d(x, w, padding=1), (LAST, torch.randn(6, 3, 3, 3))),
    "pooling channels-last": (lambda x: torch.max_pool2d(x, 2), (LAST,)),
    "reduction": (lambda x: (x.sum((1, 3)), x.mean(0, keepdim=True)), (LAST,)),
    "product": (lambda x: x @ x.mT, (MIXED,)),
    "looked up": (lambda x, i: x[:, i], (MIXED, torch.tensor([1, 0, 1]))),
    "in place": (lambda x: x.clone().add_(1).mul_(2), (LAST,)),
}


@pytest.mark.parametrize("case", PROMOTION)
def test_promotion(case: str) -> None:
    """Every element type follows by rule, and is FakeTensor's."""
    function, args = PROMOTION[case]
    found, values = told(Function(function), args)
    assert values > 0
    assert sum(bool(bits & DTYPE) for bits in found) == values


@pytest.mark.parametrize("case", LAYOUT)
def test_layout(case: str) -> None:
    """Every stride follows by rule, and is FakeTensor's."""
    function, args = LAYOUT[case]
    found, values = told(Function(function), args)
    assert values > 0
    assert sum(bool(bits & STRIDES) for bits in found) == values


def test_a_type_or_stride_that_contradicts_is_refused() -> None:
    text = 'fxir 1.0\ngraph "main" captured\n  input %x: f32[2, 3] @0\n  %y = {} @1\n  return %y\n'
    for line, expected, found in (
        ("aten.exp.default(self=%x) -> f64[2, 3]", "the element type float32", "the recorded element type float64"),
        ("aten.exp.default(self=%x) -> f32[2, 3]{1, 2}", "the strides [3, 1]", "the recorded strides [1, 2]"),
    ):
        analysis = binding.Analysis(binding.Program.from_bytes(text.format(line).encode()), shapes="strict")
        with pytest.raises(fxcost.FxcostError, match="node 0 'y'") as error:
            analysis.require("shapes")
        assert expected in str(error.value)
        assert found in str(error.value)


@pytest.mark.parametrize("default", [torch.float64, torch.bfloat16])
def test_default_dtype_of_the_capture(default: torch.dtype) -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(default)
    try:
        found, values = told(
            Function(lambda x: torch.zeros(3) + x.sqrt() + torch.where(x > 1, 1, 0.5) + x * 1.5), (WHOLE[:3],)
        )
    finally:
        torch.set_default_dtype(before)
    assert sum(bool(bits & DTYPE) for bits in found) == values > 5


def test_a_report_keeps_the_recording_and_says_so() -> None:
    text = 'fxir 1.0\ngraph "main" captured\n  input %x: f32[2, 3] @0\n  %y = {} @1\n  return %y\n'
    for line in ("aten.exp.default(self=%x) -> f64[2, 3]", "aten.exp.default(self=%x) -> f32[2, 3]{1, 2}"):
        analysis = binding.Analysis(binding.Program.from_bytes(text.format(line).encode()))
        totals = analysis.totals()
        assert (totals.contradicted_values, totals.counts.transcendentals) == (1, 6)
        assert "the first 'y'" in analysis.render()
    with pytest.raises(fxcost.FxcostError, match="'recorded', 'strict' or 'listed'"):
        analysis.set("shapes", "loose")


def test_stack_of_channels_last_is_not_contradicted() -> None:
    class Stack(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([x, x + 1])

    bits, computed = told(Stack(), (torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),))
    assert sum(bit & SIZES for bit in bits) == computed == 2
