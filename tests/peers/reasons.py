"""Cells of the matrix that differ, each with what makes them differ."""

from __future__ import annotations

_FAST_PATH = (
    "in evaluation without gradients nn.MultiheadAttention runs as one fused kernel, which this tool does not see; the "
    "captured program holds its parts"
)
_GRU = "on a CPU, GRU is taken apart into products, which this tool sees; LSTM is one kernel"
_HOOKED_TWICE = "a layer under two parents is hooked twice, and counted for each"
REASONS: dict[tuple[str, str], str] = {
    ("flop_counter", "nn.GRU"): _GRU,
    ("flop_counter-complete", "nn.GRU"): _GRU,
    ("flop_counter", "nn.MultiheadAttention"): _FAST_PATH,
    ("flop_counter-complete", "nn.MultiheadAttention"): "the products of its projections have another name there",
    ("fvcore", "nn.MultiheadAttention"): _FAST_PATH,
    ("flop_counter", "ViT-B/16"): _FAST_PATH,
    ("fvcore", "ViT-B/16"): _FAST_PATH,
    ("thop", "one layer, two parents"): _HOOKED_TWICE,
}


def reason_for(peer: str, program: str) -> str:
    """Why a cell differs; "" when nothing is known."""
    return REASONS.get((peer, program), "")
