"""The lowered view: the graph that torch's compiler fuses, held against what torch.compile itself lowers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from fxir_reader import Fxir

import fxcost
from fxcost.columns import NONE
from fxcost.lowered import caught


class Block(torch.nn.Module):
    """Convolution with statistics to write back, a norm, attention, a tied pair of linear layers, a mutated buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 16, 4, 4)
        self.bn = torch.nn.BatchNorm2d(16)
        self.norm = torch.nn.LayerNorm(16)
        self.q, self.k = torch.nn.Linear(16, 16), torch.nn.Linear(16, 16)
        self.k.weight = self.q.weight
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.add_(1)
        x = torch.relu(self.bn(self.conv(x))).flatten(2).transpose(1, 2)
        x = self.norm(x)
        heads = [f(x).unflatten(-1, (4, 4)).transpose(1, 2) for f in (self.q, self.k, self.k)]
        return torch.nn.functional.scaled_dot_product_attention(*heads).softmax(-1)


def lowered_of(model: torch.nn.Module, *args: torch.Tensor, **options: Any) -> tuple[Fxir, int]:
    with torch.no_grad():
        program = Fxir(fxcost.capture(model, args, lowered=True, **options).to_bytes())
    views = [program.enum_text("view", view) for view in program.graph_view]
    return program, views.index("lowered")


def compiled_ops(model: torch.nn.Module, *args: torch.Tensor) -> Counter[str]:
    """What torch.compile lowers, stopped before it generates code."""
    torch._dynamo.reset()
    uncached = torch._inductor.config.patch(fx_graph_cache=False)
    with caught(stop=True) as found, torch.no_grad(), uncached, pytest.raises(Exception, match="_Stop"):
        torch.compile(model)(*args)
    nodes = [node for node in found[0].module.graph.nodes if node.op == "call_function"]
    return Counter(str(node.target).removeprefix("<built-in function ").removesuffix(">") for node in nodes)


@pytest.fixture(scope="module")
def program() -> tuple[Fxir, int]:
    return lowered_of(Block().eval(), torch.randn(2, 3, 16, 16))


def test_holds_what_the_compiler_fuses(program: tuple[Fxir, int]) -> None:
    found, graph = program
    ours = Counter(op.removeprefix("operator.") for op in found.ops(graph))
    assert ours == compiled_ops(Block().eval(), torch.randn(2, 3, 16, 16))
    assert "aten.addmm.default" in ours and "aten.var_mean.correction" in ours


def test_reads_the_storages_of_the_captured_graph(program: tuple[Fxir, int]) -> None:
    found, graph = program
    inputs = [slice(*found.graph_input_begin[g : g + 2]) for g in (0, graph)]
    for column in ("input_kind", "input_target"):
        assert list(found.column[column][inputs[0]]) == list(found.column[column][inputs[1]])
    storages = [[int(found.value_storage[v]) for v in found.input_value[rows]] for rows in inputs]
    assert storages[0] == storages[1] and NONE not in storages[0]
    computed = range(found.graph_node_begin[0], found.graph_node_begin[1])
    written = {int(found.value_storage[found.node_result[n]]) for n in computed} - set(storages[0])
    lowered = range(found.graph_node_begin[graph], found.graph_node_begin[graph + 1])
    assert not written & {int(found.value_storage[found.node_result[n]]) for n in lowered}


def test_every_node_has_an_origin_with_its_module(program: tuple[Fxir, int]) -> None:
    found, graph = program
    by_module: Counter[str] = Counter()
    for node in range(found.graph_node_begin[graph], found.graph_node_begin[graph + 1]):
        origin = int(found.node_origin[node])
        assert origin < found.graph_node_begin[1], found.op(node)
        assert found.node_call[node] == found.node_call[origin]
        by_module[found.call(int(found.node_call[node]))[0]] += 1
        if found.op(node) == "aten.convolution.default":
            assert found.op(origin) == "aten.conv2d.default"
        if found.op(node) == "aten.copy_.default":  # made by the compiler, to write the buffer back
            assert found.op(origin) == "aten.add_.Tensor"
    assert by_module["norm"] > 5 and by_module["bn"] > 5
    assert set(found.node_origin[: found.graph_node_begin[1]]) == {NONE}


def test_changes_no_total() -> None:
    model, x = Block().eval(), torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        reports = [fxcost.analyze(model, (x,), lowered=lowered, route="export") for lowered in (False, True)]
    plain, both = ({**report.to_dict(), "program": None} for report in reports)
    assert plain == both


def test_dynamic_sizes_keep_their_symbols() -> None:
    batch = torch.export.Dim("batch", min=2, max=64)
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Softmax(-1))
    found, graph = lowered_of(model, torch.randn(4, 8), dynamic_shapes={"input": {0: batch}})
    last = int(found.node_result[found.graph_node_begin[graph + 1] - 1])
    assert found.meta(last)["size"] == ["batch", 8]


class Asks(torch.nn.Module):
    """Runs less when it is not exported, as transformers' masks do."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if torch.compiler.is_exporting():
            x = x + torch.zeros(8).exp()
        return self.linear(x).relu()


def test_lowers_what_runs_compiled_not_what_runs_exported() -> None:
    found, graph = lowered_of(Asks().eval(), torch.randn(4, 8))
    assert "aten.exp.default" in found.ops(0)
    assert Counter(found.ops(graph)) == compiled_ops(Asks().eval(), torch.randn(4, 8))
    origins = [found.op(int(found.node_origin[n])) for n in range(found.graph_node_begin[graph], len(found.node_op))]
    assert set(origins) == {"aten.linear.default", "aten.relu.default"}
    inputs = slice(*found.graph_input_begin[graph : graph + 2])
    assert [found.text("input_target", row) for row in range(inputs.start, inputs.stop)][:2] == [
        "linear.weight",
        "linear.bias",
    ]


def test_takes_exported_programs_functional_ones_too(tmp_path: Path) -> None:
    model, x = Block().train(), torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        exported = torch.export.export(model, (x,))
    before = str(exported.graph)
    ops = []
    for program in (exported, exported.run_decompositions({})):
        found = Fxir(fxcost.capture(program, lowered=True).to_bytes())
        ops.append(Counter(found.ops(len(found.graph_view) - 1)))
    assert ops[0] == ops[1]
    assert ops[0]["aten.copy_.default"] == 4  # seen, and the three buffers of the batch norm
    assert str(exported.graph) == before


def test_text_form_round_trips(tmp_path: Path, native: str) -> None:
    with torch.no_grad():
        fxcost.capture(Block().eval(), (torch.randn(2, 3, 16, 16),), lowered=True).save(tmp_path / "a.fxir")
    text = subprocess.run([native, "print", tmp_path / "a.fxir"], capture_output=True, check=True).stdout
    (tmp_path / "a.txt").write_bytes(text)
    assert b'graph "lowered" lowered' in text
    assert subprocess.run([native, "print", tmp_path / "a.txt"], capture_output=True, check=True).stdout == text
    subprocess.run([native, "verify", tmp_path / "a.txt"], check=True, capture_output=True)


def test_the_command_lowers_for_the_profile_of_a_compiler(tmp_path: Path, native: str) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\ndef model():\n    return torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Softmax(-1)), "
        "(torch.ones(2, 4),)\n"
    )
    shell = {**os.environ, "FXCOST_PYTHON": sys.executable}
    command = [native, tmp_path / "net.py", "--fusion", "inductor-cpu", "--by", "kernel", "--format", "csv"]
    ran = subprocess.run(command, capture_output=True, text=True, env=shell)
    assert ran.returncode == 0, ran.stderr
    assert "amax" in ran.stdout and "addmm" in ran.stdout  # of the lowered graph


def test_says_what_it_cannot_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = torch.nn.Linear(2, 2), torch.randn(1, 2)
    with pytest.raises(fxcost.FxcostError, match="for inference"):
        fxcost.capture(model, (x,), mode="train", lowered=True)
    with pytest.raises(fxcost.FxcostError, match="no lowered view"):
        fxcost.analyze(model, (x,), route="record", lowered=True)
    monkeypatch.delattr("torch._inductor.compile_fx.GraphLowering")
    with pytest.raises(fxcost.FxcostError, match="without it"):
        fxcost.capture(model, (x,), lowered=True)
