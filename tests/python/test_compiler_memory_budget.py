"""use_memory_budget: fxcost chooses what is recomputed, within the budget."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from saved_bytes import saved_storages
from torch import nn
from torch._functorch import config

import fxcost.compiler
from fxcost.compiler import search


class Layers(nn.Module):
    """Norms, attention and activations around narrow products."""

    def __init__(self, width: int = 32, layers: int = 3) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.qkv = nn.ModuleList(nn.Linear(width, 3 * width) for _ in range(layers))
        self.ups = nn.ModuleList(nn.Linear(width, 4 * width) for _ in range(layers))
        self.downs = nn.ModuleList(nn.Linear(4 * width, width) for _ in range(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for norm, qkv, up, down in zip(self.norms, self.qkv, self.ups, self.downs, strict=True):
            q, k, v = (part.unflatten(-1, (4, -1)).transpose(1, 2) for part in qkv(norm(x)).chunk(3, -1))
            x = x + nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
            x = x + down(torch.tanh(up(x)))
        return x


def step(model: nn.Module, x: torch.Tensor, run: Callable[..., Any]) -> tuple[list[torch.Tensor], int]:
    """Gradients, and the bytes that are kept for them beside parameters and inputs."""
    model.zero_grad(set_to_none=True)
    with saved_storages((*model.parameters(), x)) as kept:
        result = run(x)
    result.square().sum().backward()
    return [parameter.grad.clone() for parameter in model.parameters()], sum(kept.values())


def test_keeps_no_more_than_torch_and_computes_the_same() -> None:
    torch.manual_seed(0)
    model, x = Layers(), torch.randn(4, 32, 32)
    expected, everything = step(model, x, model)
    torch.compiler.reset()
    theirs_backend = fxcost.compiler.Backend("aot_eager")
    with config.patch(activation_memory_budget=0.4):
        gradients, theirs = step(model, x, torch.compile(model, backend=theirs_backend))
    for one, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    torch.compiler.reset()
    backend = fxcost.compiler.Backend("aot_eager")
    before = config.activation_memory_budget_solver, config.activation_memory_budget
    with fxcost.compiler.use_memory_budget(0.4):
        gradients, ours = step(model, x, torch.compile(model, backend=backend))
    for one, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    assert 0 < ours <= theirs < everything
    assert (config.activation_memory_budget_solver, config.activation_memory_budget) == before
    # More products may be worth a lower peak, but not all of the forward pass again.
    assert backend.report().matrix_flops < theirs_backend.report().matrix_flops * 1.1


class Dropped(nn.Module):
    """Products between dropouts. ``masks`` stand in for the dropouts' own."""

    def __init__(self, width: int = 32, layers: int = 3) -> None:
        super().__init__()
        self.mixes = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))

    def forward(self, x: torch.Tensor, masks: list[torch.Tensor] | None = None) -> list[torch.Tensor]:
        found = []
        for number, mix in enumerate(self.mixes):
            y = torch.exp(torch.tanh(mix(x)))  # nowhere 0
            x = nn.functional.dropout(y, 0.5) if masks is None else y * masks[number] * 2
            found.append(x)
        return found


@pytest.mark.parametrize("budget", [0.5, 0.1])
def test_both_passes_drop_out_the_same(budget: float) -> None:
    torch.manual_seed(0)
    model, x = Dropped(), torch.randn(64, 32)
    torch.compiler.reset()
    with fxcost.compiler.use_memory_budget(budget):
        outputs = torch.compile(model)(x)
        sum(output.square().sum() for output in outputs).backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad(set_to_none=True)
    again = model(x, [(output != 0).float() for output in outputs])
    sum(output.square().sum() for output in again).backward()
    for one, parameter in zip(gradients, model.parameters(), strict=True):
        torch.testing.assert_close(one, parameter.grad, rtol=1e-3, atol=1e-4)


def test_what_the_search_finds_is_what_torch_saves(monkeypatch: pytest.MonkeyPatch) -> None:
    choices = []
    stock = search.Search.best

    def best(self: Any) -> Any:
        found = stock(self)
        choices.append((self.split.outcome(found), self.reference, self.limit, self.split.evaluated))
        return found

    monkeypatch.setattr(search.Search, "best", best)
    # Without parts of tensors, which keep all of their memory alive.
    layers = [(nn.LayerNorm(32), nn.Linear(32, 128), nn.Tanh(), nn.Linear(128, 32), nn.Sigmoid()) for _ in range(3)]
    model, x = nn.Sequential(*itertools.chain(*layers), nn.Linear(32, 8)), torch.randn(128, 32)
    for budget in (0.4, 0.05):
        torch.compiler.reset()
        with fxcost.compiler.use_memory_budget(budget):
            _, kept = step(model, x, torch.compile(model, backend="aot_eager"))
        ours, theirs, limit, evaluated = choices.pop()
        assert kept == ours.saved <= limit
        assert ours.seconds <= theirs.seconds * 1.005 and ours.peak <= theirs.peak
        assert evaluated <= 2 * search.EVALUATIONS


def test_the_estimator_alone_serves_torchs_solvers() -> None:
    estimator = fxcost.compiler.runtime_estimator()
    model, x = Layers(), torch.randn(4, 32, 32)
    expected, _ = step(model, x, model)
    torch.compiler.reset()
    with config.patch(activation_memory_budget=0.3, activation_memory_budget_runtime_estimator=estimator):
        gradients, _ = step(model, x, torch.compile(model, backend="aot_eager"))
    for one, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_times_of_nodes_are_those_of_their_kernels() -> None:
    graph = torch.fx.experimental.proxy_tensor.make_fx(lambda a, b: torch.tanh(a @ b), tracing_mode="fake")(
        torch.randn(64, 64), torch.randn(64, 64)
    )
    product, tanh = (node for node in graph.graph.nodes if node.op == "call_function")
    estimator = fxcost.compiler.runtime_estimator("a100-sxm-80gb")
    assert estimator(product) > 0 and estimator(tanh) > 0
    assert estimator(product) != fxcost.compiler.runtime_estimator("h100-sxm")(product)


def test_keys_of_caches_tell_devices_apart() -> None:
    one, other = fxcost.compiler.knapsack_solver("h100-sxm"), fxcost.compiler.knapsack_solver("a100-sxm-80gb")
    assert one.uuid() != other.uuid()
    assert one.uuid() == fxcost.compiler.knapsack_solver("h100-sxm").uuid()
    assert one.uuid() != fxcost.compiler.runtime_estimator("h100-sxm").uuid()


def test_an_older_torch_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import custom_graph_pass

    monkeypatch.delattr(custom_graph_pass, "CustomKnapsackSolver")
    with (
        pytest.raises(fxcost.FxcostError, match=r"a memory budget\n.*CustomKnapsackSolver, as torch 2\.13 has it"),
        fxcost.compiler.use_memory_budget(0.5),
    ):
        pass


def test_an_unknown_device_is_an_error_of_ours() -> None:
    torch.compiler.reset()
    model, x = Layers(), torch.randn(4, 32, 32)
    with (
        pytest.raises(Exception, match="no-such-device"),
        fxcost.compiler.use_memory_budget(0.3, device="no-such-device"),
    ):
        step(model, x, torch.compile(model, backend="aot_eager"))
