"""Enumerator numbers by text, read from the C library: include/fxcost/enums.h is the only place that lists them."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path


@functools.cache
def _library() -> ctypes.CDLL:
    path = os.environ.get("FXCOST_LIBRARY") or str(Path(__file__).parent / "lib" / "libfxcost.so")
    library = ctypes.CDLL(path)
    library.fxc_enum_text.restype = ctypes.c_char_p
    library.fxc_enum_text.argtypes = [ctypes.c_char_p, ctypes.c_uint32]
    return library


@functools.cache
def enum(name: str) -> dict[str, int]:
    """``{"f32"'s text: its number}`` of an enumeration; for a bit set the numbers are bit positions."""
    numbers: dict[str, int] = {}
    while (text := _library().fxc_enum_text(name.encode(), len(numbers))) is not None:
        numbers[text.decode()] = len(numbers)
    if not numbers:
        raise KeyError(name)
    return numbers


@functools.cache
def bits(name: str) -> dict[str, int]:
    """``{text: mask}`` of a bit set."""
    return {text: 1 << bit for text, bit in enum(name).items()}
