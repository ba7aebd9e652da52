"""Models that torch.export does not take: what they compute depends on values, or is not torch's. Each function
returns (module, args), as a model argument of the command line does."""

from __future__ import annotations

import torch

X = torch.ones(3, 4)


class Branch(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = torch.nn.Linear(4, 8), torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.wide(x) if x.sum() > 0 else self.narrow(x)


class Loop(torch.nn.Module):
    """Three trips: the sum of x doubles from 12 until it exceeds 90."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 4, bias=False)
        torch.nn.init.eye_(self.linear.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while x.sum() < 90:
            x = self.linear(x) * 2
        return x


class Item(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = int(x[0].sum().item()) // 2
        return self.linear(x[:rows])


def numpy_hook(module: torch.nn.Module, args: object, result: torch.Tensor) -> torch.Tensor:
    import numpy as np

    return torch.from_numpy(np.tanh(result.detach().numpy()))


def branch() -> tuple[torch.nn.Module, tuple[torch.Tensor]]:
    return Branch(), (X,)


def loop() -> tuple[torch.nn.Module, tuple[torch.Tensor]]:
    return Loop(), (X,)


def item() -> tuple[torch.nn.Module, tuple[torch.Tensor]]:
    return Item(), (X,)


def hook() -> tuple[torch.nn.Module, tuple[torch.Tensor]]:
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 2))
    model[0].register_forward_hook(numpy_hook)
    return model, (X,)


def scripted() -> tuple[torch.nn.Module, tuple[torch.Tensor]]:
    inner = torch.jit.script(torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU()))
    return torch.nn.Sequential(inner, torch.nn.Linear(4, 2)), (X,)


def quantised() -> tuple[torch.nn.Module, tuple[torch.Tensor]]:
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    return torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8), (X,)


def wrong() -> tuple[torch.nn.Module, tuple[torch.Tensor]]:
    """A shape that does not fit: no route has an answer."""
    return torch.nn.Linear(4, 4), (torch.ones(3, 5),)


class MissingKernel(torch.nn.Module):
    """Calls an operator that no device has a kernel of, and that says nothing of its result."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.fxcost_missing.kernel(self.inner(x), 2)


class Three(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.last = torch.nn.Linear(4, 4), MissingKernel(), torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.middle(self.first(x)))


_LIBRARY = torch.library.Library("fxcost_missing", "FRAGMENT")


def missing_kernel() -> tuple[torch.nn.Module, tuple[torch.Tensor]]:
    if not hasattr(torch.ops.fxcost_missing, "kernel"):
        _LIBRARY.define("kernel(Tensor x, int n) -> Tensor")
    return Three(), (X,)
