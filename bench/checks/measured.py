"""Measurements: operators one by one against the model as a whole, and bytes alive against liveness."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from models import MODELS

from checks import Result
from fxcost.binding import Analysis, Program
from fxcost.measuring import Repetitions, measure

_BYTES = {"measured_bytes_before": "live_bytes_before", "measured_bytes_peak": "peak_bytes"}
_BYTES["measured_bytes_after"] = "live_bytes_after"


def measured_models(_: Path) -> Iterator[Result]:
    """fxcost measure: times of all operators beside the model without instruments, medians of 20 runs in turns; bytes
    alive before, within and after every operator beside those predicted."""
    for name in ("resnet-50", "bert-base"):
        model, inputs = MODELS[name]()
        with torch.no_grad():
            captured = measure(model.eval(), (), inputs, repetitions=Repetitions(counted=20, warmup=4))
        report = Analysis(Program.from_bytes(captured.to_bytes())).report("node")
        whole, rows = report["measured"]["seconds"], report["rows"]
        ratio = report["measured"]["node_seconds"] / whole
        figure = f"{1e3 * ratio * whole:.1f} of {1e3 * whole:.1f} ms, {100 * (ratio - 1):+.1f} %"
        yield Result(f"{name}: sum over nodes, whole model", figure, "within 5 %", abs(ratio - 1) <= 0.05)
        equal = sum(all(row[seen] == row[predicted] for seen, predicted in _BYTES.items()) for row in rows)
        yield Result(f"{name}: nodes with all bytes as predicted", f"{equal} of {len(rows)}", "all", equal == len(rows))
