"""Recording: totals without a program, and a program that is written later (conftest.py compares the totals of every
recording that any test makes)."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from fxir_reader import Fxir

import fxcost
from fxcost.recording import Recording


def model() -> torch.nn.Sequential:
    return torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.LayerNorm(16), torch.nn.Linear(16, 4))


def recorded(model: torch.nn.Module) -> fxcost.Recording:
    with fxcost.record(model) as recording:
        model(torch.ones(2, 8)).sum().backward()
    return recording


def test_totals_need_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: Recording) -> None:
        raise AssertionError("the program was written")

    expected = recorded(model()).report()
    with monkeypatch.context() as patch:
        patch.setattr(Recording, "_write", write)
        recording = recorded(model())
        totals = recording.totals
    assert totals.flops == expected.flops == totals.matrix_flops + totals.vector_flops
    assert totals.matrix_flops == expected.matrix_flops == 2 * totals.macs
    assert totals.phases == expected.phases and totals.phases["backward"] > totals.phases["forward"] > 0
    assert totals.unknown == {}
    assert recording.report().flops == totals.flops and recording.totals == totals


def test_kinds_are_told_apart() -> None:
    """By sizes, types, numbers, phases and by which results are used."""
    x, y = torch.ones(4, 4, requires_grad=True), torch.ones(4, 4, dtype=torch.float64)
    with fxcost.record() as recording:
        for _ in range(3):
            x @ x
        x[:2] @ x
        y @ y
        torch.pow(x, 2), torch.pow(x, 2.5), torch.sum(x, 0), torch.sum(x, 1)
        torch.nn.functional.layer_norm(x, (4,)).sum().backward()
        torch.var_mean(x)[1] + 1
        torch.frexp(y)[0] + torch.frexp(y)[1]
    report = recording.report()
    assert recording.totals.flops == report.flops
    assert recording.totals.matrix_flops == 3 * 128 + 64 + 128  # 2 for each of 4·4·4 or 2·4·4 products


def test_gradients_that_nobody_takes() -> None:
    """The backward of fused attention is counted by the gradients that are used."""
    query, key, value = (torch.randn(1, 2, 8, 4, requires_grad=True) for _ in range(3))
    attention = torch.nn.functional.scaled_dot_product_attention
    with fxcost.record() as recording:
        for times in (1, 2, 2):
            made = [tensor * times for tensor in (query, key, value)]
            attention(made[0], *(tensor if times == 1 else tensor.detach() for tensor in made[1:])).sum().backward()
    assert recording.totals.phases == recording.report().phases


def test_what_has_no_formula_is_in_the_totals_by_name() -> None:
    @torch.library.custom_op("fxcost_tests::strange", mutates_args=())
    def strange(x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    with fxcost.record() as recording:
        for size in (2, 3, 3):
            strange(torch.ones(size))
    assert recording.totals.unknown == {"fxcost_tests.strange.default": 3} == recording.report().unknown


def test_totals_of_nothing() -> None:
    with fxcost.record() as recording:
        pass
    assert recording.totals.flops == 0 and recording.totals.unknown == {}


def test_a_program_is_of_the_model_as_it_was() -> None:
    """Whatever becomes of it between the end of the block and the first question."""
    expected = recorded(model()).report()
    changed = model()
    recording = recorded(changed)
    changed[0].in_features, changed[1].eps = 5, 0.5
    changed.half().requires_grad_(False)
    changed[2] = torch.nn.Identity()
    report = recording.report()
    assert report.to_dict("module")["rows"] == expected.to_dict("module")["rows"]
    assert report.trainable_params == expected.trainable_params == report.params == 8 * 16 + 16 + 32 + 16 * 4 + 4
    assert str(report) == str(expected)
    assert configuration(recording) == configuration(recorded(model()))


def configuration(recording: fxcost.Recording) -> list[tuple[Any, ...]]:
    ir = Fxir(recording.to_bytes())
    rows = zip(ir.config_module, ir.config_key, ir.config_kind, ir.config_payload, strict=True)
    return [tuple(map(int, row)) for row in rows]


def test_no_tensor_of_the_model_is_kept() -> None:
    changed = model()
    recording = recorded(changed)
    weight = weakref.ref(changed[0].weight)
    changed[0] = torch.nn.Identity()
    assert weight() is None
    assert recording.report().params == 8 * 16 + 16 + 32 + 16 * 4 + 4


# ---- calls of modules -----------------------------------------------------------------------------------------------


def test_modules_are_called_as_before() -> None:
    function: Any = torch.nn.Module.__call__
    code = function.__code__
    with fxcost.record(model()) as outer:
        inner = recorded(model())
        assert function.__code__ is not code
    with pytest.raises(RuntimeError), fxcost.record(model()) as failed:
        failed.model(torch.ones(3))
    assert torch.nn.Module.__call__ is function and function.__code__ is code
    assert outer.totals.flops == inner.totals.flops > 0  # each sees what runs, the outer one under a module of no model


def test_calls_that_somebody_else_has_exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    function: Any = torch.nn.Module.__call__

    def told(module: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(type(module).__name__)
        return function(module, *args, **kwargs)

    monkeypatch.setattr(torch.nn.Module, "__call__", told)
    report = recorded(model()).report()
    assert torch.nn.Module.__call__ is told
    assert seen == ["Sequential", "Linear", "LayerNorm", "Linear"]
    assert report.module("0").matrix_flops > 0 < report.module("2").matrix_flops
