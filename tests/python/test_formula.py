"""Programs with dynamic dimensions, at other sizes and in closed form.

The truth is torch's: for every model and ten random sizes, a fresh static export at those sizes must cost what the one
dynamic capture says there, and what its formulas say. The formulas are also evaluated as text, by Python's own integers
and fractions, so that what people read is what was verified."""

from __future__ import annotations

import math
import random
import re
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from conftest import ROOT, Run
from torch import Tensor, nn

import fxcost
from fxcost.binding import Analysis, Formula, Program, Status

transformers = pytest.importorskip("transformers", reason="transformers is needed for the models of this test")

Sizes = dict[str, int]
QUANTITIES = ("flops", "matrix_flops", "macs", "transcendentals", "int_ops", "bytes_read", "bytes_written", "params")
TEXT = {"vocab_size": 60, "hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 40}


class Case(NamedTuple):
    module: Callable[[], nn.Module]
    inputs: Callable[[Sizes], dict[str, Tensor]]
    dims: dict[str, dict[int, str]]  # per input: the name of each dynamic dimension
    ranges: dict[str, tuple[int, int]]
    example: Sizes
    piecewise: bool = False


# ---- models ---------------------------------------------------------------------------------------------------------


class Basic(nn.Module):
    """The residual block of ResNet-18."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.down = None
        if stride != 1 or channels != out:
            self.down = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += x if self.down is None else self.down(x)
        return self.relu(y)


class ResNet18(nn.Module):
    """ResNet-18 with an eighth of its channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(3, 2, 1)
        widths = [8, 8, 16, 32, 64]
        self.layers = nn.Sequential(
            *(
                nn.Sequential(Basic(a, b, 1 if i == 0 else 2), Basic(b, b, 1))
                for i, (a, b) in enumerate(zip(widths, widths[1:], strict=False))
            )
        )
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(self.pool(self.stem(x)))
        return self.fc(torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1))


class Adaptive(nn.Module):
    """Convolutions into a Linear through AdaptiveAvgPool2d."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU())
        self.pool, self.head = nn.AdaptiveAvgPool2d(2), nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.features(x)).flatten(1))


class Attention(nn.Module):
    """Attention written out, of one sequence over another."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.kv = nn.Linear(16, 16), nn.Linear(16, 32)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        q, (k, v) = self.q(x), self.kv(memory).chunk(2, -1)
        return torch.softmax(q @ k.mT / 4, -1) @ v + x


def _ids(sizes: Sizes) -> dict[str, Tensor]:
    count = sizes["batch"] * sizes["seq"]
    return {"input_ids": torch.arange(count).reshape(sizes["batch"], sizes["seq"]) % 50 + 3}


def _image(name: str) -> Callable[[Sizes], dict[str, Tensor]]:
    return lambda s: {name: torch.zeros(s["batch"], 3, s.get("height", 32), s.get("width", 32))}


def _t5_inputs(s: Sizes) -> dict[str, Tensor]:
    return {
        "input_ids": torch.ones(s["batch"], s["source"], dtype=torch.long),
        "decoder_input_ids": torch.ones(s["batch"], s["target"], dtype=torch.long),
    }


def _bert() -> nn.Module:
    return transformers.BertModel(transformers.BertConfig(**TEXT, max_position_embeddings=128))


def _gpt2() -> nn.Module:
    config = transformers.GPT2Config(vocab_size=60, n_embd=24, n_layer=1, n_head=4, n_positions=128, use_cache=False)
    return transformers.GPT2LMHeadModel(config)


def _llama() -> nn.Module:
    config = transformers.LlamaConfig(**TEXT, num_key_value_heads=2, max_position_embeddings=128, use_cache=False)
    return transformers.LlamaForCausalLM(config)


def _t5() -> nn.Module:
    sizes = {"vocab_size": 60, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 1, "num_heads": 4}
    return transformers.T5Model(transformers.T5Config(**sizes, use_cache=False))


def _vit() -> nn.Module:
    sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 40}
    return transformers.ViTModel(transformers.ViTConfig(**sizes, image_size=32, patch_size=8))


BATCH_SEQ = {"batch": (2, 64), "seq": (2, 120)}
IMAGES = {"batch": (2, 32), "height": (48, 320), "width": (48, 320)}
CASES = {
    "bert": Case(_bert, _ids, {"input_ids": {0: "batch", 1: "seq"}}, BATCH_SEQ, {"batch": 3, "seq": 13}),
    "gpt2": Case(_gpt2, _ids, {"input_ids": {0: "batch", 1: "seq"}}, BATCH_SEQ, {"batch": 3, "seq": 13}),
    "llama": Case(_llama, _ids, {"input_ids": {0: "batch", 1: "seq"}}, BATCH_SEQ, {"batch": 3, "seq": 13}),
    "t5": Case(
        _t5,
        _t5_inputs,
        {"input_ids": {0: "batch", 1: "source"}, "decoder_input_ids": {0: "batch", 1: "target"}},
        {"batch": (2, 32), "source": (2, 90), "target": (2, 90)},
        {"batch": 3, "source": 11, "target": 7},
    ),
    "vit": Case(_vit, _image("pixel_values"), {"pixel_values": {0: "batch"}}, {"batch": (2, 500)}, {"batch": 3}),
    "resnet18": Case(
        ResNet18,
        _image("x"),
        {"x": {0: "batch", 2: "height", 3: "width"}},
        IMAGES,
        {"batch": 3, "height": 64, "width": 96},
        piecewise=True,
    ),
    "adaptive": Case(
        Adaptive,
        _image("x"),
        {"x": {0: "batch", 2: "height", 3: "width"}},
        IMAGES,
        {"batch": 3, "height": 64, "width": 96},
        piecewise=True,
    ),
    "attention": Case(
        Attention,
        lambda s: {
            "x": torch.zeros(s["batch"], s["query"], 16),
            "memory": torch.zeros(s["batch"], s["key"], 16),
        },
        {"x": {0: "batch", 1: "query"}, "memory": {0: "batch", 1: "key"}},
        {"batch": (2, 32), "query": (2, 300), "key": (2, 300)},
        {"batch": 3, "query": 11, "key": 7},
    ),
}


# ---- helpers --------------------------------------------------------------------------------------------------------


class Model(NamedTuple):
    case: Case
    module: nn.Module
    program: Program
    file: Path


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Model]:
    """Captures each model once, dynamically."""
    known: dict[str, Model] = {}
    folder = tmp_path_factory.mktemp("formula")

    def get(name: str) -> Model:
        if name not in known:
            case = CASES[name]
            module = case.module().eval()
            dims = {n: torch.export.Dim(n, min=low, max=high) for n, (low, high) in case.ranges.items()}
            shapes = {key: {axis: dims[n] for axis, n in axes.items()} for key, axes in case.dims.items()}
            with torch.no_grad():
                captured = fxcost.capture(module, (), case.inputs(case.example), dynamic_shapes=shapes)
            file = captured.save(folder / f"{name}.fxir")
            known[name] = Model(case, module, Program.open(file), file)
        return known[name]

    return get


def totals_at(program: Program, sizes: Sizes) -> dict[str, int]:
    analysis = Analysis(program)
    for name, size in sizes.items():
        analysis.set(f"dim.{name}", str(size))
    totals = analysis.totals()
    assert totals.unknown_nodes == 0
    return {name: getattr(totals if hasattr(totals, name) else totals.counts, name) for name in QUANTITIES}


def static_totals(model: Model, sizes: Sizes) -> dict[str, int]:
    """Totals of a capture made at these very sizes."""
    with torch.no_grad():
        captured = fxcost.capture(model.module, (), model.case.inputs(sizes))
    program = Program.from_bytes(captured.to_bytes())
    assert program.info().symbols == 0
    return totals_at(program, {})


def random_sizes(case: Case, seed: int, largest: int) -> Sizes:
    draw = random.Random(seed)
    return {name: draw.randint(low, min(high, largest)) for name, (low, high) in case.ranges.items()}


def evaluate_text(text: str, sizes: Sizes) -> Fraction:
    """What a person would compute from the formula."""
    python = re.sub(r"\b(\d+)\b", r"Fraction(\1)", text.replace("^", "**"))
    names: dict[str, Any] = {name: Fraction(size) for name, size in sizes.items()}
    gcd = lambda a, b: math.gcd(int(a), int(b))  # noqa: E731
    known = {"gcd": gcd, "ceil": math.ceil, "floor": math.floor, "min": min, "max": max, "mod": lambda a, b: a % b}
    return Fraction(eval(python, {"__builtins__": {}, "Fraction": Fraction}, names | known))


# ---- re-propagation -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_other_sizes_cost_what_a_fresh_export_costs(models: Callable[[str], Model], name: str) -> None:
    model = models(name)
    formulas = {quantity: Formula(model.program, quantity) for quantity in ("flops", "matrix_flops")}
    for seed in range(10):
        sizes = random_sizes(model.case, seed, 96)
        static = static_totals(model, sizes)
        dynamic = totals_at(model.program, sizes)
        for quantity, formula in formulas.items():
            assert dynamic[quantity] == static[quantity] > 0, (sizes, quantity)
            if formula.kind != "none":
                assert formula.evaluate(**sizes) == static[quantity], (sizes, quantity, formula.text)


@pytest.mark.parametrize("name", CASES)
def test_sizes_out_of_range_are_refused_in_words(models: Callable[[str], Model], name: str) -> None:
    model = models(name)
    formula = Formula(model.program, "matrix_flops")
    for dim, (low, high) in model.case.ranges.items():
        for size, words in ((low - 1, f"at least {low}"), (high + 1, f"at most {high}")):
            with pytest.raises(fxcost.FxcostError, match=words) as refused:
                totals_at(model.program, {dim: size})
            assert dim in str(refused.value) and str(size) in str(refused.value)
            with pytest.raises(fxcost.FxcostError, match=words):
                formula.evaluate(**(model.case.example | {dim: size}))


class Halves(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x.reshape(-1, 2, 8).sum(1) + y


def test_derived_dimensions() -> None:
    half = torch.export.Dim("half", min=3, max=50)
    with torch.no_grad():
        captured = fxcost.capture(
            Halves(), (torch.zeros(8, 8), torch.zeros(4, 8)), dynamic_shapes=({0: 2 * half}, {0: half})
        )
    program = Program.from_bytes(captured.to_bytes())
    assert Formula(program, "flops").text == "16*half"  # per row of 8 one addition in the sum, one after it
    assert totals_at(program, {"half": 7})["flops"] == 16 * 7
    with pytest.raises(fxcost.FxcostError, match="at most 50"):
        totals_at(program, {"half": 51})


# ---- closed forms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bert", "llama", "t5", "vit", "resnet18", "adaptive", "attention"])
def test_closed_forms(models: Callable[[str], Model], name: str) -> None:
    model = models(name)
    formulas = {quantity: Formula(model.program, quantity) for quantity in QUANTITIES}
    for formula in formulas.values():
        assert formula.kind != "none" and formula.verified_at >= 20 and formula.refused_at == 0
        assert formula.kind == "polynomial" or model.case.piecewise
    assert formulas["params"].text == str(sum(p.numel() for p in set(model.module.parameters())))
    assert (formulas["flops"].kind == "piecewise") == model.case.piecewise
    for seed in range(100, 120):
        sizes = random_sizes(model.case, seed, 2**20)
        totals = totals_at(model.program, sizes)
        for quantity, formula in formulas.items():
            assert formula.evaluate(**sizes) == totals[quantity] == evaluate_text(formula.text, sizes), formula.text


def test_what_bert_costs_is_what_its_configuration_says(models: Callable[[str], Model]) -> None:
    """Attention: 4 projections of 24 x 24 and two products over seq; two layers of 24 x 40; the pooler once a batch."""
    formula = Formula(models("bert").program, "macs")
    for seed in range(20):
        sizes = random_sizes(models("bert").case, seed, 2**20)
        b, s = sizes["batch"], sizes["seq"]
        assert formula.evaluate(**sizes) == b * (s * (4 * 24 * 24 + 2 * 24 * 40) + 2 * s * s * 24 + 24 * 24)


def test_what_is_piecewise_says_where(models: Callable[[str], Model]) -> None:
    formula = Formula(models("resnet18").program, "matrix_flops")
    steps = {f"ceil({dim}/{2**k})" for dim in ("height", "width") for k in range(1, 6)}
    assert formula.kind == "piecewise" and set(formula.steps) == steps
    # Two windows over n overlap in one element when n is odd: n + 2 - gcd(n, 2) elements are added up.
    steps = set(Formula(models("adaptive").program, "vector_flops").steps)
    assert any(step.startswith("gcd(") and "height" in step for step in steps)


class Pyramid(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        pool = nn.functional.adaptive_avg_pool1d
        return torch.cat([pool(x, 3), pool(x, 5)], -1)


def test_what_has_no_formula_is_given_none(run: Run, tmp_path: Path) -> None:
    """Windows of the two poolings overlap by gcd(length, 3) and gcd(length, 5), and neither is recorded."""
    length = torch.export.Dim("length", min=8, max=4000)
    with torch.no_grad():
        captured = fxcost.capture(Pyramid(), (torch.zeros(2, 4, 30),), dynamic_shapes=({2: length},))
    file = captured.save(tmp_path / "pyramid.fxir")
    formula = Formula(Program.open(file), "flops")
    assert (formula.kind, formula.text, formula.steps, formula.refused_at) == ("none", "", [], 0)
    with pytest.raises(fxcost.FxcostError, match="no closed form"):
        formula.evaluate(length=30)
    answer = run("formula", file, "--quantity", "flops")
    assert answer.returncode == 0 and "no formula" in answer.stdout
    assert Formula(Program.open(file), "bytes_written").kind == "polynomial"


def test_readme_shows_real_formulas(run: Run) -> None:
    command = "formula hf:bert --dynamic batch,seq"
    shown = (ROOT / "README.md").read_text().split(f"$ fxcost {command}\n")[1].split("```")[0]
    printed = run(*command.split(), FXCOST_PYTHON=sys.executable).stdout
    parts = shown.split("...\n")
    assert len(parts) == 2 and all(part in printed for part in parts)


class Positions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 8)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.embedding(torch.arange(x.shape[1]).expand(x.shape[0], -1))


def test_empty_tensors_are_left_out_where_they_cost_otherwise() -> None:
    """An expanded row is read once, however many rows it stands for, but not for none: at batch 0 it is not read."""
    dims = {0: torch.export.Dim("batch", min=0, max=40), 1: torch.export.Dim("seq", min=0, max=50)}
    with torch.no_grad():
        captured = fxcost.capture(Positions(), (torch.zeros(3, 7, 8),), dynamic_shapes=(dims,))
    program = Program.from_bytes(captured.to_bytes())
    read, flops = Formula(program, "bytes_read"), Formula(program, "flops")
    assert read.domain == "batch >= 1" and flops.domain == "" and flops.text == "8*batch*seq"
    for batch, seq in ((1, 0), (1, 1), (2, 50), (40, 3)):
        assert read.evaluate(batch=batch, seq=seq) == totals_at(program, {"batch": batch, "seq": seq})["bytes_read"]
    assert flops.evaluate(batch=0, seq=9) == totals_at(program, {"batch": 0, "seq": 9})["flops"] == 0
    with pytest.raises(fxcost.FxcostError, match="batch >= 1, where the formula holds"):
        read.evaluate(batch=0, seq=9)


def test_report_and_command(models: Callable[[str], Model], run: Run) -> None:
    model = models("llama")
    text = fxcost.open(model.file).formula("matrix_flops")
    assert text == Formula(model.program, "matrix_flops").text
    answer = run("formula", model.file, "--quantity", "matrix_flops")
    assert answer.returncode == 0 and answer.stdout.split(maxsplit=1) == ["matrix_flops", text + "\n"]
    answer = run("formula", model.file, "--quantity", "time")
    assert answer.returncode == Status.USAGE and "matrix_flops" in answer.stderr and "'time'" in answer.stderr
