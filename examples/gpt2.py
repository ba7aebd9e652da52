"""GPT-2: a forward pass, a training step with AdamW, and generating text in closed form: python examples/gpt2.py"""

from __future__ import annotations

import torch
import transformers

import fxcost
from fxcost.generation import generation


def main(layers: int = 2, width: int = 64) -> tuple[fxcost.Report, fxcost.Report]:
    config = transformers.GPT2Config(n_layer=layers, n_embd=width, n_head=4, vocab_size=1000)
    model = transformers.GPT2LMHeadModel(config)
    ids = torch.ones(2, 16, dtype=torch.int64)
    with torch.no_grad():
        forward = fxcost.analyze(model.eval(), (), {"input_ids": ids, "use_cache": False})
    step = fxcost.analyze(model.train(), (), {"input_ids": ids, "labels": ids}, mode="train", optimizer="adamw")
    print(f"forward {forward.flops:,} FLOPs; a step {step.flops:,}: {step.phases}")
    print(f"{step.flops_per_token:,.0f} FLOPs a token, {step.saved_bytes:,} bytes kept for the backward pass")
    closed = generation(model.eval())
    print("generating:", closed.formula("flops"), "FLOPs")
    print(f"100 tokens after 500: {closed.evaluate('flops', prompt=500, new=100):,} FLOPs")
    return forward, step


if __name__ == "__main__":
    main()
