"""How quiet the machine was: work that is always the same, timed beside what is measured."""

from __future__ import annotations

import math
from collections.abc import Iterable

Probes = dict[str, int]  # nanoseconds by what was done


def least(found: Iterable[Probes]) -> Probes:
    """The least that each probe ever took."""
    most_quiet: Probes = {}
    for probes in found:
        for name, nanoseconds in probes.items():
            most_quiet[name] = min(nanoseconds, most_quiet.get(name, nanoseconds))
    return most_quiet


def slower(found: Probes, than: Probes) -> float:
    """The most that one probe took longer; infinite where there is nothing to compare."""
    return max((found[name] / than[name] for name in found if name in than), default=math.inf)


def quieter(found: Probes, than: Probes) -> bool:
    """Whether the machine was quieter beside the first."""
    return slower(found, than) < slower(than, found)
