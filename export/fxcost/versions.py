"""Which versions of torch and Python fxcost captures with.

Reading .fxir files needs no torch: the range is for what captures. Below it the capture refuses, above it says so.
"""

from __future__ import annotations

import re
import sys
import warnings

from .errors import FxcostError

TORCH = (2, 12), (2, 14)
PYTHON = (3, 10), (3, 13)
RANGE = "torch 2.12 to 2.14 and Python 3.10 to 3.13"


def number(version: str) -> tuple[int, int]:
    """The first two numbers of a version such as 2.13.0+cpu or 2.15.0a0+git1234."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


class VersionWarning(UserWarning):
    """torch or Python is newer than what fxcost has been tested with."""


def notice(torch_version: str, python: tuple[int, int] = sys.version_info[:2]) -> str:
    """What to say of versions above the range, else nothing; raises FxcostError below it."""
    found = f"torch {torch_version} and Python {python[0]}.{python[1]}"
    if number(torch_version) < TORCH[0] or python < PYTHON[0]:
        raise FxcostError(
            f"capturing a model\n  expected: {RANGE}\n  found: {found}\n"
            f"  try: pip install 'torch>={TORCH[0][0]}.{TORCH[0][1]}', or capture elsewhere: any machine reads .fxir"
        )
    if number(torch_version) > TORCH[1] or python > PYTHON[1]:
        return f"fxcost is tested with {RANGE}; this is {found}"
    return ""


def check() -> None:
    """Before the first capture of a process."""
    import torch

    text = notice(torch.__version__)
    if text:
        warnings.warn(text, VersionWarning, stacklevel=3)
