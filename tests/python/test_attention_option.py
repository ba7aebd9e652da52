"""The option "attention": pairs that a causal mask, or a window, hides. The oracle is the mask itself, written out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import fxcost
from fxcost.binding import Analysis, Program
from fxcost.errors import FxcostError


class Attention(nn.Module):
    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.causal = causal

    def forward(self, q: Tensor, k: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, k, is_causal=self.causal)


def program(causal: bool, queries: int, keys: int) -> Program:
    q, k = torch.randn(2, 3, queries, 8), torch.randn(2, 3, keys, 8)
    return Program.from_bytes(fxcost.capture(Attention(causal), (q, k)).to_bytes())


def visible(queries: int, keys: int, window: int) -> int:
    """Entries of the mask that torch's is_causal stands for (top left), banded."""
    mask = torch.ones(queries, keys, dtype=torch.bool).tril()
    return int((mask & torch.ones(queries, keys, dtype=torch.bool).triu(1 - window)).sum())


@pytest.mark.parametrize(("queries", "keys"), [(16, 16), (5, 16), (16, 5), (1, 9), (0, 4)])
@pytest.mark.parametrize("window", [1, 3, 16, 1000])
def test_pairs_are_those_of_the_mask(queries: int, keys: int, window: int) -> None:
    captured = program(True, queries, keys)
    full = Analysis(captured).totals().counts.macs
    assert full == 2 * 3 * queries * keys * (8 + 8)
    assert Analysis(captured, attention="causal").totals().counts.macs == 6 * visible(queries, keys, 10**6) * 16
    # with fewer keys than queries torch's mask lets late queries see every key: the band then holds the last ones
    expected = (
        visible(queries, keys, window) if queries <= keys else sum(min(i + 1, keys, window) for i in range(queries))
    )
    assert Analysis(captured, attention=f"window:{window}").totals().counts.macs == 6 * expected * 16


def test_other_attention_is_counted_whole_and_the_report_says_what_was_asked() -> None:
    captured = program(False, 6, 6)
    analysis = Analysis(captured, attention="causal")
    assert analysis.totals().flops == Analysis(captured).totals().flops
    assert "causal attention without the pairs" in analysis.render()
    assert '"attention": "causal"' in analysis.render(format="json")
    assert '"attention": "window:7"' in Analysis(captured, attention="window:7").render(format="json")


@pytest.mark.parametrize("value", ["", "half", "window:", "window:0", "window:-1", "window:2x"])
def test_other_values_are_refused(value: str) -> None:
    with pytest.raises(FxcostError, match="window:N"):
        Analysis(program(True, 2, 2), attention=value)
