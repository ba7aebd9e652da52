"""What every hook into torch's compiler needs: a test that torch has the place, and a key for torch's caches."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from ..binding import library
from ..errors import FxcostError


def seam(module: str, name: str, purpose: str) -> Any:
    """``name`` of a module of torch, or an error that says what is missing and for what."""
    owner: Any = None
    with contextlib.suppress(ImportError):
        owner = import_module(module)
    found = owner
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise FxcostError(
            f"{purpose}\n  expected: {module}.{name}, as torch 2.13 has it\n"
            f"  found: torch {torch.__version__} without it\n  try: another version of torch; the rest of fxcost works",
            status="CAPTURE",
        )
    return found


def setting(module: str, name: str, purpose: str) -> Any:
    """A configuration module of torch that has a setting of this name (whose value may be None)."""
    parent, _, last_part = module.rpartition(".")
    owner = seam(parent, last_part, purpose)
    target = owner
    *path, last = name.split(".")
    for part in path:
        target = getattr(target, part, None)
    if not hasattr(target, last):
        raise FxcostError(
            f"{purpose}\n  expected: the setting {module}.{name}, as torch 2.13 has it\n"
            f"  found: torch {torch.__version__} without it\n  try: another version of torch; the rest of fxcost works",
            status="CAPTURE",
        )
    return owner


@functools.cache
def _fingerprint() -> str:
    """Of the library's file, which holds every rule, profile and device, and of the Python files of the hooks."""
    digest = hashlib.sha256(__version__.encode())
    digest.update(Path(library()._name).read_bytes())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def cache_key(*parts: str) -> str:
    """What torch's caches have to tell apart: the library with its profiles and devices, and what a hook was given
    (a device, a profile), files by their contents. Different numbers never share a compiled graph."""
    digest = hashlib.sha256(_fingerprint().encode())
    for part in parts:
        digest.update(b"\0" + (Path(part).read_bytes() if Path(part).is_file() else part.encode()))
    return digest.hexdigest()
