"""Count whatever runs inside a ``with`` block: forward and backward of a convolution network.

The same with torch alone is ``with FlopCounterMode(display=False) as counter: ...; counter.get_total_flops()``.
"""

from __future__ import annotations

import torch

import fxcost


def main() -> fxcost.Report:
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(16 * 32 * 32, 10)
    )
    images = torch.randn(8, 3, 32, 32)
    with fxcost.record(model) as recording:
        model(images).sum().backward()
    totals = recording.totals
    print(f"{totals.flops:,} FLOPs, {totals.matrix_flops:,} of them matrix; by phase {totals.phases}")
    report = recording.report()
    print(report)
    print("by module:", {name: row.flops for name, row in report.by_module().items()})
    return report


if __name__ == "__main__":
    main()
