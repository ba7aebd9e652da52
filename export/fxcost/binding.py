"""Thin ctypes binding to libfxcost: programs, analyses and errors. Every number comes from the C library."""

from __future__ import annotations

import ctypes
import functools
import json
import math
import os
import weakref
from collections.abc import Callable, Iterator
from ctypes import (
    byref,
    c_bool,
    c_int64,
    c_void_p,
)
from pathlib import Path
from typing import Any

from .abi import (
    SIGNATURES,
    WRITE,
    DeviceInfo,
    Error,
    Fit,
    FormulaInfo,
    InputShape,
    MemoryAt,
    MemorySummary,
    MemoryTensor,
    NodeCost,
    ProgramInfo,
    RenderOptions,
    ReshapeOptions,
    Size,
    Status,
    Totals,
)
from .errors import FxcostError


def package_file(folder: str, name: str) -> Path:
    """A file that the package carries, ``lib/libfxcost.so.0`` or ``bin/fxcost``."""
    return Path(__file__).parent / folder / name


@functools.cache
def library() -> ctypes.CDLL:
    """The C library: the package's own, or the one that FXCOST_LIBRARY names (for working on fxcost itself)."""
    path = os.environ.get("FXCOST_LIBRARY") or str(package_file("lib", "libfxcost.so.0"))
    try:
        loaded = ctypes.CDLL(path)
    except OSError as error:
        raise FxcostError(f"{path}\n  expected: the C library of fxcost\n  found: {error}", "IO") from None
    return loaded


def declare(signatures: dict[str, tuple[Any, list[Any]]]) -> None:
    """Adds functions of the library that another module calls: result and arguments by name."""
    SIGNATURES.update(signatures)


@functools.cache
def function(name: str) -> Any:
    """A declared function of the library."""
    found = getattr(library(), name)
    found.restype, found.argtypes = SIGNATURES[name]
    return found


@functools.cache
def enumeration(name: str) -> dict[str, int]:
    """Numbers of an enumeration of include/fxcost/enums.h by text; for a bit set the numbers are bit positions."""
    numbers: dict[str, int] = {}
    while (text := function("fxc_enum_text")(name.encode(), len(numbers))) is not None:
        numbers[text.decode()] = len(numbers)
    if not numbers:
        raise KeyError(name)
    return numbers


def _call(name: str, *arguments: Any) -> None:
    """Calls a function that takes an error last; raises what it reports."""
    error = Error()
    status = function(name)(*arguments, byref(error))
    if status != Status.OK:
        raise FxcostError(error.message.decode(errors="replace") or name, Status(status).name)


def _collect(call: Callable[[Any], None]) -> bytes:
    """What a function writes through its fxc_write_fn."""
    parts: list[bytes] = []

    @WRITE
    def write(_context: int, text: int, size: int) -> bool:
        parts.append(ctypes.string_at(text, size))
        return True

    call(write)
    return b"".join(parts)


class Program:
    """A loaded .fxir program: immutable, may be shared between threads."""

    def __init__(self, handle: c_void_p) -> None:
        self._handle = handle
        weakref.finalize(self, function("fxc_program_free"), handle)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Program:
        """Opens a .fxir or text-form file."""
        handle = c_void_p()
        _call("fxc_program_open", os.fsencode(path), byref(handle))
        return cls(handle)

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "memory") -> Program:
        """A program from the bytes of a .fxir or text-form file."""
        handle = c_void_p()
        _call("fxc_program_from_memory", data, len(data), name.encode(), byref(handle))
        return cls(handle)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Program):
            return NotImplemented
        equal = c_bool()
        _call("fxc_program_equal", self._handle, other._handle, byref(equal))
        return equal.value

    __hash__ = object.__hash__

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a function that takes the program first and an error last."""
        _call(name, self._handle, *arguments)

    def info(self) -> ProgramInfo:
        """The head of the program."""
        info = ProgramInfo()
        _call("fxc_program_get_info", self._handle, byref(info))
        return info

    def at(self, **inputs: Any) -> Program:
        """The program at other sizes of its inputs, by rules: ``program.at(x=(8, 3, 64, 64))``, or with an element type
        ``program.at(ids=((8, 128), "int64"))``.

        Inputs go by their names in the captured program; those not named keep their sizes."""
        rows = (InputShape * len(inputs))()
        for row, (name, asked) in zip(rows, inputs.items(), strict=True):
            typed = len(asked) == 2 and isinstance(asked[1], str)
            numbers = tuple(asked[0] if typed else asked)
            row.name, row.rank = name.encode(), len(numbers)
            row.dtype = enumeration("dtype").get(asked[1], -2) if typed else -1
            row.size = (c_int64 * len(numbers))(*numbers)
        options = ReshapeOptions()
        options.inputs, options.input_count = rows, len(rows)
        handle = c_void_p()
        _call("fxc_program_reshape", self._handle, byref(options), byref(handle))
        return Program(handle)

    def text(self) -> str:
        """The text form."""
        return _collect(lambda write: _call("fxc_program_print", self._handle, write, None)).decode()


class Analysis:
    """A program under options. Facts are computed when first asked for."""

    def __init__(self, program: Program, **options: str) -> None:
        self.program = program
        self._handle = c_void_p()
        self.kept: list[Any] = []  # callbacks that C holds
        self.raised: BaseException | None = None  # by one of them
        _call("fxc_analysis_new", program._handle, byref(self._handle))
        weakref.finalize(self, function("fxc_analysis_free"), self._handle)
        for option, value in options.items():
            self.set(option, value)

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a function that takes the analysis first and an error last; an exception that a callback raised
        comes before what the library says of it."""
        self.raised = None
        try:
            _call(name, self._handle, *arguments)
        except FxcostError:
            if self.raised is not None:
                raise self.raised from None
            raise

    def set(self, option: str, value: str) -> None:
        """Sets ``convention``, ``profile``, ``device``, ``dim.NAME`` or ``probability.NAME``."""
        self.call("fxc_analysis_set", option.encode(), value.encode())

    def set_forward(self, program: Program) -> None:
        """Of a training step: its forward pass alone, for conventions of tools that see no more."""
        self.call("fxc_analysis_set_forward", program._handle)
        self._forward = program  # kept as long as this

    def require(self, fact: str) -> None:
        """Computes a fact and what it needs."""
        self.call("fxc_require", fact.encode())

    def totals(self) -> Totals:
        totals = Totals()
        self.call("fxc_analysis_totals", byref(totals))
        return totals

    def node(self, index: int) -> NodeCost:
        cost = NodeCost()
        self.call("fxc_analysis_node", index, byref(cost))
        return cost

    def nodes(self) -> Iterator[NodeCost]:
        """Costs of all nodes in order."""
        return (self.node(index) for index in range(self.program.info().nodes))

    def report(self, by: str) -> dict[str, Any]:
        """The JSON report (docs/report.schema.json) as Python data; its rows are under "rows"."""
        data: dict[str, Any] = json.loads(self.render(format="json", by=by))
        return data

    def memory(self) -> MemorySummary:
        summary = MemorySummary()
        self.call("fxc_memory_get_summary", byref(summary))
        return summary

    def memory_at(self, node: int) -> MemoryAt:
        at = MemoryAt()
        self.call("fxc_memory_get_node", node, byref(at))
        return at

    def fits(self) -> Fit:
        """Whether a run fits into the memory of the device that is set."""
        fit = Fit()
        self.call("fxc_memory_fits", byref(fit))
        return fit

    def largest(self, dimension: str) -> int:
        """The largest size of a dynamic dimension with which a run fits, the others as they are; 0 for none."""
        value = c_int64()
        self.call("fxc_memory_largest", dimension.encode(), byref(value))
        return value.value

    def peak_tensors(self) -> Iterator[MemoryTensor]:
        """What is alive at the peak, largest first."""
        for index in range(self.memory().tensors):
            tensor = MemoryTensor()
            self.call("fxc_memory_get_tensor", index, byref(tensor))
            yield tensor

    def render(self, **options: Any) -> str:
        """The report as text; options are the fields of ``fxc_render_options``."""
        return self.render_bytes(**options).decode()

    def render_bytes(self, **options: Any) -> bytes:
        """The same for every format, text or not."""
        request = RenderOptions()
        for name, value in options.items():
            if value is not None:
                setattr(request, name, value.encode() if isinstance(value, str) else value)
        return _collect(lambda write: self.call("fxc_analysis_render", byref(request), write, None))


class Formula:
    """A quantity of a program as an exact formula in its dynamic dimensions (include/fxcost/formula.h)."""

    def __init__(self, program: Program, quantity: str, step: Program | None = None) -> None:
        """With ``step``, a step over a cache: of generating tokens (fxc_formula_generation)."""
        self.program = program
        self._handle = c_void_p()
        if step is None:
            _call("fxc_formula_new", program._handle, quantity.encode(), byref(self._handle))
        else:
            programs = program._handle, b"prompt", step._handle, b"cache"
            _call("fxc_formula_generation", *programs, quantity.encode(), byref(self._handle))
        weakref.finalize(self, function("fxc_formula_free"), self._handle)
        info = FormulaInfo()
        _call("fxc_formula_get_info", self._handle, byref(info))
        self.kind = ("polynomial", "piecewise", "none")[info.kind]
        self.text, self.domain = info.text.decode(), info.domain.decode()
        self.steps = [function("fxc_formula_step")(self._handle, i).decode() for i in range(info.steps)]
        self.solved_at, self.verified_at, self.refused_at = info.solved_at, info.verified_at, info.refused_at

    def evaluate(self, **sizes: int) -> int:
        """The value at these sizes; FxcostError out of the captured ranges."""
        rows = (Size * len(sizes))(*(Size(name.encode(), size) for name, size in sizes.items()))
        value = c_int64()
        _call("fxc_formula_evaluate", self._handle, rows, len(sizes), byref(value))
        return value.value


def device_peak(name: str, precision: str) -> float:
    """Published FLOP/s of matrix products on a device, in "f32" or, for a 16-bit type, "bf16"."""
    info, index = DeviceInfo(), 0
    while function("fxc_device_get")(index, byref(info), None) == Status.OK:
        if info.name.decode() == name:
            return float(info.flops_per_second_bf16 if precision in ("bf16", "f16") else info.flops_per_second_f32)
        index += 1
    raise FxcostError(f"device {name!r}\n  expected: a name that this lists: fxcost devices", "DEVICE")


def seconds_or_none(seconds: float) -> float | None:
    """The C library says NAN where no device is named."""
    return None if math.isnan(seconds) else seconds
