"""A window of attention against all of it, as a mask and as work: python examples/windowed_attention.py

A kernel that skips what the mask hides does less; the option ``attention`` counts the pairs that are left."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

import fxcost
from fxcost.binding import Analysis, Program


class Attention(torch.nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = heads, torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        return self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))


def main(length: int = 4096, window: int = 512) -> dict[str, int]:
    with torch.no_grad():
        captured = fxcost.capture(Attention(256, 4).eval(), (torch.zeros(1, length, 256),))
    program = Program.from_bytes(captured.to_bytes(), "attention")
    flops = {kind: Analysis(program, attention=kind).totals().flops for kind in ("full", "causal", f"window:{window}")}
    for kind, count in flops.items():
        print(f"{kind:<12} {count:>16,} FLOPs, {100 * count / flops['full']:.1f} % of all pairs")
    return flops


if __name__ == "__main__":
    main()
