"""Calls of modules while a recording runs. No hook is left on a module: the one place that all calls go through is
exchanged for the time of the recording."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from types import FunctionType
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
_TOLD = "told"  # a constant of _pass_on


@contextlib.contextmanager
def calls_told(tape: Tape) -> Iterator[None]:
    """What this thread calls goes onto the tape."""
    rows, thread, ident = tape.calls, threading.get_ident(), threading.get_ident

    def told(module: Any, *args: Any, **kwargs: Any) -> Any:
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

    with _exchanged(told) as original:
        yield


@contextlib.contextmanager
def _exchanged(told: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Calls of modules go to ``told``; what they went to before. The code of the function is exchanged, not the
    function: an attribute of Module that changes makes Python forget what it knows of every class of modules, which
    takes longer than all calls of a model."""
    function: Any = torch.nn.Module.__call__
    if type(function) is not FunctionType or function.__closure__:  # somebody else's, in torch's place
        with mock.patch.object(torch.nn.Module, "__call__", told):
            yield function
        return
    code = function.__code__
    same = FunctionType(code, function.__globals__, function.__name__, function.__defaults__)
    same.__kwdefaults__ = function.__kwdefaults__
    passing = _pass_on.__code__
    function.__code__ = passing.replace(co_consts=tuple(told if it == _TOLD else it for it in passing.co_consts))
    try:
        yield same
    finally:
        function.__code__ = code


def _pass_on(*args: Any, **kwargs: Any) -> Any:
    told: Any = "told"
    return told(*args, **kwargs)
