"""The profile inductor-triton: the traffic that PyTorch's own tests state of small programs, and the kernels that the
installed Inductor schedules for a GPU, which need not be there. All programs of the corpus and the models:
``python bench/check_all.py --only fusion_gpu``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.append(str(Path(__file__).resolve().parents[1] / "inductor"))
from corpus import PROGRAMS  # noqa: E402
from gpu import gpu_truth  # noqa: E402
from kernel_compare import compare  # noqa: E402
from perf_programs import ROWS, Row, gpu_elements  # noqa: E402

import fxcost  # noqa: E402
from fxcost.binding import Program  # noqa: E402
from fxcost.fusion import kernels  # noqa: E402

CHOSEN = [
    *("reuse_of_5_reads", "heavy_reused", "sum_of_7", "softmax", "residual_and_layer_norm", "cat_of_computed"),
    *("rotate_half", "copy_into_input", "residual_block", "conv_pool_linear", "conv1d", "mlp", "attention_by_hand"),
    *("cumulative_sum", "sorted_rows", "write_to_a_cache", "one_hot", "rotary_embedding", "dropout"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_traffic_is_that_of_upstream(row: Row, tmp_path: Path) -> None:
    found = gpu_elements(row, tmp_path)
    if row.miss:
        print(f"{row.name}: {found} for {row.elements}: {row.miss}")
    assert (found == row.elements) == (not row.miss)


@pytest.mark.parametrize("name", CHOSEN)
def test_kernels_are_inductors(name: str) -> None:
    graph = gpu_truth(*PROGRAMS[name]())
    assert graph.program is not None
    found = compare(name, graph, graph.program.to_bytes(), "inductor-triton")
    assert list(found.misses()) == []
    assert found.our_bytes == found.bytes > 0


def test_a_capture_for_a_gpu_has_them_too() -> None:
    module, inputs = PROGRAMS["mlp"]()
    graph = gpu_truth(module, inputs)
    with torch.no_grad():
        program = fxcost.capture(module, inputs, lowered="cuda").to_bytes()
    assert list(compare("mlp", graph, program, "inductor-triton").misses()) == []


def test_large_reductions_are_split() -> None:
    """A sum of all elements runs in two kernels on a GPU, in one on a CPU."""

    class Sum(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sum()

    module, inputs = Sum(), (torch.randn(1 << 20),)
    graph = gpu_truth(module, inputs)
    assert graph.program is not None
    assert list(compare("sum", graph, graph.program.to_bytes(), "inductor-triton").misses()) == []
    program = Program.from_bytes(graph.program.to_bytes(), "sum")
    assert [len(kernels(program, profile)) for profile in ("inductor-triton", "inductor-cpu")] == [2, 1]


def test_a_device_that_nobody_has() -> None:
    with pytest.raises(fxcost.FxcostError, match="expected: cpu, cuda, or a device of this machine"):
        fxcost.capture(nn.ReLU(), (torch.randn(2),), lowered="xpu")
