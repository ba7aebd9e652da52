"""Calls of modules while a recording runs. No hook is left on a module: the one place that all calls go through is
exchanged for the time of the recording."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch

from .tape import Tape

# These ask whether anybody overrides torch's functions, and take their slow path if so.
_ASK_FOR_OVERRIDES = (
    torch.nn.MultiheadAttention,
    torch.nn.TransformerEncoder,
    torch.nn.TransformerEncoderLayer,
)


class Calls:
    """(module, calling call, training, events before it) of every call, in order. This keeps the modules alive."""

    def __init__(self, tape: Tape) -> None:
        self.rows: list[tuple[torch.nn.Module, int, bool, int]] = []
        self.without_hooks: set[int] = set()  # rows of what was reached by its forward alone
        self._unhooked: dict[tuple[int, int], int] = {}
        self._tape = tape
        tape.calls = self

    def without_hook(self, module: torch.nn.Module) -> int:
        """The row of a module whose forward runs inside the open call, though it was not called itself."""
        key = (self._tape.call, id(module))
        row = self._unhooked.get(key)
        if row is None:
            row = self._unhooked[key] = len(self.rows)
            self.without_hooks.add(row)
            self.rows.append((module, self._tape.call, module.training, len(self._tape.events)))
        return row

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        original = torch.nn.Module.__call__
        tape, rows, thread, ident = self._tape, self.rows, threading.get_ident(), threading.get_ident

        def __call__(module: Any, *args: Any, **kwargs: Any) -> Any:
            if ident() != thread:
                return original(module, *args, **kwargs)
            before = tape.call
            tape.call = len(rows)
            rows.append((module, before, module.training, len(tape.events)))
            try:
                if isinstance(module, _ASK_FOR_OVERRIDES) and not module.training:
                    with torch._C.DisableTorchFunction():
                        return original(module, *args, **kwargs)
                return original(module, *args, **kwargs)
            finally:
                tape.call = before

        with mock.patch.object(torch.nn.Module, "__call__", __call__):
            yield
