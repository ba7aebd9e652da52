"""FlopCounterMode with one import changed, against torch's own around the same block."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode as TorchsOwn

from fxcost.compat.flop_counter import FlopCounterMode
from fxcost.errors import FxcostError


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x)).mean((2, 3))
        return x + self.mlp(x) @ torch.eye(8)


def forward(model: nn.Module) -> None:
    model(torch.randn(2, 3, 10, 10))


def backward(model: nn.Module) -> None:
    model(torch.randn(2, 3, 10, 10, requires_grad=True)).sum().backward()


def training_step(model: nn.Module) -> None:
    optimizer = torch.optim.AdamW(model.parameters())
    for _ in range(2):
        backward(model)
    optimizer.step()


def attention(model: nn.Module) -> None:
    q = torch.randn(1, 2, 8, 4)
    model(torch.randn(1, 3, 5, 5))
    F.scaled_dot_product_attention(q, q, q)


class Part(nn.Module):
    def __init__(self, shared: nn.Module) -> None:
        super().__init__()
        self.shared, self.own = shared, nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.own(self.shared(x))  # type: ignore[no-any-return]


def test_a_layer_of_two_counts_for_the_one_that_calls_it() -> None:
    layer = nn.Linear(8, 8)
    model = nn.Sequential(Part(layer), Part(layer))
    with TorchsOwn(display=False, depth=2) as expected:
        model(torch.randn(4, 8))
    with FlopCounterMode(display=False, depth=2) as counter:
        model(torch.randn(4, 8))
    product = 2 * 4 * 8 * 8
    assert [sum(counter.get_flop_counts()[f"Sequential.{part}"].values()) for part in "01"] == [2 * product] * 2
    assert counter.get_table() == expected.get_table()


@pytest.mark.parametrize("work", [forward, backward, training_step, attention])
def test_the_same_counts_and_the_same_table(work: Callable[[nn.Module], None]) -> None:
    model = Block()
    with TorchsOwn(display=False, depth=3) as expected:
        work(model)
    with FlopCounterMode(display=False, depth=3) as counter:
        work(model)
    assert counter.get_total_flops() == expected.get_total_flops() > 0
    assert counter.get_flop_counts() == expected.get_flop_counts()
    assert sorted(counter.get_table().splitlines()) == sorted(expected.get_table().splitlines())


def test_attention_that_torch_does_not_see_is_named_and_can_be_counted() -> None:
    q = torch.randn(1, 2, 8, 4)
    with FlopCounterMode(display=False) as counter:
        F.scaled_dot_product_attention(q, q, q)
    assert counter.get_total_flops() == 0
    assert [entry.flops > 0 for entry in counter.left_out()] == [True]
    with (
        FlopCounterMode(display=False, convention="flop_counter-complete") as complete,
        torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
        TorchsOwn(display=False) as expected,
    ):
        F.scaled_dot_product_attention(q, q, q)
    assert complete.get_total_flops() == expected.get_total_flops() == 2 * 2 * (2 * 8 * 8 * 4)


def test_printed_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with FlopCounterMode(Block()) as counter:
        forward(Block())
    printed = capsys.readouterr().out
    assert printed.strip() == counter.get_table(2).strip()
    assert "Block.mlp" in printed and "aten.convolution" in printed


def test_what_it_does_not_take_is_refused() -> None:
    with pytest.raises(FxcostError, match="custom_mapping"):
        FlopCounterMode(custom_mapping={torch.ops.aten.mm: lambda *shapes, **rest: 1})
    with pytest.raises(FxcostError, match="nothing was counted yet"):
        FlopCounterMode().left_out()
