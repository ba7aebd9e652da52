"""The ``fxcost`` command of the Python package: the native command, told which Python captures models for it."""

from __future__ import annotations

import os
import sys

from .binding import package_file


def main() -> None:
    """Becomes the native command. FXCOST_NATIVE names another build of it (for working on fxcost itself)."""
    native = os.environ.get("FXCOST_NATIVE") or str(package_file("bin", "fxcost"))
    os.environ["FXCOST_PYTHON"] = sys.executable
    os.execv(native, ["fxcost", *sys.argv[1:]])
