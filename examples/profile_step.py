"""Profile one step of a training loop: start at step 5, stop after the optimiser, print, go on without it."""

from __future__ import annotations

import torch

import fxcost

PROFILED_STEP = 5


def main(steps: int = 8) -> fxcost.Report:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.GELU(), torch.nn.Linear(64, 4))
    optimizer = torch.optim.AdamW(model.parameters())
    recording = fxcost.record(model)
    for step in range(steps):
        inputs, labels = torch.randn(16, 32), torch.randint(4, (16,))
        if step == PROFILED_STEP:
            recording.start()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
        if step == PROFILED_STEP:
            recording.stop()
            report = recording.report()
            print(f"step {step}: {report.flops:,} FLOPs, {report.params:,} parameters")
            print(report)
    return report


if __name__ == "__main__":
    main()
