"""Distributed modules under a fake process group: the program of one device. Matrix FLOPs against FlopCounterMode,
which counts a DTensor's operators whole; shapes against what the collectives really gave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.distributed._functional_collectives import all_reduce
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel
from torch.utils.flop_counter import FlopCounterMode

import fxcost
from fxcost.distributed import all_reduce_hook, fake_group

DEVICES = 4


class FeedForward(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = torch.nn.Linear(64, 256), torch.nn.Linear(256, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(torch.nn.functional.gelu(self.up(x)))


@pytest.fixture(autouse=True)
def _group() -> Iterator[None]:
    with fake_group(DEVICES):
        yield


def tensor_parallel() -> torch.nn.Module:
    mesh = init_device_mesh("cpu", (DEVICES,))
    return parallelize_module(FeedForward(), mesh, {"up": ColwiseParallel(), "down": RowwiseParallel()})


def sharded() -> torch.nn.Module:
    model = FeedForward()
    fully_shard(model.up)
    return fully_shard(model)


def replicated() -> torch.nn.Module:
    model = DistributedDataParallel(FeedForward())
    model.register_comm_hook(None, all_reduce_hook)
    return model


X = torch.ones(8, 64)
WHOLE = 64 * 256 + 256 + 256 * 64 + 64


def counted(model: torch.nn.Module, train: bool) -> int:
    with FlopCounterMode(display=False) as counter:
        step(model, train)
    return int(counter.get_total_flops())


def step(model: torch.nn.Module, train: bool) -> None:
    if train:
        model(X).sum().backward()
    else:
        with torch.no_grad():
            model(X)


@pytest.mark.parametrize("train", [False, True], ids=["forward", "train"])
@pytest.mark.parametrize(("build", "share"), [(tensor_parallel, DEVICES), (sharded, 1), (replicated, 1)])
def test_one_device_computes_its_share(build: Any, share: int, train: bool) -> None:
    expected = counted(build(), train)
    model = build()
    with fxcost.record(model) as recording:
        step(model, train)
    report = recording.report()
    assert report.matrix_flops * share == expected > 0
    assert report.unknown == {}


def test_the_ladder_records_what_one_device_runs() -> None:
    for build, share in ((tensor_parallel, DEVICES), (sharded, 1), (replicated, 1)):
        model = build()
        with torch.no_grad():
            report = fxcost.analyze(model, X)
        assert report.matrix_flops * share == counted(model, False)  # and the model still runs
        program = report.to_dict()["program"]
        assert program["route"] == "record"
        assert "what one device runs" in program["why"]


def test_parameters_are_those_of_one_device() -> None:
    with torch.no_grad():
        report = fxcost.analyze(tensor_parallel(), X)
        assert report.params == report.trainable_params == (64 * 256 + 256 + 256 * 64) // DEVICES + 64
        assert fxcost.analyze(sharded(), X).params == WHOLE // DEVICES
        assert fxcost.analyze(replicated(), X).params == WHOLE


def collectives(report: fxcost.Report) -> dict[str, tuple[int, int, int]]:
    rows = report.by_op()
    return {
        name.partition(".")[2].removesuffix(".default"): (row.bytes_read, row.bytes_written, row.flops)
        for name, row in rows.items()
        if "c10d" in name and row.bytes_read
    }


def test_bytes_of_collectives() -> None:
    with torch.no_grad():
        found = collectives(fxcost.analyze(tensor_parallel(), X))
    sent = 8 * 64 * 4
    assert found == {"all_reduce": (sent, sent, 8 * 64 * (DEVICES - 1) // DEVICES)}
    model = sharded()
    with fxcost.record(model) as recording:
        step(model, True)
    up, down = 64 * 256 + 256, 256 * 64 + 64
    gathered = 2 * up + down  # the root keeps its parameters until its backward has ended
    assert collectives(recording.report()) == {
        "_allgather_base_": (gathered * 4 // DEVICES, gathered * 4, 0),
        "_reduce_scatter_base_": (WHOLE * 4, WHOLE * 4 // DEVICES, WHOLE * (DEVICES - 1) // DEVICES),
    }
    model = replicated()
    with fxcost.record(model) as recording:
        step(model, True)
    assert collectives(recording.report())["allreduce_"] == (WHOLE * 4, WHOLE * 4, WHOLE * (DEVICES - 1) // DEVICES)


def test_shapes_of_functional_collectives() -> None:
    """Every shape by rule, none contradicts what the collective gave."""
    ops, name = torch.ops._c10d_functional, dist.group.WORLD.group_name
    x, y = torch.ones(8, 3), torch.ones(4)
    with fxcost.record() as recording:
        found = [
            ops.all_reduce(x, "sum", name),
            ops.all_gather_into_tensor(x, DEVICES, name),
            ops.reduce_scatter_tensor(x, "avg", DEVICES, name),
            ops.broadcast(x, 0, name),
            ops.all_to_all_single(x, [2, 2, 2, 2], [2, 2, 2, 2], name),
            ops.all_to_all_single(x, [1, 2, 3, 4], [2, 2, 2, 2], name),
            *ops.all_reduce_coalesced([x, y], "sum", name),
            *ops.all_gather_into_tensor_coalesced([x, y], DEVICES, name),
            *ops.reduce_scatter_tensor_coalesced([x, y], "sum", DEVICES, name),
        ]
        for tensor in found:
            ops.wait_tensor(tensor)
    assert [list(tensor.shape) for tensor in found[:6]] == [[8, 3], [32, 3], [2, 3], [8, 3], [8, 3], [10, 3]]
    report = recording.report()
    assert report.unknown == {}
    totals = report.to_dict()["totals"]
    assert totals["contradicted_values"] == totals["recorded_values"] == 0
    assert totals["values"] == 2 * len(found)  # with those of wait_tensor


def test_a_maximum_of_integers_is_integer_work() -> None:
    with fxcost.record() as recording:
        all_reduce(torch.ones(100, dtype=torch.int64), "max", dist.group.WORLD).wait()
    row = recording.report().by_op()["_c10d_functional.all_reduce.default"]
    assert (row.flops, row.int_ops) == (0, 75)


def test_an_unknown_group_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program whose capture says nothing of groups: not zero."""
    from fxcost import recording as module

    monkeypatch.setattr(module, "groups", dict)
    with fxcost.record() as recording:
        all_reduce(torch.ones(100), "sum", dist.group.WORLD).wait()
    assert recording.report().unknown == {"_c10d_functional.all_reduce.default": 1}
