"""What recording costs beside the run itself."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from pathlib import Path

from recording_times import LLAMA

from checks import Result, last_line

_MODELS = {"bert-base": (5, 18), "resnet-50": (3, 12), LLAMA: (3, 5)}  # processes, and rounds in each
_LIMITS = {("bert-base", "record"): 1.0, ("bert-base", "record on fake tensors"): 0.8}


def recording(folder: Path) -> Iterator[Result]:
    """Each to final totals, by bench/recording_times.py in fresh processes: the ratio to FlopCounterMode of the same
    round, whose median each process gives; the median of those, and their range."""
    del folder
    for name, (processes, rounds) in _MODELS.items():
        found = []
        for _ in range(processes):
            text, fine = last_line("recording_times.py", name, str(rounds))
            if not fine:
                yield Result(f"{name}: measured", text, "measured", False)
                return
            found.append(json.loads(text))
        for what in found[0]:
            ratios = sorted(_ratio(times[what], times["FlopCounterMode"]) for times in found)
            ratio = statistics.median(ratios)
            seconds = statistics.median(statistics.median(times[what]) for times in found)
            limit = _LIMITS.get((name, what))
            spread = f" ({ratios[0]:.3f} to {ratios[-1]:.3f})" if ratios[0] != ratios[-1] else ""
            figure = f"{1e3 * seconds:.0f} ms, {ratio:.3f}{spread} of FlopCounterMode"
            asked = f"at most {limit:g} of it" if limit else "none"
            yield Result(f"{name}: {what}", figure, asked, limit is None or ratio <= limit)


def _ratio(times: list[float], others: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(times, others, strict=True))
