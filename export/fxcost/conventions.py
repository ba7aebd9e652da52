"""How other counters count: the conventions of the C library (include/fxcost/convention.h), and what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ctypes import POINTER, byref, c_bool, c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_void_p
from dataclasses import dataclass, field
from typing import Any

from .abi import ERROR, Sized
from .binding import Analysis, Program, _call, declare
from .errors import FxcostError


class _Info(Sized):
    _fields_ = [("struct_size", c_size_t)]
    _fields_ += [(name, c_char_p) for name in ("name", "tool", "unit", "mark", "summary", "functions")]
    _fields_ += [("rows", c_uint32), ("both", c_bool)]


class _Row(Sized):
    _fields_ = [("struct_size", c_size_t)]
    _fields_ += [(name, c_char_p) for name in ("sight", "name", "key", "formula", "source")]


class _Totals(Sized):
    _fields_ = [("struct_size", c_size_t)]
    _fields_ += [(name, c_int64) for name in ("count", "macs", "left_out_flops", "left_out_macs", "unknown_nodes")]
    _fields_ += [("failed_node", c_uint32), ("failure", c_char_p), ("forward", c_int64)]


class _Op(Sized):
    _fields_ = [("struct_size", c_size_t), ("key", c_char_p)]
    _fields_ += [(name, c_int64) for name in ("calls", "count", "macs")]


class _LeftOut(Sized):
    _fields_ = [("struct_size", c_size_t), ("op", c_char_p)]
    _fields_ += [(name, c_int64) for name in ("nodes", "flops", "macs")] + [("listed", c_bool)]


SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "fxc_convention_get": (c_int32, [c_uint32, POINTER(_Info), ERROR]),
    "fxc_convention_get_row": (c_int32, [c_uint32, c_uint32, POINTER(_Row), ERROR]),
    "fxc_analysis_tool": (c_int32, [c_void_p, POINTER(_Totals), ERROR]),
    "fxc_analysis_tool_op": (c_int32, [c_void_p, c_uint32, POINTER(_Op), ERROR]),
    "fxc_analysis_left_out": (c_int32, [c_void_p, c_uint32, POINTER(_LeftOut), ERROR]),
}


declare(SIGNATURES)


def _all(make: Callable[[], Any], name: str, *first: Any) -> Iterator[Any]:
    """Entries of a table until the library says that there is no more."""
    index = 0
    while True:
        entry = make()
        try:
            _call(name, *first, index, byref(entry))
        except FxcostError as error:
            if error.status != "USAGE":
                raise
            return
        yield entry
        index += 1


@dataclass(frozen=True)
class Convention:
    """How a tool counts: ``unit`` says what its number is, ``summary`` what it sees."""

    name: str
    tool: str
    unit: str
    mark: str
    summary: str
    functions: str
    both: bool


@dataclass(frozen=True)
class Row:
    """One thing that a tool looks at: an ``operator``, a ``module`` or a ``function`` (``sight``), and its formula."""

    sight: str
    name: str
    key: str
    formula: str
    source: str


def conventions() -> list[Convention]:
    """All conventions; the first is fxcost's own."""
    return [
        Convention(
            info.name.decode(),
            info.tool.decode(),
            info.unit.decode(),
            info.mark.decode(),
            info.summary.decode(),
            info.functions.decode(),
            info.both,
        )
        for info in _all(_Info, "fxc_convention_get")
    ]


def rows(convention: str) -> list[Row]:
    """The rows of a convention."""
    index = [known.name for known in conventions()].index(convention)
    names = ("sight", "name", "key", "formula", "source")
    return [
        Row(*(getattr(row, name).decode() for name in names)) for row in _all(_Row, "fxc_convention_get_row", index)
    ]


@dataclass(frozen=True)
class LeftOut:
    """An operator that a tool does not count, with what fxcost counts for it. ``listed``: the tool says so."""

    op: str
    nodes: int
    flops: int
    macs: int
    listed: bool


@dataclass(frozen=True)
class ToolCount:
    """What a tool would say of a program: ``count`` is its number, ``macs`` the second one of tools that give two.
    ``failure`` is the exception that it would raise, None for none."""

    convention: str
    count: int
    macs: int
    operators: dict[str, tuple[int, int]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    left_out_flops: int = 0
    unknown_nodes: int = 0
    failure: str | None = None


def count_as(program: Program, convention: str) -> ToolCount:
    """Counts a program as another tool would."""
    analysis = Analysis(program, convention=convention)
    totals = _Totals()
    _call("fxc_analysis_tool", analysis._handle, byref(totals))
    return ToolCount(
        convention,
        totals.count,
        totals.macs,
        {op.key.decode(): (op.count, op.macs) for op in _all(_Op, "fxc_analysis_tool_op", analysis._handle)},
        [
            LeftOut(row.op.decode(), row.nodes, row.flops, row.macs, row.listed)
            for row in _all(_LeftOut, "fxc_analysis_left_out", analysis._handle)
        ],
        totals.left_out_flops,
        totals.unknown_nodes,
        totals.failure.decode() if totals.failure else None,
    )
