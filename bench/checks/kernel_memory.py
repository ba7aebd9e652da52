"""Memory over kernels against what the code that Inductor writes allocates while it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from checks import ROOT, Result

sys.path.append(str(ROOT / "tests" / "inductor"))
import fused_models  # noqa: E402
from corpus import PROGRAMS  # noqa: E402
from runtime_memory import compared  # noqa: E402

# A minute each to compile.
_MODELS = ("bert", "gpt2", "llama", "resnet", "mobilenet", "unet", "t5", "vit")


def kernel_memory(_: Path) -> Iterator[Result]:
    """Peak of the profile inductor-cpu against the allocations of compiled code, parameters and inputs left out."""
    yield from _against("small programs, equal to the byte", PROGRAMS, 0, 0.95)
    models = {name: build for name, build in fused_models.MODELS.items() if name in _MODELS}
    yield from _against("models within 1 %", models, 0.01, 1)


def _against(what: str, builders: dict[str, Callable[[], Any]], within: float, wanted: float) -> Iterator[Result]:
    equal, differing = 0, []
    for name, build in builders.items():
        (peak, given), (predicted, held) = compared(*build())
        own, mine = peak - given, predicted - held
        if given == held and abs(mine - own) <= within * own:
            equal += 1
        else:
            differing.append(f"{name} ({mine:,} for {own:,})")
        torch._dynamo.reset()
    figure = f"{equal} of {len(builders)}" + (f"; {', '.join(differing)}" if differing else "")
    yield Result(what, figure, f"at least {100 * wanted:g} %", equal >= wanted * len(builders))
