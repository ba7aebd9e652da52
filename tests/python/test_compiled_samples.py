"""Loops that are compiled for calibration: each is a kernel with a time, and becomes a sample. The profile by which
they are timed, on a model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from conftest import Run
from torch._inductor import config

from fxcost import FxcostError, compiled_samples, samples
from fxcost.binding import Analysis, Program
from fxcost.calibrating import captured, host, timed
from fxcost.fusion import kernels
from fxcost.kernel_profile import profile, steps_of


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    few = compiled_samples.Loops(1)
    for case in (compiled_samples._layer_norm, compiled_samples._chain, compiled_samples._transposed):
        for _ in range(3):
            case(few)
    path = tmp_path_factory.mktemp("loops") / "loops.fxir"
    captured = compiled_samples.measure_loops(host(compiled_samples.COUNTED), few)
    captured.save(path)
    return path


def test_every_kernel_of_the_samples_has_a_time_of_its_own(measured: Path) -> None:
    program = Program.open(measured)
    rows = Analysis(program).report("node")["rows"]
    seconds = {row["name"]: row["measured_seconds"] for row in rows if row.get("measured_seconds") is not None}
    found = kernels(program, compiled_samples.PROFILE)
    assert len(found) == len(seconds) == 9
    assert all(len(seconds.keys() & kernel.nodes) == 1 for kernel in found)
    assert all(0 < value < 1 for value in seconds.values())


def test_loops_are_timed_by_their_own_constants(measured: Path, run: Run, tmp_path: Path) -> None:
    builder = samples.Builder(1)
    samples.linear(builder)
    builder.call(torch.ops.aten.clone.default, builder.given(24_000_000))  # of more than the caches
    cases = builder.finish()
    captured(cases, timed(cases, warmup=0, counted=2), "few").save(tmp_path / "few.fxir")
    device = tmp_path / "host.device"
    for loops in (False, True):
        if loops:
            shutil.copy(measured, tmp_path / "loops.fxir")
        result = run("calibrate", tmp_path, "-o", device, "--noisy")
        assert result.returncode == 0, result.stderr
        assert ("\ncpu.loops." in device.read_text()) == loops
        found = json.loads(
            run(measured, "--device", device, "--fusion", "inductor-cpu", "--by", "kernel", "--format", "json").stdout
        )
        sources = {row["time_source"] for row in found["kernels"] if row["kind"] == "pointwise"}
        assert sources == {"fitted" if loops else "predicted"}


def test_a_host_without_a_compiler_is_told_so() -> None:
    few = compiled_samples.Loops(2)
    few.add(torch.sin, torch.randn(8, 5))
    nowhere = config.patch({"cpp.cxx": ("no-such-compiler",)})
    with nowhere, pytest.raises(FxcostError, match="it needs a C.. compiler\n  found: .*\n  try: without --compiled"):
        compiled_samples.measure_loops({}, few)


def test_steps_are_timed_in_order() -> None:
    def model(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return torch.softmax(torch.tanh(x) @ w, -1)

    torch.compiler.reset()
    inputs = torch.randn(64, 32), torch.randn(32, 48)
    with torch.no_grad(), steps_of() as steps:
        compiled = torch.compile(model)
        compiled(*inputs)
    with torch.no_grad():
        profile(steps, lambda: compiled(*inputs), 3)
    assert [step.extern for step in steps] == [False, True, False]
    assert all(len(step.runs) == 3 and step.seconds > 0 for step in steps)
    with pytest.raises(FxcostError, match="expected: 2 events\n  found: 3"), torch.no_grad():
        profile(steps[:2], lambda: compiled(*inputs), 1)
