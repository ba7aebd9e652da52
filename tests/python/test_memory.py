"""Bytes alive equal, to the byte and at every node, what a tracker of storages sees while the captured module runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import Run
from costs import Function
from memory_oracle import compare, eager_peak
from shape_models import WRITTEN
from torch import nn
from training_models import MODELS

import fxcost

EXPORTABLE = [name for name in MODELS if name not in ("t5", "autoencoder")]  # outputs that torch.export does not know


@pytest.mark.parametrize("name", EXPORTABLE)
def test_models(name: str) -> None:
    model, inputs = MODELS[name]()
    model.eval()
    model.config.use_cache = False  # type: ignore[union-attr]
    found = compare(model, (), inputs)
    assert found.differing == []
    assert found.peak == found.seen
    assert found.untold == 0
    assert eager_peak(model, (), inputs) >= found.peak


@pytest.mark.parametrize("name", [name for name in WRITTEN if name != "recurrent"])
def test_written_models(name: str) -> None:
    """U-Nets and torch's own transformer."""
    model = WRITTEN[name]()
    found = compare(model.module.eval(), model.args, dict(model.kwargs or {}))
    assert found.differing == []
    assert found.peak == found.seen


def x(*sizes: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.linspace(-1, 1, torch.Size(sizes).numel()).reshape(sizes).to(dtype)


BOOL = torch.ones(2, 1, 16, 16, dtype=torch.bool)
HALF = torch.bfloat16
Q, NARROW = x(2, 4, 16, 8), x(2, 2, 16, 8)
ATTENTION: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "plain": (lambda q: F.scaled_dot_product_attention(q, q, q), (Q,)),
    "boolean mask": (lambda q, m: F.scaled_dot_product_attention(q, q, q, attn_mask=m), (Q, BOOL)),
    "float mask": (lambda q, m: F.scaled_dot_product_attention(q, q, q, attn_mask=m), (Q, BOOL.float())),
    "bf16, boolean mask": (lambda q, m: F.scaled_dot_product_attention(q, q, q, attn_mask=m), (Q.to(HALF), BOOL)),
    "causal": (lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True), (Q,)),
    "grouped": (lambda q, k: F.scaled_dot_product_attention(q, k, k, is_causal=True, enable_gqa=True), (Q, NARROW)),
    "another value size": (lambda q, v: F.scaled_dot_product_attention(q, q, v), (Q, x(2, 4, 16, 12))),
    "another value size, mask": (
        lambda q, v, m: F.scaled_dot_product_attention(q, q, v, attn_mask=m),
        (Q, x(2, 4, 16, 12), BOOL),
    ),
    "three dimensions": (lambda q: F.scaled_dot_product_attention(q, q, q), (x(4, 16, 8),)),
}
OPERATORS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "layer norm": (lambda a, w: F.layer_norm(a, (8,), w, w), (Q, x(8))),
    "layer norm bf16": (lambda a: F.layer_norm(a, (8,)), (Q.to(HALF),)),
    "layer norm bf16, wide weights": (lambda a, w: F.layer_norm(a, (8,), w, w), (Q.to(HALF), x(8))),
    "group norm": (lambda a: F.group_norm(a, 2), (Q,)),
    "rms norm": (lambda a, w: F.rms_norm(a, (8,), w), (Q, x(8))),
    "rms norm without weight": (lambda a: F.rms_norm(a, (8,)), (Q,)),
    "rms norm bf16": (lambda a, w: F.rms_norm(a, (8,), w), (Q.to(HALF), x(8, dtype=HALF))),
    "instance norm": (lambda a: F.instance_norm(a), (Q,)),
    "batch norm": (lambda a, w: F.batch_norm(a, w, w.abs(), w, w), (Q, x(4))),
    "batch norm, training": (lambda a, w: F.batch_norm(a, None, None, w, w, True), (Q, x(4))),
    "max pool 1": (lambda a: F.max_pool1d(a[0], 2), (Q,)),
    "max pool 2": (lambda a: F.max_pool2d(a, 2), (Q,)),
    "max pool 3": (lambda a: F.max_pool3d(a[None], 2), (Q,)),
    "adaptive max pool": (lambda a: F.adaptive_max_pool2d(a, 2), (Q,)),
    "adaptive average pool": (lambda a: F.adaptive_avg_pool2d(a, 1), (Q,)),
    "matmul": (torch.matmul, (x(2, 3, 4, 5), x(2, 3, 5, 6))),
    "matmul, a transposed batch": (lambda a, b: a.transpose(1, 2) @ b, (x(2, 4, 3, 5), x(2, 3, 5, 6))),
    "matmul, a broadcast batch": (torch.matmul, (x(3, 5, 6), x(2, 3, 6, 4))),
    "matmul, folded": (torch.matmul, (x(2, 3, 4, 5), x(5, 6))),
    "matmul, not folded": (lambda a, b: a.transpose(1, 2) @ b, (x(2, 4, 3, 5), x(5, 6))),
    "matmul, matrix first": (torch.matmul, (x(5, 6), x(2, 3, 6, 4))),
    "matmul, vector": (torch.matmul, (x(3, 5, 6), x(6))),
    "linear": (F.linear, (x(2, 3, 8), x(5, 8), x(5))),
    "linear, not contiguous": (lambda a, w, b: F.linear(a.transpose(1, 2), w, b), (x(4, 8, 2), x(5, 8), x(5))),
    "linear, nothing added": (lambda a, w: F.linear(a.transpose(1, 2), w), (x(4, 8, 2), x(5, 8))),
    "cross entropy": (lambda a: F.cross_entropy(a, torch.zeros(16, dtype=torch.long)), (x(16, 8),)),
    "smoothed": (lambda a: F.cross_entropy(a, torch.zeros(16, dtype=torch.long), label_smoothing=0.1), (x(16, 8),)),
    "nll": (lambda a: F.nll_loss(a, torch.zeros(16, dtype=torch.long)), (x(16, 8),)),
    "l1": (lambda a: F.l1_loss(a, a * 2), (Q,)),
    "softmax of bf16 in f32": (lambda a: a.softmax(-1, dtype=torch.float32), (Q.to(HALF),)),
    "dropout": (lambda a: F.dropout(a, 0.5, True), (Q,)),
    "no dropout": (lambda a: F.dropout(a, 0.5, False) + 1, (Q,)),
    "uneven same": (lambda a, w: F.conv2d(a, w, padding="same"), (Q, x(3, 4, 4, 4))),
    "diff": (lambda a: torch.diff(a, prepend=a[:, :1], dim=1), (x(4, 8),)),
    "where": (lambda a: torch.where(a > 0, a, 0.0), (Q,)),
    "fft": (lambda a: torch.fft.fftn(a, dim=(-2, -1)).real, (Q,)),
    "argsort": (torch.argsort, (x(4, 8),)),
    "in place": (lambda a: (a + 1).relu_().mul_(2) + 1, (Q,)),
    "views": (lambda a: (a * 2).transpose(1, 2).reshape(2, -1)[:, :3], (Q,)),
    "parts": (lambda a: [part * 2 for part in (a + 1).chunk(2, 1)], (Q,)),
    "one of two": (lambda a: a.max(-1)[0] + 1, (Q,)),
}


@pytest.mark.parametrize("name", [*OPERATORS, *(f"attention, {name}" for name in ATTENTION)])
def test_what_kernels_hold(name: str) -> None:
    """Results and hidden temporaries of single operators, among them those that live longer than a view of them."""
    function, args = OPERATORS[name] if name in OPERATORS else ATTENTION[name.removeprefix("attention, ")]
    found = compare(Function(function), args)
    assert found.differing == []
    assert found.peak == found.seen
    assert found.untold == 0


def test_kernels_that_no_rule_describes_are_counted() -> None:
    """A recurrent layer holds its gates: the peak is a lower bound, and the report says so."""
    model = WRITTEN["recurrent"]()
    found = compare(model.module.eval(), model.args)
    assert found.untold == 2
    assert found.peak <= found.seen
    assert "at least" in found.analysis.render() and "2 nodes hold more" in found.analysis.render()


class Nested(nn.Module):
    """A branch: what a body makes is gone when it returns, but for what it returns."""

    def forward(self, a: torch.Tensor) -> torch.Tensor:
        def wide(t: torch.Tensor) -> torch.Tensor:
            return torch.cat([t, t, t, t]).relu().sum(0) + t[0]

        def narrow(t: torch.Tensor) -> torch.Tensor:
            return t[0] + 1

        return torch.cond(a.sum() > 0, wide, narrow, (a,)) * 2


def test_bodies() -> None:
    found = compare(Nested(), (x(4, 8) + 2,))
    assert found.peak == found.seen


# ---- faces ----------------------------------------------------------------------------------------------------------


def test_report(stack_file: Path, run: Run) -> None:
    report = json.loads(run(stack_file, "--by", "node", "--format", "json").stdout)
    rows, peak = report["rows"], report["peak"]
    assert peak["bytes"] == report["totals"]["peak_bytes"] == max(row["peak_bytes"] for row in rows)
    assert sum(tensor["bytes"] for tensor in peak["tensors"]) + peak["hidden_bytes"] == peak["bytes"]
    assert peak["node"] in {row["name"] for row in rows if row["peak_bytes"] == peak["bytes"]}
    assert rows[0]["live_bytes_before"] == report["totals"]["given_bytes"]
    for before, after in zip(rows, rows[1:], strict=False):
        assert before["live_bytes_after"] == after["live_bytes_before"]
        assert before["peak_bytes"] >= max(before["live_bytes_before"], before["live_bytes_after"])
    modules = json.loads(run(stack_file, "--format", "json").stdout)["rows"]
    assert modules[0]["peak_bytes"] == peak["bytes"]
    text = run(stack_file, "--memory", "--by", "node").stdout
    assert "before B" in text and "Alive at the peak" in text and "parameters" in text


def test_peak_follows_dynamic_sizes() -> None:
    captured = fxcost.capture(
        nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 8)),
        (x(4, 8),),
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    program = fxcost.binding.Program.from_bytes(captured.to_bytes())
    given = (8 * 32 + 32 + 32 * 8 + 8) * 4
    for batch in (2, 16, 100):
        analysis = fxcost.binding.Analysis(program, **{"dim.batch": str(batch)})
        # input, and both sides of the ReLU
        assert analysis.memory().peak_bytes == given + batch * (8 + 32 + 32) * 4
