"""Models that ask whether they are being exported, and then run something else than under torch.compile.

transformers' attention masks do: exported, a mask is built that neither eager nor compiled execution builds.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch


class Exporting:
    """Answers torch.compiler.is_exporting() for the model; ``asked`` tells whether it asked."""

    def __init__(self) -> None:
        self.asked = False

    @contextlib.contextmanager
    def answered(self, denied: bool) -> Iterator[None]:
        """With ``denied`` the model is told that it is not exported. torch itself is always told the truth."""
        stock: Any = getattr(torch.compiler, "is_exporting", None)
        if stock is None:
            yield
            return

        def is_exporting() -> bool:
            caller = sys._getframe(1).f_globals.get("__name__", "")
            if caller == "torch" or caller.startswith("torch."):
                return bool(stock())
            self.asked = True
            return not denied and bool(stock())

        with mock.patch.object(torch.compiler, "is_exporting", is_exporting):
            yield
