"""T5, encoder and decoder, as formulas in the lengths of both: python examples/t5.py"""

from __future__ import annotations

import torch
import transformers
from torch.export import Dim

import fxcost
from fxcost.binding import Formula, Program


def main() -> Program:
    config = transformers.T5Config(d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4, vocab_size=200)
    model = transformers.T5ForConditionalGeneration(config).eval()
    inputs = {
        "input_ids": torch.ones(2, 9, dtype=torch.int64),
        "decoder_input_ids": torch.ones(2, 5, dtype=torch.int64),
    }
    batch, source, target = Dim("batch"), Dim("source"), Dim("target")
    shapes = {"input_ids": {0: batch, 1: source}, "decoder_input_ids": {0: batch, 1: target}}
    with torch.no_grad():
        captured = fxcost.capture(model, (), {**inputs, "use_cache": False}, {**shapes, "use_cache": None})
    program = Program.from_bytes(captured.to_bytes(), "T5")
    for quantity in ("macs", "flops"):
        print(f"{quantity}: {Formula(program, quantity).text}")
    return program


if __name__ == "__main__":
    main()
