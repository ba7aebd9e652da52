"""Calls of torch's functions, methods and of Python's operators in graphs of torch.fx: each counts what torch.export's
graph of the same call counts, which tells that it was taken for the same overload."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import fxcost
from fxcost.binding import Analysis, Program

CALLS = """
x.max()
x.max(1)[0]
x.max(dim=1, keepdim=True).values
torch.max(x, y)
x.min(1).indices
x.argmax(-1)
x.argmin()
x.sum()
x.sum(1)
x.sum((0, 1))
x.sum(dim=-1, keepdim=True)
x.mean()
x.mean(1)
x.mean((1, 2), keepdim=True)
x.std()
x.std(1)
x.std(dim=1, unbiased=False)
x.var(1, keepdim=True)
torch.var(x, dim=(1, 2), correction=0)
torch.var_mean(x, dim=1)[0]
x.prod(1)
x.amax(1)
x.amax((1, 2), keepdim=True)
x.any()
(x > 1).any(1)
(x > 1).all()
x.norm()
x.norm(dim=1)
x.norm(2, 1)
x.norm(p=1, dim=(1, 2), keepdim=True)
torch.norm(x)
torch.linalg.norm(x)
torch.linalg.vector_norm(x, dim=1)
x.logsumexp(1)
x.cumsum(1)
x.cumprod(dim=1)
x.softmax(1)
torch.softmax(x, dim=-1)
F.softmax(x, dim=1)
F.softmax(x, 1, dtype=torch.float64)
F.log_softmax(x, dim=1)
F.softmin(x, dim=1)
x.log_softmax(-1)
x + y
x + 1
1 + x
x - y
x - 1
1 - x
x * y
x * 2
2 * x
x / y
x / 2
2 / x
x // 2
x // y
2 // x
x % 2
x % y
x ** 2
x ** y
2 ** x
x ** 0.5
-x
+x
abs(x)
x @ y.transpose(1, 2)
x == y
x == 1
x != 1
x > y
x >= 1
1 < x
x <= 1.0
(x > 1) & (y > 1)
(x > 1) | (y > 1)
(x > 1) ^ (y > 1)
~(x > 1)
i << 1
i >> 1
i & 3
i | i
torch.add(x, y)
torch.add(x, y, alpha=2)
torch.add(x, 1)
x.add(1)
x.add_(1)
x.mul_(y)
x.sub(y, alpha=2)
x.div(2)
x.div(y, rounding_mode="floor")
torch.div(x, 2, rounding_mode="trunc")
x.pow(2)
torch.pow(2, x)
x.pow(y)
x.clamp(0, 1)
x.clamp(min=0)
x.clamp(max=y)
torch.clamp(x, 0)
x.clamp_min(0)
x.clip(0, 1)
torch.where(x > 1, x, y)
torch.where(x > 1, x, 0.0)
torch.where(x > 1, 1.0, y)
x.masked_fill(x > 1, 0.0)
x.masked_fill_(x > 1, 0.0)
torch.maximum(x, y)
torch.minimum(x, y)
x.exp()
x.log()
x.sqrt()
x.rsqrt()
x.reciprocal()
x.sin() + x.cos()
torch.tanh(x)
x.sigmoid()
torch.erf(x)
x.round()
x.floor()
x.ceil()
x.sign()
torch.square(x)
torch.atan2(x, y)
torch.hypot(x, y)
torch.lerp(x, y, 0.5)
torch.addcmul(x, y, y)
torch.addcdiv(x, y, y, value=2)
torch.fmod(x, 2)
torch.remainder(x, 2)
x.lt(1)
x.gt(y)
x.eq(y)
x.ne(1)
x.logical_and(y)
x.logical_not()
x.isnan()
x.float()
x.double()
x.half()
x.long()
x.int()
x.bool()
x.to(torch.float64)
x.to(y)
x.to("cpu")
x.to(device="cpu", dtype=torch.float16)
x.type(torch.float64)
x.type_as(i)
x.clone()
x.contiguous()
x.detach()
x.view(2, -1)
x.view((2, -1))
x.view(x.size(0), -1)
x.reshape(-1)
x.reshape(2, 12)
x.reshape((x.shape[0], x.shape[1] * x.shape[2]))
x.flatten()
x.flatten(1)
torch.flatten(x, 1)
x.unflatten(1, (1, 3))
x.squeeze()
x.unsqueeze(1).squeeze(1)
x.unsqueeze(-1)
x[None]
x.transpose(1, 2)
x.permute(0, 2, 1)
x.permute((2, 0, 1))
torch.permute(x, (0, 2, 1))
x.mT
x.expand(2, 3, 4)
x.unsqueeze(0).expand(5, -1, -1, -1)
x.expand_as(y)
x.repeat(1, 2, 1)
x.tile((2, 1, 1))
x.flip(0)
x.flip((0, 1))
x.roll(1, 0)
torch.roll(x, (1, 2), (0, 1))
x.narrow(1, 0, 2)
x.select(1, 0)
x.chunk(2, 1)[0]
x.split(2, 1)[1]
x.split([1, 2], dim=1)[1]
torch.split(x, 1)[0]
torch.chunk(x, 2, dim=-1)[0]
x.unbind(1)[0]
torch.unbind(x)[0]
torch.tensor_split(x, 2, dim=1)[0]
torch.cat([x, y])
torch.cat((x, y), 1)
torch.cat([x, y], dim=-1)
torch.concat([x, y], dim=1)
torch.stack([x, y])
torch.stack((x, y), dim=1)
torch.hstack([x, y])
torch.vstack([x, y])
x.index_select(1, i)
x.gather(1, x.long())
torch.gather(x, 2, x.argsort(2))
x.topk(2)[0]
x.topk(2, dim=1)[1]
x.sort()[0]
x.sort(dim=1, descending=True)[0]
x.argsort(1)
x.tril()
x.triu(1)
x.diagonal(0, 1, 2)
torch.zeros_like(x)
torch.ones_like(x) * 2
torch.rand_like(x)
x.new_zeros(2, 3)
x.new_zeros((2, 3))
x.new_ones(x.size(0), 2)
x.new_full((2, 3), 1.0)
torch.full_like(x, 2.0)
x[0]
x[-1]
x[:, 0]
x[:, 1:]
x[:, :-1]
x[:, ::2]
x[..., 0]
x[..., None]
x[:, None, :]
x[0, 1]
x[i]
x[:, i]
x[i, 0]
torch.matmul(x, y.mT)
torch.bmm(x, y.transpose(1, 2))
torch.mm(x[0], y[0].t())
x[0].mv(y[0, 0])
torch.dot(x[0, 0], y[0, 0])
torch.outer(x[0, 0], y[0, 0])
torch.einsum("bij,bkj->bik", x, y)
torch.einsum("bij,bkj->bik", [x, y])
torch.baddbmm(x @ y.mT, x, y.mT)
torch.addmm(x[0] @ y[0].mT, x[0], y[0].mT)
torch.tensordot(x, y, dims=([2], [2]))
torch.cdist(x, y)
F.linear(x, w)
F.linear(x, w, w[:, 0])
F.relu(x)
F.relu(x, inplace=True)
x.relu()
F.relu6(x)
F.gelu(x)
F.gelu(x, approximate="tanh")
F.silu(x)
F.elu(x)
F.leaky_relu(x, 0.1)
F.softplus(x)
F.hardtanh(x)
F.hardswish(x)
F.hardsigmoid(x)
F.mish(x)
F.selu(x)
F.celu(x)
F.logsigmoid(x)
F.glu(x)
F.tanh(x)
F.sigmoid(x)
F.dropout(x, 0.1, training=False)
F.dropout(x, 0.1)
F.layer_norm(x, (4,))
F.layer_norm(x, x.shape[-1:])
F.normalize(x, dim=1)
F.rms_norm(x, (4,))
F.group_norm(x, 3)
F.pad(x, (1, 1))
F.pad(x, (1, 1, 2, 0), value=1.0)
F.one_hot(i, 6)
F.cross_entropy(x[0], i3)
F.nll_loss(F.log_softmax(x[0], -1), i3)
F.mse_loss(x, y)
F.l1_loss(x, y, reduction="sum")
F.smooth_l1_loss(x, y)
F.binary_cross_entropy_with_logits(x, y)
F.kl_div(x, y, reduction="batchmean")
F.max_pool1d(x, 2)
F.avg_pool1d(x, 2)
F.adaptive_avg_pool1d(x, 2)
F.adaptive_max_pool1d(x, 2)
F.interpolate(x, scale_factor=2)
F.interpolate(x, size=8, mode="linear")
F.scaled_dot_product_attention(x, y, y)
F.scaled_dot_product_attention(x, y, y, is_causal=True)
F.embedding(i, w)
F.conv1d(x, k)
F.conv1d(x, k, padding="same")
F.conv1d(x, k, stride=2, padding=1)
F.conv_transpose1d(x, k.transpose(0, 1))
F.unfold(x[None], 2)
torch.repeat_interleave(x, 2, dim=1)
x.repeat_interleave(2, 1)
torch.logical_or(x > 1, y > 1)
torch.isfinite(x)
torch.nan_to_num(x)
torch.cross(x[:, :, :3], y[:, :, :3], dim=-1)
torch.meshgrid(i, i, indexing="ij")[0]
torch.broadcast_tensors(x, y)[0]
torch.atleast_2d(x[0, 0])
torch.movedim(x, 0, 1)
torch.swapaxes(x, 0, 1)
torch.squeeze(x, 1)
torch.count_nonzero(x)
torch.trapz(x)
torch.diff(x)
torch.cumsum(x, dim=0)
torch.mean(x, dim=1)
torch.mean(x, 1, True)
torch.sum(x, dim=[1, 2])
torch.median(x)
torch.quantile(x, 0.5)
x.scatter(1, x.long().clamp(0, 2), y)
x.index_add(0, i, y)
x.shape[0] * x
x.size(-1) ** -0.5 * x
x * (x.shape[1] // 2 + 1)
x.numel() * x
x.dim() * x
x.ndim * x
x.size()[1] * x
""".strip().splitlines()

VALUES = {
    "x": torch.rand(2, 3, 4) + 0.5,
    "y": torch.rand(2, 3, 4) + 0.5,
    "i": torch.ones(2, dtype=torch.int64),
    "i3": torch.ones(3, dtype=torch.int64),
    "w": torch.rand(4, 4),
    "k": torch.rand(3, 3, 2),
}
TOGETHER = 20


def module(calls: list[str]) -> nn.Module:
    lines = [f"        r{number} = {call}" for number, call in enumerate(calls)]
    results = ", ".join(f"r{number}" for number in range(len(calls)))
    arguments = ", ".join(VALUES)
    text = "\n".join(
        ["class Calls(nn.Module):", f"    def forward(self, {arguments}):", *lines, f"        return {results}"]
    )
    names: dict[str, Any] = {"torch": torch, "F": F, "nn": nn}
    exec(text, names)  # noqa: S102  the text is this file's
    made: nn.Module = names["Calls"]().eval()
    return made


def counted(program: Program) -> list[tuple[int, ...]]:
    rows = [node.counts for node in Analysis(program).nodes()]
    found = [(c.macs, c.matrix_flops, c.vector_flops, c.transcendentals, c.int_ops) for c in rows]
    return [row for row in found if any(row)]


@pytest.mark.parametrize("first", range(0, len(CALLS), TOGETHER), ids=lambda first: re.sub(r"\W+", "_", CALLS[first]))
def test_calls_count_as_torch_export_has_them(first: int) -> None:
    model = module(CALLS[first : first + TOGETHER])
    with torch.no_grad():
        truth = Program.from_bytes(fxcost.capture(model, tuple(value.clone() for value in VALUES.values())).to_bytes())
        program = Program.from_bytes(fxcost.capture(torch.fx.symbolic_trace(model)).to_bytes())
    found = program.at(
        **{
            name: (tuple(value.shape), "int64") if value.dtype == torch.int64 else tuple(value.shape)
            for name, value in VALUES.items()
        }
    )
    assert counted(found) == counted(truth)
    assert Analysis(found).totals().unknown_nodes == Analysis(truth).totals().unknown_nodes
