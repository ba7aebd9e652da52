"""use_memory_budget: fxcost chooses what is recomputed, within what torch's own choice keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch._functorch import config

import fxcost.compiler
from fxcost.compiler import memory_budget


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
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), x)}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = run(x).square().sum()
    loss.backward()
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
    assert backend.report().matrix_flops <= theirs_backend.report().matrix_flops


def test_what_the_search_finds_is_never_worse_by_its_own_count(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    stock = memory_budget._Search._best

    def best(search: Any) -> Any:
        found = stock(search)
        compared.append((search._outcome(found), search._outcome(search.theirs), search.split.evaluated))
        return found

    monkeypatch.setattr(memory_budget._Search, "_best", best)
    model, x = Layers(), torch.randn(4, 32, 32)
    for budget in (0.4, 0.05):
        torch.compiler.reset()
        with fxcost.compiler.use_memory_budget(budget):
            step(model, x, torch.compile(model, backend="aot_eager"))
    assert len(compared) == 2
    for ours, theirs, evaluated in compared:
        assert ours.saved <= theirs.saved and ours.seconds <= theirs.seconds
        assert evaluated <= memory_budget._EVALUATIONS + 2


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
