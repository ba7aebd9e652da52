"""Where the shapes of a captured program come from: what the shapes pass derives, and what it takes as recorded."""

from __future__ import annotations

import collections
import re
from ctypes import POINTER, byref, c_char_p, c_int32, c_int64, c_size_t, c_uint8, c_uint32, c_void_p
from dataclasses import dataclass, field
from typing import Any

from fxcost import abi, binding
from fxcost.errors import FxcostError
from fxcost.fusion import NodeInfo

INPUT, RULE, RECORDED, TAGGED = 1, 2, 3, 4  # enum fxc_value_source
DTYPE, STRIDES, OTHERWISE = 2, 4, 8  # bits of enum fxc_shape_told


class ValueInfo(abi.Sized):
    """``fxc_value_info``."""

    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("producer", c_uint32)]
    _fields_ += [(name, c_uint8) for name in ("kind", "dtype", "rank", "source")]
    _fields_ += [("numel", c_int64), ("offset", c_int64), ("size", POINTER(c_int64)), ("stride", POINTER(c_int64))]


@dataclass
class Sources:
    """Values that nodes compute, by where their shape comes from, and what the flops pass does not know."""

    rule: int = 0  # sizes by a shape rule, or by the broadcast rule for an operator tagged pointwise
    dtype: int = 0  # element type by a rule
    strides: int = 0
    recorded: collections.Counter[str] = field(default_factory=collections.Counter)  # per operator
    untyped: collections.Counter[str] = field(default_factory=collections.Counter)  # dtype as recorded, per operator
    unlaid: collections.Counter[str] = field(default_factory=collections.Counter)  # strides as recorded, per operator
    data: int = 0  # values whose size is data: a rule can run only once their symbols have a value
    given: int | None = None  # the value that these symbols were given here
    unknown: collections.Counter[str] = field(default_factory=collections.Counter)  # nodes per operator
    contradictions: list[str] = field(default_factory=list)  # values of which a rule tells something else

    @property
    def contradiction(self) -> str:
        return self.contradictions[0] if self.contradictions else ""

    @property
    def values(self) -> int:
        return self.rule + self.recorded.total()

    def add(self, other: Sources) -> None:
        self.rule += other.rule
        self.dtype += other.dtype
        self.strides += other.strides
        self.data += other.data
        self.contradictions += other.contradictions
        for name in ("recorded", "untyped", "unlaid", "unknown"):
            getattr(self, name).update(getattr(other, name))

    def share(self, count: int | None = None) -> float:
        """Per cent of the values that have a shape rule, or of another count."""
        return 100 * (self.rule if count is None else count) / self.values if self.values else 100.0


def _get(function: str, kind: Any, handle: c_void_p, index: int) -> Any:
    info, error = kind(), abi.Error()
    call = getattr(binding.library(), function)
    call.restype, call.argtypes = c_int32, [c_void_p, c_uint32, POINTER(kind), POINTER(abi.Error)]
    status = call(handle, index, byref(info), byref(error))
    if status != 0:
        raise FxcostError(error.message.decode() or function, binding.Status(status).name)
    return info


def _told(handle: c_void_p, value: int) -> int:
    told, error = c_uint32(), abi.Error()
    call = binding.library().fxc_analysis_value_told
    call.restype, call.argtypes = c_int32, [c_void_p, c_uint32, POINTER(c_uint32), POINTER(abi.Error)]
    status = call(handle, value, byref(told), byref(error))
    if status != 0:
        raise FxcostError(error.message.decode(), binding.Status(status).name)
    return told.value


_SYMBOL = re.compile(r"^symbol (\w+)(?=.* unbacked)(?:.*? min=(-?\d+))?(?:.*? max=(-?\d+))?", re.MULTILINE)
GIVEN = (8, 4, 2, 1, 3, 16, 0)  # tried in turn for sizes that are data, each cut to its symbol's range


def _derived(program: binding.Program, number: int | None) -> binding.Analysis:
    """An analysis with shapes, in which every symbol that is data has this value."""
    analysis = binding.Analysis(program, shapes="listed")
    for name, least, most in _SYMBOL.findall(program.text()) if number is not None else ():
        analysis.set(f"dim.{name}", str(max(int(least or 0), min(int(most or number), number))))
    analysis.require("shapes")
    return analysis


def _contradictions(program: binding.Program, analysis: binding.Analysis) -> list[str]:
    """What rules tell of values otherwise than the recording."""
    agrees = binding.library().fxc_analysis_value_agrees
    agrees.restype, agrees.argtypes = c_int32, [c_void_p, c_uint32, POINTER(abi.Error)]
    found = []
    for value in range(program.info().values):
        if _told(analysis._handle, value) & OTHERWISE:
            error = abi.Error()
            agrees(analysis._handle, value, byref(error))
            found.append(" ".join(error.message.decode().split()))
    return found


def sources_of(data: bytes, name: str = "memory") -> Sources:
    """Runs the shape rules of a captured program against its recording. Where sizes are data, their symbols take the
    first value with which the program does not contradict itself (where two sizes add up to a third, not every value
    can be)."""
    found = Sources()
    program = binding.Program.from_bytes(data, name)
    analysis = plain = _derived(program, None)
    found.contradictions = _contradictions(program, analysis)
    if plain.totals().unsized_values:
        for found.given in GIVEN:
            analysis = _derived(program, found.given)
            found.contradictions = _contradictions(program, analysis)
            if not found.contradictions:
                break
    count = program.info().nodes
    ops = [_get("fxc_program_get_node", NodeInfo, program._handle, node).op.decode() for node in range(count)]
    for value in range(program.info().values):
        info = _get("fxc_analysis_value", ValueInfo, analysis._handle, value)
        if info.source not in (RULE, RECORDED, TAGGED):
            continue
        told, op = _told(analysis._handle, value), ops[info.producer]
        found.data += found.given is not None and _get("fxc_analysis_value", ValueInfo, plain._handle, value).numel < 0
        found.rule += info.source != RECORDED
        found.dtype += bool(told & DTYPE)
        found.strides += bool(told & STRIDES)
        for counter, missing in (
            (found.recorded, info.source == RECORDED),
            (found.untyped, not told & DTYPE),
            (found.unlaid, not told & STRIDES),
        ):
            if missing:
                counter[op] += 1
    for node, op in enumerate(ops):
        if analysis.node(node).coverage == 2:  # FXC_COVERAGE_UNKNOWN
            found.unknown[op] += 1
    return found
