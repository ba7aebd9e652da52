"""The laws of the text form on captured programs: file → program → text → program gives equal programs and equal
totals, text → program → text the same bytes. What the text must mention comes from torch.export's own graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import alias_programs
import pytest
import test_flops_oracle
import torch
from torch import nn
from torch.export import Dim

import fxcost
from fxcost.binding import Analysis, Program

Captured = tuple[nn.Module, tuple[Any, ...], dict[str, Any], Any]


class InPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(3))
        self.register_buffer("state", torch.zeros(4))

    def forward(self, x: torch.Tensor, d: dict[str, torch.Tensor]) -> Any:
        a, b = torch.split(x, 2)
        v = d["k"][0]
        v.add_(1)
        self.state.add_(1)
        y = torch.complex(a, b).conj() * (1 - 2j)
        return a * b + d["k"].sum(), None, x.topk(2), y, torch.full((2,), float("-inf")), x[None, ..., 1:3]


class Cache(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("k", torch.zeros(1, 2, 8, 4))

    def forward(self, x: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        self.k[:, :, position] = x
        return (self.k @ x.transpose(-1, -2)).softmax(-1)


class Dynamic(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        y = x.view(x.shape[0] * 2, -1)
        return y.softmax(-1), x.flatten().nonzero() * 2, x.sum().item() + 1


class Autocast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = self.fc(x)
        with torch.no_grad():
            return torch.cond(x.sum() > 0, lambda t: t.sin(), lambda t: t.cos(), (x,)), self.fc(y.float())


class Unbind(nn.Module):
    """More results and more operands than the printer repeats inside a line."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([step.relu() for step in x.unbind(1)]).sum(0)


def conv() -> Captured:
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)).train()
    return layers.to(memory_format=torch.channels_last), (torch.randn(2, 3, 8, 8),), {}, None


def lstm() -> Captured:
    return nn.LSTM(4, 6, num_layers=2, bidirectional=True).eval(), (torch.randn(5, 2, 4),), {}, None


def hf(model_type: str, class_name: str, **settings: Any) -> Callable[[], Captured]:
    def build() -> Captured:
        import transformers

        config = transformers.AutoConfig.for_model(
            model_type, **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 99}
            | {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2} | settings,
        )  # fmt: skip
        model = getattr(transformers, class_name)(config).eval()
        ids = torch.randint(0, 99, (2, 8))
        kwargs: dict[str, Any] = {"input_ids": ids}
        if model_type != "bert":
            kwargs["use_cache"] = False
        return model, (), kwargs, None

    return build


PROGRAMS: dict[str, Callable[[], Captured]] = {
    "in_place": lambda: (InPlace(), (torch.randn(4), {"k": torch.randn(3, 2)}), {}, None),
    "cache": lambda: (Cache().eval(), (torch.randn(1, 2, 1, 4), torch.tensor([3])), {}, None),
    "dynamic": lambda: (Dynamic(), (torch.randn(4, 6),), {}, {"x": {0: Dim("batch", min=2, max=64)}}),
    "autocast": lambda: (Autocast(), (torch.randn(2, 8),), {}, None),
    "unbind": lambda: (Unbind(), (torch.randn(2, 40, 3),), {}, None),
    "conv": conv,
    "lstm": lstm,
    "bert": hf("bert", "BertModel", intermediate_size=64),
    "llama": hf("llama", "LlamaForCausalLM", intermediate_size=64, num_key_value_heads=2),
    "gpt2": hf("gpt2", "GPT2LMHeadModel"),
    "moe": hf(
        "qwen2_moe", "Qwen2MoeForCausalLM", intermediate_size=64, num_key_value_heads=2, moe_intermediate_size=16,
        shared_expert_intermediate_size=16, num_experts=4, num_experts_per_tok=2,
    ),
}  # fmt: skip


def check_laws(capture: fxcost.Capture) -> None:
    program = Program.from_bytes(capture.to_bytes(), "file")
    text = program.text()
    again = Program.from_bytes(text.encode(), "text")
    assert again == program
    assert again.text() == text
    assert bytes(Analysis(again).totals()) == bytes(Analysis(program).totals())


@pytest.mark.parametrize("name", PROGRAMS)
def test_round_trip(name: str) -> None:
    torch.manual_seed(0)
    model, args, kwargs, dynamic_shapes = PROGRAMS[name]()
    check_laws(fxcost.capture(model, args, kwargs, dynamic_shapes))


@pytest.mark.parametrize("case", alias_programs.CASES, ids=lambda case: case.name)
def test_round_trip_of_memory_programs(case: alias_programs.Case) -> None:
    model, args = case.make()
    with torch.set_grad_enabled(not case.no_grad):
        check_laws(fxcost.capture(model, args, dynamic_shapes={"args": case.dynamic} if case.dynamic else None))


@pytest.mark.parametrize("build", test_flops_oracle.MODELS, ids=lambda build: build.__name__)
def test_round_trip_of_models(build: Callable[[], tuple[nn.Module, dict[str, Any]]]) -> None:
    model, inputs = build()
    check_laws(fxcost.capture(model.eval(), (), inputs))


def test_text_names_what_torch_exported() -> None:
    """Every call of the exported graph is one line, under its own name and overload, in order."""
    model = InPlace()
    args = (torch.randn(4), {"k": torch.randn(3, 2)})
    exported = torch.export.export(model, args, strict=False)
    text = Program.from_bytes(fxcost.capture(exported).to_bytes(), "file").text()
    lines = [line.strip() for line in text.splitlines() if line.startswith("  %")]
    calls = [node for node in exported.graph.nodes if node.op == "call_function"]
    assert len(lines) == len(calls)
    for line, node in zip(lines, calls, strict=True):
        target = str(node.target) if isinstance(node.target, torch._ops.OpOverload) else node.target.__name__
        assert line.startswith(f"%{node.name} = ")
        assert target.removeprefix("aten.") in line.split("(")[0]
    assert "%p_unused" in text
    assert "complex(1.0, -2.0)" in text
    assert "value=-inf" in text or "fill_value=-inf" in text


def test_documented_example_is_what_is_printed() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "text.md").read_text().split("```")
    examples = [block.lstrip("\n") for block in documented if block.startswith("\nfxir 1.0")]
    assert len(examples) == 2
    assert Program.from_bytes(examples[0].encode(), "example").text() == examples[0]
    assert "%relu = aten.relu.default(self=%x)" in Program.from_bytes(examples[1].encode(), "shortest").text()


def test_program_of_another_text_is_not_equal() -> None:
    text = 'fxir 1.0\ngraph "main" captured\n  input %x: f32[2]\n  %y = aten.relu.default(self=%x) -> f32[2]\n'
    a = Program.from_bytes(text.encode(), "a")
    assert a == Program.from_bytes(text.encode(), "b")
    assert a != Program.from_bytes(text.replace("relu", "gelu").encode(), "b")


def test_bad_text_says_where() -> None:
    with pytest.raises(fxcost.FxcostError, match=r"bad\.txt:3:12\b"):
        Program.from_bytes(b'fxir 1.0\ngraph "main" captured\n  input %x f32[2]\n', "bad.txt")
