"""torch.profiler's table of a report, its numbers by hand: FLOPs of the sizes, times of the data sheet."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import fxcost
from fxcost.compat.profiler import key_averages
from fxcost.errors import FxcostError

BANDWIDTH = 460.8e9  # of epyc-9654, bytes per second: a roofline


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.first(x))
        return x.add_(1.0).add(x).view(-1)


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in table.splitlines()]


def report(device: str | None = None) -> fxcost.Report:
    return fxcost.analyze(Net().eval(), (torch.randn(32, 8),), device=device)


def test_without_a_device() -> None:
    averages = key_averages(report())
    assert (averages[0].key, averages[0].count, averages[0].flops) == ("aten::linear", 2, 2 * (2 * 32 * 8 * 16))
    assert {row.key: row.flops for row in averages[1:]} == {"aten::add_": 256, "aten::add": 256, "aten::view": 0}
    assert all(row.time_total is None and row.time is None for row in averages)
    lines = cells(averages.table(sort_by="flops", row_limit=1, header="operators"))
    assert lines[1] == ["operators"]
    assert lines[3] == ["Name", "# of Calls", "Total KFLOPs", "Bytes"]
    # 8 x 16 weights and 16 biases, 16 x 8 and 8; inputs and results of 32 x 8 and 32 x 16.
    size = 4 * (2 * 128 + 24 + 2 * 32 * (8 + 16))
    assert lines[5] == ["aten::linear", "2", f"{4 * 32 * 128 / 1000:.3f}", f"{size / 1024:.2f} KB"]
    assert len(lines) == 7
    with pytest.raises(FxcostError, match="no device is named"):
        averages.table(sort_by="self_cpu_time_total")
    with pytest.raises(FxcostError, match="sort_by"):
        averages.table(sort_by="name")


def test_totals_are_those_of_the_report() -> None:
    found = report("a100-sxm-80gb")
    averages = key_averages(found)
    total = averages.total_average()
    assert (total.flops, total.bytes, total.unknown) == (found.flops, found.bytes, 0)
    assert found.seconds is not None and total.time_total == pytest.approx(found.seconds * 1e6)
    assert {row.key for row in averages} == {"aten::linear", "aten::add_", "aten::add", "aten::view"}


def test_predicted_times() -> None:
    averages = key_averages(report("epyc-9654"))
    added = next(row for row in averages if row.key == "aten::add")
    assert added.time_total == pytest.approx(3 * 4 * 32 * 8 / BANDWIDTH * 1e6)
    table = averages.table(sort_by="cuda_time_total", max_name_column_width=10)
    lines = cells(table)
    assert lines[1][:4] == ["Name", "Predicted %", "Predicted", "Time avg"]
    assert [line[0] for line in lines[3:5]] == ["aten::l...", "aten::add"]
    assert sum(float(line[1].rstrip("%")) for line in lines[3:-2]) == pytest.approx(100, abs=0.05)
    assert table.rstrip().splitlines()[-1].startswith("Predicted time total: ")


@torch.library.custom_op("profiler_test::scan", mutates_args=())
def scan(x: Tensor) -> Tensor:
    return x.clone()


@scan.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


def test_unknown_is_said() -> None:
    class Scan(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.ops.profiler_test.scan(x) + 1

    averages = key_averages(fxcost.analyze(Scan(), (torch.randn(4, 4),)))
    assert {row.key: (row.unknown, row.flops) for row in averages} == {
        "profiler_test::scan": (1, 0),
        "aten::add": (0, 16),
    }
    table = averages.table()
    assert ["profiler_test::scan", "1", "unknown"] in [line[:3] for line in cells(table)]
    assert table.rstrip().endswith("1 calls of operators without a formula are in no total")
