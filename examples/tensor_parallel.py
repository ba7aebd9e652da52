"""What one of eight devices computes and sends in a tensor-parallel layer, on a machine that has none of them.

A fake process group takes the place of eight processes: nothing is sent. The report is that of one device.
"""

from __future__ import annotations

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

import fxcost
from fxcost.distributed import fake_group

DEVICES = 8


class FeedForward(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = torch.nn.Linear(512, 2048), torch.nn.Linear(2048, 512)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(torch.nn.functional.gelu(self.up(x)))


def main() -> tuple[fxcost.Report, fxcost.Report]:
    x = torch.randn(4, 128, 512)
    with torch.no_grad():
        whole = fxcost.analyze(FeedForward(), x)
        with fake_group(DEVICES):
            mesh = init_device_mesh("cpu", (DEVICES,))
            model = parallelize_module(FeedForward(), mesh, {"up": ColwiseParallel(), "down": RowwiseParallel()})
            one = fxcost.analyze(model, x)
    print(one)
    print(f"one device computes {one.macs / whole.macs:.1%} of the multiply-adds and sends:")
    for name, row in one.by_op().items():
        if "c10d" in name and row.bytes_read:
            print(f"  {name}: {row.bytes_read:,} B")
    return whole, one


if __name__ == "__main__":
    main()
