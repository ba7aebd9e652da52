"""``fxcost check MODEL``: torch's own counter on the same inputs, operator by operator."""

from __future__ import annotations

import contextlib

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from .binding import Program, Status
from .conventions import ToolCount, count_as
from .exporter import Capture
from .models import Model

CONVENTION = "flop_counter-complete"


def torch_counts(model: Model, grad: bool) -> dict[str, int]:
    """FlopCounterMode's table by operator: a run of the model with attention unfused, as the convention counts."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.enable_grad() if grad else torch.no_grad())
            stack.enter_context(model.mode or contextlib.nullcontext())
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            counter = stack.enter_context(FlopCounterMode(display=False))
            model.module(*model.args, **model.kwargs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    counts = counter.get_flop_counts().get("Global", {})
    return {str(op).removeprefix("aten."): int(count) for op, count in counts.items() if count}


def table(ours: ToolCount, theirs: dict[str, int]) -> tuple[str, bool]:
    """The comparison as text, and whether all rows are equal."""
    mine = {key: count for key, (count, _) in ours.operators.items() if count}
    names = sorted(mine.keys() | theirs.keys(), key=lambda name: -max(mine.get(name, 0), theirs.get(name, 0)))
    equal = mine == theirs
    lines = [f"{'operator':<28} {'fxcost':>22} {'FlopCounterMode':>22}"]
    for name in [*names, "total"]:
        pair = (mine.get(name, 0), theirs.get(name, 0)) if name != "total" else (ours.count, sum(theirs.values()))
        sign = "" if pair[0] == pair[1] else f"  differs by {pair[0] - pair[1]:+,}"
        lines.append(f"{name:<28} {pair[0]:>22,} {pair[1]:>22,}{sign}")
    lines.append("equal to the digit" if equal else "not equal")
    besides = [f"{gap.op} {gap.flops:,}" for gap in ours.left_out if gap.macs]
    if besides:
        lines.append(f"fxcost counts besides, where torch's counter sees nothing: {', '.join(besides)} FLOPs")
    return "\n".join(lines) + "\n", equal


def check(model: Model, captured: Capture, grad: bool = False) -> Status:
    """Prints the comparison; PROGRAM when it finds a difference."""
    ours = count_as(Program.from_bytes(captured.to_bytes(), model.name), CONVENTION)
    text, equal = table(ours, torch_counts(model, grad))
    print(text, end="")
    return Status.OK if equal else Status.PROGRAM
