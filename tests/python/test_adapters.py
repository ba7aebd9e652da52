"""Adapters, weights of few bits, tied weights, experts, and operators of third parties: counted, or named with a stub.

Expected numbers are written out from the sizes of the products.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Run
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F  # noqa: N812

import fxcost
from fxcost.models import load
from fxcost.options import Options


class LoRA(nn.Module):
    """A frozen linear layer with a low-rank update beside it, in the shape that PEFT gives it."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base_layer = base.requires_grad_(False)
        self.lora_dropout = nn.ModuleDict({"default": nn.Dropout(0.1)})
        self.lora_A = nn.ModuleDict({"default": nn.Linear(base.in_features, rank, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(rank, base.out_features, bias=False)})
        self.scaling = {"default": 2.0}

    def forward(self, x: Tensor) -> Tensor:
        result = self.base_layer(x)
        for name in self.lora_A:
            result = result + self.lora_B[name](self.lora_A[name](self.lora_dropout[name](x))) * self.scaling[name]
        return result


class Merged(nn.Module):
    """The update applied to the weight itself, with magnitudes by row."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.magnitude = nn.Parameter(torch.ones(32, 64)), nn.Parameter(torch.ones(32))
        self.a, self.b = nn.Parameter(torch.ones(8, 64)), nn.Parameter(torch.ones(32, 8))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight + self.b @ self.a
        return F.linear(x, weight * (self.magnitude / torch.linalg.norm(weight, dim=1))[:, None])


class Int8(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(32, 64, dtype=torch.int8))
        self.register_buffer("scales", torch.ones(32, dtype=torch.bfloat16))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype)) * self.scales


class Int8Packed(Int8):
    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.aten._weight_int8pack_mm(x, self.weight, self.scales)


class Int4Packed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(32 // 8, 64 // 32, 32, 4, dtype=torch.int32))
        self.register_buffer("scales_and_zeros", torch.ones(2, 32, 2, dtype=torch.bfloat16))

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.aten._weight_int4pack_mm(x, self.weight, 32, self.scales_and_zeros)


class Int4Unpacked(nn.Module):
    """Two numbers a byte, unpacked in the open, scaled by groups of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(32, 32, dtype=torch.uint8))
        self.register_buffer("scales", torch.ones(32, 2, 1, dtype=torch.bfloat16))

    def forward(self, x: Tensor) -> Tensor:
        low, high = (self.weight & 15).to(torch.int8) - 8, (self.weight >> 4).to(torch.int8) - 8
        weight = torch.stack([low, high], -1).reshape(32, 2, 32).to(x.dtype) * self.scales
        return F.linear(x, weight.reshape(32, 64))


def analysed(model: nn.Module, *args: Tensor) -> fxcost.Report:
    with torch.no_grad():
        return fxcost.analyze(model.eval(), args)


def test_adapters() -> None:
    report = analysed(LoRA(nn.Linear(64, 32), 8), torch.ones(4, 64))
    assert report.macs == 4 * (64 * 32 + 64 * 8 + 8 * 32)
    assert report.params == 64 * 32 + 32 + 8 * (64 + 32) and not report.unknown
    assert report.module("lora_A.default").macs == 4 * 64 * 8
    assert analysed(Merged(), torch.ones(4, 64)).macs == 32 * 8 * 64 + 4 * 64 * 32


@pytest.mark.parametrize("model", [Int8, Int8Packed, Int4Packed, Int4Unpacked])
def test_weights_of_few_bits(model: type[nn.Module]) -> None:
    """The product counts alike however its weight is stored; the bytes that are read are those of the storage."""
    report = analysed(model(), torch.ones(4, 64, dtype=torch.bfloat16))
    assert report.macs == 4 * 64 * 32 and not report.unknown


def test_tied_weights_count_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(100, 16), nn.Linear(16, 100, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, ids: Tensor) -> Tensor:
            return self.head(self.embed(ids))

    report = analysed(Tied(), torch.zeros(2, 4, dtype=torch.int64))
    assert report.params == 1600 and report.macs == 8 * 1600


def test_experts() -> None:
    """Each token runs its experts alone: 2 of 8, three matrices each."""
    pytest.importorskip("transformers")
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4}
    settings = {**sizes, "num_key_value_heads": 4, "vocab_size": 64, "num_local_experts": 8, "num_experts_per_tok": 2}
    model = load("hf:mixtral", Options(seq=16, settings=settings))
    with torch.no_grad():
        report = fxcost.analyze(model.module, model.args, model.kwargs)
    experts = report.by_module()["model.layers.0.mlp.experts"]
    assert experts.macs == 16 * 2 * 3 * 32 * 48
    assert experts.params == 8 * 3 * 32 * 48
    assert report.params - report.active_params == 6 * 3 * 32 * 48
    assert f"{report.active_params} of them active for a token" in report.render(raw=True)


def test_experts_of_several_kinds() -> None:
    """Biases go with their experts; without a router nothing is taken away."""

    class Experts(nn.Module):
        def __init__(self, routed: bool) -> None:
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.ones(4, 16, 16)), nn.Parameter(torch.ones(4, 16))
            self.gate, self.routed = nn.Linear(16, 4), routed

        def forward(self, x: Tensor, ends: Tensor) -> Tensor:
            if self.routed:
                x = x * self.gate(x).topk(1, dim=-1).values
            return torch._grouped_mm(x, self.weight, offs=ends) + self.bias.sum(0)

    for routed, left_out in ((True, 3 * (16 * 16 + 16)), (False, 0)):
        model = Experts(routed).to(torch.bfloat16)
        report = analysed(model, torch.ones(32, 16, dtype=torch.bfloat16), torch.tensor([8, 16, 24, 32]).int())
        assert report.params == 4 * 16 * 17 + 4 * 17
        assert report.params - report.active_params == left_out


# ---- operators of third parties ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def third_party() -> Any:
    library = torch.library.Library("fxcost_third_party", "FRAGMENT")
    library.define("attention(Tensor q, Tensor k, Tensor v, float scale, bool causal=False) -> (Tensor, Tensor)")
    library.define("mix(Tensor[] parts, int steps) -> Tensor")
    fake = torch.library.register_fake
    fake("fxcost_third_party::attention", lambda q, k, v, scale, causal=False: (q.clone(), q.sum(-1)), lib=library)
    fake("fxcost_third_party::mix", lambda parts, steps: parts[0].clone(), lib=library)
    yield torch.ops.fxcost_third_party
    library._destroy()


def test_a_stub_for_what_has_no_formula(third_party: Any, run: Run, tmp_path: Path) -> None:
    class Attends(nn.Module):
        def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return third_party.attention(q, k, v, 0.5, True)[0] + third_party.mix([q, v], 3)

    q, k = torch.ones(2, 4, 16, 8), torch.ones(2, 4, 24, 8)
    captured = fxcost.capture(Attends(), (q, k, k)).save(tmp_path / "attends.fxir")
    report = fxcost.open(captured)
    assert set(report.unknown) == {"fxcost_third_party.attention.default", "fxcost_third_party.mix.default"}
    answer: subprocess.CompletedProcess[str] = run("stubs", captured)
    assert answer.returncode == 0
    assert "q f32[2, 4, 16, 8], k f32[2, 4, 24, 8], v f32[2, 4, 24, 8], causal 1" in answer.stdout
    assert "out f32[2, 4, 16, 8], out1 f32[2, 4, 16]" in answer.stdout
    assert "parts.0 f32[2, 4, 16, 8], parts.1 f32[2, 4, 24, 8], steps 3" in answer.stdout
    stubs = tmp_path / "stubs.txt"
    stubs.write_text(answer.stdout)
    untouched = run(captured, "--formulas", stubs, "--fail-on-unknown")
    assert untouched.returncode == 1, "a stub that nobody completed claims nothing"
    stubs.write_text(answer.stdout.replace("#op ", "op "))
    completed = fxcost.analyze(Attends(), (q, k, k), formulas=[stubs])
    assert not completed.unknown
    assert completed.macs == 2 * q.numel() * 24


def test_no_stubs_where_all_is_known(run: Run, toy_file: Path) -> None:
    assert run("stubs", toy_file).stdout == "# Every operator has a formula.\n"
    assert run("stubs").returncode == 2


# ---- Triton kernels ----------------------------------------------------------------------------------------------

KERNELS = """
import torch, triton, triton.language as tl
from torch import nn

@triton.jit
def add_kernel(x, y, out, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + at, tl.load(x + at, mask=at < n) + tl.load(y + at, mask=at < n), mask=at < n)

class Adds(nn.Module):
    def forward(self, x, y):
        out = torch.empty_like(x)
        add_kernel[(4,)](x, y, out, x.numel(), BLOCK=16)
        return out.sin()

def model():
    return Adds(), (torch.ones(64), torch.ones(64))
"""


class _Interface:
    """What triton.runtime.jit.KernelInterface is to a launch: an index with the grid, then a call."""

    def __getitem__(self, grid: Any) -> Any:
        return lambda *args, **kwargs: self.run(*args, grid=grid, **kwargs)


class _Double(_Interface):
    """A kernel without Triton: doubles x into out."""

    __name__, arg_names = "double", ["x", "out", "n", "BLOCK"]

    def run(self, x: torch.Tensor, out: torch.Tensor, n: int, grid: Any, BLOCK: int) -> None:
        del n, BLOCK, grid
        out.numpy()[:] = 2 * x.numpy()  # nothing that torch dispatches


class _Doubles(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(x)
        _Double()[(4,)](x, out, x.numel(), BLOCK=16)
        return out.sin()


@pytest.fixture(name="launches")
def _launches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module in Triton's place with what a launch goes through; where Triton is installed, that is used above."""
    stand_in = types.ModuleType("triton.runtime.jit")
    stand_in.KernelInterface = _Interface  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "triton.runtime.jit", stand_in)


@pytest.mark.parametrize("fake", [False, True], ids=["real", "fake"])
@pytest.mark.usefixtures("launches")
def test_launches_in_a_recording_are_named(fake: bool) -> None:
    mode = FakeTensorMode() if fake else contextlib.nullcontext()
    with mode, fxcost.record() as recording:
        result = _Doubles()(torch.ones(64))
    report = recording.report()
    assert report.unknown == {"triton.double": 1}
    order = [row.op for row in report.nodes()]
    assert order.index("aten.empty_like.default") < order.index("triton.double") < order.index("aten.sin.default")
    if not fake:
        assert torch.equal(result, torch.full((64,), 2.0).sin())  # it was launched
    assert _Interface.__getitem__.__qualname__ == "_Interface.__getitem__"


def test_triton_kernels_are_named(run: Run, tmp_path: Path) -> None:
    """A plain launch is noted, not launched: no accelerator is needed."""
    pytest.importorskip("triton", reason="triton is not installed: launches of kernels were not tried")
    (tmp_path / "launches.py").write_text(KERNELS)
    captured = load(str(tmp_path / "launches.py")).capture().save(tmp_path / "launches.fxir")
    report = fxcost.open(captured)
    assert report.unknown == {"triton.add_kernel": 1}
    stubs = run("stubs", captured).stdout
    assert "x f32[64], y f32[64], out f32[64], n 64, BLOCK 16" in stubs
    (tmp_path / "formulas.txt").write_text("op triton.add_kernel: flops = numel(x)\n")
    counted = run(captured, "--formulas", tmp_path / "formulas.txt", "--fail-on-unknown")
    assert counted.returncode == 0, counted.stderr
