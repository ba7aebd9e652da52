"""Times of compiled kernels on a CPU: predicted from the host's calibration of eager operators, and measured."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from checks import NATIVE, ROOT, Result
from fxcost.binding import Analysis, Program
from fxcost.measuring import Repetitions, measure

sys.path.append(str(ROOT / "tests" / "inductor"))
from fused_models import text, vision  # noqa: E402

_SIZES = {"num_hidden_layers": 4, "vocab_size": 8000}
_MODELS = {
    "bert": text("bert", **_SIZES),
    "gpt2": text("gpt2", n_layer=4, vocab_size=8000),
    "llama": text(
        "llama", **_SIZES, hidden_size=768, intermediate_size=2048, num_attention_heads=12, num_key_value_heads=4
    ),
    "vit": vision("vit", num_hidden_layers=4),
    "resnet": vision("resnet"),
    "convnext": vision("convnext", depths=[2, 2, 2, 2]),
}
PROFILE = "inductor-cpu"


def cpu_compiled(folder: Path) -> Iterator[Result]:
    """Six models, eager and by torch.compile, one thread, medians of 9 runs in turns. Constants come from the host's
    calibration alone (FXCOST_HOST_DEVICE names its file, else it is calibrated first), which compiles nothing."""
    device = _host(folder)
    errors, ratios = [], []
    for name, build in _MODELS.items():
        program = _measured(name, *build())
        whole = Analysis(program).report("module")["measured"]
        found = json.loads(Analysis(program, device=device, profile=PROFILE).render(format="json", by="kernel"))
        totals = found["totals"]
        compiled, ratio = whole["compiled_seconds"], whole["seconds"] / whole["compiled_seconds"]
        errors.append(abs(totals["seconds"] / compiled - 1))
        ratios.append(abs(totals["eager_over_compiled"] / ratio - 1))
        figure = (
            f"predicted {1e3 * totals['seconds']:.1f} ms ({100 * (totals['seconds'] / compiled - 1):+.1f} %); "
            f"eager {1e3 * whole['seconds']:.1f} ms, predicted {1e3 * totals['eager_seconds']:.1f}; "
            f"eager / compiled {ratio:.2f}, predicted {totals['eager_over_compiled']:.2f}"
        )
        yield Result(f"{name}: {1e3 * compiled:.1f} ms compiled, {totals['kernels']} kernels", figure, "stated", True)
    mean, worst = statistics.mean(errors), max(ratios)
    yield Result("error of compiled time, on average", f"{100 * mean:.1f} %", "at most 10 %", mean <= 0.10)
    yield Result("error of eager / compiled, worst", f"{100 * worst:.1f} %", "within 12 %", worst <= 0.12)


def _measured(name: str, module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> Program:
    torch._dynamo.reset()
    with torch.no_grad():
        repetitions = Repetitions(counted=9, warmup=3, compiled=True)
        captured = measure(module, inputs, lowered=True, repetitions=repetitions, name=name)
    return Program.from_bytes(captured.to_bytes())


def _host(folder: Path) -> str:
    given = os.environ.get("FXCOST_HOST_DEVICE")
    if given:
        return given
    path = folder / "host.device"
    subprocess.run([NATIVE, "calibrate", "-o", str(path)], check=True)
    return str(path)
