"""kernel_runtimes: Inductor's scheduler nodes have times on a CPU, where its own are 0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import torch
from torch._inductor import config

import fxcost.compiler


@pytest.fixture(autouse=True)
def forgotten() -> None:
    torch.compiler.reset()


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.small, self.large = torch.nn.LayerNorm(64), torch.nn.Linear(64, 64), torch.nn.Linear(64, 256)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.large(torch.tanh(self.small(self.norm(x)))), -1)


class _Scheduled(Exception):
    """The schedule is final: no code is needed."""


def scheduled(x: torch.Tensor) -> list[Any]:
    """Scheduler nodes of Inductor, as metrics.node_runtimes lists them."""
    from torch._inductor import scheduler

    nodes: list[Any] = []

    def codegen(self: Any) -> None:
        nodes.extend(self.nodes)
        raise _Scheduled

    with (
        mock.patch.object(scheduler.Scheduler, "codegen", codegen),
        config.patch(fx_graph_cache=False),
        pytest.raises(Exception, match="_Scheduled"),
        torch.no_grad(),
    ):
        torch.compile(Net())(x)
    return nodes


@pytest.fixture
def nodes() -> Iterator[list[Any]]:
    with fxcost.compiler.kernel_runtimes(device="a100-sxm-80gb"):
        yield scheduled(torch.randn(512, 64))


def test_every_kernel_has_a_time(nodes: list[Any]) -> None:
    runtimes = [node.get_estimated_runtime() for node in nodes]
    assert len(runtimes) > 3 and all(runtime > 0 for runtime in runtimes)
    # The product into 256 columns does four times the work of the one into 64.
    products = [node for node in nodes if node.is_extern()]
    assert len(products) == 2
    small, large = sorted(products, key=lambda node: node.node.get_size()[-1])
    assert small.get_estimated_runtime() < large.get_estimated_runtime()
    assert config.estimate_op_runtime(large) == large.get_estimated_runtime()


def test_stock_times_are_zero_and_settings_are_put_back() -> None:
    before = config._post_fusion_custom_pass, config.estimate_op_runtime
    with fxcost.compiler.kernel_runtimes():
        assert config._post_fusion_custom_pass is not None
    assert (config._post_fusion_custom_pass, config.estimate_op_runtime) == before
    assert {node.get_estimated_runtime() for node in scheduled(torch.randn(512, 64))} == {0}


def test_a_pass_that_was_there_runs_first() -> None:
    seen: list[int] = []

    def first(nodes: list[Any]) -> list[Any]:
        seen.append(len(nodes))
        return nodes

    with config.patch(_post_fusion_custom_pass=first), fxcost.compiler.kernel_runtimes(device="a100-sxm-80gb"):
        assert config._post_fusion_custom_pass.uuid() is None  # torch does not cache what it cannot name
        assert all(node.get_estimated_runtime() > 0 for node in scheduled(torch.randn(64, 64)))
    assert len(seen) == 1


def test_overlap_scheduling_is_told_times_of_nodes_but_not_of_collectives() -> None:
    import torch.distributed as dist
    from torch._inductor.fx_passes import overlap_scheduling
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=4)
    try:

        def step(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            gathered = torch.ops._c10d_functional.all_gather_into_tensor(b, 4, dist.group.WORLD.group_name)
            product = a @ a
            return torch.ops._c10d_functional.wait_tensor(gathered)[:256] + product

        graph = torch.fx.experimental.proxy_tensor.make_fx(step, tracing_mode="fake")(
            torch.randn(256, 256), torch.randn(256, 256)
        )
        runtime = fxcost.compiler.NodeRuntime("a100-sxm-80gb")
        found = {str(node.target): runtime(node, None) for node in graph.graph.nodes if node.op == "call_function"}
        assert found["aten.mm.default"] > 0 and found["aten.add.Tensor"] > 0
        assert all(time is None for name, time in found.items() if name.startswith("_c10d_functional"))
        (product,) = (node for node in graph.graph.nodes if node.target is torch.ops.aten.mm.default)
        # As torch's scheduler asks.
        assert overlap_scheduling.get_custom_estimation(product, runtime, None) == found["aten.mm.default"]
    finally:
        dist.destroy_process_group()


def test_keys_of_caches_tell_devices_apart() -> None:
    one = fxcost.compiler.scheduler_pass("h100-sxm")
    assert one.uuid() == fxcost.compiler.scheduler_pass("h100-sxm").uuid()
    assert one.uuid() != fxcost.compiler.scheduler_pass("a100-sxm-80gb").uuid()


def test_an_older_torch_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import custom_graph_pass

    monkeypatch.delattr(custom_graph_pass, "CustomSchedulerPass")
    with (
        pytest.raises(fxcost.FxcostError, match=r"times of Inductor's kernels\n.*CustomSchedulerPass, as torch 2\.13"),
        fxcost.compiler.kernel_runtimes(),
    ):
        pass
