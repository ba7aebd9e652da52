"""For a Python with apache-tvm (0.27) and pytest: what TVM derives of an operator's loops is what fxcost says of it,
and TVM fuses by the attributes that fxcost writes. python -m pytest --noconftest tests/python/tvm_patterns.py"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

tvm = pytest.importorskip("tvm", reason="apache-tvm is not installed")

from tvm import relax  # noqa: E402

from fxcost.binding import Analysis, Program  # noqa: E402

OP = relax.op

# An operator of torch in fxcost's text form, with the shape of its result, and TVM's of the same.
CASES: dict[str, tuple[str, str, Callable[..., Any], list[tuple[tuple[int, ...], str]]]] = {
    "add": ("aten.add.Tensor(self=%a, other=%b)", "4, 8", OP.add, [((4, 8), "float32"), ((4, 8), "float32")]),
    "spread": ("aten.add.Tensor(self=%a, other=%b)", "4, 8", OP.add, [((4, 8), "float32"), ((8,), "float32")]),
    "relu": ("aten.relu.default(self=%a)", "4, 8", OP.nn.relu, [((4, 8), "float32")]),
    "sum": ("aten.sum.dim_IntList(self=%a, dim=[1])", "4", lambda x: OP.sum(x, 1), [((4, 8), "float32")]),
    "amax": ("aten.amax.default(self=%a, dim=[1])", "4", lambda x: OP.max(x, 1), [((4, 8), "float32")]),
    "mean": ("aten.mean.dim(self=%a, dim=[1])", "4", lambda x: OP.mean(x, 1), [((4, 8), "float32")]),
    "softmax": ("aten.softmax.int(self=%a, dim=1)", "4, 8", lambda x: OP.nn.softmax(x, 1), [((4, 8), "float32")]),
    "mm": ("aten.mm.default(self=%a, mat2=%b)", "4, 16", OP.matmul, [((4, 8), "float32"), ((8, 16), "float32")]),
    "cat": (
        "aten.cat.default(tensors=[%a, %b], dim=0)",
        "8, 8",
        lambda x, y: OP.concat([x, y], 0),
        [((4, 8), "float32"), ((4, 8), "float32")],
    ),
    "take": (
        "aten.index_select.default(self=%a, dim=0, index=%b)",
        "3, 8",
        lambda x, i: OP.take(x, i, 0),
        [((4, 8), "float32"), ((3,), "int64")],
    ),
    "pool": (
        "aten.max_pool2d.default(self=%a, kernel_size=[2, 2], stride=[1, 1])",
        "1, 3, 7, 7",
        lambda x: OP.nn.max_pool2d(x, (2, 2)),
        [((1, 3, 8, 8), "float32")],
    ),
}
SHORT = {"float32": "f32", "int64": "i64"}


def functions(source: str, fusion: str = "none") -> list[dict[str, Any]]:
    program = Program.from_bytes(source.encode())
    analysis = Analysis(program, profile=fusion)
    found: list[dict[str, Any]] = json.loads(analysis.render(format="tvm"))["functions"]
    return found


def text(call: str, result: str, inputs: list[tuple[tuple[int, ...], str]]) -> str:
    lines = ["fxir 1.0", 'graph "main" captured']
    for i, (shape, dtype) in enumerate(inputs):
        lines.append(f"  input %{'ab'[i]}: {SHORT[dtype]}[{', '.join(map(str, shape))}] @{i}")
    return "\n".join([*lines, f"  %r = {call} -> f32[{result}] @{len(inputs)}", "  return %r", ""])


def legalized(make: Callable[..., Any], inputs: list[tuple[tuple[int, ...], str]]) -> Any:
    builder = relax.BlockBuilder()
    given = [relax.Var("ab"[i], relax.TensorType(shape, dtype)) for i, (shape, dtype) in enumerate(inputs)]
    with builder.function("main", given):
        with builder.dataflow():
            result = builder.emit_output(builder.emit(make(*given)))
        builder.emit_func_output(result)
    return relax.transform.LegalizeOps()(builder.get())


def patterns(module: Any) -> list[int]:
    return [int(f.attrs["op_pattern"]) for f in module.functions.values() if f.attrs and "op_pattern" in f.attrs]


@pytest.mark.parametrize("name", CASES)
def test_patterns_are_those_that_tvm_derives(name: str) -> None:
    call, result, make, inputs = CASES[name]
    derived = patterns(relax.transform.AnnotateTIROpPattern()(legalized(make, inputs)))
    assert [function["attrs"]["op_pattern"] for function in functions(text(call, result, inputs))] == derived


def test_tvm_fuses_by_the_attributes() -> None:
    """A product, a relu and a softmax, whose functions get fxcost's attributes instead of derived ones."""

    def make(x: Any, w: Any) -> Any:
        return OP.nn.softmax(OP.nn.relu(OP.matmul(x, w)), 1)

    source = (
        'fxir 1.0\ngraph "main" captured\n  input %a: f32[4, 8] @0\n  input %b: f32[8, 16] @1\n'
        "  %m = aten.mm.default(self=%a, mat2=%b) -> f32[4, 16] @2\n"
        "  %r = aten.relu.default(self=%m) -> f32[4, 16] @3\n"
        "  %s = aten.softmax.int(self=%r, dim=1) -> f32[4, 16] @4\n  return %s\n"
    )
    ours = functions(source)
    assert [f["attrs"]["op_pattern"] for f in ours] == [4, 0, 4]
    assert [f["attrs"]["estimated_flops"] for f in ours] == [2 * 4 * 8 * 16, 4 * 16, 4 * 4 * 16 - 2 * 4]

    def fused(attributes: list[dict[str, int]]) -> int:
        module = legalized(make, [((4, 8), "float32"), ((8, 16), "float32")])
        for name, function in zip(("matmul", "relu", "softmax"), attributes, strict=True):
            module[name] = module[name].with_attr(function)
            assert dict(module[name].attrs).items() >= function.items()
        return len([f for f in relax.transform.FuseOps()(module).functions if f.name_hint.startswith("fused_")])

    attributes = [f["attrs"] for f in ours]
    assert fused(attributes) == 1  # the product with its relu
    opaque = [{**attributes[0], "op_pattern": 8}, *attributes[1:]]
    assert fused(opaque) == 0
