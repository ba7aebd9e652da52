"""Times of kernels, kernels by module, and their JSON. What becomes a kernel is tested against Inductor elsewhere."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT, Run
from torch import nn

import fxcost
from fxcost.binding import Analysis, Program
from fxcost.fusion import kernels

sys.path.append(str(ROOT / "tests" / "inductor"))
from corpus import PROGRAMS  # noqa: E402
from runtime_memory import compared  # noqa: E402

COMPILED, BASELINES = "inductor-cpu", ("eager", "none", "spans", "pattern", "ideal")
FIELDS = ("bytes_read", "bytes_written", "eager_bytes", "bytes_saved", "matrix_flops", "vector_flops", "executed_flops")


class Block(nn.Module):
    """A product, an activation, a norm and a residual: kernels of a library, loops, and loops that fold."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.norm = nn.Linear(64, 256), nn.Linear(256, 64), nn.LayerNorm(64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x + self.second(torch.nn.functional.gelu(self.first(x))))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Embedding(100, 64)
        self.blocks = nn.Sequential(Block(), Block())
        self.head = nn.Linear(64, 10)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(ids))).log_softmax(-1)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with torch.no_grad():
        captured = fxcost.capture(Net().eval(), (torch.randint(0, 100, (2, 32)),), lowered=True)
    return captured.save(tmp_path_factory.mktemp("kernels") / "net.fxir")


@pytest.fixture(scope="module")
def plain_device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Round figures without a model of its own: times are a roofline by hand."""
    path = tmp_path_factory.mktemp("devices") / "plain.device"
    figures = {
        "matrix_f32": 1e12,
        "vector_f32": 1e11,
        "memory_bytes": 1e12,
        "memory_bytes_per_second": 1e10,
        "kernel_overhead_seconds": 1e-6,
    }
    lines = ["device = plain", "description = round figures", "source = by hand"]
    path.write_text(
        "\n".join([*lines, *(f"{name} = {figure}  # by hand; estimate: test" for name, figure in figures.items())])
    )
    return path


def report(run: Run, *arguments: object) -> dict[str, Any]:
    answer = run(*arguments, "--format", "json")
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


@pytest.mark.parametrize("profile", [COMPILED, *BASELINES])
def test_json_follows_its_schema(profile: str, run: Run, net: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    schema = json.loads((ROOT / "docs" / "kernels.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    for by in ("kernel", "module"):
        for device in ((), ("--device", "h100-sxm")):
            found = report(run, net, "--fusion", profile, "--by", by, *device)
            if profile == "eager" and by == "module":
                assert found["schema"] == "fxcost.report"  # each node alone is the usual report
            else:
                jsonschema.validate(found, schema)
                assert (found["totals"]["seconds"] is None) == (not device)


@pytest.mark.parametrize("profile", [COMPILED, *BASELINES[1:]])
def test_modules_add_up_to_the_kernels(profile: str, run: Run, net: Path) -> None:
    """By hand from the kernels: each under the innermost module that all of its nodes are in, and every one around."""
    options = "--fusion", profile, "--device", "h100-sxm"
    one_by_one, by_module = report(run, net, *options, "--by", "kernel"), report(run, net, *options, "--by", "module")
    expected: dict[str, dict[str, float]] = {}
    for kernel in one_by_one["kernels"]:
        parts = kernel["module"].split(".") if kernel["module"] else []
        for name in {".".join(parts[:depth]) for depth in range(len(parts) + 1)}:
            sums = expected.setdefault(name, dict.fromkeys(("kernels", "seconds", *FIELDS), 0))
            sums["kernels"] += 1
            for field in ("seconds", *FIELDS):
                sums[field] += kernel[field]
    rows = {row["name"]: row for row in by_module["rows"]}
    assert set(rows) == set(expected)
    for name, sums in expected.items():
        assert {field: rows[name][field] for field in sums} == pytest.approx(sums)
    totals = by_module["totals"]
    assert totals == one_by_one["totals"]
    assert {field: rows[""][field] for field in ("kernels", "seconds", *FIELDS)} == pytest.approx(
        {field: totals[field] for field in ("kernels", "seconds", *FIELDS)}
    )
    if profile == COMPILED:
        assert {"blocks.0.first", "blocks.1.second", "head"} <= set(rows)


def test_other_faces_of_modules(run: Run, net: Path) -> None:
    text = run(net, "--fusion", COMPILED, "--depth", "1", "--device", "h100-sxm").stdout
    assert "(model)" in text and "blocks" in text and "first" not in text and "eager / compiled" in text
    rows = list(csv.DictReader(io.StringIO(run(net, "--fusion", COMPILED, "--by", "module", "--format", "csv").stdout)))
    count = len(kernels(Program.open(net), COMPILED))
    assert rows[0]["module"] == "" and int(rows[0]["kernels"]) == count and rows[0]["seconds"] == ""
    refused = run(net, "--fusion", COMPILED, "--format", "latex")
    assert refused.returncode == 2 and "of kernels by module" in refused.stderr


def test_times_by_hand(run: Run, net: Path, plain_device: Path) -> None:
    """A roofline over what each kernel touches and executes: 1 TFLOP/s of products, 100 GFLOP/s of the rest, 10 GB/s,
    and a microsecond for each kernel."""
    found = report(run, net, "--fusion", COMPILED, "--by", "kernel", "--device", plain_device)
    assert {kernel["kind"] for kernel in found["kernels"]} >= {"extern", "pointwise", "outer_loop"}
    for kernel in found["kernels"]:
        memory = (kernel["bytes_read"] + kernel["bytes_written"]) / 1e10
        vector = kernel["executed_flops"] - kernel["matrix_flops"] + kernel["executed_transcendentals"]
        compute = kernel["matrix_flops"] / 1e12 + vector / 1e11
        assert kernel["seconds"] == pytest.approx(max(memory, compute) + 1e-6)
        busier = "compute" if compute > memory else "memory"
        assert kernel["bound"] == ("overhead" if max(memory, compute) < 1e-6 else busier)
        assert kernel["time_source"] == "datasheet"
    totals = found["totals"]
    assert totals["seconds"] == pytest.approx(sum(kernel["seconds"] for kernel in found["kernels"]))
    eager = Analysis(Program.open(net), device=str(plain_device)).totals().seconds
    assert totals["eager_seconds"] == pytest.approx(eager)
    assert totals["eager_over_compiled"] == pytest.approx(eager / totals["seconds"]) and eager > totals["seconds"]


def test_times_of_loops_on_a_cpu(run: Run, net: Path, plain_device: Path, tmp_path: Path) -> None:
    """By hand from constants of eager operators: a call of a view, an element of a light operator for each FLOP, one of
    gelu for each transcendental, and bytes. The device names no caches, so none is missed."""
    path = tmp_path / "cpu.device"
    constants = {"view.call": 2e-6, "light.element": 3e-10, "light.byte": 5e-11, "gelu.element": 7e-9}
    lines = [f"cpu.{name}.error = 0.1" for name in ("view", "light", "gelu")]
    lines += [f"cpu.{name} = {seconds}" for name, seconds in constants.items()]
    path.write_text(
        "\n".join([plain_device.read_text(), "model = cpu", "units = 1  # by hand; estimate: test", *lines])
    )
    found = report(run, net, "--fusion", COMPILED, "--by", "kernel", "--device", path)
    loops = [kernel for kernel in found["kernels"] if kernel["kind"] != "extern"]
    assert {kernel["kind"] for kernel in loops} >= {"pointwise", "outer_loop"}
    for kernel in loops:
        expected = 2e-6 + 3e-10 * (kernel["executed_flops"] - kernel["matrix_flops"])
        expected += 7e-9 * kernel["executed_transcendentals"] + 5e-11 * (kernel["bytes_read"] + kernel["bytes_written"])
        assert kernel["seconds"] == pytest.approx(expected)
        assert kernel["time_source"] == "predicted" and kernel["error"] is None


def test_a_node_alone_takes_what_it_takes(net: Path) -> None:
    """Under the profile eager a kernel that touches what eager dispatch counts for its node has the node's time."""
    program = Program.open(net)
    nodes = {row["name"]: row for row in Analysis(program, device="h100-sxm").report("node")["rows"]}
    found = Analysis(program, device="h100-sxm", profile="eager")
    same = 0
    for kernel in json.loads(found.render(format="json", by="kernel"))["kernels"]:
        (name,) = kernel["nodes"]
        if (kernel["bytes_read"], kernel["bytes_written"]) == (nodes[name]["bytes_read"], nodes[name]["bytes_written"]):
            same += 1
            assert kernel["seconds"] == pytest.approx(nodes[name]["seconds"])
            assert (kernel["bound"], kernel["work"]) == (nodes[name]["bound"], nodes[name]["work"])
    assert same >= len(nodes) / 2


def test_kernels_in_python(net: Path) -> None:
    program = Program.open(net)
    assert all(kernel.seconds is None for kernel in kernels(program, COMPILED))
    timed = kernels(program, COMPILED, device="h100-sxm")
    assert all(kernel.seconds is not None and kernel.seconds > 0 for kernel in timed)
    assert {kernel.bound for kernel in timed} <= {"compute", "memory", "overhead"}


# ---- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["double_softmax", "stack_of_two", "copy_into_input", "sdpa_of_computed_views"]
    + ["memory_kept_for_later", "memory_saved_by_order"],
)
def test_memory_is_what_compiled_code_allocates(name: str) -> None:
    """The peak over kernels, to the byte, is that of the code which the installed Inductor makes, while it runs. The
    corpus and models are in bench/checks."""
    seen, predicted = compared(*PROGRAMS[name]())
    assert predicted == seen


def test_memory_by_kernel(run: Run, net: Path) -> None:
    found = report(run, net, "--fusion", COMPILED, "--by", "kernel")
    rows, totals = found["kernels"], found["totals"]
    assert totals["peak_bytes"] == max(row["peak_bytes"] for row in rows)
    assert rows[0]["live_bytes_before"] == totals["given_bytes"]
    for before, after in zip(rows, rows[1:], strict=False):
        assert before["live_bytes_after"] == after["live_bytes_before"]
    # What is returned lives on: 2 x 32 rows of 10 numbers, and nothing else does.
    assert rows[-1]["live_bytes_after"] == totals["given_bytes"] + 4 * 2 * 32 * 10
    unfused = report(run, net, "--fusion", "none", "--by", "kernel")["totals"]
    assert unfused["given_bytes"] == totals["given_bytes"] and unfused["peak_bytes"] >= totals["peak_bytes"]


def test_memory_of_whole_nodes(net: Path) -> None:
    """Unfused captured nodes hold what liveness of the captured graph says, but for what is inside their kernels."""
    program = Program.open(net)
    found = json.loads(Analysis(program, profile="eager").render(format="json", by="kernel"))
    alive = {row["name"]: row for row in Analysis(program).report("node")["rows"]}
    for kernel in found["kernels"]:
        (name,) = kernel["nodes"]
        assert kernel["live_bytes_before"] == alive[name]["live_bytes_before"]
        assert kernel["peak_bytes"] <= alive[name]["peak_bytes"]
