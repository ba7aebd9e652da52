"""BERT base at 1 x 128: what it costs by module, and what two other counters say of it: python examples/bert.py"""

from __future__ import annotations

import torch
import transformers

import fxcost
from fxcost.binding import Analysis, Program
from fxcost.conventions import count_as


def main(layers: int = 12) -> Program:
    model = transformers.BertModel(transformers.BertConfig(num_hidden_layers=layers)).eval()
    with torch.no_grad():
        captured = fxcost.capture(model, (torch.zeros(1, 128, dtype=torch.int64),))
    program = Program.from_bytes(captured.to_bytes(), "BERT")
    print(Analysis(program).render(depth=3))
    for convention in ("flops_profiler", "fvcore"):
        told = count_as(program, convention)
        print(f"{convention}: {told.count:,}; it leaves out {sum(gap.flops for gap in told.left_out):,} FLOPs")
    return program


if __name__ == "__main__":
    main()
