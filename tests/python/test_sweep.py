"""Sweeps, serial and parallel: the same bytes at any number of threads, and what single analyses say."""

from __future__ import annotations

import csv
import ctypes
import io
import json
import os
from ctypes import POINTER, Structure, byref, c_char_p, c_double, c_int64, c_size_t
from pathlib import Path

import pytest
import torch
from conftest import Run

import fxcost
from fxcost.abi import Error
from fxcost.binding import Analysis, Program, Status, library, package_file

INTEGERS = ("flops", "macs", "matrix_flops", "vector_flops", "transcendentals", "int_ops")
INTEGERS += ("bytes_read", "bytes_written", "unknown_nodes")


class Axis(Structure):
    _fields_ = [("dim", c_char_p), ("values", POINTER(c_int64)), ("count", c_size_t)]


class Grid(Structure):
    _fields_ = [("struct_size", c_size_t), ("axes", POINTER(Axis)), ("axis_count", c_size_t), ("device", c_char_p)]


class Columns(Structure):
    _fields_ = [("struct_size", c_size_t), *((name, POINTER(c_int64)) for name in INTEGERS)]
    _fields_ += [("seconds", POINTER(c_double))]


def _parallel() -> ctypes.CDLL:
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
        y = torch.relu(self.linear(x))
        return y @ y.mT


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    batch, seq = torch.export.Dim("batch", min=2, max=5000), torch.export.Dim("seq", min=2, max=900)
    captured = fxcost.capture(Net().eval(), (torch.randn(4, 6, 8),), dynamic_shapes=({0: batch, 1: seq},))
    return captured.save(tmp_path_factory.mktemp("sweep") / "net.fxir")


def sweep(file: Path, axes: dict[str, list[int]], threads: int | None) -> tuple[int, dict[str, list[int]], str]:
    """Status, columns and message; threads None calls the serial library."""
    program = Program.open(file)
    values = {name: (c_int64 * len(points))(*points) for name, points in axes.items()}
    rows = (Axis * len(axes))(*(Axis(name.encode(), points, len(points)) for name, points in values.items()))
    grid = Grid(ctypes.sizeof(Grid), rows, len(axes), None)
    count = 1
    for points in axes.values():
        count *= len(points)
    cells = {name: (c_int64 * count)() for name in INTEGERS}
    columns = Columns(ctypes.sizeof(Columns), *cells.values(), None)
    error = Error()
    if threads is None:
        first, total = c_size_t(0), c_size_t(count)
        status = library().fxc_sweep(program._handle, byref(grid), first, total, byref(columns), byref(error))
    else:
        status = _parallel().fxc_omp_sweep(program._handle, byref(grid), threads, byref(columns), byref(error))
    return status, {name: list(cell) for name, cell in cells.items()}, error.message.decode()


def test_any_number_of_threads_gives_the_same_numbers(file: Path) -> None:
    axes = {"batch": list(range(2, 42)), "seq": [2, 17, 128, 333, 900]}
    before = torch.get_num_threads()
    serial = sweep(file, axes, None)
    assert serial[0] == 0
    for threads in (1, 2, 5):
        assert sweep(file, axes, threads) == serial
    assert torch.get_num_threads() == before
    points = [(b, s) for b in axes["batch"] for s in axes["seq"]]
    # linear 2*8*8 a row, relu 1 an element, the product 2*seq*seq*8 a batch
    assert serial[1]["flops"] == [b * s * (2 * 64 + 8) + b * 2 * s * s * 8 for b, s in points]


def test_points_are_what_single_analyses_say(file: Path) -> None:
    axes = {"batch": [3, 70], "seq": [5, 64]}
    _, columns, _ = sweep(file, axes, None)
    for i, (b, s) in enumerate((b, s) for b in axes["batch"] for s in axes["seq"]):
        analysis = Analysis(Program.open(file))
        analysis.set("dim.batch", str(b))
        analysis.set("dim.seq", str(s))
        totals = analysis.totals()
        single = {name: getattr(totals.counts, name, None) for name in INTEGERS}
        single |= {"flops": totals.flops, "unknown_nodes": totals.unknown_nodes}
        assert {name: column[i] for name, column in columns.items()} == single


@pytest.mark.parametrize("threads", [None, 2])
def test_the_first_failing_point_is_reported(file: Path, threads: int | None) -> None:
    status, _, message = sweep(file, {"batch": [*range(2, 200), 6000, 1]}, threads)
    assert status == Status.USAGE and "at most 5000" in message and "6000" in message


def test_command(run: Run, file: Path) -> None:
    answer = run("sweep", file, "--dim", "batch=2..4", "--dim", "seq=2,128", "--format", "csv")
    assert answer.returncode == 0, answer.stderr
    rows = list(csv.DictReader(io.StringIO(answer.stdout)))
    assert [(row["batch"], row["seq"]) for row in rows] == [(str(b), s) for b in (2, 3, 4) for s in ("2", "128")]
    _, columns, _ = sweep(file, {"batch": [2, 3, 4], "seq": [2, 128]}, None)
    assert [int(row["flops"]) for row in rows] == columns["flops"]
    report = json.loads(run("sweep", file, "--dim", "batch=2..4", "--dim", "seq=2,128", "--format", "json").stdout)
    assert [row["bytes_read"] for row in report["rows"]] == columns["bytes_read"]
    stepped = run("sweep", file, "--dim", "batch=10..50:20", "--format", "csv").stdout
    assert [line.split(",")[0] for line in stepped.splitlines()[1:]] == ["10", "30", "50"]


BAD = [
    (["--dim", "batch=9..2"], Status.USAGE, "9..2"),
    (["--dim", "batch=two"], Status.USAGE, "two"),
    (["--dim", "batch="], Status.USAGE, "batch="),
    (["--dim", "batch=1..2000000000"], Status.USAGE, "points"),
    (["--dim", "batch=6000"], Status.USAGE, "at most 5000"),
    (["--dim", "depth=3"], Status.USAGE, "depth"),
    ([], Status.USAGE, "--dim"),
]


@pytest.mark.parametrize(("arguments", "status", "words"), BAD, ids=str)
def test_bad_sweeps(run: Run, file: Path, arguments: list[str], status: Status, words: str) -> None:
    answer = run("sweep", file, *arguments)
    assert answer.returncode == status and words in answer.stderr and answer.stdout == ""
