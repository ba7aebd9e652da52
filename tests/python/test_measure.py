"""Measuring: what ran, what it took, and that nothing else changes. Times themselves are of the machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Run
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from training_models import MODELS

from fxcost import FxcostError
from fxcost.binding import Analysis, Program
from fxcost.measuring import Repetitions, measure

ONCE = Repetitions(counted=3, warmup=1)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor, *, scale: torch.Tensor, power: int = 1) -> dict[str, torch.Tensor]:
        x += 1  # writes into the caller's tensor
        return {"y": self.head(torch.relu(self.norm(self.conv(x))).mean((2, 3))) * scale**power}


def report(data: bytes, by: str = "node") -> dict[str, Any]:
    return Analysis(Program.from_bytes(data)).report(by)


def test_every_node_is_measured_and_the_model_stays_as_it_was() -> None:
    model, x = Net().train(), torch.randn(2, 3, 16, 16)
    scale = torch.ones(4)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    given = x.clone()
    found = report(measure(model, (x,), {"power": 2, "scale": scale}, repetitions=ONCE).to_bytes())
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(x, given) and model.training and all(p.grad is None for p in model.parameters())
    whole = found["measured"]
    assert whole["runs"] == 3 and whole["threads"] == torch.get_num_threads() and whole["torch"] == torch.__version__
    assert 0 < whole["least_seconds"] <= whole["seconds"] and whole["compiled_seconds"] is None
    for row in found["rows"]:
        assert 0 < row["measured_least_seconds"] <= row["measured_seconds"]
    assert whole["node_seconds"] == pytest.approx(sum(row["measured_seconds"] for row in found["rows"]))


def test_modules_add_up_to_the_nodes() -> None:
    model = nn.Sequential(*[nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(4)])
    data = measure(model, torch.randn(2, 8), repetitions=ONCE).to_bytes()
    nodes, modules = report(data), report(data, "module")
    total = sum(row["measured_seconds"] for row in nodes["rows"])
    assert modules["rows"][0]["measured_seconds"] == pytest.approx(total)
    folded = [row for row in modules["rows"] if row["depth"] == 1]
    assert sum(row["measured_seconds"] for row in folded) == pytest.approx(total)


def test_bytes_of_live_tensors() -> None:
    """By hand: 4 * (8 * 8 + 8) of parameters and 4 * 16 of the input stay; each result is 4 * 16."""
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Tanh())
    with torch.no_grad():  # autograd would hold on to results
        rows = report(measure(model, torch.randn(2, 8), repetitions=ONCE).to_bytes())["rows"]
    held = 4 * (8 * 8 + 8) + 4 * 16
    assert [row["measured_bytes_before"] - held for row in rows] == [0, 64, 64]
    assert [row["measured_bytes_peak"] - held for row in rows] == [64, 128, 128]
    # ... without what was used last; the input belongs to the caller
    assert [row["measured_bytes_after"] - held for row in rows] == [64, 64, 64]


@pytest.mark.parametrize("name", ["bert", "gpt2", "vit", "swin", "resnet"])
def test_memory_is_what_was_predicted(name: str) -> None:
    """Storages that were alive while the model ran, beside liveness worked out from the graph, at every node."""
    model, inputs = MODELS[name]()
    model.config.use_cache = False  # type: ignore[union-attr]
    with torch.no_grad():
        captured = measure(model.eval(), (), inputs, repetitions=Repetitions(counted=1, warmup=0))
    found = Analysis(Program.from_bytes(captured.to_bytes()))
    rows = found.report("node")["rows"]
    seen = [tuple(row[f"measured_bytes_{at}"] for at in ("before", "peak", "after")) for row in rows]
    assert seen == [tuple(row[key] for key in ("live_bytes_before", "peak_bytes", "live_bytes_after")) for row in rows]
    assert f"bytes alive as predicted at {len(rows)} of {len(rows)} nodes" in found.render()


def test_achieved_rate_and_utilisation() -> None:
    """Of a whole run: FLOPs over its median, and the time at the peak of the named device over it."""
    data = measure(nn.Linear(64, 64), torch.randn(8, 64), repetitions=ONCE).to_bytes()
    found = Analysis(Program.from_bytes(data), device="a100-sxm-80gb")
    report = found.report("node")
    seconds, totals = report["measured"]["seconds"], report["totals"]
    assert totals["measured_seconds"] == pytest.approx(seconds)
    assert totals["achieved_flops_per_second"] == pytest.approx(2 * 8 * 64 * 64 / seconds)
    assert totals["mfu"] == pytest.approx(2 * 8 * 64 * 64 / 19.5e12 / seconds)  # FP32 of NVIDIA's data sheet
    assert "FLOP/s, MFU" in found.render() and "estimate / measured" in found.render()


def test_other_sizes_have_no_measurements() -> None:
    dims = ({0: torch.export.Dim("batch", min=2, max=64)},)
    captured = measure(nn.Linear(8, 8), (torch.randn(4, 8),), dynamic_shapes=dims, repetitions=ONCE)
    program = Program.from_bytes(captured.to_bytes())
    assert "measured" in Analysis(program).report("node")
    assert "measured" in Analysis(program, **{"dim.batch": "4"}).report("node")
    assert "measured" not in Analysis(program, **{"dim.batch": "8"}).report("node")
    assert "at other sizes" in Analysis(program, **{"dim.batch": "8"}).render()
    assert "measured" not in Analysis(program.at(input=(8, 8))).report("node")


def test_what_cannot_be_measured() -> None:
    with FakeTensorMode():
        fake = nn.Linear(4, 4)
    with pytest.raises(FxcostError, match="without weights"):
        measure(fake, torch.randn(2, 4))
    with pytest.raises(FxcostError, match="at least one repetition"):
        Repetitions(counted=0)


def test_command(run: Run, tmp_path: Path) -> None:
    toy, kept = Path(__file__).parents[2] / "examples" / "toy.py", tmp_path / "toy.fxir"
    options = "--repeats", "2", "--warmup", "1", "-o", kept, "--by", "node"
    first = run("measure", toy, *options, FXCOST_PYTHON=sys.executable)
    assert first.returncode == 0 and "summed over nodes" in first.stdout
    again = run(kept, "--format", "json")
    assert json.loads(again.stdout)["measured"]["runs"] == 2
    refused = run("measure", kept)
    assert refused.returncode == 2 and "a model that can run" in refused.stderr


def test_a_pt2_cannot_be_measured(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "linear.pt2"
    torch.export.save(torch.export.export(nn.Linear(4, 4), (torch.ones(2, 4),)), path)
    refused = run("measure", path, FXCOST_PYTHON=sys.executable)
    assert refused.returncode == 2 and "cannot be measured" in refused.stderr
