"""Figures that the tools or their articles publish, under fxcost's conventions. Each says where it is from; what a tool
prints today is compared live in test_peers.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peers"))

from programs import LeNet, Toy, VisionTransformer  # noqa: E402

import fxcost  # noqa: E402
from fxcost.binding import Analysis, Program  # noqa: E402
from fxcost.conventions import ToolCount, conventions, count_as, rows  # noqa: E402


def captured(model: nn.Module, *args: Any, **kwargs: Any) -> Program:
    with torch.no_grad():
        return Program.from_bytes(fxcost.capture(model.eval(), args, kwargs).to_bytes())


def said(convention: str, model: nn.Module, *args: Any, **kwargs: Any) -> ToolCount:
    return count_as(captured(model, *args, **kwargs), convention)


def test_toy() -> None:
    """torch_flops' README: 40 for Linear(5, 4), 44 with `x += 1.`; without a bias each result is one addition less. Its
    table has thop at 20 and ptflops at 24, both blind to the addition."""
    x = torch.randn(1, 5)
    assert said("torch_flops", nn.Sequential(nn.Linear(5, 4)), x).count == 40
    assert said("torch_flops", Toy(), x).count == 44
    assert said("torch_flops", nn.Sequential(nn.Linear(5, 4, bias=False)), x).count == 36
    assert said("torch_flops", Toy(bias=False), x).count == 40
    thop = said("thop", Toy(), x)
    assert thop.count == 20
    assert [(gap.op, gap.flops, gap.listed) for gap in thop.left_out] == [("aten.add_.Tensor", 4, False)]
    assert said("ptflops", Toy(), x).count == 24


def test_lenet_by_module() -> None:
    """fvcore's tutorial network (3x3 convolutions, 1x1x32x32): 274,656 MACs; the parts are products of its sizes, which
    the tool prints live too."""
    analysis = Analysis(captured(LeNet(), torch.randn(1, 1, 32, 32)), convention="fvcore")
    report = json.loads(analysis.render(format="json"))
    by_module = {row["name"]: row["tool"] for row in report["rows"]}
    expected = {"conv1": 30 * 30 * 6 * 9, "conv2": 13 * 13 * 16 * 6 * 9}
    expected |= {"fc1": 576 * 120, "fc2": 120 * 84, "fc3": 84 * 10}
    assert by_module == {"": 274_656, **expected}
    assert expected == {"conv1": 48_600, "conv2": 146_016, "fc1": 69_120, "fc2": 10_080, "fc3": 840}
    assert report["tool"]["count"] == 274_656
    assert {op["name"]: op["count"] for op in report["tool"]["operators"]} == {"conv": 194_616, "linear": 80_040}


def test_vision_transformer() -> None:
    """The article of torch_flops says 35,164,979,282 for ViT-B/16 with unfused attention. That is the graph's work,
    35,164,979,280, and 2 for two comparisons of the image's height and width in Python, which are no work."""
    per_block = 2_910_956_316
    parts = 12 * per_block + 231_211_008 + 151_296 + 605_184 + 1_536_000  # patches, places, norm, head
    assert parts == 35_164_979_280
    assert said("torch_flops", VisionTransformer(), torch.randn(1, 3, 224, 224)).count == parts


def test_bert() -> None:
    """flops-profiler's README for BERT base, 1x128: 22.36 GFLOPs, 11.17 GMACs, 109.48 M parameters; linear 21.74 G and
    10.87 G, matmul 603.98 M and 301.99 M, layer norm 12.29 M, softmax 2.36 M. GELU is missing: the model holds its own
    reference to the function, as it does here."""
    hf = pytest.importorskip("transformers", reason="transformers is needed for BERT")
    program = captured(
        hf.BertModel(hf.BertConfig(attn_implementation="eager")), input_ids=torch.zeros(1, 128, dtype=torch.long)
    )
    told = count_as(program, "flops_profiler")
    assert (told.count, told.macs) == (22_363_078_656, 11_174_215_680)
    printed = {key: (round(count / 1e6, 2), round(macs / 1e6, 2)) for key, (count, macs) in told.operators.items()}
    assert printed == {
        "linear": (21744.45, 10872.23),
        "matmul": (603.98, 301.99),
        "layer_norm": (12.29, 0),
        "softmax": (2.36, 0),
    }
    assert round(Analysis(program).totals().params / 1e6, 2) == 109.48
    assert "aten.gelu.default" in {gap.op for gap in told.left_out}


def test_llama() -> None:
    """calflops' README for LLaMA-7B, 1x128: 1700.06 GFLOPs, 850 GMACs, 6,738,415,616 parameters. On meta tensors: no
    weights."""
    hf = pytest.importorskip("transformers", reason="transformers is needed for Llama")
    with torch.device("meta"):
        model = hf.LlamaForCausalLM(hf.LlamaConfig(attn_implementation="eager"))
        ids = torch.zeros(1, 128, dtype=torch.long)
    program = captured(model, input_ids=ids, use_cache=False)
    told = count_as(program, "calflops")
    assert (round(told.count / 1e9, 2), round(told.macs / 1e9)) == (1700.06, 850)
    # 32 layers of 4 h^2 + 3 h f and 2 n h products a token, and the head.
    tokens, width, inner, vocabulary = 128, 4096, 11008, 32000
    macs = tokens * (32 * (4 * width**2 + 3 * width * inner + 2 * tokens * width) + width * vocabulary)
    assert told.macs == macs == 850_000_871_424
    silu, softmax = 32 * tokens * inner, 32 * 32 * tokens**2
    assert told.count == 2 * macs + silu + softmax == 1_700_063_608_832
    assert Analysis(program).totals().params == 6_738_415_616


def test_lists() -> None:
    """Every convention has a sentence, a tool with its version, and a source for each row."""
    known = conventions()
    assert [c.name for c in known][0] == "fxcost"
    for convention in known:
        assert convention.summary.endswith(".")
        assert convention.unit in ("MAC", "FLOP", "activation")
        assert all(row.source and row.formula and row.name for row in rows(convention.name))
        assert (convention.name == "fxcost") == (not rows(convention.name))


def test_all_conventions_on_one_program() -> None:
    """Under every convention the sum over modules and the sum over nodes are the total."""
    program = captured(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()), torch.randn(2, 3, 8, 8))
    for convention in conventions()[1:]:
        analysis = Analysis(program, convention=convention.name)
        total = count_as(program, convention.name)
        for by in ("node", "op"):
            report = json.loads(analysis.render(format="json", by=by))
            assert sum(row["tool"] for row in report["rows"]) == total.count
            assert sum(row["tool_macs"] for row in report["rows"]) == total.macs
        modules = json.loads(analysis.render(format="json"))["rows"]
        assert modules[0]["tool"] == total.count == sum(row["tool"] for row in modules[1:])
        assert sum(count for count, _ in total.operators.values()) == total.count


def test_a_program_without_calls_is_refused() -> None:
    """An exported program has no calls of modules and functions: tools that hook those cannot be told."""
    with torch.no_grad():
        exported = torch.export.export(Toy(), (torch.randn(1, 5),))
    program = Program.from_bytes(fxcost.capture(exported).to_bytes())
    assert count_as(program, "fvcore").count == 20
    for convention in ("thop", "flops_profiler"):
        with pytest.raises(fxcost.FxcostError, match="capture the module itself"):
            count_as(program, convention)
