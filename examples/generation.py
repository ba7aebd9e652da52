"""What generating text costs: the prompt, then a step for every new token over a cache that grows.

The decode loop is stored once; its sizes are formulas in the number of the step.
"""

from __future__ import annotations

import torch
import transformers

import fxcost


def main(new_tokens: int = 32) -> fxcost.Report:
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_layer=2, n_embd=64, n_head=4, vocab_size=1000, bos_token_id=0, eos_token_id=None, pad_token_id=0
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    prompt = torch.randint(1, 1000, (1, 16))
    with torch.no_grad(), fxcost.record(model, inputs={"prompt": prompt}) as recording:
        model.generate(prompt, max_new_tokens=new_tokens, do_sample=False)
    report = recording.report()
    print(report.render(depth=3))
    print(f"{len(recording.to_bytes()):,} bytes of program for {new_tokens} steps")
    return report


if __name__ == "__main__":
    main()
