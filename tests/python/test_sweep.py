"""libfxcost_omp: the same bytes at any number of threads, torch's thread count left alone."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest
import torch

import fxcost
from fxcost.binding import Program, Totals, _Error, package_file


def _library() -> ctypes.CDLL:
    own = os.environ.get("FXCOST_LIBRARY")
    path = Path(own).with_name("libfxcost_omp.so") if own else package_file("lib", "libfxcost_omp.so.0")
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        pytest.skip(f"the parallel library does not load here (it needs libomp): {error}")


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.linear(x))


@pytest.fixture(scope="module")
def program() -> Program:
    batch = torch.export.Dim("batch", min=2, max=5000)
    captured = fxcost.capture(Net().eval(), (torch.randn(4, 8),), dynamic_shapes=({0: batch},))
    return Program.from_bytes(captured.to_bytes())


def sweep(program: Program, values: list[int], threads: int) -> tuple[int, ctypes.Array[Totals], str]:
    totals = (Totals * len(values))(*(Totals() for _ in values))
    error = _Error()
    points = (ctypes.c_int64 * len(values))(*values)
    status = _library().fxc_omp_sweep(
        program._handle, b"dim.batch", points, ctypes.c_size_t(len(values)), threads, totals, ctypes.byref(error)
    )
    return status, totals, error.message.decode()


def test_any_number_of_threads_gives_the_same_bytes(program: Program) -> None:
    values = list(range(2, 402))
    before = torch.get_num_threads()
    results = [bytes(sweep(program, values, threads)[1]) for threads in (1, 2, 5)]
    assert results[0] == results[1] == results[2]
    assert torch.get_num_threads() == before
    _, totals, _ = sweep(program, values, 2)
    assert [t.flops for t in totals] == [value * (2 * 8 * 8 + 8) for value in values]


def test_the_first_failing_point_is_reported(program: Program) -> None:
    status, _, message = sweep(program, [10, 6000, 20, 1], 2)
    assert status == 2 and "at most 5000" in message and "6000" in message
