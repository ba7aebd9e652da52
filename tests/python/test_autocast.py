"""Element types under autocast: the table's column against torch's registrations, and what the rules derive against
what eager computes on a CPU."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from shape_sources import sources_of
from test_ops_table import ATEN, text
from torch import Tensor, nn

import fxcost

# Not registered with autocast for one kind of device or both, but made of operators that are.
MADE_OF_OTHERS = {
    *("chain_matmul", "cross_entropy_loss", "einsum", "gru", "gru_cell", "linalg_multi_dot", "linalg_norm", "lstm"),
    *("lstm_cell", "nll_loss_nd", "pairwise_distance", "rnn_relu", "rnn_relu_cell", "rnn_tanh", "rnn_tanh_cell"),
    *("tensordot", "upsample_bicubic2d", "upsample_bilinear2d", "upsample_linear1d", "upsample_nearest1d"),
    *("upsample_nearest2d", "upsample_nearest3d", "upsample_trilinear3d", "conv1d", "conv2d", "conv3d", "pad"),
}


def kernel(name: str, device: str) -> bool:
    """Whether torch registers this overload with autocast."""
    packet, overload = name.removeprefix("aten.").rsplit(".", 1)
    qualified = f"aten::{packet}" + ("" if overload == "default" else f".{overload}")
    try:
        return torch._C._dispatch_has_kernel_for_dispatch_key(qualified, f"Autocast{device.upper()}")
    except RuntimeError:  # TorchScript's own operators have no kernels
        return False


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_column_names_what_torch_registers(device: str) -> None:
    other = {"cpu": "cuda", "cuda": "cpu"}[device]
    wrong, registered = [], 0
    for name, row in ATEN.items():
        column = text(row, "autocast")
        if name == "aten.binary_cross_entropy.default" and device == "cuda":
            continue  # registered to be refused
        cast = column != "none" and not (f"{other}:" in column and f"{device}:" not in column)
        registered += kernel(name, device)
        if cast != kernel(name, device) and name.split(".")[1] not in MADE_OF_OTHERS:
            wrong.append((name, column))
    assert not wrong
    assert registered > 80


IMAGE = (2, 4, 6, 6)
CALLS: dict[str, tuple[Callable[..., Tensor], list[tuple[int, ...]]]] = {
    "linear": (lambda x, w: F.linear(x, w), [(3, 4), (5, 4)]),
    "matmul": (lambda a, b: a @ b, [(2, 3, 4), (2, 4, 5)]),
    "bmm": (lambda a, b: torch.bmm(a, b), [(2, 3, 4), (2, 4, 5)]),
    "baddbmm": (lambda a, b: torch.baddbmm(torch.zeros(2, 3, 5, dtype=a.dtype), a, b), [(2, 3, 4), (2, 4, 5)]),
    "einsum": (lambda a, b: torch.einsum("bij,bjk->bik", a, b), [(2, 3, 4), (2, 4, 5)]),
    "conv2d": (lambda x, w: F.conv2d(x, w), [IMAGE, (5, 4, 3, 3)]),
    "conv2d same": (lambda x, w: F.conv2d(x, w, padding="same"), [IMAGE, (5, 4, 3, 3)]),
    "conv_transpose1d": (lambda x, w: F.conv_transpose1d(x, w), [(2, 4, 6), (4, 5, 3)]),
    "attention": (lambda q, k: F.scaled_dot_product_attention(q, k, k), [(2, 2, 3, 4), (2, 2, 5, 4)]),
    "softmax": (lambda x: x.softmax(-1), [(3, 4)]),
    "layer_norm": (lambda x: F.layer_norm(x, (4,)), [(3, 4)]),
    "group_norm": (lambda x: F.group_norm(x, 2), [IMAGE]),
    "sum": (lambda x: x.sum(-1), [(3, 4)]),
    "prod": (lambda x: x.prod(-1), [(3, 4)]),
    "cumsum": (lambda x: x.cumsum(0), [(3, 4)]),
    "exp": (lambda x: x.exp(), [(3, 4)]),
    "pow": (lambda x: x**2, [(3, 4)]),
    "gelu": (lambda x: F.gelu(x), [(3, 4)]),
    "mse_loss": (lambda a, b: F.mse_loss(a, b), [(3, 4), (3, 4)]),
    "l1_loss": (lambda a, b: F.l1_loss(a, b, reduction="none"), [(3, 4), (3, 4)]),
    "cross_entropy": (lambda x: F.cross_entropy(x, torch.zeros(3, dtype=torch.int64)), [(3, 4)]),
    "nll_loss": (lambda x: F.nll_loss(x, torch.zeros(3, dtype=torch.int64)), [(3, 4)]),
    "reflection": (lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"), [IMAGE]),
    "constant": (lambda x: F.pad(x, (1, 1)), [IMAGE]),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 2), [IMAGE]),
    "avg_pool3d": (lambda x: F.avg_pool3d(x, 2), [(2, 3, 4, 4, 4)]),
    "cdist": (lambda a, b: torch.cdist(a, b), [(3, 4), (5, 4)]),
    "cat": (lambda a, b: torch.cat([a, b]), [(3, 4), (2, 4)]),
    "stack": (lambda a, b: torch.stack([a, b]), [(3, 4), (3, 4)]),
    "add": (lambda a, b: a + b, [(3, 4), (3, 4)]),
    "prelu": (lambda x, w: F.prelu(x, w), [(3, 4), (4,)]),
    "interpolate": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), [IMAGE]),
    "grid_sample": (lambda x, g: F.grid_sample(x, g, align_corners=False), [IMAGE, (2, 3, 3, 2)]),
    "norm": (lambda x: torch.linalg.vector_norm(x, dim=-1), [(3, 4)]),
    "fft": (lambda x: torch.fft.rfft(x), [(3, 4)]),
}
# First argument, then the others.
TYPES = {
    "float32": (torch.float32, torch.float32),
    "bfloat16": (torch.bfloat16, torch.bfloat16),
    "mixed": (torch.bfloat16, torch.float32),
    "float64": (torch.float64, torch.float64),
}


class Calls(nn.Module):
    """The named calls, each on inputs of its own; under autocast of its own when asked."""

    def __init__(self, names: list[str], inside: bool) -> None:
        super().__init__()
        self.names, self.inside = names, inside

    def forward(self, *inputs: Tensor) -> list[Tensor]:
        if self.inside:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return self.run(inputs)
        return self.run(inputs)

    def run(self, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        results, at = [], 0
        for name in self.names:
            function, shapes = CALLS[name]
            results.append(function(*inputs[at : at + len(shapes)]))
            at += len(shapes)
        return results


def inputs_of(name: str, types: tuple[torch.dtype, torch.dtype]) -> list[Tensor]:
    return [torch.rand(shape, dtype=types[i > 0]) for i, shape in enumerate(CALLS[name][1])]


@pytest.mark.parametrize("inside", [False, True], ids=["around", "inside"])
@pytest.mark.parametrize("kind", TYPES)
def test_types_are_those_of_eager(kind: str, inside: bool) -> None:
    taken, inputs, eager = [], [], []
    for name in CALLS:
        arguments = inputs_of(name, TYPES[kind])
        try:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                eager.append(CALLS[name][0](*arguments).dtype)
        except (RuntimeError, TypeError):
            continue  # eager refuses these types
        taken.append(name)
        inputs += arguments
    assert len(taken) > 15
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=not inside):
        data = fxcost.capture(Calls(taken, inside).eval(), tuple(inputs)).to_bytes()
        program = torch.export.export(Calls(taken, inside).eval(), tuple(inputs), strict=False)
    outputs = [node.meta["val"].dtype for node in program.graph.find_nodes(op="output")[0].args[0]]
    assert dict(zip(taken, outputs, strict=True)) == dict(zip(taken, eager, strict=True))
    found = sources_of(data)  # strict: a rule that says otherwise is a contradiction
    assert found.contradiction == ""
    assert not found.untyped
