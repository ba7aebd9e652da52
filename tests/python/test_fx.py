"""Graphs of torch.fx without shapes, resolved at input sizes: the same costs, node by node, as torch.export gives.

Truth is the export route: the model captured with example inputs of these sizes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import ROOT, Run
from fx_models import MODELS, Sizes, Toy, inputs
from torch import nn
from torch.fx.passes.shape_prop import ShapeProp

import fxcost
from fxcost.binding import Analysis, Program

Counts = tuple[int, int, int, int, int]


def counts(program: Program) -> list[Counts]:
    """What each node that computes something counts, in order."""
    rows = [node.counts for node in Analysis(program).nodes()]
    found = [(c.macs, c.matrix_flops, c.vector_flops, c.transcendentals, c.int_ops) for c in rows]
    return [row for row in found if any(row)]


def exported(model: nn.Module, sizes: Sizes) -> Program:
    with torch.no_grad():
        return Program.from_bytes(fxcost.capture(model, tuple(inputs(sizes).values())).to_bytes())


def symbolic(model: nn.Module) -> Program:
    with torch.no_grad():
        return Program.from_bytes(fxcost.capture(torch.fx.symbolic_trace(model)).to_bytes())


def asked(sizes: Sizes) -> dict[str, object]:
    return {
        name: (tuple(value.shape), "int64") if value.dtype == torch.int64 else tuple(value.shape)
        for name, value in inputs(sizes).items()
    }


@pytest.mark.parametrize("name", MODELS)
def test_same_counts_and_bytes_as_the_export_route(name: str) -> None:
    make, many = MODELS[name]
    model = make().eval()
    program = symbolic(model)
    for sizes in many:
        truth, found = exported(model, sizes), program.at(**asked(sizes))
        assert counts(found) == counts(truth), sizes
        totals, expected = Analysis(found).totals(), Analysis(truth).totals()
        assert totals.unknown_nodes == 0
        assert (totals.flops, totals.params) == (expected.flops, expected.params)
        for name in ("bytes_read", "bytes_written", "kernels"):
            assert getattr(totals.counts, name) == getattr(expected.counts, name), name


def test_training_counts_too() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.1)).train()
    truth, found = exported(model, {"x": (2, 3, 8, 8)}), symbolic(model).at(input=(2, 3, 8, 8))
    assert counts(found) == counts(truth)


def test_names_and_modules_are_those_of_fx() -> None:
    make, many = MODELS["resnet50"]
    report = fxcost.Report(symbolic(make().eval()).at(**asked(many[0])))
    rows = {row.name: row for row in report.nodes()}
    assert rows["layer1_0_conv1"].op == "aten.conv2d.default"
    assert rows["layer1_0_conv1"].module == "layer1.0.conv1"
    assert rows["add"].op == "aten.add_.Tensor" if "iadd" in rows else rows["add"].op == "aten.add.Tensor"
    assert report.module("layer4").flops > 0


def test_what_is_unknown_is_never_zero() -> None:
    class Asks(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if x.shape[0] > 1 else x

    class Tracer(torch.fx.Tracer):
        def is_leaf_module(self, m: nn.Module, qualname: str) -> bool:
            return isinstance(m, Asks) or super().is_leaf_module(m, qualname)

    model = nn.Sequential(nn.Linear(4, 4), Asks(), nn.Linear(4, 4))
    module = torch.fx.GraphModule(model, Tracer().trace(model))
    report = fxcost.Report(Program.from_bytes(fxcost.capture(module).to_bytes()).at(input=(2, 4)))
    assert report.flops == 2 * 2 * 4 * 4  # the first Linear alone
    assert any("Asks" in name for name in report.unknown)
    assert "aten.linear" in report.unknown


def test_names_of_fx_survive_torch_export() -> None:
    make, many = MODELS["functional"]
    module = torch.fx.symbolic_trace(make().eval())
    report = fxcost.analyze(module, tuple(inputs(many[0]).values()))
    rows = {row.name: row.op for row in report.nodes()}
    named = {node.name for node in module.graph.nodes if node.op == "call_function" and "einsum" in str(node.target)}
    assert [rows[name] for name in named] == ["aten.einsum.default"]
    assert rows["add"] == "aten.add.Tensor"


def test_analyze_takes_input_shapes() -> None:
    report = fxcost.analyze(torch.fx.symbolic_trace(Toy()), input_shapes={"x": (1, 5)})
    assert report.flops == 44


def test_shapes_that_shape_prop_recorded_are_taken() -> None:
    module = torch.fx.symbolic_trace(Toy().eval())
    ShapeProp(module).propagate(torch.ones(3, 5))
    assert fxcost.analyze(module).flops == 3 * 44
    assert fxcost.analyze(module, input_shapes={"x": (1, 5)}).flops == 44


def test_a_resolved_program_is_one_like_any_other() -> None:
    make, many = MODELS["attention"]
    first = symbolic(make().eval()).at(**asked(many[0]))
    assert first.info().dialect == b"training"
    assert first.at() == first


# ---- errors ---------------------------------------------------------------------------------------------------------


def test_a_wrong_input_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(fxcost.FxcostError, match=r"(?s)one of the inputs x.*'image'"):
        symbolic(Toy()).at(image=(1, 5))


def test_a_missing_input_is_named() -> None:
    make, many = MODELS["indexing"]
    with pytest.raises(fxcost.FxcostError, match=r"(?s)sizes of its inputs: i\n"):
        symbolic(make()).at(x=many[0]["x"])


def test_sizes_that_do_not_fit_name_node_and_module() -> None:
    with pytest.raises(fxcost.FxcostError, match=r"(?s)'linear' \(aten.linear.default\) in linear.*7.*5"):
        symbolic(Toy()).at(x=(1, 7))


def test_too_large_sizes_are_refused() -> None:
    with pytest.raises(fxcost.FxcostError, match="64 bits"):
        symbolic(Toy()).at(x=(1 << 40, 1 << 40, 5))


def test_the_command_line_takes_sizes(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "toy.fxir"
    fxcost.capture(torch.fx.symbolic_trace(Toy().eval())).save(file)
    done = run(file, "--input-shape", "x=1,5", "--raw")
    assert done.returncode == 0, done.stderr
    assert "44" in done.stdout
    assert "x f32[1, 5]" in done.stdout
    assert (ROOT / "examples" / "toy.py").is_file()
