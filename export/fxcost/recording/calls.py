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


@contextlib.contextmanager
def calls_told(tape: Tape) -> Iterator[None]:
    """What this thread calls goes onto the tape."""
    original = torch.nn.Module.__call__
    rows, thread, ident = tape.calls, threading.get_ident(), threading.get_ident

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
