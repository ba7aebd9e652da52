"""Graphs of torch.fx.symbolic_trace, captured without running them: what is written before any size is known.

Expected names and targets are those of torch.fx's own graph; expected parameters are the model's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from conftest import ROOT, Run
from torch import nn

import fxcost
from fxcost.binding import Program
from fxcost.symbolic import open_up


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.scale = nn.Parameter(torch.ones(4, 1, 1))

    def forward(self, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        x = self.norm(self.conv(x)) * self.scale
        x += 1.0
        return F.max_pool2d(F.relu(x), 2).view(x.size(0), -1)


def traced(module: nn.Module) -> torch.fx.GraphModule:
    return torch.fx.symbolic_trace(module.eval())


def text(module: torch.fx.GraphModule) -> str:
    return Program.from_bytes(fxcost.capture(module).to_bytes()).text()


def test_nodes_keep_the_names_of_fx_and_name_packets() -> None:
    module = traced(nn.Sequential(Block()))
    found = dict(re.findall(r"%(\w+)(?:#\d+)? = ([\w.]+)\(", text(module)))
    named = {node.name for node in module.graph.nodes if node.op.startswith("call")}
    assert named == set(found)
    assert found["_0_conv"] == "aten.conv2d"
    assert found["_0_norm"] == "aten.batch_norm"
    assert found["mul"] == "operator.mul"
    assert found["add"] == "operator.add"
    assert found["relu"] == "aten.relu"
    assert found["max_pool2d"] == "aten.max_pool2d"
    assert found["view"] == "aten.view"
    assert found["size"] == "aten.size"


def test_values_wait_for_sizes_and_defaults_do_not() -> None:
    written = text(traced(Block()))
    assert '%x: opaque("not recorded")' in written
    assert "%bias: none" in written
    assert 'parameter "scale"' in written


def test_parameters_and_buffers_are_those_of_the_model() -> None:
    module = traced(nn.Sequential(Block(), nn.Identity()))
    written = text(module)
    names = set(re.findall(r'^param .* = (?:parameter|buffer) "([\w.]+)"', written, re.M))
    assert names == {name for name, _ in [*module.named_parameters(), *module.named_buffers()]}


def test_classes_of_modules_that_are_no_leaves() -> None:
    written = text(traced(nn.Sequential(Block())))
    assert '"test_fx_capture.Block"' in written
    assert '"torch.nn.modules.container.Sequential"' not in written.splitlines()[0]


def test_nothing_runs_and_the_model_stays_as_it_is() -> None:
    module = torch.fx.symbolic_trace(nn.Sequential(nn.BatchNorm2d(3), nn.Dropout()).train())
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    random = torch.get_rng_state()
    written = text(module)
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(tensor, state[name]) for name, tensor in module.state_dict().items())
    assert "aten.add_(" in written  # num_batches_tracked
    assert re.search(r"aten.batch_norm\(.*operand0=0.1", written)


def test_what_cannot_be_followed_stays_a_call_by_name() -> None:
    class Asks(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if x.shape[0] > 1 else x

    class Tracer(torch.fx.Tracer):
        def is_leaf_module(self, m: nn.Module, qualname: str) -> bool:
            return isinstance(m, Asks) or super().is_leaf_module(m, qualname)

    model = nn.Sequential(Asks(), nn.Upsample(scale_factor=2.0))
    module = torch.fx.GraphModule(model, Tracer().trace(model))
    written = text(module)
    assert re.search(r"%_0 = .*Asks\W", written)
    assert re.search(r"%_1 = torch.nn.functional.interpolate\(.*scale_factor=2.0", written)


@pytest.mark.parametrize(
    ("module", "target"),
    [
        (nn.ReLU(), "aten.relu"),
        (nn.ReLU(inplace=True), "aten.relu_"),
        (nn.GELU(), "aten.gelu"),
        (nn.LayerNorm(4), "aten.layer_norm"),
        (nn.GroupNorm(2, 4), "aten.group_norm"),
        (nn.InstanceNorm2d(4), "aten.instance_norm"),
        (nn.Linear(4, 4), "aten.linear"),
        (nn.ConvTranspose2d(4, 4, 3), "aten.conv_transpose2d"),
        (nn.Embedding(4, 4, padding_idx=0), "aten.embedding"),
        (nn.AdaptiveAvgPool2d((1, None)), "aten.adaptive_avg_pool2d"),
        (nn.Dropout2d(), "aten.feature_dropout"),
        (nn.Softmax2d(), "aten.softmax"),
        (nn.GLU(), "aten.glu"),
        (nn.CircularPad2d(1), "aten.pad"),
        (nn.Flatten(), "aten.flatten"),
        (nn.PReLU(), "aten.prelu"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_leaf_modules_open_up(module: nn.Module, target: str) -> None:
    assert f"{target}(" in text(traced(nn.Sequential(module)))


def test_tuples_of_modules_are_taken_apart_while_tracing() -> None:
    class Pair(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            a, b = x.chunk(2, dim=-1)
            return a * b

    graph = open_up(traced(Pair()))
    assert [str(node.target).split()[-1] for node in graph.nodes if node.op.startswith("call")][0] == "chunk"


def test_analysis_without_sizes_is_refused_in_words(run: Run, tmp_path: Path) -> None:
    file = fxcost.capture(traced(Block())).save(tmp_path / "block.fxir")
    done = run(file)
    assert done.returncode == 2
    assert "sizes of its inputs: x" in done.stderr
    assert "--input-shape x=" in done.stderr
    assert done.stdout == ""


def test_command_line_traces_a_model_file(tmp_path: Path) -> None:
    out = tmp_path / "toy.fxir"
    command = [sys.executable, "-m", "fxcost", str(ROOT / "examples" / "toy.py"), "--fx", "-o", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    assert "operator.add" in Program.open(out).text()
