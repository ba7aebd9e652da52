"""Enumerator numbers by text, read from the C library: include/fxcost/enums.h is the only place that lists them."""

from __future__ import annotations

import functools

from .binding import enumeration


@functools.cache
def enum(name: str) -> dict[str, int]:
    """``{text: number}`` of an enumeration; for a bit set the numbers are bit positions."""
    return enumeration(name)


@functools.cache
def bits(name: str) -> dict[str, int]:
    """``{text: mask}`` of a bit set."""
    return {text: 1 << bit for text, bit in enum(name).items()}
