"""A training loop that says what each step achieves: python examples/training_loop.py"""

from __future__ import annotations

import torch

import fxcost


def main() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(256, 1024), torch.nn.GELU(), torch.nn.Linear(1024, 10))
    optimizer = torch.optim.AdamW(model.parameters())
    print(fxcost.analyze(model, (torch.randn(32, 256),), mode="train", optimizer="adamw"))
    meter = fxcost.StepMeter(model, peak_flops=100e9)
    for size in (32, 32, 32, 48, 48):
        batch, target = torch.randn(size, 256), torch.randint(10, (size,))
        with meter.step(batch):
            torch.nn.functional.cross_entropy(model(batch), target).backward()
            optimizer.step()
            optimizer.zero_grad()
        meter.log()


if __name__ == "__main__":
    main()
